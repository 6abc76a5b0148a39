"""Search of the notes, line by line, as they are on the disk now. What a model reads of it: `tools.py`.

A small workspace is read whole. In a larger one an index proposes notes (`index.py`, kept fresh by `keeper.py`), which are
then read and matched: it saves reading and decides nothing. What has changed since it was made is read whatever it says,
and where there is none yet, or any more, everything is. The one thing that can be missed is what another program wrote
within the last tenth of a second, until the watcher tells of it.
"""

import asyncio
import functools
import os
import sqlite3
import threading
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ironclaw.memory import catalogue
from ironclaw.memory.catalogue import NoteText
from ironclaw.memory.index import TODO, Row
from ironclaw.memory.keeper import Fresh, Keeper
from ironclaw.memory.matching import MAX_CONTEXT, MAX_PER_NOTE, MAX_SNIPPET, Hit, Ranked, find, find_todos
from ironclaw.memory.paths import checked_folder
from ironclaw.memory.query import parse
from ironclaw.values import frozen

__all__ = ["MAX_PER_NOTE", "MAX_SNIPPET", "Hit", "Results", "Search"]

SMALL = 2000
_NICE = 5
_MOST = 1000


@frozen
class Results:
    """The best hits first; *notes* is how many notes were searched, *truncated* whether more lines match."""

    hits: tuple[Hit, ...]
    notes: int
    truncated: bool


class Search:
    """Searches the folder *root*; keeps its index, if it has more than *small* notes, in the file *path*.

    Started by `start()`, ended by `aclose()`. *delay* and *rescan_every* are seconds, see `Keeper`.
    """

    def __init__(
        self, root: Path, path: Path, *, small: int = SMALL, delay: float = 1.0, rescan_every: float = 300.0
    ) -> None:
        self._root, self._small = root, small
        self._keeper = Keeper(root, path, small=small, delay=delay, rescan_every=rescan_every)
        self._thread = ThreadPoolExecutor(1, "ironclaw-search", initializer=_step_back)

    def start(self) -> None:
        """Begin to look whether an index is needed, and to make it, in the background."""
        self._keeper.start()

    async def aclose(self) -> None:
        """End the searches and the index with their threads."""
        await asyncio.to_thread(self._keeper.close)
        await asyncio.to_thread(self._thread.shutdown)

    def notice(self, path: str) -> None:
        """The note or folder *path* was changed by this program. For any thread."""
        self._keeper.notice({path})

    @property
    def failure(self) -> str | None:
        """Why searches are slower than they could be; they are right all the same. None when all is well."""
        return self._keeper.failure

    @property
    def progress(self) -> str | None:
        """How far the index is while it is being made, else None."""
        if (progress := self._keeper.progress) is None:
            return None
        return (
            f"The index is being made: {progress[0]:,} of {progress[1]:,} notes. Until then a search reads all notes."
        )

    @property
    def indexed(self) -> bool:
        """Whether searches use an index now."""
        return self._keeper.ready

    async def search(self, query: str, *, limit: int = 50, path: str = "", context: int = 0) -> Results:
        """The lines that match, in the order of `matching.find`; at most 5 a note and *limit* in all.

        *path*: only in this folder, or this note. *context*: so many lines around each hit, at most 10. Raises *Invalid*
        for a query without anything in it, or one that is too long, and for what can't be a path.
        """
        folder = checked_folder(path)
        return await self._run(
            functools.partial(self._search, query, _bounded(limit), folder, min(context, MAX_CONTEXT))
        )

    async def todos(self, *, limit: int = 200) -> Results:
        """Every open `- [ ]` and every TODO, note by note, the newest note first; at most *limit*."""
        return await self._run(functools.partial(self._todos, _bounded(limit)))

    async def _run(self, function: "functools.partial[Results]") -> Results:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _search(self, text: str, limit: int, folder: str, context: int) -> Results:
        query = parse(text)
        return self._gather(
            lambda: _Found(limit, lambda note: find(query, note.path, note.text, note.modified, context)),
            lambda fresh: fresh.index.passes(query, folder),
            folder,
        )

    def _todos(self, limit: int) -> Results:
        return self._gather(
            lambda: _Found(limit, lambda note: (find_todos(note.path, note.text, note.modified), False)),
            lambda fresh: [fresh.index.having(TODO)],
        )

    def _gather(
        self, begin: Callable[[], "_Found"], passes: Callable[[Fresh], list[Iterable[Row]]], folder: str = ""
    ) -> Results:
        try:
            with self._keeper.fresh() as fresh:
                if fresh is not None:
                    return self._propose(begin(), fresh, passes(fresh), folder)
        except sqlite3.Error as error:
            self._keeper.lose(f"the index can't be read ({error})")
        return self._read_all(begin(), folder)

    def _read_all(self, found: "_Found", folder: str) -> Results:
        number = self._read(found, [folder])
        if number > self._small and not self.indexed:
            self._keeper.start()
        return found.results(number)

    def _propose(self, found: "_Found", fresh: Fresh, passes: list[Iterable[Row]], folder: str) -> Results:
        dirty = fresh.tops(folder)
        number = fresh.index.count(folder) - sum(map(fresh.index.count, dirty)) + self._read(found, dirty)
        seen: set[int] = set()
        for rank, rows in enumerate(passes):
            for row, path, modified in rows:
                if found.is_full(rank, modified, path):
                    return found.results(number)
                if row not in seen and fresh.knows(path):
                    seen.add(row)
                    found.add(catalogue.read(self._root, path))
        return found.results(number)

    def _read(self, found: "_Found", paths: Iterable[str]) -> int:
        """How many notes could be read at these paths and beneath."""
        return sum(
            found.add(catalogue.read(self._root, note))
            for path in paths
            for note, _ in catalogue.notes(self._root, path)
        )


class _Found:
    """The best hits so far, one more than asked for."""

    def __init__(self, limit: int, match: Callable[[NoteText], tuple[list[Ranked], bool]]) -> None:
        self._limit, self._match = limit, match
        self._best: list[Ranked] = []
        self._more = False

    def add(self, note: NoteText | None) -> bool:
        """Take what matches in a note; whether there is a note."""
        if note is None:
            return False
        hits, more = self._match(note)
        self._more |= more
        for hit in hits:
            insort(self._best, hit)
        del self._best[self._limit + 1 :]
        return True

    def is_full(self, rank: int, modified: int, path: str) -> bool:
        """Whether no line of this rank, in this note or one that comes behind it, is among the best."""
        return bisect_right(self._best, (rank, -modified, path, 0)) > self._limit

    def results(self, notes: int) -> Results:
        """What was found in so many notes."""
        hits = tuple(ranked[-1] for ranked in self._best[: self._limit])
        return Results(hits, notes, self._more or len(self._best) > self._limit)


def _bounded(limit: int) -> int:
    return min(max(limit, 1), _MOST)


def _step_back() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
