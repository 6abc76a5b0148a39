"""Makes the index of a large workspace and keeps it fresh, in one thread of the lowest rank. Searching is `search.py`.

A change is noticed by the watcher, told by the program's own writes, or found by a rescan: the path is then *dirty*, which
means that a search reads it itself, until it is indexed again. So the index is never asked about what it does not know.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ironclaw.errors import IronclawError
from ironclaw.memory import catalogue
from ironclaw.memory import index as index_files
from ironclaw.memory.catalogue import Catalogue
from ironclaw.memory.index import Document, Index
from ironclaw.memory.watch import Watcher
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_NICE = 10
_BATCH = 200
_BURST = 1000  # of so many changes at once the system may have dropped some


class _Ended(Exception):  # noqa: N818
    """`close()` was called."""


class _Lost(Exception):  # noqa: N818
    """The index can't be used any more; the text says why."""


@frozen
class Fresh:
    """The index for one search, and the paths that it must not be asked about (notes, or folders with all in them)."""

    index: Index
    dirty: frozenset[str]

    def knows(self, path: str) -> bool:
        """Whether the index is right about a note."""
        while self.dirty and path not in self.dirty:
            if "/" not in path:
                return True
            path = path.rpartition("/")[0]
        return not self.dirty

    def tops(self, folder: str = "") -> list[str]:
        """The dirty paths in *folder* that are not in other dirty ones; *folder* itself where it is in one."""
        if not self.knows(folder):
            return [folder]
        inside = (path for path in self.dirty if not folder or path.startswith(f"{folder}/"))
        return [path for path in inside if "/" not in path or self.knows(path.rpartition("/")[0])]


