"""The agent's tools on the workspace, and the plain-text form of their results.

The forms are fixed: models read them, and the built-in assistant (`llm/builtin/`) parses them.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from ironclaw import codec
from ironclaw.errors import Invalid
from ironclaw.memory.edits import split_lines, ticked
from ironclaw.memory.notes import NoteInfo
from ironclaw.memory.paths import is_note, is_protected
from ironclaw.memory.query import fold, parse
from ironclaw.memory.search import Hit, Results, Search
from ironclaw.memory.workspace import Workspace
from ironclaw.tools import Approval, Risk, Tool, ToolContext, ToolResult, make_tool
from ironclaw.values import frozen

MAX_HITS = 100
MAX_LINES = 400
MAX_CHARACTERS = 40_000
MAX_LISTED = 200

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TODO_SIGN = re.compile(r"^\s*[-*+] \[ \]\s*|\bTODO\b:?\s*")
_FROM_ONE = {"minimum": 1}


def memory_tools(workspace: Workspace, search: Search) -> tuple[Tool, ...]:
    """The tools that look at *workspace*, by *search* too, and change it.

    What only adds or ticks asks nobody: versions take it back. FileWrite replaces, and asks.
    """
    calls = _Calls(workspace, search)
    changes: dict[str, Any] = {"risk": Risk.WRITE, "subject": _path_of}
    return (
        make_tool(calls.search, name="MemorySearch"),
        make_tool(calls.todos, name="MemoryTodos"),
        make_tool(calls.read, name="FileRead"),
        make_tool(calls.list, name="FileList"),
        make_tool(calls.append, name="FileAppend", approval=Approval.NEVER, **changes),
        make_tool(calls.write, name="FileWrite", **changes),
        make_tool(calls.done, name="MemoryDone", risk=Risk.WRITE, approval=Approval.NEVER),
    )


def _path_of(arguments: Mapping[str, Any]) -> str:
    return _one_line(str(arguments.get("path") or "today's note"))


@frozen
class _Calls:
    """The functions behind the tools; their docstrings are what a model reads."""

    workspace: Workspace
    finder: Search

    async def search(
        self,
        _: ToolContext,
        *,
        query: Annotated[str, 'words, or a "phrase" in quotes'],
        limit: Annotated[int | None, "how many lines at most (20; up to 100)", _FROM_ONE] = None,
    ) -> ToolResult:
        """Finds lines in the notes that hold all the words (as beginnings of words) or the "quoted phrases".
        Gives path:line:text, and after a tab the heading above.
        """  # noqa: D205
        results = await self.finder.search(query, limit=min(limit or 20, MAX_HITS))
        if not results.hits:
            return ToolResult(f"No line matches in {_count(results.notes, 'note')}.", "no match")
        return _hits_result(results, "line")

    async def todos(self, _: ToolContext) -> ToolResult:
        """Lists every open `- [ ]` and TODO line of the notes."""
        results = await self.finder.todos()
        if not results.hits:
            return ToolResult(f"No open todos in {_count(results.notes, 'note')}.", "no open todos")
        return _hits_result(results, "open todo")

    async def read(
        self,
        _: ToolContext,
        *,
        path: Annotated[str, "the note, such as daily/2026-03-03.md"],
        start_line: Annotated[int | None, "the first line to read (1)", _FROM_ONE] = None,
        end_line: Annotated[int | None, "the last line to read (the note's last)", _FROM_ONE] = None,
    ) -> ToolResult:
        """Reads a note, or some lines of it."""
        note = await self.workspace.read(path)
        return _lines_result(note.path, split_lines(note.content), start_line or 1, end_line)

    async def list(
        self,
        _: ToolContext,
        *,
        path: Annotated[str | None, "a folder, such as daily; without it all notes"] = None,
        name: Annotated[str | None, "only notes whose name has these words"] = None,
    ) -> ToolResult:
        """Lists the notes with size and time of change, the newest first: all of them, or what is in one folder."""
        folder = (path or "").strip().removesuffix("/")
        folders: list[str] = []
        if folder:
            listing = await self.workspace.list(folder)
            folders = [f"{_one_line(f'{folder}/{one}')}/" for one in listing.directories]
            notes = sorted(listing.files, key=lambda note: note.modified, reverse=True)
        else:
            notes = list(await self.workspace.all_notes())
        if name:
            wanted = parse(name)
            folders, notes = [], [note for note in notes if wanted.rank(fold(note.name)) is not None]
        return _list_result(folders, notes)

    async def append(
        self,
        context: ToolContext,
        *,
        text: Annotated[str, "what to add"],
        path: Annotated[str | None, "the note; without it today's daily note"] = None,
        heading: Annotated[str | None, "add it at the end of the section under this heading"] = None,
    ) -> ToolResult:
        """Adds lines at the end of a note, which is made if it is not there yet."""
        if not text.strip():
            raise Invalid("There is no text to add.", field="text")
        path = path or self.workspace.daily_path()
        _must_be_writable(path)
        saved = await self.workspace.append(path, text, author="agent", heading=heading, turn=context)
        return ToolResult(f"Added to {_one_line(path)}:{saved.line}", f"added to {_one_line(path)}")

    async def write(
        self,
        context: ToolContext,
        *,
        path: Annotated[str, "the note, such as plans/garden.md"],
        content: Annotated[str, "all of its new text"],
    ) -> ToolResult:
        """Makes a text the whole content of a note, new or not. Read a note before you replace it."""
        _must_be_writable(path)
        saved = await self.workspace.write(path, content, author="agent", turn=context)
        lines = _count(len(split_lines(content)), "line")
        verb = "Made" if saved.created else "Wrote"
        return ToolResult(f"{verb} {_one_line(path)}: {lines}, {saved.size} bytes.", f"{_one_line(path)}, {lines}")

    async def done(
        self, context: ToolContext, *, text: Annotated[str, "words of the todo, enough to mean only one"]
    ) -> ToolResult:
        """Ticks the one open todo that holds these words; where several do, or none, it lists them and ticks none."""
        results = await self.finder.todos()
        hits = _matching(list(results.hits), text)
        if not hits:
            return ToolResult(f"No open todo matches in {_count(results.notes, 'note')}.", "no match")
        if len(hits) > 1:
            lines = [f"{_count(len(hits), 'open todo')} match; say more words of one", *map(_hit_line, hits)]
            return ToolResult("\n".join(lines), f"{len(hits)} match")
        return await self._tick(hits[0], context)

    async def _tick(self, hit: Hit, context: ToolContext) -> ToolResult:
        _must_be_writable(hit.path)
        lines = split_lines((await self.workspace.read(hit.path)).content)
        line = lines[hit.line - 1] if hit.line <= len(lines) else ""
        new = ticked(line)
        if new == line:
            raise Invalid("The note has changed meanwhile. Look again.", field="text")
        await self.workspace.replace_line(hit.path, hit.line, line, new, author="agent", turn=context)
        place = f"{_one_line(hit.path)}:{hit.line}"
        return ToolResult(f"Done in {place}\n-{_one_line(line)}\n+{_one_line(new)}", f"done: {place}")


def _matching(todos: "list[Hit]", text: str) -> "list[Hit]":
    """The todos that hold all the words; only those that say nothing else, where there are such."""
    wanted = parse(text)
    found = [hit for hit in todos if wanted.rank(fold(hit.snippet)) is not None]
    exact = [hit for hit in found if fold(_TODO_SIGN.sub("", hit.snippet, count=1)).split() == fold(text).split()]
    return exact or found


def _must_be_writable(path: str) -> None:
    if is_protected(path):
        name = path.rstrip("/").rpartition("/")[2]
        raise Invalid(f"{_one_line(name)} is written by people only; use another note.", field="path")
    if not is_note(path):
        raise Invalid("Only notes can be written: names that end in .md, .markdown or .txt.", field="path")


def _hits_result(results: Results, noun: str) -> ToolResult:
    notes = len({hit.path for hit in results.hits})
    lines = [f"{_count(len(results.hits), noun)} in {notes} of {_count(results.notes, 'note')}"]
    lines += [_hit_line(hit) for hit in results.hits]
    if results.truncated:
        lines.append("More lines match: use more words, or read the note.")
    return ToolResult("\n".join(lines), f"{_count(len(results.hits), noun)} in {_count(notes, 'note')}")


def _hit_line(hit: Hit) -> str:
    heading = f"\t# {hit.heading}" if hit.heading else ""
    return f"{_one_line(hit.path)}:{hit.line}:{hit.snippet}{heading}"


def _lines_result(path: str, lines: list[str], start: int, end: int | None) -> ToolResult:
    total, path = len(lines), _one_line(path)
    if not total:
        return ToolResult(f"{path} (lines 0-0 of 0)", "empty")
    last = min(end or total, total)
    if not 1 <= start <= last:
        raise Invalid(
            f"{path} has lines 1 to {total}; lines {start} to {end or total} are not in it.", field="start_line"
        )
    shown = _fitting(lines[start - 1 : last])
    stop = start + len(shown) - 1
    text = "\n".join([f"{path} (lines {start}-{stop} of {total})", *shown])
    if stop < last:
        text += f"\n[Cut here. Go on with start_line {stop + 1}.]"
    return ToolResult(text, _count(len(shown), "line"))


def _fitting(lines: list[str]) -> list[str]:
    """As many lines as one result takes, and at least one, which is cut where it is too long by itself."""
    size = 0
    for count, line in enumerate(lines[:MAX_LINES]):
        size += len(line) + 1
        if size > MAX_CHARACTERS:
            return lines[:count] or [f"{line[:MAX_CHARACTERS]}…"]
    return lines[:MAX_LINES]


def _list_result(folders: list[str], notes: list[NoteInfo]) -> ToolResult:
    lines = folders + [f"{_one_line(n.path)}\t{n.size}\t{codec.format_time(n.modified)}" for n in notes]
    if not lines:
        return ToolResult("Nothing is in it.", "nothing")
    preview = _count(len(notes), "note") if not folders else _count(len(lines), "entry", "entries")
    if len(lines) > MAX_LISTED:
        lines = [*lines[:MAX_LISTED], f"and {len(lines) - MAX_LISTED} more"]
    return ToolResult("\n".join(lines), preview)


def _one_line(text: str) -> str:
    """A name that can't forge a second line or drive a terminal."""
    return _BREAKS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"
