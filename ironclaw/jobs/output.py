"""What a job has printed, on disk while it prints: the beginning and the end are kept, and what lies between is said.

A folder of files, each named by the place of its first byte in the whole output. The first stays; of those behind it the
oldest goes when there are too many. So nothing has to be remembered beside them, and a crash leaves all that was written.
"""

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import IO

from ironclaw.values import frozen

HEAD = 512 << 10
TAIL = 512 << 10
_PART = 128 << 10


@frozen
class Piece:
    """Some of the output: *data* begins at *start*, which lies behind what was asked for where that is not kept."""

    start: int
    data: bytes

    @property
    def stop(self) -> int:
        """The place behind its last byte."""
        return self.start + len(self.data)


class Output:
    """The output of one job. What touches the disk blocks: call it in a thread."""

    def __init__(self, folder: Path, parts: list[tuple[int, int]]) -> None:
        self._folder = folder
        self._parts = parts
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._more = asyncio.Event()
        self.closed = False
        """Whether nothing more will come."""

    @classmethod
    def open(cls, folder: Path) -> "Output":
        """The output that *folder* holds; none where there is no folder."""
        parts = []
        with contextlib.suppress(FileNotFoundError):
            parts = sorted((int(file.name), file.stat().st_size) for file in folder.iterdir())
        return cls(folder, parts)

    @property
    def total(self) -> int:
        """How many bytes were printed."""
        return sum(self._parts[-1]) if self._parts else 0

    def append(self, data: bytes) -> None:
        """Keep *data* as the end of the output."""
        with self._lock:
            view = memoryview(data)
            while view:
                start, size = self._room()
                taken = view[: (_PART if start else HEAD) - size]
                assert self._file is not None
                self._file.write(taken)
                self._parts[-1] = (start, size + len(taken))
                view = view[len(taken) :]

    def _room(self) -> tuple[int, int]:
        """The last part, with room in it."""
        start, size = self._parts[-1] if self._parts else (0, HEAD)
        if not self._parts or size >= (_PART if start else HEAD):
            start, size = self.total, 0
            self._parts.append((start, 0))
            self._close_file()
            self._drop_old()
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = (self._folder / str(start)).open("ab", buffering=0)
        return start, size

    def _drop_old(self) -> None:
        while len(self._parts) > 2 + TAIL // _PART:
            old, _ = self._parts.pop(1)
            with contextlib.suppress(FileNotFoundError):
                (self._folder / str(old)).unlink()

    def read(self, start: int, most: int) -> Piece:
        """Up to *most* bytes from *start* on, or from the first place behind it that is kept."""
        found: list[bytes] = []
        first, left = start, most
        with self._lock:
            for begin, size in self._parts:
                if start >= begin + size:
                    continue
                if not found:
                    first = start = max(start, begin)
                if begin > start or not left:  # a gap ends the piece
                    break
                with (self._folder / str(begin)).open("rb") as file:
                    file.seek(start - begin)
                    found.append(file.read(min(left, begin + size - start)))
                start += len(found[-1])
                left -= len(found[-1])
        return Piece(first, b"".join(found))

    def tell(self) -> None:
        """Wake all who wait for more."""
        self._more.set()
        self._more = asyncio.Event()

    async def more(self, after: int) -> None:
        """Wait until more than *after* bytes are there, or nothing will come any more."""
        while self.total <= after and not self.closed:
            await self._more.wait()

    def close(self) -> None:
        """Nothing more will come."""
        with self._lock:
            self._close_file()
        self.closed = True
        self.tell()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
