"""One request on a kept connection: aiohttp's pool, TLS and parser, without its client session.

The session makes a dozen objects and a task for each request; of a call that is passed through, that was half of all the
time. This is the one module that knows what is below the session. Proxies are left to the session.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp import http
from yarl import URL

from ironclaw.values import frozen

_LARGE = 1 << 16  # bytes of a body that are not copied behind the head
_MOST_PLACES = 64


class Answer:
    """An answer whose head is there. `release()` it: the connection is used again if all of it was read, else it is cut."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(self, connection: aiohttp.connector.Connection, status: int, headers: Mapping[str, str], content: Any):
        self.status = status
        self.headers = headers
        self.content: aiohttp.StreamReader = content
        self._connection = connection

    def release(self) -> None:
        """Give the connection back."""
        self._connection.release()


@frozen
class _Place:
    """What a URL means: the connections that lead there (a request that is never sent stands for them), and the path."""

    url: URL
    key: aiohttp.ClientRequest
    after_method: bytes


class Wire:
    """Sends requests over the connections of *connector*."""

    def __init__(self, connector: aiohttp.TCPConnector) -> None:
        self._connector = connector
        self._places: dict[str, _Place] = {}

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout: aiohttp.ClientTimeout,
        silence: float,
    ) -> Answer:
        """The answer to a request; redirects are not followed. The names and values of *headers* must be clean.

        Raises what an aiohttp session raises: *aiohttp.ClientError*, and *ConnectionTimeoutError* by *timeout*.connect;
        *TimeoutError* when there is no head of an answer *silence* seconds after the request.
        """
        place = self._places.get(url) or self._remember(url)
        try:
            connection = await self._connector.connect(place.key, [], timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {place.url.host}") from error
        try:
            _write(connection, _head(method, place, headers, len(body)), body)
            return await _read(connection, place, silence)
        except BaseException:
            connection.close()
            raise

    def _remember(self, url: str) -> _Place:
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        where = URL(url)
        key = aiohttp.ClientRequest("GET", where, loop=asyncio.get_running_loop())
        line = f" {where.raw_path_qs} HTTP/1.1\r\nHost: {where.host_port_subcomponent}\r\n"
        place = self._places[url] = _Place(where, key, line.encode("ascii"))
        return place


def _head(method: str, place: _Place, headers: Mapping[str, str], length: int) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    size = f"Content-Length: {length}\r\n" if method == "POST" else ""
    return method.encode() + place.after_method + f"{lines}{size}\r\n".encode("ascii")


def _write(connection: aiohttp.connector.Connection, head: bytes, body: bytes) -> None:
    transport = connection.transport
    if transport is None or connection.protocol is None:
        raise aiohttp.ServerDisconnectedError
    connection.protocol.set_response_params(read_until_eof=True)
    if len(body) < _LARGE:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)


async def _read(connection: aiohttp.connector.Connection, place: _Place, silence: float) -> Answer:
    """The answer, past those that only say that it is coming."""
    protocol = connection.protocol
    assert protocol is not None
    timer = asyncio.get_running_loop().call_later(silence, protocol.set_exception, TimeoutError())
    try:
        while True:
            message, content = await protocol.read()
            if message.code >= 200:
                return Answer(connection, message.code, message.headers, content)
    except http.HttpProcessingError as error:
        about = place.key.request_info
        raise aiohttp.ClientResponseError(about, (), status=error.code, message=error.message) from error
    finally:
        timer.cancel()
