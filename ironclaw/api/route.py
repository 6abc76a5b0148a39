"""What a row of the route table says: all that is known of a route outside its handler.

Who may call it, what it costs, what goes in and out: the middlewares guard it by its row, and `openapi.py` describes it.
"""

from collections.abc import Awaitable, Callable

import attrs
from aiohttp import web

from ironclaw.api.requests import BODY_LIMIT

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.frozen(kw_only=True)
class Route:
    """One row.

    *open*: no token needed; *limited*: the `api` rate is spent by the middleware, else by the handler;
    *body*, *query* and *reply* are attrs classes, `dict` for any object; *streams* and *also* name the media types of its
    streams and of its other replies, *takes* those of bodies that are not JSON. *pattern* is the path with the form of its
    parts, where that is not the usual one; *most* is the largest body in bytes.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    open: bool = False
    limited: bool = True
    body: type | None = None
    query: type | None = None
    reply: type | None = None
    status: int = 200
    streams: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    noun: str
    pattern: str | None = None
    most: int = BODY_LIMIT


def route(noun: str, method: str, path: str, handler: Handler, summary: str, **more: object) -> Route:
    """A row of *noun*."""
    return Route(method=method, path=path, handler=handler, summary=summary, noun=noun, **more)  # type: ignore[arg-type]


EVENT_STREAMS = ("text/event-stream", "application/x-ndjson")