class Keeper:
    """Keeps the index at *path* for the folder *root* while that has more than *small* notes.

    *delay* and *rescan_every* are seconds: the first look is that long after the start, and what the watcher missed is
    found that often.
    """

    def __init__(self, root: Path, path: Path, *, small: int, delay: float, rescan_every: float) -> None:
        self.failure: str | None = None
        """Why there is no index, or why it is slower than it could be."""
        self.progress: tuple[int, int] | None = None
        """How many notes of how many are indexed, while it is being built."""
        self._root, self._path = root, path
        self._small, self._delay, self._every = small, delay, rescan_every
        self._thread: threading.Thread | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._state = threading.Lock()  # of the five below; never held for long
        self._dirty: set[str] = set()
        self._busy: frozenset[str] = frozenset()
        self._collecting = self._rescan_asked = False
        self._lost: str | None = None
        self._catalogue, self._comparing = Catalogue(), threading.Lock()
        self._index: Index | None = None
        self._using = threading.Lock()  # held by a search, and where the index is put in its place or taken away
        self._watcher: Watcher | None = None
        self._place: tuple[int, int] | None = None

    @property
    def ready(self) -> bool:
        """Whether searches use the index."""
        return self._index is not None

    def start(self) -> None:
        """Look whether there is something to do, in the thread; nothing when that already runs."""
        if (self._thread is None or not self._thread.is_alive()) and not self._closing.is_set():
            self._thread = threading.Thread(target=self._run, name="ironclaw-index", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread and close the index. Blocks until that is done."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def notice(self, paths: set[str]) -> None:
        """These notes or folders have changed, are new or gone. For any thread; never blocks for long."""
        with self._state:
            if self._collecting:
                self._dirty |= paths
                self._rescan_asked |= len(paths) > _BURST
                self._wake.set()

    def lose(self, reason: str) -> None:
        """The index is not to be used any more, and to be made anew. For any thread."""
        with self._state:
            self._lost = self._lost or reason
            self._wake.set()

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Fresh | None]:
        """The index as of now, in one thread at a time; None where all notes must be read instead."""
        with self._using:
            index = self._index
            if index is not None and self._place != _place(self._root):
                self.lose("another folder has come in the place of the notes")
            if index is None or self._lost is not None:
                yield None
                return
            if self._watcher is None:
                self._compare()
            with self._state:
                dirty = frozenset(self._dirty | self._busy)
            with index.snapshot():
                yield Fresh(index, dirty)

    # The thread

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        wait = self._delay
        with contextlib.suppress(_Ended):
            while True:
                self._pause(wait)
                try:
                    large = self._is_large()
                except IronclawError as error:  # the folder is away: it may be back at any moment
                    self._fail(str(error))
                    wait = 5 * self._delay
                    continue
                if not large:
                    self.failure = None
                    return
                wait = self._keep_until_lost()

    def _is_large(self) -> bool:
        return len(list(islice(catalogue.notes(self._root), self._small + 1))) > self._small

    def _keep_until_lost(self) -> float:
        """Seconds until it is worth another attempt."""
        try:
            self._keep()
        except _Lost as reason:
            self._fail(f"{reason}; it is being made anew")
            return self._delay
        except (sqlite3.Error, OSError, IronclawError) as error:
            self._fail(str(error))
        finally:
            self._end()
        return self._every

    def _keep(self) -> None:
        self._place = _place(self._root)
        with self._state:
            self._collecting, self._lost = True, None
        self._watch()
        index = index_files.open_index(self._path, self._root)
        if index is None:
            index = self._build()
        else:
            self._take(index)
        while True:
            self._follow(index)
            self._compare()
            if index.is_worn():
                index = self._build()

    def _follow(self, index: Index) -> None:
        """Index what is dirty as it comes, until it is time for a rescan."""
        until = time.monotonic() + self._every
        asked = False
        while not asked and (left := until - time.monotonic()) > 0:
            self._index_dirty(index)
            self._wake.wait(left)
            self._wake.clear()
            self._check()
            with self._state:
                asked, self._rescan_asked = self._rescan_asked, False

    def _watch(self) -> None:
        try:
            self._watcher = Watcher(self._root, self.notice, self.lose)
        except (OSError, RuntimeError) as error:
            self._fail(
                f"other programs' changes are not told by the system ({error}), so each search looks for them first; "
                "a higher fs.inotify.max_user_watches may help"
            )

    def _build(self) -> Index:
        made = self._path.with_name(f"{self._path.name}.new")
        try:
            index_files.build(made, self._root, self._advance)
            with self._using:
                old, self._index = self._index, None
            if old is not None:
                old.close()
            index = index_files.adopt(made, self._path)
        finally:
            self.progress = None
            index_files.remove(made)
        self._take(index)
        return index

    def _advance(self, done: int, total: int) -> None:
        self.progress = (done, total)
        self._check()

    def _take(self, index: Index) -> None:
        """Use this index from now on. What is dirty stays so: it may have changed while the index was built."""
        try:
            known = Catalogue()
            for path, stamp in index.stamps():
                known.put(path, stamp)
            with self._comparing:
                self._catalogue = known
            self._compare()
        except BaseException:
            index.close()
            raise
        with self._using:
            self._index = index
        if self._watcher is not None:
            self.failure = None

    def _compare(self) -> None:
        """Find what has changed since it was indexed, whoever did it."""
        with self._comparing:
            changed = self._catalogue.changed(self._root)
        with self._state:
            self._dirty |= changed

    def _index_dirty(self, index: Index) -> None:
        while True:
            with self._state:
                batch = frozenset(islice(self._dirty, _BATCH))
                self._busy, self._dirty = batch, self._dirty - batch
            if not batch:
                return
            self._update(index, Fresh(index, batch))
            with self._state:
                self._busy = frozenset()

    def _update(self, index: Index, batch: Fresh) -> None:
        paths = batch.tops()
        gone = {path for top in paths for path in self._catalogue.below(top)}
        seen: list[tuple[str, int]] = []
        index.update(gone, self._documents(paths, seen))
        with self._comparing:
            for path in gone:
                self._catalogue.drop(path)
            for path, stamp in seen:
                self._catalogue.put(path, stamp)

    def _documents(self, paths: Iterable[str], seen: list[tuple[str, int]]) -> Iterator[Document]:
        for path in paths:
            for document in index_files.documents(self._root, path):
                self._check()
                seen.append((document.path, document.stamp))
                yield document

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise _Ended

    def _check(self) -> None:
        if self._closing.is_set():
            raise _Ended
        if self._lost is not None:
            raise _Lost(self._lost)

    def _fail(self, reason: str) -> None:
        if self.failure != reason:
            log.warning("The index of the notes: %s", reason)
        self.failure = reason

    def _end(self) -> None:
        """Let go of all; what is closed in peace can be opened again at the next start."""
        with self._state:
            self._collecting, self._dirty, self._busy = False, set(), frozenset()
        with self._using:
            index, self._index = self._index, None
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if index is not None:
            in_peace = self._closing.is_set() and self._lost is None
            with contextlib.suppress(OSError, sqlite3.Error):  # without a seal it is made anew
                index.close(self._root if in_peace else None)


def _place(root: Path) -> tuple[int, int] | None:
    """Which folder is there; None where none is."""
    try:
        info = root.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino
