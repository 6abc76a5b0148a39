"""The versions of notes: each state that a change made or replaced, compressed, bounded in number, bytes and age.

A change is kept here before the file is touched, so that nothing is lost at any moment. Reading keeps nothing.
"""

import asyncio
import difflib
import hashlib
import re
import sqlite3
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import attrs

from ironclaw import codec
from ironclaw.database import Database
from ironclaw.errors import Invalid, NotFound, TooLarge
from ironclaw.memory import store
from ironclaw.memory.store import Limits, NewVersion, Version
from ironclaw.tools import ToolContext
from ironclaw.values import frozen

Author = Literal["person", "agent", "outside"]

MAX_COUNT = 200
MAX_BYTES = 256 << 20
MAX_AGE = timedelta(days=365)
KEPT_AT_ONCE = 1 << 20
"""A larger content is kept when it is replaced or deleted, not already when it is written."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_MAX_DIFF_LINES = 50_000
_MAX_CHANGED_LINES = 2000


@frozen
class State:
    """What a file holds: its *etag* (None: there is no such file), *size*, and *data*, None where it is not at hand."""

    etag: str | None = None
    size: int = 0
    data: bytes | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, data: bytes) -> "State":
        """The state of a file with these bytes."""
        return cls(etag_of(data), len(data), data)


ABSENT = State()


def etag_of(data: bytes) -> str:
    """What tells two contents apart."""
    return hashlib.sha256(data).hexdigest()[:32]


@frozen
class Origin:
    """Who made a change, and in which turn."""

    author: Author
    turn: ToolContext | None = None


OUTSIDE = Origin("outside")


@frozen
class Content:
    """A version and what the file held then; *data* is None where it was gone, or where the content was not kept."""

    version: Version
    data: bytes | None = attrs.field(repr=False)


class Versions:
    """The versions in *database*."""

    def __init__(
        self, database: Database, *, count: int = MAX_COUNT, total: int = MAX_BYTES, age: timedelta = MAX_AGE
    ) -> None:
        self._database = database
        self._count = count
        self._total = total
        self._age = age

    async def record(self, path: str, old: State, new: State, origin: Origin, change: str) -> list[int]:
        """Keep what a file held and what it will hold; the ids of the versions that this made.

        When this returns, both are on disk. Raises *DatabaseFailed* when they can't be kept.
        """
        known = await self._database.read(lambda db: store.last(db, path))
        before = await asyncio.to_thread(self._before, path, known, old)
        small = new if new.size <= KEPT_AT_ONCE else attrs.evolve(new, data=None)
        after = await asyncio.to_thread(_new_version, path, small, origin, change)
        filling = await asyncio.to_thread(_missing_content, known, old)
        limits = self._limits()

        def transaction(db: sqlite3.Connection) -> list[int]:
            if filling is not None and known is not None:
                store.fill(db, known.id, filling)
            return store.add(db, [*before, after], limits)

        return await self._database.write(transaction)

    async def seen(self, path: str, state: State) -> bool:
        """Keep a state that was made outside; False when it is the one we know."""
        known = await self._database.read(lambda db: store.last(db, path))
        new = await asyncio.to_thread(self._before, path, known, state)
        limits = self._limits()
        if new:
            await self._database.write(lambda db: store.add(db, new, limits))
        return bool(new) or known is None

    def _before(self, path: str, known: Version | None, state: State) -> list[NewVersion]:
        """The version that is missing before a change: what somebody else made of the file meanwhile."""
        if state.etag == (known.etag if known is not None else None):
            return []
        change = "deleted" if state is ABSENT else "written"
        return [_new_version(path, state, OUTSIDE, change)]

    async def forget(self, ids: Sequence[int]) -> None:
        """Drop the versions of a change that was not carried out."""
        await self._database.write(lambda db: store.forget(db, ids))

    async def rename(self, path: str, target: str) -> None:
        """Let a file keep its versions under its new name."""
        await self._database.write(lambda db: store.rename(db, path, target))

    async def page(self, path: str | None, limit: int, before: int | None) -> tuple[list[Version], str | None]:
        """The versions of a file, or of all files (None), the newest first, and where the next page begins."""
        return await self._database.read(lambda db: store.page(db, path, limit, before))

    async def content(self, path: str, version_id: str) -> Content:
        """A version with its content. Raises *NotFound*."""
        if not (version_id.isascii() and version_id.isdigit() and len(version_id) <= 18):
            raise NotFound("There is no such version of this file.", field="id")
        return await self._find(path, int(version_id))

    async def before_message(self, message_id: str) -> list[tuple[Version, Content | None, Version]]:
        """For each file that a turn changed: its first version there, the content before it, and the last version."""
        found = []
        for first in await self._database.read(lambda db: store.of_message(db, message_id)):
            before = await self._last(first.path, int(first.id))
            newest = await self._last(first.path) or first
            content = await self._find(first.path, int(before.id)) if before is not None else None
            found.append((first, content, newest))
        return found

    async def _last(self, path: str, before: int | None = None) -> Version | None:
        return await self._database.read(lambda db: store.last(db, path, before))

    async def _find(self, path: str, version_id: int) -> Content:
        version, packed = await self._database.read(lambda db: store.find(db, path, version_id))
        data = await asyncio.to_thread(zlib.decompress, packed) if packed is not None else None
        return Content(version, data)

    def _limits(self) -> Limits:
        return Limits(self._count, self._total, codec.format_time(codec.now() - self._age))


def _new_version(path: str, state: State, origin: Origin, change: str) -> NewVersion:
    return NewVersion(
        path=path,
        change=change,
        author=origin.author,
        created_at=codec.format_time(codec.now()),
        size=state.size,
        etag=state.etag,
        content=_packed(state.data),
        thread_id=origin.turn.thread_id if origin.turn else None,
        message_id=origin.turn.message_id if origin.turn else None,
    )


def _missing_content(known: Version | None, state: State) -> bytes | None:
    """The content of the version that we know, where it was not kept when it was made."""
    same = known is not None and known.etag is not None and known.etag == state.etag and not known.kept
    return _packed(state.data) if same else None


def _packed(data: bytes | None) -> bytes | None:
    return zlib.compress(data, 6 if len(data) <= KEPT_AT_ONCE else 1) if data is not None else None


def unified_diff(old: str, new: str, names: tuple[str, str]) -> str:
    """The difference as `diff -u` shows it. Raises *TooLarge* for what would take too long."""
    before, after = _LINE.findall(old), _LINE.findall(new)
    if max(len(before), len(after)) > _MAX_DIFF_LINES or _changed(before, after) > _MAX_CHANGED_LINES:
        raise TooLarge("The difference is too large to be shown.", field="diff")
    lines = difflib.unified_diff(before, after, *names)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _changed(before: list[str], after: list[str]) -> int:
    """How many lines lie between the first and the last difference."""
    shorter = min(len(before), len(after))
    start = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    end = next((n for n in range(shorter - start) if before[-1 - n] != after[-1 - n]), shorter - start)
    return max(len(before), len(after)) - start - end


def text_of(data: bytes, path: str) -> str:
    """The text of a file. Raises *Invalid* where it is none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not a text file in UTF-8.", field="path") from None
