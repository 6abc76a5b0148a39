"""The small adapter between the hub and aiohttp's transports: how bytes reach a client. What they are is `frames.py`.

A stream's head goes out through aiohttp. After that, frames that were built once for all are written straight to the
transport: `StreamResponse.write` would wake a task and copy for each client. A client with more than 1 MiB unread is
cut, and comes back with its last event id.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Protocol

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from ironclaw.api.counts import lag_histogram
from ironclaw.api.frames import chunk, chunked_ndjson_frames, chunked_sse_frames, ndjson_frames, sse_frames
from ironclaw.errors import IronclawError
from ironclaw.hub import Frames, ReaderTooSlow, Released

log = logging.getLogger(__name__)

MOST_UNREAD = 1 << 20
LONGEST_UNREAD = 300.0
"""Seconds for which the client of a reply that waits for it may read nothing."""

_ROOM = 64 << 10
_STALLED = 30.0
_SWEEP_EVERY = 1.0
_SSE_COMMENT = b": keep-alive\n\n"
_NDJSON_COMMENT = b'{"type":"ping"}\n'
_RETRY_MS = 2000
_NO_PING = 86_400.0  # aiohttp-sse's own ping is not used: one timer beats for all streams
_SSE_GOODBYE = b": the gateway is stopping\n\n"


def _drop_when_dead(transport: asyncio.Transport) -> None:
    """Let the kernel drop a peer that acknowledges nothing any more."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_STALLED * 1000))


class StreamClient:
    """One client of the hub on a transport. `closed` is done when it is gone, by itself or cut."""

    __slots__ = ("_transport", "beat", "closed", "frames", "seen", "types", "was_cut")

    def __init__(self, transport: asyncio.Transport, frames: Frames, types: frozenset[str] | None, beat: bytes) -> None:
        self.frames = frames
        self.types = types
        self.seen = 0
        self.beat = beat
        """What is written to it regularly to keep the connection open; empty for none."""
        self.was_cut = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = transport
        _drop_when_dead(transport)

    def write(self, data: bytes) -> None:
        """Send *data*, or cut the client when it did not read what it has. One large event alone cuts nobody."""
        if not self.check():
            return
        if self._transport.get_write_buffer_size() > MOST_UNREAD:
            log.info("A client that does not read was cut; it can resume by its last event id")
            self.was_cut = True
            self.cut()
            return
        self._transport.write(data)

    def check(self) -> bool:
        """Whether the client is still there."""
        if self._transport.is_closing():
            self.end()
        return not self.closed.done()

    def end(self) -> None:
        """Let the handler go; what was written is still sent."""
        if not self.closed.done():
            self.closed.set_result(None)

    def cut(self) -> None:
        """Drop the connection and what it has not read."""
        self._transport.abort()
        self.end()

    async def drain(self) -> None:
        """Wait until there is room for a page. One that makes no room for 30 s is cut: *ConnectionResetError*."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STALLED):
                while self.check():
                    if self._transport.get_write_buffer_size() <= _ROOM:
                        return
                    await asyncio.sleep(0.005)
        self.was_cut = True
        self.cut()
        raise ConnectionResetError


class Watched:
    """Cancels the handler that made it when its client has gone, or at shutdown: what it began elsewhere ends at once.

    aiohttp does so by itself only where its runner was told to, and a host owns its runner. Use it as a context.
    """

    __slots__ = ("_request", "_task", "_transport", "_writing_since", "beat", "was_cut")

    def __init__(self, request: web.Request) -> None:
        self.beat = b""
        self.was_cut = False
        self._writing_since: float | None = None
        self._request = request
        self._transport = connected(request)
        self._task = asyncio.current_task()

    def __enter__(self) -> "Watched":
        self._request.app[OPEN_STREAMS].add(self, self.cut)
        return self

    def __exit__(self, *_: object) -> None:
        self._task = None
        self._request.app[OPEN_STREAMS].remove(self)

    def keep_alive(self, *, ndjson: bool = False) -> None:
        """Let the common heartbeat write comments to a stream of whole lines, once its head is out."""
        _drop_when_dead(self._transport)
        comment = _NDJSON_COMMENT if ndjson else _SSE_COMMENT
        self.beat = chunk(comment) if self._request.version >= (1, 1) else comment

    async def send(self, response: web.StreamResponse, data: bytes) -> None:
        """Write a piece of the reply; returns once there is room for more. A client that makes none for long is cut."""
        self._writing_since = time.monotonic()
        await response.write(data)
        self._writing_since = None

    def write(self, data: bytes) -> None:
        """Send a heartbeat; what waits to be read already keeps the connection as busy."""
        if self.check() and not self._transport.get_write_buffer_size():
            self._transport.write(data)

    def check(self) -> bool:
        """Whether the client is still there."""
        if self._writing_since is not None and time.monotonic() - self._writing_since > LONGEST_UNREAD:
            self.was_cut = True
            self._transport.abort()
        gone = self._transport.is_closing()
        if gone and self._task is not None:
            self._task.cancel()
            self._task = None
        return not gone

    def cut(self) -> None:
        """Drop the connection."""
        self._transport.abort()
        self.check()


class Held(Protocol):
    """A client of an application's streams."""

    beat: bytes
    was_cut: bool

    def write(self, data: bytes) -> None: ...  # noqa: D102
    def check(self) -> bool: ...  # noqa: D102


class _Holding:
    """Lets a client go at the end. As a generator it would be half a kilobyte, for each stream that is open."""

    __slots__ = ("_client", "_streams")

    def __init__(self, streams: "OpenStreams", client: Held) -> None:
        self._streams = streams
        self._client = client

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._streams.remove(self._client)


