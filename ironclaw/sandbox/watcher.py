"""Looks at what runs in sandboxes, and ends what has passed a limit: the kernel's own limits hold for one process each."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ironclaw.sandbox.protocol import Confined, Excess, Measure
from ironclaw.values import define

log = logging.getLogger(__name__)

_EVERY = 0.25
_PAUSES = 1  # a look that takes long is followed by a pause of as many times what it took too long


@define(eq=False)
class Watched:
    """A program that is looked at. *excess* says which limit ended it, *measure* is what was seen last."""

    process: Confined
    excess: Excess | None = None
    measure: Measure = Measure(0, 0, 0.0, 0)


class Watcher:
    """One task for all programs; it runs while there are any."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._task: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    @contextlib.contextmanager
    def watching(self, process: Confined) -> Iterator[Watched]:
        """Look at *process* meanwhile."""
        watched = Watched(process)
        self._watched.add(watched)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look_around(), name="sandbox-watcher")
        try:
            yield watched
        finally:
            self._watched.discard(watched)

    async def _look_around(self) -> None:
        loop = asyncio.get_running_loop()
        # A thread of its own: those that all share may be busy with a disk that a program fills.
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="ironclaw-watch")
        while self._watched:
            for watched in tuple(self._watched):
                began = loop.time()
                try:
                    await self._look(watched)
                except Exception:
                    log.exception("A program in a sandbox could not be watched, so it was ended")
                    await watched.process.kill()
                if watched in self._watched:
                    await asyncio.sleep(max(0.0, loop.time() - began - _EVERY) * _PAUSES)
            await asyncio.sleep(_EVERY)

    async def _look(self, watched: Watched) -> None:
        loop = asyncio.get_running_loop()
        watched.measure = await loop.run_in_executor(self._thread, watched.process.measure)
        excess = watched.measure.excess(watched.process.limits)
        if excess is not None and watched in self._watched:
            watched.excess = excess
            await watched.process.kill()

    async def aclose(self) -> None:
        """Look at nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._thread is not None:
            self._thread.shutdown(wait=False)
