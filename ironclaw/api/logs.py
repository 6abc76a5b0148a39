"""The log over HTTP: its last lines and those that come, and from which level on lines are written."""

import contextlib
import logging
from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from ironclaw import logs
from ironclaw.api.frames import chunk
from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import read_body, read_query, wants
from ironclaw.api.responses import json_response
from ironclaw.api.streams import ndjson_response, sse_response, streaming
from ironclaw.errors import BadRequest, Invalid
from ironclaw.levels import LEVELS, TRACE
from ironclaw.logs import LogLine, Wanted
from ironclaw.logs.ring import MOST_LINES, Frames
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_SSE, _NDJSON, _TEXT = "text/event-stream", "application/x-ndjson", "text/plain"


@frozen(kw_only=True)
class LogQuery:
    """The last *backlog* lines, then those that come, unless *follow* is 0; from *level* on, of *logger*, with *query*.

    *after* is the id of a line: only newer ones, for a client that comes back.
    """

    backlog: int = 50
    follow: bool = True
    level: str | None = None
    logger: str | None = None
    query: str | None = None
    after: int = 0


@frozen
class LogLevel:
    """From this level on lines are written: `trace`, `debug`, `info`, `warn` or `error`."""

    level: str


@frozen
class LevelSet:
    """The level is set for as long as the program runs."""

    status: Literal["ok"]
    level: str


def _sse(lines: Sequence[LogLine]) -> bytes:
    return b"".join(b"data: %s\n\n" % line.json_with_id for line in lines)


def _ndjson(lines: Sequence[LogLine]) -> bytes:
    return b"".join(b'{"type":"log",%s\n' % line.json_with_id[1:] for line in lines)


def _text(lines: Sequence[LogLine]) -> bytes:
    return b"".join(b"%s\n" % line.text.encode("utf-8", "backslashreplace") for line in lines)


def _chunked_sse(lines: Sequence[LogLine]) -> bytes:
    return chunk(_sse(lines))


def _chunked_ndjson(lines: Sequence[LogLine]) -> bytes:
    return chunk(_ndjson(lines))


def _chunked_text(lines: Sequence[LogLine]) -> bytes:
    return chunk(_text(lines))


_PLAIN: dict[str, Frames] = {_SSE: _sse, _NDJSON: _ndjson, _TEXT: _text}
_CHUNKED: dict[str, Frames] = {_SSE: _chunked_sse, _NDJSON: _chunked_ndjson, _TEXT: _chunked_text}


async def stream(request: web.Request) -> web.StreamResponse:
    """The last lines, and those that come."""
    query = read_query(request, LogQuery)
    if query.backlog > MOST_LINES:
        raise BadRequest(f"`backlog` must be at most {MOST_LINES}.", field="backlog")
    wanted = Wanted(_number(query.level), query.logger or "", query.query or "")
    kind = next((kind for kind in (_SSE, _NDJSON, _TEXT) if wants(request, kind)), _SSE)
    if query.follow:
        with request.app[SERVICES].slots.take():
            return await _follow(request, kind, wanted, query)
    lines = request.app[SERVICES].logs.last(query.backlog, wanted, query.after)
    return web.Response(body=_PLAIN[kind](lines), content_type=kind, charset="utf-8" if kind == _TEXT else None)


async def _follow(request: web.Request, kind: str, wanted: Wanted, query: LogQuery) -> web.StreamResponse:
    ring = request.app[SERVICES].logs
    frames = (_CHUNKED if request.version >= (1, 1) else _PLAIN)[kind]
    response = sse_response() if kind == _SSE else ndjson_response()
    response.content_type = kind
    async with streaming(request, response, ndjson=kind != _SSE, greet=kind != _TEXT) as client:
        if kind == _TEXT:
            client.beat = b""
        with contextlib.suppress(ConnectionError):
            ring.join(client, frames, wanted, query.backlog, query.after)
            try:
                await client.closed
            finally:
                ring.leave(client, frames, wanted)
    return response


def _number(name: str | None) -> int:
    if name is None:
        return TRACE
    if name.lower() not in LEVELS:
        raise BadRequest(f"`level` must be {', '.join(LEVELS)}.", field="level")
    return LEVELS[name.lower()]


async def read_level(request: web.Request) -> web.StreamResponse:
    """From which level on lines are written."""
    return json_response(request, LogLevel(logs.level()))


async def set_level(request: web.Request) -> web.StreamResponse:
    """Change it, until the program ends or it is changed again."""
    body = await read_body(request, LogLevel, request.app[SERVICES].settings.body_timeout)
    name = body.level.lower()
    if name not in LEVELS:
        raise Invalid(f"`level` must be {', '.join(LEVELS)}.", field="level")
    logs.set_level(name)
    log.info("From now on the log begins at level %s", name)
    return json_response(request, LevelSet("ok", name))