class OpenStreams:
    """All open streams of one application: their common heartbeat, and their end at shutdown."""

    def __init__(self, heartbeat: float) -> None:
        self._heartbeat = heartbeat
        self._clients: dict[Held, Callable[[], None]] = {}
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.cut = 0
        """Clients that were cut because they did not read."""
        self.lag = lag_histogram()
        """How late the event loop was, looked at about once a second."""

    def holding(self, client: StreamClient, at_shutdown: Callable[[], None]) -> "_Holding":
        """Keep *client* alive and swept, while in this context; *at_shutdown* tells it goodbye."""
        self.add(client, at_shutdown)
        return _Holding(self, client)

    def add(self, client: Held, at_shutdown: Callable[[], None]) -> None:
        """The same without a context, until `remove`."""
        self._clients[client] = at_shutdown
        if self._closing:
            at_shutdown()

    def remove(self, client: Held) -> None:
        """Let go of a client."""
        del self._clients[client]
        self.cut += client.was_cut

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Beat and sweep."""
        self._task = task = asyncio.create_task(self._beat_forever(), name="stream-heartbeat")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def alive(self) -> bool:
        """Whether streams are still kept open and swept."""
        return self._task is not None and not self._task.done()

    async def _beat_forever(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + self._heartbeat
        while True:
            wake_at = clock() + min(_SWEEP_EVERY, self._heartbeat)
            await asyncio.sleep(wake_at - clock())
            self.lag.observe(max(0.0, clock() - wake_at))
            # Under a host's own runner nobody tells a handler that its client left: the sweep does.
            for client in tuple(self._clients):
                client.check()
            if clock() >= due:
                due = clock() + self._heartbeat
                for client in tuple(self._clients):
                    if client.beat:
                        client.write(client.beat)

    def close(self) -> None:
        """Say goodbye to all, now and to whoever still comes."""
        self._closing = True
        for at_shutdown in tuple(self._clients.values()):
            at_shutdown()


OPEN_STREAMS: web.AppKey[OpenStreams] = web.AppKey("streams", OpenStreams)


def sse_response(*, allow_all_methods: bool = False) -> EventSourceResponse:
    """The head of an event stream. A peer that acknowledges nothing for 30 s is dropped by the kernel."""
    response = EventSourceResponse(
        sep="\n", ping_interval=_NO_PING, send_timeout=_STALLED, allow_all_methods=allow_all_methods
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def ndjson_response() -> web.StreamResponse:
    """The head of a stream of JSON lines."""
    return web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "X-Accel-Buffering": "no"})


@contextlib.asynccontextmanager
async def streaming(
    request: web.Request, response: web.StreamResponse, *, ndjson: bool, greet: bool = True
) -> AsyncIterator[StreamClient]:
    """Send the head, keep the connection beating, and end it well. *greet*: send first bytes before there is an event."""
    try:
        connected(request)
        await prepare(request, response)
        # The head leaves with the first bytes only, and a proxy that waits for some gets them.
        if greet:
            await response.write(_NDJSON_COMMENT if ndjson else b"retry: %d\n: connected\n\n" % _RETRY_MS)
        client, last_words = _http_client(request, ndjson=ndjson)

        def at_shutdown() -> None:
            if last_words:
                client.write(last_words)
            client.end()

        with aborted_when_broken(request, response), request.app[OPEN_STREAMS].holding(client, at_shutdown):
            try:
                yield client
            finally:
                client.end()
    finally:
        if isinstance(response, EventSourceResponse) and response.is_connected():
            response.stop_streaming()


async def prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Send the head. What was sent is 2 kB that nobody reads again, and a stream may be open for days."""
    await response.prepare(request)
    response.headers.clear()


def _http_client(request: web.Request, *, ndjson: bool) -> tuple[StreamClient, bytes]:
    """The client of a prepared stream, and its last words at shutdown. HTTP/1.0 knows no chunks."""
    chunked = request.version >= (1, 1)
    if ndjson:
        frames, beat, last_words = (chunked_ndjson_frames if chunked else ndjson_frames), _NDJSON_COMMENT, b""
    else:
        frames, beat, last_words = (chunked_sse_frames if chunked else sse_frames), _SSE_COMMENT, _SSE_GOODBYE
    client = StreamClient(connected(request), frames, None, chunk(beat) if chunked else beat)
    return client, chunk(last_words) if chunked and last_words else last_words


def connected(request: web.Request) -> asyncio.Transport:
    """The request's transport. Raises *ConnectionResetError* when the client has gone."""
    if request.transport is None:
        raise ConnectionResetError
    return request.transport


async def until_gone(client: StreamClient, events: AsyncGenerator[Released, None]) -> AsyncGenerator[Released, None]:
    """The events, for as long as *client* is there: under a host's own runner nobody ends a handler that waits."""
    while True:
        coming = asyncio.ensure_future(anext(events, None))
        waiting: set[asyncio.Future[Any]] = {coming, client.closed}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
        event = None if coming.cancelled() else coming.result()
        if event is None:
            return
        yield event


class aborted_when_broken:  # noqa: N801 - it reads as a function, and as a class costs a stream less
    """A context that drops the connection when a stream breaks: no error can be a reply, and no cut-off may look whole."""

    __slots__ = ("_request", "_response")

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception) or not self._response.prepared:
            return False
        if not isinstance(error, ConnectionError | ReaderTooSlow | IronclawError):
            log.error("A stream failed inside", exc_info=error)
        if self._request.transport is not None:
            self._request.transport.abort()
        return True
