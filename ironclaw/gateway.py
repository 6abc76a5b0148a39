"""The gateway as one object: an application to serve, or a library to call in one's own event loop.

async with Gateway(Settings(home=None)) as gateway:
    answer = await gateway.ask("help")
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack
from typing import Self

from aiohttp import web

from ironclaw.agent import Action
from ironclaw.auth import Authenticate
from ironclaw.errors import ProviderError
from ironclaw.events import Event, Response, TurnFailed
from ironclaw.llm.provider import Provider
from ironclaw.logs import open_ring, within
from ironclaw.services import Services, open_services
from ironclaw.settings import Settings
from ironclaw.tools import Tool


class Gateway:
    """One agent gateway. Nothing is opened before it is entered, or its application starts.

    *llm* answers in place of what the settings name; *tools* join the built-in ones. *authenticate* is a login of the
    host program's own and replaces tokens: as its authority may be ambient (a cookie, say), every write must then come
    with the page's own Origin and as `application/json`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        llm: Provider | None = None,
        tools: Iterable[Tool] = (),
        authenticate: Authenticate | None = None,
        start_empty: bool = False,
    ) -> None:
        self.settings = settings if settings is not None else Settings()
        self._llm = llm
        self._tools = tuple(tools)
        self._authenticate = authenticate
        self._start_empty = start_empty
        self._services: Services | None = None
        self._users = 0
        self._stack = AsyncExitStack()
        self._starting = asyncio.Lock()

    def app(self) -> web.Application:
        """An aiohttp application that serves this gateway, for a runner or as a sub-application."""
        from ironclaw.api.app import build_app  # noqa: PLC0415 - without HTTP nothing of it is loaded

        return build_app(self.settings, self._running, ambient=self._authenticate is not None)

    def mount(self, host: web.Application, prefix: str) -> web.Application:
        """Serve this gateway below *prefix* (`/claw`) of a host application; the sub-application that does it.

        The prefix without its slash at the end is redirected, so that the page's relative addresses work.
        """
        prefix = "/" + prefix.strip("/")

        async def to_the_page(_: web.Request) -> web.StreamResponse:
            raise web.HTTPPermanentRedirect(f"{prefix.rpartition('/')[2]}/")

        host.router.add_get(prefix, to_the_page)
        app = self.app()
        host.add_subapp(prefix, app)
        return app

    @property
    def services(self) -> Services:
        """The running parts. Raises *RuntimeError* before the start."""
        if self._services is None:
            raise RuntimeError("The gateway is not running: use `async with gateway`, or serve its app().")
        return self._services

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[Services]:
        await self.__aenter__()
        try:
            yield self.services
        finally:
            await self.__aexit__()

    async def __aenter__(self) -> Self:
        async with self._starting:
            if self._services is None:
                self._services = await self._open()
            self._users += 1
        return self

    async def _open(self) -> Services:
        logs = self._stack.enter_context(open_ring())
        manager = open_services(
            self.settings,
            logs,
            llm=self._llm,
            tools=self._tools,
            authenticate=self._authenticate,
            start_empty=self._start_empty,
        )
        try:
            with within(logs):
                return await self._stack.enter_async_context(manager)
        except BaseException:
            await self._stack.aclose()
            raise

    async def __aexit__(self, *_: object) -> None:
        async with self._starting:
            self._users -= 1
            if self._users == 0:
                logs, self._services = self.services.logs, None
                with within(logs):
                    await self._stack.aclose()

    async def send(
        self, message: str, *, thread_id: str | None = None, can_ask: bool = True
    ) -> AsyncGenerator[Event, None]:
        """Send a message; its turn's events, up to the one that ends it. Leaving early does not end the turn.

        A call that needs an approval waits for `answer()` after its `ApprovalNeeded`; with *can_ask* False it is refused.
        """
        services = self.services
        message_id = str(uuid.uuid4())
        with services.hub.subscribe(message_id=message_id) as subscription:
            with within(services.logs):
                await services.chat.accept(message, thread_id=thread_id, message_id=message_id, can_ask=can_ask)
            async for released in subscription:
                if released.event is not None:
                    yield released.event
                    if released.event.ends_turn:
                        return

    async def ask(self, message: str, *, thread_id: str | None = None) -> Response:
        """Send a message and wait for the answer. Raises *ProviderError* when there is none.

        Calls that need an approval are refused: nobody could answer here. `send()` can ask.
        """
        async with contextlib.aclosing(self.send(message, thread_id=thread_id, can_ask=False)) as events:
            async for event in events:
                if isinstance(event, Response):
                    return event
                if isinstance(event, TurnFailed):
                    raise ProviderError(event.message, code=event.code)
        raise ProviderError("The turn was stopped.", code="stopped")

    async def answer(self, request_id: str, action: Action) -> None:
        """Answer a call that waits: approve, always or deny.

        Raises *NotFound*, *Conflict* when it was answered already, *Invalid* where "always" may not be answered.
        """
        with within(self.services.logs):
            await self.services.chat.approvals.settle(request_id, action)

    async def stop(self, thread_id: str) -> bool:
        """End the running turn of a thread; whether one ran."""
        with within(self.services.logs):
            return await self.services.chat.stop(thread_id)


def create_app(
    settings: Settings | None = None,
    *,
    llm: Provider | None = None,
    tools: Iterable[Tool] = (),
    authenticate: Authenticate | None = None,
) -> web.Application:
    """The application of a new gateway: `Gateway(...).app()`."""
    return Gateway(settings, llm=llm, tools=tools, authenticate=authenticate).app()
