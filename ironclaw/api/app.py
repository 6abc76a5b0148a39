"""Puts the application together: the table's routes, the page, the middlewares, and the life of the streams."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from aiohttp import web

from ironclaw.api.counts import RequestCounts
from ironclaw.api.keys import REQUEST_COUNTS, REQUEST_LOG, ROUTE_ROWS, SERVICES
from ironclaw.api.middleware import Access, Gate
from ironclaw.api.origins import OriginRules
from ironclaw.api.requestlog import RequestLog
from ironclaw.api.routes import ROUTES
from ironclaw.api.streams import OPEN_STREAMS, OpenStreams
from ironclaw.api.ui import Page
from ironclaw.logs import within
from ironclaw.services import Services
from ironclaw.settings import Settings


def build_app(
    settings: Settings, start: Callable[[], AbstractAsyncContextManager[Services]], *, ambient: bool = False
) -> web.Application:
    """The application. *start* brings up the services when the server starts, and ends them with it.

    *ambient*: a browser may send the caller's authority by itself, so writes must show that a page of ours meant them.

    Can be given to `web.run_app`, to a runner of the caller's own, or to `add_subapp`.
    """
    gate = Gate(OriginRules(settings, ambient=ambient), settings.frame_ancestors, ambient=ambient)
    app = web.Application(middlewares=gate.middlewares)
    app[ROUTE_ROWS] = ROUTES
    app[REQUEST_LOG] = RequestLog()
    app[REQUEST_COUNTS] = RequestCounts()
    app[OPEN_STREAMS] = OpenStreams(settings.heartbeat)
    _add_routes(app, gate)
    app.on_response_prepare.append(gate.add_headers)
    app.on_shutdown.append(_shut_down)

    @contextlib.asynccontextmanager
    async def life(app: web.Application) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            services = app[SERVICES] = await stack.enter_async_context(start())
            with within(services.logs):
                await stack.enter_async_context(app[REQUEST_LOG].running())
                await stack.enter_async_context(app[OPEN_STREAMS].running())
            services.status.watch("request log", lambda: app[REQUEST_LOG].alive)
            services.status.watch("streams", lambda: app[OPEN_STREAMS].alive)
            yield
            with within(services.logs):
                await stack.aclose()

    app.cleanup_ctx.append(life)
    return app


def _add_routes(app: web.Application, gate: Gate) -> None:
    for row in ROUTES:
        access = Access(open=row.open, limited=row.limited, most=row.most)
        # HEAD would run a stream without end.
        methods = (
            (row.method, "HEAD") if row.method == "GET" and not row.streams and row.status == 200 else (row.method,)
        )
        for method in methods:
            path = row.pattern or row.path
            route = app.router.add_route(method, path, row.answer, expect_handler=gate.expect_continue)
            gate.access[route] = access
            if row.path == "/v1/models":
                gate.openai = route.resource
    for definition in Page.find().routes():
        for method in ("GET", "HEAD"):
            route = app.router.add_route(method, definition.path, definition.handler)
            gate.access[route] = Access(open=True, limited=False)


async def _shut_down(app: web.Application) -> None:
    """Let turns end while clients still listen, then say goodbye to the streams: aiohttp waits for neither."""
    if SERVICES in app:
        services = app[SERVICES]
        await services.chat.aclose(services.settings.shutdown_grace)
    app[OPEN_STREAMS].close()
