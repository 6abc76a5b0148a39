"""Puts the log of this process together, and holds it: what `ironclaw run` installs, or what a gateway brings along.

Inside another program nothing of the host's logging is changed. A gateway's ring hears our own loggers there, at the level
that the host has set, until somebody sets another one through the gateway; that ends with the last gateway.
"""

import contextlib
import logging
from collections.abc import Iterator

from ironclaw.levels import LEVELS, TRACE, level_of
from ironclaw.logs.ring import LogRing
from ironclaw.logs.sinks import RENDER, FileSink, Sink, Stderr
from ironclaw.logs.writer import LogWriter
from ironclaw.settings import Settings
from ironclaw.values import frozen

_OURS = logging.getLogger("ironclaw")


class _GuestWriter(LogWriter):
    """The handler inside another program, that does not count as one there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record, and let Python print it as it does where no handler is."""
        super().emit(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not self._has_others(record.name):
            last.handle(record)

    def _has_others(self, name: str) -> bool:
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


class _Process:
    """What of the log this process has. *found* is our loggers' level before somebody has set one."""

    def __init__(self) -> None:
        self.writer: LogWriter | None = None
        self.installed = False
        self.file: FileSink | None = None
        self.found: int | None = None


_process = _Process()


@frozen
class LogState:
    """How the log is: lines that wait, lines that were dropped, and what is wrong with it, if anything."""

    waiting: int
    dropped: int
    failure: str | None


def install(level: str, kind: str, file: FileSink | None = None) -> None:
    """Send this process's log to stderr as *kind* (`text`, `json`), from *level* on, and to *file*."""
    logging.addLevelName(TRACE, "TRACE")
    sinks: list[Sink] = [Stderr(RENDER[kind])]
    if file is not None:
        sinks.append(file)
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    _process.writer, _process.installed, _process.file = LogWriter(sinks), True, file
    root.addHandler(_process.writer)
    set_level(level)


def file_of(settings: Settings) -> FileSink | None:
    """The log's file, where one is set. Raises *ConfigError* when it can't be written."""
    if settings.log_file is None:
        return None
    most = settings.log_file_mb << 20
    return FileSink(settings.log_file, RENDER[settings.log_format], most_bytes=most, count=settings.log_file_count)


def set_level(name: str) -> None:
    """Log from this level on: our own lines; those of libraries never below `info`, and only where we have installed."""
    if _process.found is None:
        _process.found = _OURS.level
    _OURS.setLevel(LEVELS[name])
    if _process.installed:
        logging.getLogger().setLevel(max(LEVELS[name], logging.INFO))


def level() -> str:
    """The level from which on our own lines are logged."""
    return level_of(_OURS.getEffectiveLevel())


@contextlib.contextmanager
def open_ring() -> Iterator[LogRing]:
    """A ring that hears of this process's log for as long as the context is open."""
    ring = LogRing()
    if _process.writer is None:
        _process.writer = _GuestWriter()
        _OURS.addHandler(_process.writer)
    writer = _process.writer
    writer.rings = (*writer.rings, ring)
    try:
        yield ring
    finally:
        writer.rings = tuple(one for one in writer.rings if one is not ring)
        if not writer.rings and not _process.installed:
            _leave(writer)


def _leave(writer: LogWriter) -> None:
    """Leave the host's logging as it was found."""
    _OURS.removeHandler(writer)
    writer.close()
    _process.writer = None
    if _process.found is not None:
        _OURS.setLevel(_process.found)
        _process.found = None


def flush() -> None:
    """Wait until what was logged is written, for a moment at most."""
    if _process.writer is not None:
        _process.writer.flush()


def state() -> LogState:
    """How the log is now."""
    writer, file = _process.writer, _process.file
    if writer is None:
        return LogState(0, 0, None)
    failure = None
    if not writer.alive:
        failure = "Log lines are not written any more. Restart the gateway."
    elif file is not None and file.failure is not None:
        failure = f"{file.path} can't be written: {file.failure}. {file.lost} lines are missing in it."
    return LogState(writer.waiting, writer.dropped, failure)
