"""Reading the notes: listing, text, bytes. Nothing is changed here: that is `workspace.py`. Searching is `search.py`."""

import asyncio
import bisect
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from ironclaw import files
from ironclaw.errors import IronclawError
from ironclaw.memory.paths import checked_folder, checked_path, is_note, join, problem_of
from ironclaw.memory.versions import etag_of, text_of
from ironclaw.values import frozen

log = logging.getLogger(__name__)

MAX_NOTE = 1 << 20
MAX_FILE = 16 << 20
MAX_NOTES = 200_000
_BLOCK = 1 << 20

T = TypeVar("T")


@frozen
class NoteInfo:
    """A file of the workspace: *size* in bytes, *modified* in UTC."""

    name: str
    path: str
    size: int
    modified: datetime


@frozen
class Note:
    """A file with its text. *etag* tells its content from any other."""

    path: str
    content: str
    size: int
    modified: datetime
    etag: str


@frozen
class Listing:
    """What is in one folder, by name, or below it, by path; *after* is where the next page begins."""

    files: list[NoteInfo]
    directories: list[str]
    after: str | None = None


@frozen
class OpenFile:
    """A file that is open for reading."""

    descriptor: int
    size: int
    modified: datetime
    etag: str


class Notes:
    """The files beneath *root*. All errors are those of `ironclaw.errors`; *field* is `path` where the path is to blame."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def list(self, path: str = "", *, limit: int | None = None, after: str | None = None) -> Listing:
        """The folders and files in the folder *path*; `""` is the workspace itself. *after*: of an earlier listing."""
        return await asyncio.to_thread(self._list, path, limit, after)

    async def tree(self, *, limit: int, after: str | None = None) -> Listing:
        """All folders and files, by path. Linked folders and files are not followed."""
        return await asyncio.to_thread(self._tree, limit, after)

    async def read(self, path: str) -> Note:
        """One file's text. Raises *TooLarge* beyond 1 MiB, *Invalid* where it is not UTF-8."""
        return await asyncio.to_thread(self._read, checked_path(path))

    async def texts_of(self, paths: Sequence[str]) -> dict[str, str]:
        """The texts of those of *paths* that are there and can be read, all in one go."""
        return await asyncio.to_thread(self._texts_of, [checked_path(path) for path in paths])

    @contextlib.asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[OpenFile]:
        """A file for reading its bytes, of any size; it is closed at the end."""
        opening = asyncio.create_task(asyncio.to_thread(self._open, checked_path(path)))
        try:
            file = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise
        try:
            yield file
        finally:
            os.close(file.descriptor)

    async def all_notes(self) -> Sequence[NoteInfo]:
        """Every note, the newest first (at most 200,000). Linked folders and files are not followed."""
        return await asyncio.to_thread(self.scan)

    async def count(self) -> int:
        """How many notes there are."""
        return len(await self.all_notes())

    async def changed_since(self, moment: datetime) -> Sequence[NoteInfo]:
        """The notes changed at *moment* or later, the newest first."""
        return [note for note in await self.all_notes() if note.modified >= moment]

    def daily_path(self, day: date | None = None) -> str:
        """Where the note of *day* is (default: today in the process's time zone)."""
        return f"daily/{day or today():%Y-%m-%d}.md"

    def scan(self) -> Sequence[NoteInfo]:
        """As `all_notes`, for callers that are in a thread of their own."""
        notes = [
            _info(folder, entry)
            for folder, entry in self._walk(MAX_NOTES)
            if not entry.is_folder and is_note(entry.name)
        ]
        notes = sorted(notes, key=lambda note: note.path)
        return sorted(notes, key=lambda note: note.modified, reverse=True)

    def texts(self) -> Iterator[tuple[NoteInfo, str]]:
        """Every readable note with its text, the newest first. Blocks: for callers in a thread of their own."""
        for note in self.scan():
            try:
                yield note, self._read(note.path).content
            except (IronclawError, OSError) as error:
                log.debug("a note is left out of the search: %s", error)

    def _list(self, path: str, limit: int | None, after: str | None) -> Listing:
        folder = checked_folder(path)
        entries = sorted(self._entries(folder), key=_place)
        page, more = _page(entries, [_place(entry) for entry in entries], limit, after)
        return Listing(
            files=[_info(folder, entry) for entry in page if not entry.is_folder],
            directories=[entry.name for entry in page if entry.is_folder],
            after=more,
        )

    def _tree(self, limit: int, after: str | None) -> Listing:
        found = sorted((join(folder, entry.name), folder, entry) for folder, entry in self._walk(None))
        page, more = _page(found, [path for path, *_ in found], limit, after)
        return Listing(
            files=[_info(folder, entry) for _, folder, entry in page if not entry.is_folder],
            directories=[path for path, _, entry in page if entry.is_folder],
            after=more,
        )

    def _entries(self, folder: str) -> Iterator[files.Entry]:
        """Only what can be asked for by its path."""
        return (entry for entry in files.scan(self.root, folder) if problem_of(join(folder, entry.name)) is None)

    def _walk(self, most_notes: int | None) -> Iterator[tuple[str, files.Entry]]:
        """Each folder and file with the folder it is in, links left out; up to so many notes."""
        folders, notes = [""], 0
        while folders:
            folder = folders.pop()
            for entry in self._entries_or_none(folder):
                if entry.link:
                    continue
                if entry.is_folder:
                    folders.append(join(folder, entry.name))
                elif is_note(entry.name):
                    notes += 1
                if most_notes is not None and notes > most_notes:
                    return
                yield folder, entry

    def _entries_or_none(self, folder: str) -> Sequence[files.Entry]:
        try:
            return sorted(self._entries(folder), key=lambda entry: entry.name, reverse=True)
        except (IronclawError, OSError) as error:
            # A folder that went away or is closed to us hides its own notes, not all others.
            if not folder:
                raise
            log.debug("a folder is left out: %s", error)
            return []

    def _read(self, path: str) -> Note:
        content = files.read_bytes(self.root, path, limit=MAX_NOTE)
        text = text_of(content.data, path)
        return Note(path, text, len(content.data), content.modified, etag_of(content.data))

    def _texts_of(self, paths: Sequence[str]) -> dict[str, str]:
        found = {}
        for path in paths:
            with contextlib.suppress(IronclawError):
                found[path] = self._read(path).content
        return found

    def _open(self, path: str) -> OpenFile:
        descriptor = files.open_beneath(self.root, path)
        try:
            info = os.fstat(descriptor)
            return OpenFile(descriptor, info.st_size, files.moment(info.st_mtime), _etag_of_open(descriptor, info))
        except BaseException:
            os.close(descriptor)
            raise


