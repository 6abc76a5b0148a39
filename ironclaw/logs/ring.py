"""The last lines of one gateway, and the clients that follow them.

Lines come from the writer's thread; clients join and are written to on the event loop. A line is encoded once, and framed
once for all clients that want the same of it. How a client's bytes look is the business of who joins it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from operator import attrgetter
from typing import Protocol

import attrs

from ironclaw.levels import TRACE
from ironclaw.logs.lines import LogLine, own_line
from ironclaw.values import frozen

MOST_LINES = 2_000
_MOST_GRAVE = 500
_MOST_BYTES = 1 << 20
Frames = Callable[[Sequence[LogLine]], bytes]


@frozen
class Wanted:
    """Which lines: from the level *number* on, of *logger* and those below it, with *query* somewhere, in any case."""

    number: int = TRACE
    logger: str = ""
    query: str = ""

    def __call__(self, line: LogLine) -> bool:
        """Whether *line* is one."""
        if line.number < self.number:
            return False
        if self.logger and line.logger != self.logger and not line.logger.startswith(f"{self.logger}."):
            return False
        if not self.query:
            return True
        query = self.query.casefold()
        return query in line.message.casefold() or query in (line.trace or "").casefold()


class Follower(Protocol):
    """A client. *seen* is the id of the last line that it had when it joined."""

    seen: int

    def write(self, data: bytes) -> None:
        """Take *data*, never blocking; a client that can't keep up cuts itself."""
        ...


class _Kept:
    """Some lines in the order of their ids, bounded in number and in bytes."""

    def __init__(self, most: int) -> None:
        self.lines: deque[LogLine] = deque()
        self._most = most
        self._bytes = 0

    def add(self, line: LogLine) -> None:
        self.lines.append(line)
        self._bytes += line.size
        while len(self.lines) > self._most or self._bytes > _MOST_BYTES:
            self._bytes -= self.lines.popleft().size

    def after(self, id_: int) -> list[LogLine]:
        newer = []
        for line in reversed(self.lines):
            if line.id <= id_:
                break
            newer.append(line)
        newer.reverse()
        return newer


class LogRing:
    """Made on the event loop that its clients live on. `setup.open_ring` opens and ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        # Warnings are kept apart: a thousand requests do not push out the one line that says what is wrong.
        self._grave = _Kept(_MOST_GRAVE)
        self._others = _Kept(MOST_LINES)
        self._coming = 0
        self._told = 0
        self._scheduled = False
        self._groups: dict[tuple[Frames, Wanted], set[Follower]] = {}

    def add(self, lines: Iterable[LogLine]) -> None:
        """Take finished lines, from any thread."""
        with self._lock:
            followed = bool(self._groups)
            for line in lines:
                (self._grave if line.number >= logging.WARNING else self._others).add(line)
                if followed:
                    self._coming += 1
                    _ = line.json  # here, and not on the loop
            schedule = followed and not self._scheduled
            self._scheduled = self._scheduled or schedule
        if schedule:
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                self._scheduled = False  # the loop has ended, and with it all clients

    def _after(self, id_: int) -> list[LogLine]:
        if id_ > self._newest():  # of another process, whose clock was ahead
            id_ = 0
        return list(merge(self._others.after(id_), self._grave.after(id_), key=attrgetter("id")))

    def last(self, count: int, wanted: Wanted, after: int = 0) -> list[LogLine]:
        """The last *count* lines that are wanted and newer than *after*, the oldest first."""
        with self._lock:
            newer = self._after(after)
        found = [line for line in newer if wanted(line)]
        return found[max(0, len(found) - count) :]

    def join(self, client: Follower, frames: Frames, wanted: Wanted, count: int, after: int = 0) -> None:
        """Write what `last` gives to *client*, and then every line that is wanted: none is missing, none comes twice."""
        with self._lock:
            newer = self._after(after)
            newest = max(self._newest(), self._told)
            client.seen = newest
            if not self._groups:
                self._told, self._coming = newest, 0
            self._groups.setdefault((frames, wanted), set()).add(client)
        found = [line for line in newer if wanted(line)]
        if backlog := found[max(0, len(found) - count) :]:
            client.write(frames(backlog))

    def _newest(self) -> int:
        return max((kept.lines[-1].id for kept in (self._grave, self._others) if kept.lines), default=0)

    def leave(self, client: Follower, frames: Frames, wanted: Wanted) -> None:
        """Forget *client*."""
        with self._lock:
            clients = self._groups.get((frames, wanted), set())
            clients.discard(client)
            if not clients:
                self._groups.pop((frames, wanted), None)

    def _deliver(self) -> None:
        """Give the clients what has come since the last time."""
        with self._lock:
            lines = self._after(self._told) if self._newest() > self._told else []
            missed, self._coming = self._coming - len(lines), 0
            self._told = lines[-1].id if lines else self._told
            self._scheduled = False
            groups = [(frames, wanted, tuple(clients)) for (frames, wanted), clients in self._groups.items()]
        if missed > 0 and lines:
            notice = own_line(logging.WARNING, f"{missed} lines are not shown here: they came too fast")
            lines = [attrs.evolve(notice, id=lines[0].id - 1), *lines]  # an id of those that are missing
        for frames, wanted, clients in groups:
            chosen = [line for line in lines if wanted(line)]
            if chosen:
                self._give(frames, chosen, clients)

    def _give(self, frames: Frames, lines: list[LogLine], clients: tuple[Follower, ...]) -> None:
        shared = frames(lines)
        for client in clients:
            if client.seen < lines[0].id:
                client.write(shared)
            elif newer := [line for line in lines if line.id > client.seen]:
                client.write(frames(newer))
