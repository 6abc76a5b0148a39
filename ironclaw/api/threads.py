"""Threads and their history over HTTP."""

import attrs
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import cursor_of, limit_of, read_body, read_query
from ironclaw.api.responses import json_response
from ironclaw.chat.models import History, Thread
from ironclaw.errors import Invalid

__all__ = ["History", "Thread"]  # part of what these routes answer

_MOST_TITLE = 200


@attrs.frozen
class Page:
    """*limit* items (at most 200), from *cursor* on."""

    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class ThreadList:
    """A page of threads. *default_thread_id* is where messages without a thread go."""

    threads: list[Thread]
    default_thread_id: str
    next_cursor: str | None = attrs.field()


@attrs.frozen
class CreateThread:
    """A title, and an id of the caller's own choice; both may be left out."""

    title: str = ""
    thread_id: str | None = None


@attrs.frozen
class ChangeThread:
    """What is given is changed."""

    title: str | None = None
    pinned: bool | None = None


@attrs.frozen
class ForkThread:
    """The message before which the new thread ends."""

    message_id: str


@attrs.frozen
class HistoryQuery:
    """Whose history (the default thread's without *thread_id*), *limit* turns (at most 200), older ones by *cursor*."""

    thread_id: str | None = None
    limit: int = 50
    cursor: str | None = None


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
    return json_response(request, await services.chat.change_thread(request.match_info["id"], title, body.pinned))


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete a thread."""
    await request.app[SERVICES].chat.delete_thread(request.match_info["id"])
    return json_response(request, {"status": "ok"})


async def fork(request: web.Request) -> web.StreamResponse:
    """Branch off before a message."""
    services = request.app[SERVICES]
    body = await read_body(request, ForkThread, services.settings.body_timeout)
    thread = await services.chat.fork_thread(request.match_info["id"], body.message_id)
    return json_response(request, thread, status=201)


async def history(request: web.Request) -> web.StreamResponse:
    """A page of turns."""
    query = read_query(request, HistoryQuery)
    chat = request.app[SERVICES].chat
    found = await chat.history(query.thread_id, limit_of(query.limit, 200), cursor_of(query.cursor))
    return json_response(request, found)


def _title(title: str) -> str:
    if len(title) > _MOST_TITLE or "\0" in title:
        raise Invalid(f"A title has at most {_MOST_TITLE} characters, and no NUL.", field="title")
    return " ".join(title.split())
