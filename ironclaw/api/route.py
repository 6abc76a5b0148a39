"""What a row of the route table says: all that is known of a route outside its handler.

Who may call it, what it costs, what goes in and out: the middlewares guard it by its row, and `openapi.py` describes it.
A row names what is in the modules of `ironclaw.api`; a module is loaded with its first request, so that the start need
not wait for nouns that nobody uses.
"""

import functools
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from aiohttp import web

from ironclaw.api.requests import BODY_LIMIT
from ironclaw.values import frozen

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SHAPES = ("body", "query", "reply")


@frozen(kw_only=True)
class Route:
    """One row.

    *handler_name*, *body_name*, *query_name* and *reply_name* are such as `memory.read`: what `ironclaw.api.memory` has
    under that name. *open*: no token needed; *limited*: the `api` rate is spent by the middleware, else by the handler;
    *streams* and *also* name the media types of its streams and of its other replies, *takes* those of bodies that are not
    JSON. *pattern* is the path with the form of its parts, where that is not the usual one; *most* is the largest body in
    bytes.
    """

    noun: str
    method: str
    path: str
    handler_name: str
    summary: str
    open: bool = False
    limited: bool = True
    body_name: str | None = None
    query_name: str | None = None
    reply_name: str | None = None
    status: int = 200
    streams: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    pattern: str | None = None
    most: int = BODY_LIMIT

    @property
    def handler(self) -> Handler:
        """What answers."""
        found: Handler = _find(self.handler_name)
        return found

    @property
    def body(self) -> type | None:
        """The attrs class of the body, `dict` for any object, None for none."""
        return _shape(self.body_name)

    @property
    def query(self) -> type | None:
        """The attrs class of the query."""
        return _shape(self.query_name)

    @property
    def reply(self) -> type | None:
        """The attrs class of the reply, `dict` for any object."""
        return _shape(self.reply_name)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Load the handler, where it is not yet, and let it answer."""
        return await self.handler(request)


def _shape(name: str | None) -> type | None:
    if name is None or name == "dict":
        return dict if name else None
    found: type = _find(name)
    return found


@functools.cache
def _find(name: str) -> Any:
    module, _, attribute = name.partition(".")
    return getattr(import_module(f"ironclaw.api.{module}"), attribute)


def route(noun: str, method: str, path: str, handler: str, summary: str, **more: Any) -> Route:
    """A row of *noun*; what goes in and out is named as `body`, `query` and `reply`."""
    shapes = {f"{name}_name": more.pop(name) for name in _SHAPES if name in more}
    return Route(noun=noun, method=method, path=path, handler_name=handler, summary=summary, **shapes, **more)


EVENT_STREAMS = ("text/event-stream", "application/x-ndjson")
