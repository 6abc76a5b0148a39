"""The notes over HTTP: listing, reading, searching, changing, versions. The bytes of files are `memory_raw.py`."""

import asyncio
from typing import TypeVar

import attrs
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import (
    ANY_TEXT,
    content_type,
    cursor_of,
    limit_of,
    parse_json,
    read_body,
    read_bytes,
    read_query,
    wants,
)
from ironclaw.api.responses import json_response
from ironclaw.errors import BadRequest, Invalid, NotFound
from ironclaw.memory.notes import Note, NoteInfo
from ironclaw.memory.search import Hit
from ironclaw.memory.store import Version
from ironclaw.memory.versions import text_of, unified_diff
from ironclaw.memory.workspace import ANY, MISSING, Saved, Workspace
from ironclaw.redact import printable
from ironclaw.values import frozen

__all__ = ["Note", "Saved"]  # part of what these routes answer

T = TypeVar("T")

_MOST_FILES = 1000
_MOST_HITS = 200


@frozen
class FolderQuery:
    """The folder *path* (without it the workspace itself), at most *limit* entries (1,000), from *cursor* on."""

    path: str = attrs.field(default="", metadata=ANY_TEXT)
    limit: int = _MOST_FILES
    cursor: str | None = attrs.field(default=None, metadata=ANY_TEXT)


@frozen
class TreeQuery:
    """At most *limit* entries (1,000), from *cursor* on."""

    limit: int = _MOST_FILES
    cursor: str | None = attrs.field(default=None, metadata=ANY_TEXT)


@frozen(kw_only=True)
class FileList:
    """Files and folders: of one folder by name, of the whole tree by path."""

    files: list[NoteInfo]
    directories: list[str]
    next_cursor: str | None = attrs.field()


@frozen
class FileQuery:
    """The file *path*."""

    path: str = attrs.field(metadata=ANY_TEXT)


@frozen
class NoteSearch:
    """What to look for, in the folder or file *path*; *limit* lines (at most 200), each with *context* lines around it."""

    query: str = attrs.field(metadata=ANY_TEXT)
    limit: int = 50
    path: str = attrs.field(default="", metadata=ANY_TEXT)
    context: int = 0


@frozen
class NoteHits:
    """The lines that match, the best first; *notes* were searched, *truncated* says that more lines match."""

    results: list[Hit]
    notes: int
    truncated: bool


@frozen
class WriteNote:
    """The whole text of a file. With *etag* only where that is still the file's; an empty one: where there is no file."""

    path: str
    content: str
    etag: str | None = None


@frozen
class AppendText:
    """Text to add at the end of a note (today's without *path*), or of the section under *heading*."""

    text: str
    path: str | None = None
    heading: str | None = None


@frozen
class AppendQuery:
    """The note that a text/plain body is added to (today's without it)."""

    path: str | None = attrs.field(default=None, metadata=ANY_TEXT)


@frozen
class MoveFile:
    """A file and its new path."""

    path: str
    to: str
    etag: str | None = None


@frozen
class VersionsQuery:
    """The versions of *path*, or of all files; or one, by *id*, with its text; *diff*: against another id, or `now`."""

    path: str | None = attrs.field(default=None, metadata=ANY_TEXT)
    id: str | None = None
    diff: str | None = None
    limit: int = 50
    cursor: str | None = None


@frozen(kw_only=True)
class VersionList:
    """Versions, the newest first; of one alone also its text (none where it is no text, or was not kept), or a diff."""

    versions: list[Version]
    next_cursor: str | None = attrs.field()
    content: str | None = None
    diff: str | None = None


@frozen
class RestoreVersion:
    """A file and the version that it is to be again."""

    path: str
    id: str
    etag: str | None = None


async def list_files(request: web.Request) -> web.StreamResponse:
    """What is in a folder."""
    query = read_query(request, FolderQuery)
    limit = limit_of(query.limit, _MOST_FILES)
    found = await _workspace(request).list(query.path, limit=limit, after=query.cursor)
    return json_response(request, FileList(files=found.files, directories=found.directories, next_cursor=found.after))


async def tree(request: web.Request) -> web.StreamResponse:
    """All files and folders."""
    query = read_query(request, TreeQuery)
    found = await _workspace(request).tree(limit=limit_of(query.limit, _MOST_FILES), after=query.cursor)
    return json_response(request, FileList(files=found.files, directories=found.directories, next_cursor=found.after))


