"""The agent's tools on the workspace, and the plain-text form of their results.

The forms are fixed: models read them, and the built-in assistant (`llm/builtin/`) parses them.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from ironclaw import codec
from ironclaw.errors import Invalid
from ironclaw.memory import search
from ironclaw.memory.workspace import NoteInfo, Workspace, is_note, split_lines
from ironclaw.tools import Approval, Risk, Tool, ToolContext, ToolResult

PROTECTED = frozenset({"agents.md", "soul.md", "user.md", "identity.md"})
"""Who the agent is and how it works is for people to write."""

MAX_HITS = 100
MAX_LINES = 400
MAX_CHARACTERS = 40_000
MAX_LISTED = 200

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f]")

A = TypeVar("A")


@attrs.frozen
class _SearchArguments:
    query: str
    limit: int | None = None


@attrs.frozen
class _ReadArguments:
    path: str
    start_line: int | None = None
    end_line: int | None = None


@attrs.frozen
class _ListArguments:
    path: str | None = None


@attrs.frozen
class _AppendArguments:
    text: str
    path: str | None = None


@attrs.frozen
class _NoArguments:
    pass


def memory_tools(workspace: Workspace) -> tuple[Tool, ...]:
    """The tools that look at *workspace* and add to it."""
    calls = _Calls(workspace)
    return (
        Tool("MemorySearch", _SEARCH_TEXT, _SEARCH_SCHEMA, calls.search),
        Tool("MemoryTodos", "Lists every open `- [ ]` and TODO line of the notes.", _schema({}), calls.todos),
        Tool("FileRead", "Reads a note, or some lines of it.", _READ_SCHEMA, calls.read),
        Tool("FileList", _LIST_TEXT, _LIST_SCHEMA, calls.list),
        Tool("FileAppend", _APPEND_TEXT, _APPEND_SCHEMA, calls.append, risk=Risk.WRITE, approval=Approval.NEVER),
    )


@attrs.frozen
class _Calls:
    """The functions behind the tools; each gets the plain arguments as the model wrote them."""

    workspace: Workspace

    async def search(self, _: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        asked = _parsed(arguments, _SearchArguments)
        limit = min(max(asked.limit or 20, 1), MAX_HITS)
        results = await search.search(self.workspace, asked.query, limit=limit)
        if not results.hits:
            return ToolResult(f"No line matches in {_count(results.notes, 'note')}.", "no match")
        return _hits_result(results, "line")

    async def todos(self, _: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        _parsed(arguments, _NoArguments)
        results = await search.todos(self.workspace)
        if not results.hits:
            return ToolResult(f"No open todos in {_count(results.notes, 'note')}.", "no open todos")
        return _hits_result(results, "open todo")

    async def read(self, _: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        asked = _parsed(arguments, _ReadArguments)
        note = await self.workspace.read(asked.path)
        return _lines_result(note.path, split_lines(note.content), asked.start_line or 1, asked.end_line)

    async def list(self, _: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        path = (_parsed(arguments, _ListArguments).path or "").strip()
        if path:
            listing = await self.workspace.list(path)
            folder = path.removesuffix("/")
            names = [f"{_one_line(f'{folder}/{name}')}/" for name in listing.directories]
            notes = sorted(listing.files, key=lambda note: note.modified, reverse=True)
        else:
            names, notes = [], list(await self.workspace.all_notes())
        return _list_result(names, notes)

    async def append(self, _: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        asked = _parsed(arguments, _AppendArguments)
        if not asked.text.strip():
            raise Invalid("There is no text to add.", field="text")
        path = asked.path or self.workspace.daily_path()
        _must_be_writable(path)
        line = await self.workspace.append(path, asked.text)
        return ToolResult(f"Added to {_one_line(path)}:{line}", f"added to {_one_line(path)}")


def _parsed(arguments: Mapping[str, Any], cls: type[A]) -> A:
    return codec.structure(dict(arguments), cls)


def _must_be_writable(path: str) -> None:
    name = path.rstrip("/").rpartition("/")[2]
    if unicodedata.normalize("NFKC", name).casefold() in PROTECTED:
        raise Invalid(f"{_one_line(name)} is written by people only; use another note.", field="path")
    if not is_note(name):
        raise Invalid("Only notes can be added to: names that end in .md, .markdown or .txt.", field="path")


def _hits_result(results: search.Results, noun: str) -> ToolResult:
    notes = len({hit.path for hit in results.hits})
    lines = [f"{_count(len(results.hits), noun)} in {notes} of {_count(results.notes, 'note')}"]
    lines += [_hit_line(hit) for hit in results.hits]
    if results.truncated:
        lines.append("More lines match: use more words, or read the note.")
    return ToolResult("\n".join(lines), f"{_count(len(results.hits), noun)} in {_count(notes, 'note')}")


def _hit_line(hit: search.Hit) -> str:
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


def _schema(properties: Mapping[str, Any], *required: str) -> Mapping[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "description": description}


_SEARCH_TEXT = (
    'Finds lines in the notes that hold all the words (as beginnings of words) or the "quoted phrases".'
    " Gives path:line:text, and after a tab the heading above."
)
_SEARCH_SCHEMA = _schema(
    {"query": _text('words, or a "phrase" in quotes'), "limit": _number("how many lines at most (20; up to 100)")},
    "query",
)
_READ_SCHEMA = _schema(
    {
        "path": _text("the note, such as daily/2026-03-03.md"),
        "start_line": _number("the first line to read (1)"),
        "end_line": _number("the last line to read (the note's last)"),
    },
    "path",
)
_LIST_TEXT = "Lists the notes with size and time of change, the newest first: all of them, or what is in one folder."
_LIST_SCHEMA = _schema({"path": _text("a folder, such as daily; without it all notes")})
_APPEND_TEXT = "Adds lines at the end of a note, which is made if it is not there yet."
_APPEND_SCHEMA = _schema(
    {"text": _text("what to add"), "path": _text("the note; without it today's daily note")}, "text"
)
