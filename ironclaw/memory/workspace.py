"""The folder of notes: what a note's path may be, and reading, listing and writing notes. Searching is `search.py`."""

import asyncio
import logging
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import attrs

from ironclaw import files
from ironclaw.errors import ConfigError, Invalid, IronclawError, NotFound, TooLarge
from ironclaw.memory import templates

log = logging.getLogger(__name__)

Author = Literal["person", "agent"]

NOTE_SUFFIXES = (".md", ".markdown", ".txt")
MAX_NOTE = 1024 * 1024
MAX_PATH = 1024
MAX_NOTES = 20_000


@attrs.frozen
class NoteInfo:
    """A file of the workspace: *size* in bytes, *modified* in UTC."""

    name: str
    path: str
    size: int
    modified: datetime


@attrs.frozen
class Note:
    """A file with its text."""

    path: str
    content: str
    size: int
    modified: datetime


@attrs.frozen
class Listing:
    """What is in one folder, by name."""

    files: list[NoteInfo]
    directories: list[str]


def split_lines(text: str) -> list[str]:
    """The lines as an editor counts them: only line feeds end a line."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def is_note(name: str) -> bool:
    """Whether a file of this name is a note, and so is counted and searched."""
    return name.lower().endswith(NOTE_SUFFIXES)


class Workspace:
    """The notes beneath *root*. All errors are those of `ironclaw.errors`; *field* is `path` where the path is to blame."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Taken inside the worker thread, so that a cancelled caller can't let a second write in before the first ends.
        self._writing = threading.Lock()

    async def list(self, path: str = "") -> Listing:
        """The files and folders in the folder *path*; `""` is the workspace itself."""
        return await asyncio.to_thread(self._list, path)

    async def read(self, path: str) -> Note:
        """One file's text. Raises *TooLarge* beyond 1 MiB, *Invalid* where it is not UTF-8."""
        return await asyncio.to_thread(self._read, checked_path(path))

    async def append(self, path: str, text: str) -> int:
        """Adds *text* as lines of its own at the end of a note, which is made if need be; the first new line's number."""
        return await asyncio.to_thread(self._append, checked_path(path), text)

    async def write(self, path: str, text: str, *, author: Author) -> None:
        """Makes *text* the whole content of a note."""
        await asyncio.to_thread(self._write, checked_path(path), text)
        log.debug("a note was written by the %s", author)

    async def all_notes(self) -> Sequence[NoteInfo]:
        """Every note, the newest first (at most 20,000). Linked folders and files are not followed."""
        return await asyncio.to_thread(self.scan)

    async def count(self) -> int:
        """How many notes there are."""
        return len(await self.all_notes())

    async def changed_since(self, moment: datetime) -> Sequence[NoteInfo]:
        """The notes changed at *moment* or later, the newest first."""
        return [note for note in await self.all_notes() if note.modified >= moment]

    async def seed(self) -> bool:
        """Fills a missing or completely empty folder with first notes; any other is left as it is. Whether it did.

        Raises *ConfigError* when the folder can't be made or filled.
        """
        return await asyncio.to_thread(self._seed)

    def daily_path(self, day: date | None = None) -> str:
        """Where the note of *day* is (default: today in the process's time zone)."""
        return f"daily/{day or _today():%Y-%m-%d}.md"

    def scan(self) -> Sequence[NoteInfo]:
        """As `all_notes`, for callers that are in a thread of their own."""
        notes = sorted(self._walk(), key=lambda note: note.path)
        return sorted(notes, key=lambda note: note.modified, reverse=True)

    def texts(self) -> Iterator[tuple[NoteInfo, str]]:
        """Every readable note with its text, the newest first. Blocks: for callers in a thread of their own."""
        for note in self.scan():
            try:
                yield note, self._read(note.path).content
            except (IronclawError, OSError) as error:
                log.debug("a note is left out of the search: %s", error)

    def _list(self, path: str) -> Listing:
        folder = _checked_folder(path)
        entries = sorted(self._entries(folder), key=lambda entry: entry.name)
        return Listing(
            files=[_info(folder, entry) for entry in entries if not entry.is_folder],
            directories=[entry.name for entry in entries if entry.is_folder],
        )

    def _entries(self, folder: str) -> Iterator[files.Entry]:
        """Only what can be asked for by its path."""
        return (entry for entry in files.scan(self.root, folder) if _problem(_join(folder, entry.name)) is None)

    def _walk(self) -> Iterator[NoteInfo]:
        folders, found = [""], 0
        while folders and found < MAX_NOTES:
            folder = folders.pop()
            for entry in self._entries_or_none(folder):
                if entry.is_folder and not entry.link:
                    folders.append(_join(folder, entry.name))
                elif is_note(entry.name) and not entry.link and found < MAX_NOTES:
                    found += 1
                    yield _info(folder, entry)

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
        try:
            text = content.data.decode()
        except UnicodeDecodeError:
            raise Invalid(f"{path} is not a text file in UTF-8.", field="path") from None
        return Note(path, text, len(content.data), content.modified)

    def _append(self, path: str, text: str) -> int:
        with self._writing:
            try:
                old = self._read(path).content
            except NotFound:
                old = ""
            if old and not old.endswith("\n"):
                old += "\n"
            self._put(path, old + text.rstrip("\n") + "\n")
        return old.count("\n") + 1

    def _write(self, path: str, text: str) -> None:
        with self._writing:
            self._put(path, text)

    def _put(self, path: str, text: str) -> None:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise Invalid("The text is not valid Unicode.", field="text") from None
        if len(data) > MAX_NOTE:
            raise TooLarge(f"A note holds at most {MAX_NOTE:,} bytes.", field="text")
        files.atomic_write(self.root, path, data)

    def _seed(self) -> bool:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self.root.iterdir()):
                return False
            self._fill()
        except (OSError, IronclawError) as error:
            raise ConfigError(
                f"The folder of the notes, {self.root}, can't be used: {error}. Mend it or set IRONCLAW_WORKSPACE.",
                field="workspace",
            ) from None
        return True

    def _fill(self) -> None:
        self._write("README.md", templates.README)
        self._write("AGENTS.md", templates.AGENTS)
        self._write("MEMORY.md", templates.MEMORY)
        day = _today()
        self._write(self.daily_path(day), templates.DAILY.format(day=f"{day:%A} {day.day} {day:%B %Y}"))


def checked_path(path: str) -> str:
    """*path* as it is, if a file of the workspace may be called so; else raises *Invalid*."""
    if problem := _problem(path):
        raise Invalid(f"The path {problem}.", field="path")
    return path


def _checked_folder(path: str) -> str:
    folder = path.removesuffix("/") if path != "/" else path
    return checked_path(folder) if folder else ""


def _problem(path: str) -> str | None:
    """What is wrong with a path, in words that follow "The path"."""
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "must be relative to the workspace, without a leading `/`"
    if any(unicodedata.category(character) == "Cs" for character in path):
        return "is not valid Unicode"
    if len(path.encode()) > MAX_PATH:
        return f"is longer than {MAX_PATH} bytes"
    if "\0" in path or "\\" in path:
        return "may not hold a backslash or NUL"
    if any(not part or part.startswith(".") for part in path.split("/")):
        return "may not have empty parts, `..` or parts that begin with a dot"
    return None


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _info(folder: str, entry: files.Entry) -> NoteInfo:
    return NoteInfo(entry.name, _join(folder, entry.name), entry.size, entry.modified)


def _today() -> date:
    return datetime.now(UTC).astimezone().date()