def _close(opening: "asyncio.Task[OpenFile]") -> None:
    """Nobody waits any more for a file that was being opened."""
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result().descriptor)


def today() -> date:
    """The day in the process's time zone."""
    return datetime.now(UTC).astimezone().date()


def _etag_of_open(descriptor: int, info: os.stat_result) -> str:
    """By content as far as a file of this size may be written here; beyond that by its time and size."""
    if info.st_size > MAX_FILE:
        return f"{info.st_mtime_ns:x}-{info.st_size:x}"
    digest, place = hashlib.sha256(), 0
    while block := os.pread(descriptor, _BLOCK, place):
        digest.update(block)
        place += len(block)
    return digest.hexdigest()[:32]


def _place(entry: files.Entry) -> str:
    """Folders before files, then by name."""
    return f"{'d' if entry.is_folder else 'f'}/{entry.name}"


def _page(items: list[T], keys: list[str], limit: int | None, after: str | None) -> tuple[list[T], str | None]:
    start = bisect.bisect_right(keys, after) if after is not None else 0
    end = len(items) if limit is None else start + limit
    return items[start:end], keys[end - 1] if end < len(items) else None


def _info(folder: str, entry: files.Entry) -> NoteInfo:
    return NoteInfo(entry.name, join(folder, entry.name), entry.size, entry.modified)
