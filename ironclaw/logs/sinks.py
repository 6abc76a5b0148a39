"""Where finished lines are written: stderr, which may be a terminal that nobody lets go on, and a file that rotates.

Only the writer's thread is in here. A place that takes nothing loses lines, which are counted and told once it takes some
again; it never holds up the thread for long.
"""

import contextlib
import errno
import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ironclaw.errors import ConfigError
from ironclaw.logs.lines import LogLine, own_line

Render = Callable[[LogLine], bytes]

_PATIENCE = 0.2  # seconds that a batch waits for stderr to take it
_PIECE = 4096  # bytes that a pipe takes whole once it can be written to (PIPE_BUF)
_MOST_HELD = 64 << 10
_LOOK_EVERY = 1.0
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EAGAIN}


def render_text(line: LogLine) -> bytes:
    """As a person reads it."""
    return line.text.encode("utf-8", "backslashreplace") + b"\n"


def render_json(line: LogLine) -> bytes:
    """One JSON object a line."""
    return line.json + b"\n"


RENDER: dict[str, Render] = {"text": render_text, "json": render_json}


class Sink(Protocol):
    """A place for lines."""

    def write(self, lines: Sequence[LogLine]) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Stderr:
    """File descriptor 2, or another one. Whether it would block is asked before each piece."""

    def __init__(self, render: Render, descriptor: int = 2) -> None:
        self._render = render
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._held = b""
        self._lost = 0
        self._gone = False

    def write(self, lines: Sequence[LogLine]) -> None:
        """Write what can be written within a moment."""
        if self._gone:
            return
        deadline = time.monotonic() + (0 if self._held else _PATIENCE)
        if self._held and not self._send(deadline):
            self._lost += len(lines)
            return
        if self._lost:
            lines = [own_line(logging.WARNING, f"{self._lost} lines are missing here: nobody took them"), *lines]
            self._lost = 0
        for number, line in enumerate(lines):
            self._held += self._render(line)
            if len(self._held) > _MOST_HELD and not self._send(deadline):
                self._lost += len(lines) - number - 1
                return
        self._send(deadline)

    def _send(self, deadline: float) -> bool:
        """Write what is held; False when it is not all taken in time. What is left is sent before anything else."""
        while self._held:
            wait = max(0, deadline - time.monotonic())
            try:
                if not self._poll.poll(wait * 1000):
                    return False
                self._held = self._held[os.write(self._descriptor, self._held[:_PIECE]) :]
            except OSError as error:
                lost, self._held = self._held.count(b"\n"), b""
                if error.errno in _PASSING:  # the disk may have room again
                    self._lost += lost
                else:
                    self._gone = True
                    give_up_stderr()
                return not self._gone
        return True

    def close(self) -> None:
        """Nothing: the descriptor is the process's."""


def give_up_stderr() -> None:
    """Send stderr nowhere once nobody reads it: what stays in its buffer would fail again when the program ends."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


class FileSink:
    """A file of the owner's alone that is put aside when it is full: `gateway.log`, `gateway.log.1`, ...

    *most_bytes* is how large one gets, *count* how many older ones are kept. One that is moved away is made anew.
    """

    def __init__(self, path: Path, render: Render, *, most_bytes: int, count: int) -> None:
        """Open it. Raises *ConfigError* when that can't be done."""
        self.path = path
        self.failure: str | None = None
        """Why the last lines could not be written; None while they are."""
        self.lost = 0
        self._render = render
        self._most = most_bytes
        self._count = count
        self._looked = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()
        except OSError as error:
            raise ConfigError(
                f"LOG_FILE {path} can't be written: {error.strerror}. Name another file, or leave it out.",
                field="log_file",
            ) from None

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        status = os.fstat(self._descriptor)
        self._size, self._identity = status.st_size, (status.st_dev, status.st_ino)

    def write(self, lines: Sequence[LogLine]) -> None:
        """Write them all, or count them."""
        data = b"".join(map(self._render, lines))
        try:
            self._fit(len(data))
            if self.lost:
                data = (
                    self._render(own_line(logging.WARNING, f"{self.lost} lines are missing here: {self.failure}"))
                    + data
                )
            self._put(data)
        except OSError as error:
            self.failure = error.strerror or str(error)
            self.lost += len(lines)
        else:
            self.failure, self.lost = None, 0

    def _put(self, data: bytes) -> None:
        view, before = memoryview(data), self._size
        try:
            while view:
                written = os.write(self._descriptor, view)
                self._size += written
                view = view[written:]
        except OSError:
            with contextlib.suppress(OSError):  # what was written of it may end in the middle of a line
                os.ftruncate(self._descriptor, before)
                self._size = before
            raise

    def _fit(self, coming: int) -> None:
        now = time.monotonic()
        if now - self._looked > _LOOK_EVERY:
            self._looked = now
            self._reopen_if_moved()
        if self._size and self._size + coming > self._most:
            self._rotate()

    def _reopen_if_moved(self) -> None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._reopen()
            return
        if (status.st_dev, status.st_ino) != self._identity:
            self._reopen()

    def _reopen(self) -> None:
        old = self._descriptor
        self._open()
        os.close(old)

    def _rotate(self) -> None:
        if self._count == 0:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            return
        for number in range(self._count - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._older(number).replace(self._older(number + 1))
        self.path.replace(self._older(1))
        self._reopen()

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)
