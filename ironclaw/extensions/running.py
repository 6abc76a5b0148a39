"""One MCP server while it is needed: started at the first call, again after it has died, stopped when idle.

Its session lives in one task, which begins and ends it. What an extension is, and whether it may run, is `manager.py`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ironclaw.errors import IronclawError, Unavailable
from ironclaw.extensions.schema import FoundTool
from ironclaw.extensions.session import Answer, Plan, SecretRefused, Session, open_session

log = logging.getLogger(__name__)

_LONGEST_BACKOFF = 60.0
_WAITED_OUT = 2.0  # a pause this short is waited for, a longer one is told
_END = 10.0  # a session over HTTP says goodbye, and the other side may not listen


class RunningServer:
    """Starts, keeps and ends the session of one extension. Its owner calls `aclose`.

    *make_plan* says how it is started, each time anew; *on_start* gets the tools that it lists; *on_end* is told when the
    session is over. *idle* is in seconds.
    """

    def __init__(
        self,
        name: str,
        make_plan: Callable[[], Awaitable[Plan]],
        *,
        idle: float,
        on_start: Callable[[tuple[FoundTool, ...]], Awaitable[None]],
        on_end: Callable[[], None],
    ) -> None:
        self._name = name
        self._make_plan = make_plan
        self._idle = idle
        self._on_start = on_start
        self._on_end = on_end
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Session] | None = None
        self._stop = asyncio.Event()
        self._is_open = False
        self._calls = 0
        self._used = 0.0
        self._failures = 0
        self._not_before = 0.0

    @property
    def is_running(self) -> bool:
        """Whether there is a session now."""
        return self._is_open

    async def call(self, tool: str, arguments: Mapping[str, Any], timeout: float, *, again: bool) -> Answer:
        """Call a tool; the server is started if need be. Raises as `Session.call` and `start` do.

        *again*: when the server breaks off, the call may be sent to the next one, because it changes nothing.
        """
        session = await self.start()
        try:
            answer = await self._counted(session, tool, arguments, timeout)
        except Unavailable as error:
            if error.code == "timeout" and self._calls:
                raise  # others are being served: it does not hang
            # It hangs, is gone, or has forgotten us: the next call finds a fresh one.
            await self.stop()
            if error.code != "session_lost" and not (again and error.code == "server_failed"):
                raise
            answer = await self._counted(await self.start(), tool, arguments, timeout)
        self._failures = 0
        return answer

    async def start(self) -> Session:
        """The session, opened if there is none.

        Raises *SecretRefused*, and *Unavailable* when the server can't be started now.
        """
        if self._task is None or self._task.done() or self._is_over():
            await self._end_task()
            await self._wait_out_backoff()
        if self._task is None or self._task.done():  # nobody was faster meanwhile
            self._stop.clear()
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._serve(self._ready), name=f"extension {self._name}")
        assert self._ready is not None
        return await asyncio.shield(self._ready)

    def _is_over(self) -> bool:
        """Whether the session that there was is being cleaned up."""
        ready = self._ready
        opened = ready is not None and ready.done() and ready.exception() is None
        return self._stop.is_set() or (opened and ready is not None and ready.result().ended.is_set())

    async def stop(self) -> None:
        """End the session, if there is one."""
        self._stop.set()
        await self._end_task()

    async def aclose(self) -> None:
        """End the session and all that belongs to it."""
        await self.stop()

    def forgive(self) -> None:
        """Start without a pause: somebody has changed something, or asks for a try."""
        self._failures, self._not_before = 0, 0.0

    async def _counted(self, session: Session, tool: str, arguments: Mapping[str, Any], timeout: float) -> Answer:
        self._calls += 1
        try:
            return await session.call(tool, arguments, timeout)
        finally:
            self._calls -= 1
            self._used = asyncio.get_running_loop().time()

    async def _serve(self, ready: "asyncio.Future[Session]") -> None:
        try:
            async with open_session(await self._make_plan()) as session:
                tools = await session.tools()
                self._is_open = True
                await self._on_start(tools)
                self._used = asyncio.get_running_loop().time()
                ready.set_result(session)
                log.info("The extension %s runs", self._name)
                await self._until_over(session)
        except Exception as error:
            self._note_failure(ready, error)
        finally:
            self._is_open = False
            if not ready.done():
                ready.set_exception(Unavailable(f"{self._name} was stopped before it had started."))
                ready.exception()
            self._on_end()

    async def _until_over(self, session: Session) -> None:
        """Until it is stopped, has gone away, or was not used for long enough."""
        clock = asyncio.get_running_loop().time
        while not self._stop.is_set():
            left = self._idle if self._calls else self._used + self._idle - clock()
            if left <= 0:
                log.info("The extension %s was not used for %g s and is stopped", self._name, self._idle)
                return
            waits = [asyncio.ensure_future(one.wait()) for one in (self._stop, session.ended)]
            try:
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if session.ended.is_set() and not self._stop.is_set():
                self._push_back()
                log.warning("The extension %s has ended by itself; the next call starts it again", self._name)
                return

    def _note_failure(self, ready: "asyncio.Future[Session]", error: Exception) -> None:
        if not isinstance(error, SecretRefused):
            self._push_back()
        if ready.done():
            if not self._stop.is_set():
                log.warning("The extension %s broke off: %s", self._name, error)
            return
        if not isinstance(error, IronclawError):
            log.error("The extension %s could not be started", self._name, exc_info=error)
            error = Unavailable(f"{self._name} failed inside; the log has the details.")
        ready.set_exception(error)
        ready.exception()  # somebody may have given up waiting: that is no reason to complain

    def _push_back(self) -> None:
        """After a failure the next start waits: not at all at first, then ever longer."""
        pause = 0.0 if self._failures == 0 else min(_LONGEST_BACKOFF, 2.0 ** (self._failures - 1))
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + pause

    async def _wait_out_backoff(self) -> None:
        left = self._not_before - asyncio.get_running_loop().time()
        if left > _WAITED_OUT:
            raise Unavailable(
                f"{self._name} has failed {self._failures} times in a row; it is tried again in {left:.0f} s.",
                code="backing_off",
                retry_after=int(left) + 1,
            )
        if left > 0:
            await asyncio.sleep(left)

    async def _end_task(self) -> None:
        task = self._task
        if task is None or task.done():
            return
        if not (self._ready is not None and self._ready.done()):
            task.cancel()  # still starting
        _, unfinished = await asyncio.wait([task], timeout=_END)
        if unfinished:
            task.cancel()
            await asyncio.wait([task])
