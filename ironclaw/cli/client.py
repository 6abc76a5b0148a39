"""Talks to a running gateway over HTTP, for the commands that need one. Plain http.client: it loads in no time."""

import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import attrs
import click

from ironclaw.cli import EXIT_REFUSED, EXIT_UNREACHABLE
from ironclaw.home import read_token
from ironclaw.settings import DEFAULT_HOME, Settings
from ironclaw.values import frozen

_QUICK = 30.0
_TURN = 3600.0
_SILENCE = 100.0  # longer than the longest usual time between two heartbeats


def url_option(function: Any) -> Any:
    """The option that says which gateway."""
    text = "address of the gateway [IRONCLAW_URL; default: the one that runs on this home]"
    return click.option("--url", envvar="IRONCLAW_URL", metavar="URL", help=text)(function)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say why on stderr and end with *code*."""
    click.echo(f"ironclaw: {message}", err=True)
    sys.exit(code)


@frozen
class Gateway:
    """Where a gateway is, and the token for it."""

    url: str
    token: str = attrs.field(repr=False)

    @classmethod
    def find(cls, url: str | None) -> "Gateway":
        """The gateway at *url*, else the one that runs on this home. Ends the program when there is none."""
        settings = Settings.load()
        home = settings.home or Path(DEFAULT_HOME).expanduser()
        token = read_token(settings, home)
        if url is None:
            try:
                url = str(json.loads((home / "gateway.json").read_text(encoding="utf-8"))["url"])
            except (OSError, ValueError, KeyError):
                fail(
                    f"no gateway runs on {home}. Start it with `ironclaw run`, or name one with --url.",
                    EXIT_UNREACHABLE,
                )
        if token is None:
            fail("there is no token. Set GATEWAY_AUTH_TOKEN to the one that the gateway printed.", EXIT_REFUSED)
        return cls(url.rstrip("/"), token)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON reply of a GET. Ends the program when it fails."""
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and JSON reply of a POST. Ends the program when the gateway can't be reached or refuses the token."""
        return self._send("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The same for a PUT."""
        return self._send("PUT", path, body)

    def delete(self, path: str) -> tuple[int, dict[str, Any]]:
        """The same for a DELETE."""
        return self._send("DELETE", path, None)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        response = self._request(method, path, body, "application/json", _TURN)
        return response.status, _parsed(response.read())

    def call(
        self, method: str, path: str, body: dict[str, Any] | bytes | None = None, etag: str = ""
    ) -> dict[str, Any]:
        """The JSON reply of any request; *etag* is what the file must be. Ends the program when it fails."""
        headers = {"If-Match": f'"{etag}"'} if etag else {}
        return _checked(self._request(method, path, body, "application/json", _QUICK, more=headers))

    def fetch(self, path: str, accept: str = "*/*") -> bytes:
        """The bytes of a GET. Ends the program when it fails."""
        response = self._request("GET", path, None, accept, _QUICK)
        if response.status >= 400:
            _checked(response)
        return response.read()

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of a POST as they come. Ends the program when it is refused."""
        response = self._request("POST", path, body, "application/x-ndjson", _TURN)
        if response.status != 200:
            fail(_error_text(_parsed(response.read()), response.status))
        try:
            for line in response:
                yield json.loads(line)
        except (OSError, http.client.HTTPException) as error:
            fail(
                f"the connection broke: {error}. The turn goes on; its answer will be in the history.", EXIT_UNREACHABLE
            )

    def follow(self, path: str) -> Iterator[dict[str, Any]]:
        """The objects of a stream as they come, heartbeats among them. Ends the program when it is refused or breaks."""
        response = self._request("GET", path, None, "application/x-ndjson", _SILENCE)
        if response.status != 200:
            fail(_error_text(_parsed(response.read()), response.status))
        try:
            for line in response:
                yield json.loads(line)
        except (OSError, http.client.HTTPException) as error:
            fail(f"the connection broke: {error}.", EXIT_UNREACHABLE)

    def _request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | bytes | None,
        accept: str,
        timeout: float,
        *,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> http.client.HTTPResponse:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept, **more}
        headers["Content-Type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        try:
            connection = kind(parts.hostname or "", parts.port, timeout=timeout)
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, f"{parts.path}{path}", data, headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError, UnicodeError) as error:
            fail(f"{self.url} can't be reached: {error}. Is the gateway running?", EXIT_UNREACHABLE)
        if response.status == 401:
            fail(
                "the token was refused. `ironclaw token show` on the gateway's machine prints the right one.",
                EXIT_REFUSED,
            )
        return response


def _checked(response: http.client.HTTPResponse) -> dict[str, Any]:
    """A JSON reply. Ends the program when it says that something went wrong."""
    reply = _parsed(response.read())
    if response.status >= 400:
        fail(_error_text(reply, response.status))
    return reply


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(data)
    except ValueError:
        reply = None
    return reply if isinstance(reply, dict) else {"error": {"message": "the answer is not from a gateway"}}


def _error_text(reply: dict[str, Any], status: int) -> str:
    error = reply.get("error")
    return str(error.get("message")) if isinstance(error, dict) else f"the gateway answered {status}"


def colored() -> bool:
    """Whether the terminal may get colours (NO_COLOR and FORCE_COLOR are heeded)."""
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
