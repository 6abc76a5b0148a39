"""Stands between the program and its log: takes records from any thread, and makes lines of them in a thread of its own.

Whoever logs waits for nothing. What comes faster than it can be written is dropped and counted, the least important
first, and the thread works for a fraction of the time only, so that a storm of lines slows nobody.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import attrs

from ironclaw.logs.lines import ExcInfo, LogLine, line_of, message_of, own_line
from ironclaw.logs.repeats import Repeats
from ironclaw.logs.ring import LogRing
from ironclaw.logs.sinks import Sink
from ironclaw.values import frozen

_MOST_WAITING = 10_000
_FOR_GRAVE = 1_000  # of these, kept for warnings and errors
_AT_ONCE = 200
_REST = 7  # for each second of work so many of rest
_LONGEST_REST = 0.25
_TELL_EVERY = 1.0
_TO_THE_END = 2.0

_current: ContextVar[LogRing | None] = ContextVar("ironclaw_log", default=None)


class within:  # noqa: N801 - it reads as a function, and as a class costs a request less
    """A context: what is logged in it, and in the tasks that begin in it, is of the gateway of *ring* and of no other."""

    __slots__ = ("_ring", "_token")

    def __init__(self, ring: LogRing) -> None:
        self._ring = ring

    def __enter__(self) -> None:
        self._token = _current.set(self._ring)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


@frozen(eq=False)
class _Record:
    """What is kept of a record until its lines are made; *lines* are those of a record that holds several."""

    number: int
    created: float
    logger: str
    message: str
    exc_info: ExcInfo | None
    bare: bool
    lines: Sequence[tuple[float, str]] | None
    ring: LogRing | None


def _records(record: logging.LogRecord, lines: list[tuple[float, str]] | None) -> Iterator[_Record]:
    """What is kept of *record*: one, or of collected *lines* as many as it takes to write some at once."""
    exc_info: Any = record.exc_info if record.exc_info and record.exc_info[0] else None
    bare, ring = getattr(record, "bare", False), _current.get()
    if lines is None:
        yield _Record(record.levelno, record.created, record.name, message_of(record), exc_info, bare, None, ring)
        return
    for start in range(0, len(lines), _AT_ONCE):
        some = lines[start : start + _AT_ONCE]
        yield _Record(record.levelno, record.created, record.name, "", None, bare, some, ring)


def _made(record: _Record) -> list[LogLine]:
    if record.lines is not None:  # they hold nothing but what the program itself made up
        return [
            LogLine(number=record.number, created=created, logger=record.logger, message=text)
            for created, text in record.lines
        ]
    try:
        line = line_of(record.number, record.created, record.logger, record.message, record.exc_info)
    except Exception as error:
        return [own_line(logging.ERROR, f"A line of {record.logger} could not be made ({type(error).__name__})")]
    return [attrs.evolve(line, bare=True) if record.bare else line]


class LogWriter(logging.Handler):
    """The one handler of this process. Ended by `close()`, which writes what waits."""

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        super().__init__()
        self.sinks = tuple(sinks)
        self.rings: tuple[LogRing, ...] = ()
        self.dropped = 0
        """Lines that came too fast, ever."""
        self.waiting = 0
        """Lines that are still to be written."""
        self._untold = 0
        self._told_at = float("-inf")
        self._queue: list[_Record] = []
        self._repeats = Repeats()
        self._guard = threading.Lock()  # not the handler's own: `logging` holds that one while it waits for a flush
        self._work = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._hurry = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="ironclaw-log", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether lines are still written."""
        return self._thread.is_alive()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is needed of *record*, or count it as dropped. Calls come one at a time: `logging` sees to it."""
        lines: list[tuple[float, str]] | None = getattr(record, "lines", None)
        count = 1 if lines is None else len(lines)
        room = _MOST_WAITING - self.waiting - (0 if record.levelno >= logging.WARNING else _FOR_GRAVE)
        taken = count if count <= room else 0 if lines is None else max(0, room)
        # Made outside of the lock: an argument may do anything, even log.
        records = list(_records(record, lines[:taken] if lines is not None else None)) if taken else []
        with self._guard:
            self._queue += records
            self.waiting += taken
            self.dropped += count - taken
            self._untold += count - taken
            self._idle.clear()
        if not self._work.is_set():
            self._work.set()

    def _run(self) -> None:
        while True:
            self._work.wait(1.0 if self._repeats.waiting else None)
            self._work.clear()
            began = time.thread_time()
            self._write_some()
            with self._guard:
                if self._queue:
                    self._work.set()
                else:
                    self._idle.set()
                    if self._ending:
                        return
            self._hurry.wait(min((time.thread_time() - began) * _REST, _LONGEST_REST))

    def _write_some(self) -> None:
        """Write the oldest lines."""
        with self._guard:
            records = self._take()
            untold = self._untold if not self._queue or time.monotonic() - self._told_at > _TELL_EVERY else 0
            self._untold -= untold
        everywhere: list[LogLine] = []
        of_rings: dict[LogRing, list[LogLine]] = {ring: [] for ring in self.rings}
        for record in records:
            lines = [line for line in _made(record) if record.lines is not None or self._is_new(line)]
            everywhere += lines
            for ring in self.rings if record.ring is None else (record.ring,):
                of_rings.get(ring, []).extend(lines)
        about = self._repeats.told(time.monotonic(), all_of_them=self._ending)
        if untold:
            self._told_at = time.monotonic()
            about.append(own_line(logging.WARNING, f"{untold} lines were dropped: they came too fast to be written"))
        self._put([*everywhere, *about], {ring: [*lines, *about] for ring, lines in of_rings.items()})

    def _take(self) -> list[_Record]:
        """The oldest records, together not many more lines than are written at once."""
        records: list[_Record] = []
        size = 0
        while size < _AT_ONCE and len(records) < len(self._queue):
            record = self._queue[len(records)]
            records.append(record)
            size += 1 if record.lines is None else len(record.lines)
        del self._queue[: len(records)]
        self.waiting -= size
        return records

    def _is_new(self, line: LogLine) -> bool:
        return self._repeats.admit(line, time.monotonic())

    def _put(self, lines: list[LogLine], of_rings: dict[LogRing, list[LogLine]]) -> None:
        for ring, own in of_rings.items():
            if own:
                ring.add(own)
        if lines:
            for sink in self.sinks:
                sink.write(lines)

    def flush(self, timeout: float = _TO_THE_END) -> None:
        """Wait until all that was logged before is written, *timeout* seconds at most."""
        if threading.current_thread() is self._thread:
            return
        self._hurry.set()
        self._idle.wait(timeout)
        if not self._ending:
            self._hurry.clear()

    def close(self) -> None:
        """Write what waits, and end."""
        if not self._ending:
            self._ending = True
            self._hurry.set()
            self._work.set()
            self._thread.join(_TO_THE_END)
            for sink in self.sinks:
                sink.close()
        super().close()