async def read(request: web.Request) -> web.StreamResponse:
    """A file's text."""
    note = await _workspace(request).read(read_query(request, FileQuery).path)
    return json_response(request, note, headers={"ETag": f'"{note.etag}"'})


async def search(request: web.Request) -> web.StreamResponse:
    """Lines of the notes."""
    query = read_query(request, NoteSearch)
    limit = limit_of(query.limit, _MOST_HITS)
    finder = request.app[SERVICES].search
    found = await finder.search(query.query, limit=limit, path=query.path, context=query.context)
    if wants(request, "text/plain"):
        lines = "".join(f"{printable(hit.path)}:{hit.line}:{hit.snippet}\n" for hit in found.hits)
        return web.Response(text=lines, content_type="text/plain", charset="utf-8")
    return json_response(request, NoteHits(list(found.hits), found.notes, found.truncated))


async def write(request: web.Request) -> web.StreamResponse:
    """Make a text the content of a file."""
    body = await _body(request, WriteNote)
    saved = await _workspace(request).write(body.path, body.content, author="person", expect=expected(body.etag))
    return saved_response(request, saved)


async def append(request: web.Request) -> web.StreamResponse:
    """Add lines to a note."""
    data = await read_bytes(request, request.app[SERVICES].settings.body_timeout)
    if content_type(request) == "text/plain":
        body = AppendText(_plain(data), read_query(request, AppendQuery).path)
    else:
        body = parse_json(request, data, AppendText)
    if not body.text.strip():
        raise Invalid("There is no text to add.", field="text")
    workspace = _workspace(request)
    path = body.path if body.path is not None else workspace.daily_path()
    saved = await workspace.append(path, body.text, author="person", heading=body.heading)
    return saved_response(request, saved)


async def move(request: web.Request) -> web.StreamResponse:
    """Give a file another path."""
    body = await _body(request, MoveFile)
    saved = await _workspace(request).move(body.path, body.to, author="person", expect=expected(body.etag))
    return saved_response(request, saved)


async def versions(request: web.Request) -> web.StreamResponse:
    """What files were before."""
    query = read_query(request, VersionsQuery)
    if query.id is not None or query.diff is not None:
        return json_response(request, await _one_version(_workspace(request), query))
    page = await _workspace(request).history(query.path, limit_of(query.limit, 200), cursor_of(query.cursor))
    return json_response(request, VersionList(versions=page[0], next_cursor=page[1]))


async def restore(request: web.Request) -> web.StreamResponse:
    """Make a file what it was."""
    body = await _body(request, RestoreVersion)
    saved = await _workspace(request).restore(body.path, body.id, author="person", expect=expected(body.etag))
    return saved_response(request, saved)


def expected(etag: str | None) -> frozenset[str]:
    """What a file must be: this etag (with or without quotes), not there (an empty one), or anything (None)."""
    return ANY if etag is None else frozenset({etag.strip('"') or MISSING})


def saved_response(request: web.Request, saved: Saved, *, status: int = 200) -> web.Response:
    """The reply to a change: what the file is now."""
    headers = {"ETag": f'"{saved.etag}"'} if saved.etag is not None else {}
    return json_response(request, saved, status=status, headers=headers)


async def _one_version(workspace: Workspace, query: VersionsQuery) -> VersionList:
    if query.path is None or query.id is None:
        raise BadRequest("A version is asked for by `path` and `id`.", field="id")
    found = await workspace.version(query.path, query.id)
    shown = VersionList(versions=[found.version], next_cursor=None)
    if query.diff is None:
        return attrs.evolve(shown, content=_text_or_none(found.data, query.path))
    old = text_of(found.data or b"", query.path)
    new = await _other(workspace, query.path, query.diff)
    names = (f"{query.path} {query.id}", f"{query.path} {query.diff}")
    return attrs.evolve(shown, diff=await asyncio.to_thread(unified_diff, old, new, names))


async def _other(workspace: Workspace, path: str, which: str) -> str:
    """The text that a version is compared with; none where the file was or is gone."""
    if which != "now":
        return text_of((await workspace.version(path, which)).data or b"", path)
    try:
        return (await workspace.read(path)).content
    except NotFound:
        return ""


def _text_or_none(data: bytes | None, path: str) -> str | None:
    try:
        return text_of(data, path) if data is not None else None
    except Invalid:
        return None


def _plain(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadRequest("The text is not UTF-8.") from None


def _workspace(request: web.Request) -> Workspace:
    return request.app[SERVICES].workspace


async def _body(request: web.Request, cls: type[T]) -> T:
    return await read_body(request, cls, request.app[SERVICES].settings.body_timeout)
