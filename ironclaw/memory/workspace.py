"""The folder of notes: every way in which it is changed. Each change is kept as a version before the file is touched."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import attrs

from ironclaw import files
from ironclaw.errors import ConfigError, Conflict, Invalid, IronclawError, NotFound, Stale, TooLarge
from ironclaw.events import MemoryChanged
from ironclaw.memory import edits, templates
from ironclaw.memory.edits import split_lines
from ironclaw.memory.notes import MAX_FILE, MAX_NOTE, Listing, Note, NoteInfo, Notes, today
from ironclaw.memory.paths import checked_path, is_note
from ironclaw.memory.store import Version
from ironclaw.memory.versions import ABSENT, Content, Origin, State, Versions, text_of
from ironclaw.tools import ToolContext
from ironclaw.values import frozen

__all__ = ["MAX_NOTE", "Listing", "Note", "NoteInfo", "Workspace", "is_note", "split_lines"]

T = TypeVar("T")
Author = Literal["person", "agent"]

MISSING = "missing"
PRESENT = "*"
ANY: frozenset[str] = frozenset()
"""What a file may be for a change to go ahead: one of these etags, `MISSING`, `PRESENT`; empty: whatever it is."""

_ATTEMPTS = 5


@frozen
class Saved:
    """A file after a change: *etag* is None when it is gone; *line* is where what was added begins."""

    path: str
    etag: str | None
    size: int
    modified: datetime | None
    created: bool = False
    line: int | None = None


@frozen
class Undone:
    """What undoing a turn did: files put back, and files left alone because they were changed since."""

    restored: list[str]
    left: list[str]


@frozen
class _Plan:
    """What a file is to hold, and how that is done while its mark is the one that was read."""

    new: State
    carry_out: Callable[[files.Mark], datetime | None]
    line: int | None = None


@frozen
class _Change:
    path: str
    plan: Callable[[State], _Plan]
    origin: Origin
    expect: frozenset[str]
    kind: str


class Workspace(Notes):
    """The notes beneath *root*.

    *versions*: where changes are kept (None: nowhere). *publish* gets an event for each; `on_change` are called with the
    path of each file that was changed here, in the event loop.
    """

    def __init__(
        self,
        root: Path,
        versions: Versions | None = None,
        publish: Callable[[MemoryChanged], object] = lambda _: None,
    ) -> None:
        super().__init__(root)
        self.versions = versions
        self.on_change: list[Callable[[str], object]] = []
        self._publish = publish
        self._lock = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()

    async def write(
        self,
        path: str,
        text: str,
        *,
        author: Author,
        expect: frozenset[str] = ANY,
        turn: ToolContext | None = None,
    ) -> Saved:
        """Makes *text* the whole content of a file, in the line endings that it has.

        Raises *Stale* where the file is not what *expect* says.
        """

        def plan(old: State) -> _Plan:
            return self._writing(path, edits.like(text, _text(old, path)))

        return await self._change(path, plan, Origin(author, turn), expect)

    async def append(
        self, path: str, text: str, *, author: Author, heading: str | None = None, turn: ToolContext | None = None
    ) -> Saved:
        """Adds *text* as lines of its own at the end of a note, or of its section *heading*; makes the note if need be."""

        def plan(old: State) -> _Plan:
            content = text_of(old.data or b"", path)
            new, line = (
                edits.appended(content, text) if heading is None else edits.appended_under(content, heading, text)
            )
            return attrs.evolve(self._writing(path, new), line=line)

        return await self._change(path, plan, Origin(author, turn))

    async def replace_line(
        self, path: str, number: int, line: str, new: str, *, author: Author, turn: ToolContext | None = None
    ) -> Saved:
        """Makes *new* of the 1-based line *number*. Raises *Conflict* where it is not *line* any more."""

        def plan(old: State) -> _Plan:
            return self._writing(path, edits.replaced(text_of(old.data or b"", path), number, line, new))

        return await self._change(path, plan, Origin(author, turn))

    async def put(
        self, path: str, chunks: AsyncIterable[bytes], *, author: Author, expect: frozenset[str] = ANY
    ) -> Saved:
        """Makes what *chunks* give the content of a file, byte by byte. Raises *Stale*, *TooLarge* beyond 16 MiB."""
        checked_path(path)
        size = 0
        with files.spool(self.root) as spool:
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_FILE:
                    raise TooLarge(f"A file may have at most {MAX_FILE:,} bytes.")
                await asyncio.to_thread(spool.write, chunk)
            data = await asyncio.to_thread(_content, spool)
        return await self._change(path, lambda _: self._plan(path, data), Origin(author), expect)

    async def delete(self, path: str, *, author: Author, expect: frozenset[str] = ANY) -> Saved:
        """Deletes a file. Raises *Stale*, *NotFound*, *TooLarge* when it is too large to be kept as a version."""
        return await self._change(path, partial(self._deleting, path), Origin(author), expect, "deleted")

    async def restore(self, path: str, version_id: str, *, author: Author, expect: frozenset[str] = ANY) -> Saved:
        """Makes a file what it was. Raises *NotFound*, *Stale*, *Invalid* for a version whose content is not there."""
        data = (await self.version(path, version_id)).data
        if data is None:
            raise Invalid("Nothing is kept of that version; choose the one before or after it.", field="id")
        return await self._change(path, lambda _: self._plan(path, data), Origin(author), expect, "restored")

    async def version(self, path: str, version_id: str) -> Content:
        """A version of a file with its content. Raises *NotFound*."""
        if self.versions is None:
            raise NotFound("No versions are kept.", field="id")
        return await self.versions.content(checked_path(path), version_id)

    async def history(self, path: str | None, limit: int, before: int | None) -> tuple[list[Version], str | None]:
        """The versions of a file, or of all (None), the newest first, and where the next page begins."""
        if self.versions is None:
            return [], None
        return await self.versions.page(checked_path(path) if path is not None else None, limit, before)

    async def undo_changes(self, message_id: str) -> Undone:
        """Gives each file that a turn changed its content from before, unless it was changed again since."""
        undone = Undone([], [])
        for first, before, newest in await self.versions.before_message(message_id) if self.versions else []:
            try:
                await self._undo(first, before, newest)
            except (Conflict, Stale, Invalid, NotFound):
                undone.left.append(first.path)
            else:
                undone.restored.append(first.path)
        return undone

    async def _undo(self, first: Version, before: Content | None, newest: Version) -> None:
        if newest.message_id != first.message_id:
            raise Conflict("It was changed since.")
        expect, origin = frozenset({newest.etag or MISSING}), Origin("person")
        if first.change == "created":
            await self._change(first.path, partial(self._deleting, first.path), origin, expect, "deleted")
        elif before is None or before.data is None:
            raise Conflict("What it was is not kept any more.")
        else:
            plan = self._plan(first.path, before.data)
            await self._change(first.path, lambda _: plan, origin, expect, "restored")

    async def move(self, path: str, to: str, *, author: Author, expect: frozenset[str] = ANY) -> Saved:
        """Gives a file another path, with its versions. Raises *Conflict* when something is there, *NotFound*, *Stale*."""
        source, target = checked_path(path), checked_path(to)
        return await self._alone(lambda: self._move(source, target, Origin(author), expect))

    async def seen(self, path: str) -> bool:
        """Takes note that a file may have been changed outside; whether it was. What it holds now is kept as a version."""
        return is_note(path) and await self._alone(lambda: self._see(checked_path(path)))

    async def seed(self) -> bool:
        """Fills a missing or completely empty folder with first notes; any other is left as it is. Whether it did.

        What a killed process left of its writes is cleared away. Raises *ConfigError* when the folder can't be used.
        """
        return await asyncio.to_thread(self._seed)

    async def aclose(self) -> None:
        """Ends the changes that are being made."""
        await asyncio.gather(*self._changes, return_exceptions=True)

    # How a change is made

    async def _alone(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does *work* while nothing else is changed, and to its end even when nobody waits for it any more."""

        async def run() -> T:
            async with self._lock:
                return await work()

        task = asyncio.create_task(run(), name="workspace change")
        self._changes.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()  # whoever does not wait any more is not told

    async def _change(
        self,
        path: str,
        plan: Callable[[State], _Plan],
        origin: Origin,
        expect: frozenset[str] = ANY,
        kind: str = "written",
    ) -> Saved:
        change = _Change(checked_path(path), plan, origin, expect, kind)
        return await self._alone(lambda: self._make(change))

    async def _make(self, change: _Change) -> Saved:
        """Plans and carries out, again when somebody else changed the file in between."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(files.Changed):
                return await self._try(change)
        return await self._try(change)

    async def _try(self, change: _Change) -> Saved:
        path = change.path
        old, mark, modified = await asyncio.to_thread(self._state, path)
        _check(path, old, change.expect)
        plan = await asyncio.to_thread(change.plan, old)
        new = plan.new
        if new.etag == old.etag:
            return Saved(path, old.etag, old.size, modified, line=plan.line)
        ids = await self._keep(change, old, new)
        try:
            modified = await asyncio.to_thread(plan.carry_out, mark)
        except BaseException:
            if self.versions:
                await self.versions.forget(ids)
            raise
        self._tell(path, change.kind, change.origin)
        return Saved(path, new.etag, new.size, modified, created=old.etag is None, line=plan.line)

    async def _keep(self, change: _Change, old: State, new: State) -> list[int]:
        """Keep both states; the id of the new one."""
        if self.versions is None:
            return []
        kind = "created" if change.kind == "written" and old.etag is None else change.kind
        return (await self.versions.record(change.path, old, new, change.origin, kind))[-1:]

    async def _move(self, path: str, target: str, origin: Origin, expect: frozenset[str]) -> Saved:
        old, mark, modified = await asyncio.to_thread(self._state, path)
        _check(path, old, expect)
        if old.etag is None:
            raise NotFound(f"There is no {path} in the workspace.", field="path")
        await asyncio.to_thread(files.move, self.root, path, target, mark)
        if self.versions:
            await self.versions.rename(path, target)
            await self.versions.record(target, old, old, origin, "moved")
        self._tell(path, "moved", origin)
        self._tell(target, "moved", origin)
        return Saved(target, old.etag, old.size, modified)

    async def _see(self, path: str) -> bool:
        try:
            state, _, _ = await asyncio.to_thread(self._state, path)
        except IronclawError:
            return False  # what can't be read can't be kept either
        if self.versions is not None and not await self.versions.seen(path, state):
            return False
        change = "deleted" if state.etag is None else "written"
        self._publish(MemoryChanged(path=path, change=change, author="outside"))
        return True

    def _tell(self, path: str, change: str, origin: Origin) -> None:
        thread_id = origin.turn.thread_id if origin.turn else None
        self._publish(MemoryChanged(path=path, change=change, author=origin.author, thread_id=thread_id))
        for listener in self.on_change:
            listener(path)

    def _state(self, path: str) -> tuple[State, files.Mark, datetime | None]:
        """What is there now."""
        try:
            content = files.read_bytes(self.root, path, limit=MAX_FILE)
        except NotFound:
            return ABSENT, files.MISSING, None
        return State.of(content.data), content.mark, content.modified

    def _writing(self, path: str, text: str) -> _Plan:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise Invalid("The text is not valid Unicode.", field="text") from None
        if len(data) > MAX_NOTE:
            raise TooLarge(f"A note holds at most {MAX_NOTE:,} bytes.", field="text")
        return self._plan(path, data)

    def _plan(self, path: str, data: bytes) -> _Plan:
        return _Plan(State.of(data), partial(files.atomic_write, self.root, path, data))

    def _deleting(self, path: str, old: State) -> _Plan:
        if old.etag is None:
            raise NotFound(f"There is no {path} in the workspace.", field="path")
        return _Plan(ABSENT, partial(files.remove, self.root, path))

    def _seed(self) -> bool:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.sweep(self.root)
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
        day = today()
        daily = templates.DAILY.format(day=f"{day:%A} {day.day} {day:%B %Y}")
        first = {"README.md": templates.README, "AGENTS.md": templates.AGENTS, "MEMORY.md": templates.MEMORY}
        for path, text in {**first, self.daily_path(day): daily}.items():
            files.atomic_write(self.root, path, text.encode())


def _check(path: str, old: State, expect: frozenset[str]) -> None:
    met = old.etag in expect if old.etag is not None else MISSING in expect
    if expect and not met and not (PRESENT in expect and old.etag is not None):
        what = "is not there" if old.etag is None else "was changed since you read it"
        raise Stale(f"{path} {what}. Read it again; nothing was written.", etag=old.etag)


def _text(state: State, path: str) -> str:
    """The text whose line endings are to be kept; none where it is no text."""
    try:
        return text_of(state.data or b"", path)
    except Invalid:
        return ""


def _content(spool: IO[bytes]) -> bytes:
    spool.seek(0)
    return spool.read()
