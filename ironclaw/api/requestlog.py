"""The log of requests: the route's pattern, never its path or query, so that no token and no title gets into it.

Lines are collected and handed to logging four times a second as one record: a record each costs as much as a request.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from ironclaw.api.counts import known_method

log = logging.getLogger("ironclaw.requests")

_FLUSH_EVERY = 0.25
_MOST_WAITING = 10_000


class RequestLog:
    """Collects lines. `running()` keeps it flushed."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, str, str, int, float, str]] = []
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, method: str, pattern: str, status: int, seconds: float, request_id: str) -> None:
        """Note one finished request."""
        if len(self._lines) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._lines.append((time.time(), method, pattern, status, seconds, request_id))

    def flush(self) -> None:
        """Hand over what is there."""
        if not self._lines:
            return
        done, self._lines = self._lines, []
        if not log.isEnabledFor(logging.INFO):
            return
        lines = [
            # A caller may send any word as the method; all else in the line is ours.
            (moment, f"{known_method(method)} {pattern} {status} {seconds * 1000:.1f} ms {request_id}")
            for moment, method, pattern, status, seconds, request_id in done
        ]
        if self._dropped:
            lines.append((time.time(), f"{self._dropped} more requests are not listed"))
            self._dropped = 0
        log.info("%s", "\n".join(text for _, text in lines), extra={"lines": lines})

    @property
    def waiting(self) -> int:
        """Lines that are still to be handed over."""
        return len(self._lines)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flush regularly, and at the end."""
        self._task = task = asyncio.create_task(self._flush_forever(), name="request-log")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.flush()

    @property
    def alive(self) -> bool:
        """Whether lines are still handed over."""
        return self._task is not None and not self._task.done()

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_EVERY)
            self.flush()
