"""The log of requests: the route's pattern, never its path or query, so that no token and no title gets into it.

Lines are collected and handed to logging four times a second as one record: a record each costs as much as a request.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

log = logging.getLogger("ironclaw.requests")

_FLUSH_EVERY = 0.25
_MOST_WAITING = 10_000


class RequestLog:
    """Collects lines. `running()` keeps it flushed."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, str]] = []
        self._dropped = 0

    def add(self, method: str, pattern: str, status: int, seconds: float, request_id: str) -> None:
        """Note one finished request."""
        if len(self._lines) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._lines.append((time.time(), f"{method} {pattern} {status} {seconds * 1000:.1f} ms {request_id}"))

    def flush(self) -> None:
        """Hand over what is there."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        if self._dropped:
            lines.append((time.time(), f"{self._dropped} more requests are not listed"))
            self._dropped = 0
        if log.isEnabledFor(logging.INFO):
            log.info("%s", "\n".join(line for _, line in lines), extra={"lines": lines})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flush regularly, and at the end."""
        task = asyncio.create_task(self._flush_forever(), name="request-log")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.flush()

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_EVERY)
            self.flush()
