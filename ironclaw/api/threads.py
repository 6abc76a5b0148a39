"""Threads and their history over HTTP."""

import re

import attrs
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import cursor_of, limit_of, read_body, read_query
from ironclaw.api.responses import json_response
from ironclaw.chat.export import as_markdown
from ironclaw.chat.models import ExportedThread, History, Thread, check_thread_id
from ironclaw.chat.search import SearchHit
from ironclaw.errors import BadRequest, Invalid
from ironclaw.values import frozen

__all__ = ["ExportedThread", "History", "Thread"]  # part of what these routes answer

_MOST_TITLE = 200


@frozen
class Page:
    """*limit* items (at most 200), from *cursor* on."""

    limit: int = 50
    cursor: str | None = None


@frozen(kw_only=True)
class ThreadList:
    """A page of threads. *default_thread_id* is where messages without a thread go."""

    threads: list[Thread]
    default_thread_id: str
    next_cursor: str | None = attrs.field()


@frozen
class CreateThread:
    """A title, and an id of the caller's own choice; both may be left out."""

    title: str = ""
    thread_id: str | None = None


@frozen
class ChangeThread:
    """What is given is changed."""

    title: str | None = None
    pinned: bool | None = None


@frozen
class ForkThread:
    """The message before which the new thread ends."""

    message_id: str


@frozen
class HistoryQuery:
    """Whose history (the default thread's without *thread_id*), *limit* turns (at most 200), older ones by *cursor*."""

    thread_id: str | None = None
    limit: int = 50
    cursor: str | None = None


@frozen
class SearchQuery:
    """What to look for, and at most how many places (at most 100)."""

    query: str
    limit: int = 20


@frozen
class SearchReply:
    """Where it was said, the newest first; *truncated* says that there is more."""

    results: list[SearchHit]
    truncated: bool


@frozen
class ExportQuery:
    """*format* is `json` or `markdown`."""

    format: str = "json"


async def list_threads(request: web.Request) -> web.StreamResponse:
    """A page of threads."""
    query = read_query(request, Page)
    chat = request.app[SERVICES].chat
    threads, more = await chat.threads(limit_of(query.limit, 200), cursor_of(query.cursor))
    cursor = str(more) if more is not None else None
    return json_response(
        request, ThreadList(threads=threads, default_thread_id=chat.default_thread(), next_cursor=cursor)
    )


async def create(request: web.Request) -> web.StreamResponse:
    """An empty thread."""
    services = request.app[SERVICES]
    body = await read_body(request, CreateThread, services.settings.body_timeout)
    thread = await services.chat.create_thread(body.thread_id, _title(body.title))
    return json_response(request, thread, status=201)


async def change(request: web.Request) -> web.StreamResponse:
    """Rename or pin."""
    services = request.app[SERVICES]
    body = await read_body(request, ChangeThread, services.settings.body_timeout)
    title = None if body.title is None else _title(body.title)
    return json_response(request, await services.chat.change_thread(_thread_id(request), title, body.pinned))


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete a thread."""
    await request.app[SERVICES].chat.delete_thread(_thread_id(request))
    return json_response(request, {"status": "ok"})


async def fork(request: web.Request) -> web.StreamResponse:
    """Branch off before a message."""
    services = request.app[SERVICES]
    body = await read_body(request, ForkThread, services.settings.body_timeout)
    thread = await services.chat.fork_thread(_thread_id(request), body.message_id)
    return json_response(request, thread, status=201)


async def history(request: web.Request) -> web.StreamResponse:
    """A page of turns."""
    query = read_query(request, HistoryQuery)
    chat = request.app[SERVICES].chat
    found = await chat.history(query.thread_id, limit_of(query.limit, 200), cursor_of(query.cursor))
    return json_response(request, found)


async def search(request: web.Request) -> web.StreamResponse:
    """Full text over all threads."""
    query = read_query(request, SearchQuery)
    results, truncated = await request.app[SERVICES].chat.search(query.query, limit_of(query.limit, 100))
    return json_response(request, SearchReply(results, truncated))


async def export(request: web.Request) -> web.StreamResponse:
    """A thread as a file."""
    kind = check_format(read_query(request, ExportQuery).format)
    exported = await request.app[SERVICES].chat.export(_thread_id(request), whole=kind == "json")
    ending = "json" if kind == "json" else "md"
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(exported.thread.title)}.{ending}"'}
    if kind == "json":
        return json_response(request, exported, headers=headers)
    text = as_markdown(exported)
    return web.Response(text=text, content_type="text/markdown", charset="utf-8", headers=headers)


def check_format(kind: str) -> str:
    """The format as it is. Raises *BadRequest* for one that there is not."""
    if kind not in {"json", "markdown"}:
        raise BadRequest("`format` must be json or markdown.", field="format")
    return kind


def _file_name(title: str) -> str:
    """A title as a plain file name: what a header and every file system take."""
    return re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")[:60] or "conversation"


def _thread_id(request: web.Request) -> str:
    return check_thread_id(request.match_info["id"])


def _title(title: str) -> str:
    if len(title) > _MOST_TITLE or "\0" in title:
        raise Invalid(f"A title has at most {_MOST_TITLE} characters, and no NUL.", field="title")
    return " ".join(title.split())
