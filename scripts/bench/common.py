"""What the benches share: servers as processes of their own, raw requests, and how figures are said.

The servers run on one core and the bench, which is the client, on another. Nothing is asserted anywhere: a bench prints.
Every figure is compared with a reference that was measured in the same run, a moment before or after it.
"""

import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOKEN = "bench-token-0123456789abcdef"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
_START = 30.0


class Server:
    """One server process on a core of its own, the server's, listening on a port that was free."""

    def __init__(
        self,
        argv: Sequence[str],
        env: dict[str, str] | None = None,
        log: Path | None = None,
        *,
        core: int = SERVER_CORE,
    ) -> None:
        self.port = free_port()
        given = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        path = os.pathsep.join(filter(None, (str(ROOT), given.get("PYTHONPATH", ""))))
        self.started = time.perf_counter()
        with (log or Path(os.devnull)).open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, *(part.format(port=self.port) for part in argv)],
                env={**given, "PYTHONPATH": path, **(env or {})},
                cwd=tempfile.gettempdir(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - there is one thread here
            )
        self.facts = psutil.Process(self._process.pid)

    def wait_healthy(self) -> float:
        """Seconds from the start of the process to its first 200 on /healthz."""
        request = request_of(self.port, "GET", "/healthz")
        while time.perf_counter() - self.started < _START:
            if self._process.poll() is not None:
                raise SystemExit(f"a server ended with {self._process.returncode} before it answered")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    connection.sendall(request)
                    if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                        return time.perf_counter() - self.started
            except OSError:
                time.sleep(0.001)
        raise SystemExit("a server did not answer")

    def resident(self) -> int:
        """Bytes of resident memory."""
        return int(self.facts.memory_info().rss)

    def busy(self) -> float:
        """Seconds of processor time that it has used so far."""
        times = self.facts.cpu_times()
        return float(times.user + times.system)

    def forget_peak(self) -> None:
        """Let `peak` begin anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.facts.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak(self) -> int:
        """The most bytes that were resident at once."""
        status = Path(f"/proc/{self.facts.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(8)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(8)


def bare(**env: str) -> Server:
    """The bare server of bare.py."""
    return Server([str(HERE / "bare.py"), "{port}"], env)


def upstream() -> Server:
    """The model server of upstream.py, on the client's core."""
    return Server([str(HERE / "upstream.py"), "{port}"], core=CLIENT_CORE)


def gateway(home: Path, **env: str) -> Server:
    """`ironclaw run` as people run it, rates off unless *env* sets them, its log in a file beside the home."""
    argv = ["-m", "ironclaw", "run", "--host", "127.0.0.1", "--port", "{port}"]
    return Server(argv, settings_for(home, **env), home.parent / f"{home.name}.log")


def hosted(home: Path, **env: str) -> Server:
    """The gateway inside host.py, where an instant model answers."""
    return Server([str(HERE / "host.py"), "{port}"], settings_for(home, **env), home.parent / f"{home.name}.log")


def settings_for(home: Path, **env: str) -> dict[str, str]:
    """The variables of a gateway under test."""
    rates = {"GATEWAY_API_RATE": "0", "GATEWAY_CHAT_RATE": "0", "GATEWAY_LOGIN_RATE": "0"}
    return {"HOME": str(home.parent), "IRONCLAW_HOME": str(home), "GATEWAY_AUTH_TOKEN": TOKEN, **rates, **env}


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Wait until all answer; stop all at the end."""
    try:
        for server in servers:
            server.wait_healthy()
        yield
    finally:
        for server in servers:
            server.stop()


@contextmanager
def bench(text: str) -> Iterator[Path]:
    """A scratch folder for one bench, whose first line is *text*; the client's core and enough descriptors."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(text)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-") as folder:
        yield Path(folder)
    print(f"({time.perf_counter() - started:.0f} s)")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Requests


def request_of(port: int, method: str, path: str, body: bytes = b"", *, token: str | None = None, **more: str) -> bytes:
    """The bytes of one request; *more* are headers, with underscores for dashes."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_reply(connection: socket.socket, buffer: bytes = b"") -> bytes:
    """One reply that has a Content-Length, head and all."""
    while True:
        end = length_of(buffer)
        if end is not None and len(buffer) >= end:
            return buffer
        data = connection.recv(65536)
        if not data:
            raise SystemExit(f"a server closed a connection after {buffer[:200]!r}")
        buffer += data


def length_of(data: bytes) -> int | None:
    """How long the reply at the start of *data* is; None while its head is not complete."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    at = data.find(b"Content-Length: ", 0, head)
    return head + 4 + (int(data[at + 16 : data.index(b"\r", at)]) if at >= 0 else 0)


def open_stream(port: int, request: bytes, receive_buffer: int = 0) -> socket.socket:
    """A connection on which *request* was answered by the head of a stream."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    connection.sendall(request)
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            break
        head += data
    if head[:12] not in {b"HTTP/1.1 200", b"HTTP/1.1 101"}:
        raise SystemExit(f"no stream: {head[:300]!r}")
    return connection


# Figures


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of the rounds."""
    return median([mine / other for mine, other in zip(ours, theirs, strict=True)])


def verdict(value: float, *, at_most: float | None = None, at_least: float | None = None) -> str:
    """`goal 1.6: met`, or by how much it is missed."""
    if at_most is not None:
        return f"goal at most {at_most:g}: {'met' if value <= at_most else 'MISSED'}"
    assert at_least is not None
    return f"goal at least {at_least:g}: {'met' if value >= at_least else 'MISSED'}"


def compare(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    form: Callable[[float], str],
    **goal: Any,
) -> None:
    """One line: how many times the bare server's figure ours is, round by round, and the figures themselves."""
    value = ratio(ours, theirs)
    said = f", {verdict(value, **goal)}" if goal else ""
    print(f"{name}: {value:.2f} x bare ({form(median(ours))} against {form(median(theirs))}){said}")


def megabytes(value: float) -> str:
    """Bytes, for people."""
    return f"{value / 1e6:.1f} MB"


def kilobytes(value: float) -> str:
    """The same in kB."""
    return f"{value / 1e3:.1f} kB"


def seconds(value: float) -> str:
    """A time in seconds."""
    return f"{value:.3f} s"


def milliseconds(value: float) -> str:
    """A time, given in seconds, in milliseconds."""
    return f"{value * 1e3:.2f} ms"


def microseconds(value: float) -> str:
    """A time, given in seconds, in microseconds."""
    return f"{value * 1e6:.1f} us"
