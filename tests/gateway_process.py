"""The real program as a process: started with a clean environment, spoken to over sockets only."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_START = 20.0


class GatewayProcess:
    """One `ironclaw run`. Its stderr goes to a file, so that a full pipe can't stop it.

    Rates are off unless *env* sets them; the port is any free one.
    """

    def __init__(self, home: Path, env: dict[str, str], args: tuple[str, ...] = ()) -> None:
        self.home = home
        self.log_path = home.parent / f"{home.name}.log"
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(home.parent),
            "IRONCLAW_HOME": str(home),
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": "0",
            "GATEWAY_API_RATE": "0",
            "GATEWAY_CHAT_RATE": "0",
            "LLM_DISCOVER": "off",  # a model that happens to run on this machine is not part of a test
            **env,
        }
        self.args = args
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def spawn(self, *args: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        """Start it without waiting for anything; *prefix* goes before the command (strace, say)."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "ironclaw", "run", *self.args, *args],
                env=self.env,
                cwd=self.home.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def start(self, *args: str, prefix: tuple[str, ...] = ()) -> "GatewayProcess":
        """Start it and wait until it answers."""
        process = self.spawn(*args, prefix=prefix)
        deadline = time.monotonic() + _START
        found = self.home / "gateway.json"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"it ended with {process.returncode}:\n{self.log}")
            try:
                facts = json.loads(found.read_text())
                if prefix or facts["pid"] == process.pid:
                    self.port = int(facts["url"].rpartition(":")[2])
                    if self.request("GET", "/healthz", token=None)[0] == 200:
                        return self
            except (OSError, ValueError, KeyError):
                pass
            time.sleep(0.02)
        raise AssertionError(f"it did not start:\n{self.log}")

    @property
    def log(self) -> str:
        """All that it has printed."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def token(self) -> str:
        """The token that it accepts."""
        return self.env.get("GATEWAY_AUTH_TOKEN") or (self.home / "token").read_text().strip()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> tuple[int, dict[str, str], Any]:
        """One request on a connection of its own: status, headers (lower-case names), and the body (JSON if it is).

        *token* "" is the right one, None is none.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            sent = {"Authorization": f"Bearer {self.token if token == '' else token}"} if token is not None else {}
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            if data is not None and not isinstance(body, bytes):
                sent["Content-Type"] = "application/json"
            connection.request(method, path, data, {**sent, **(headers or {})})
            response = connection.getresponse()
            text = response.read()
            names = {name.lower(): value for name, value in response.getheaders()}
            is_json = names.get("content-type", "").startswith("application/json")
            return response.status, names, json.loads(text) if is_json and text else text
        finally:
            connection.close()

    def send(self, message: str, *, wait: bool = False, **more: Any) -> dict[str, Any]:
        """Send a message, asserting that it is accepted."""
        status, _, reply = self.request(
            "POST", "/api/chat/send" + ("?wait" if wait else ""), {"message": message, **more}
        )
        assert status == 200, reply
        return reply  # type: ignore[no-any-return]

    def open_events(
        self, query: str = "", headers: dict[str, str] | None = None, timeout: float = 10.0
    ) -> "EventReader":
        """An SSE stream of events, its head read."""
        return EventReader(self, query, headers or {}, timeout)

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for the end; its exit code."""
        assert self.process is not None
        return self.process.wait(timeout)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Pull the plug (SIGKILL) on it and all that it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


class EventReader:
    """Reads SSE from a socket: `next()` gives one event as a dict with `event`, `id` and the fields of its data."""

    def __init__(self, gateway: GatewayProcess, query: str, headers: dict[str, str], timeout: float) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=timeout)
        self._connection.request(
            "GET", f"/api/chat/events{query}", headers={"Authorization": f"Bearer {gateway.token}", **headers}
        )
        self.response = self._connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.comments: list[str] = []

    @property
    def socket(self) -> socket.socket:
        """The socket below."""
        return self._connection.sock

    def next(self) -> dict[str, Any]:
        """The next event. Raises TimeoutError when none comes, EOFError at the end of the stream."""
        event: dict[str, Any] = {}
        while True:
            line = self.response.readline().decode()
            if not line:
                raise EOFError
            line = line.rstrip("\n")
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line == "" and "event" in event:
                return event
            if name == "":
                self.comments.append(value)
            elif name == "id":
                event["id"] = int(value)
            elif name == "event":
                event["event"] = value
            elif name == "data":
                event.update(json.loads(value))

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        """All events up to the first of one of *kinds*."""
        events = [self.next()]
        while events[-1]["event"] not in kinds:
            events.append(self.next())
        return events

    def until_count(self, count: int) -> list[dict[str, Any]]:
        """The next *count* events."""
        return [self.next() for _ in range(count)]

    def close(self) -> None:
        """Go away."""
        self.response.close()
        self._connection.close()
