"""All conversations as one file, out and in again. One thread as a file is in `threads.py`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from ironclaw import codec
from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import IMPORT_LIMIT, parse_json, read_bytes, read_query
from ironclaw.api.responses import json_response
from ironclaw.api.streams import aborted_when_broken
from ironclaw.api.threads import ExportQuery, check_format
from ironclaw.chat.export import as_markdown
from ironclaw.chat.importing import Imported, Importer, check
from ironclaw.chat.models import ExportedThread
from ironclaw.chat.service import ChatService
from ironclaw.errors import Invalid, NotFound
from ironclaw.values import frozen

_FORMAT = "ironclaw-conversations"
_STALLED = 60.0  # seconds that a client may read nothing


@frozen(kw_only=True)
class Conversations:
    """Exported threads, the oldest first. *format* says what it is, *exported_at* when it was made; neither is needed."""

    format: str = _FORMAT
    exported_at: str | None = None
    threads: list[ExportedThread]


@frozen
class ImportReply:
    """What became of each thread, in the order of the file."""

    threads: list[Imported]


async def export(request: web.Request) -> web.StreamResponse:
    """All threads, sent while they are read."""
    kind = check_format(read_query(request, ExportQuery).format)
    pieces = (_as_json if kind == "json" else _as_markdown)(request.app[SERVICES].chat)
    ending, media_type = ("json", "application/json") if kind == "json" else ("md", "text/markdown; charset=utf-8")
    response = web.StreamResponse(
        headers={
            "Content-Type": media_type,
            "Content-Disposition": f'attachment; filename="ironclaw-conversations.{ending}"',
        }
    )
    with aborted_when_broken(request, response):
        await response.prepare(request)
        async with aclosing(pieces) as found:
            async for piece in found:
                await _send(response, piece)
    return response


async def _send(response: web.StreamResponse, piece: bytes) -> None:
    try:
        async with asyncio.timeout(_STALLED):
            await response.write(piece)
    except TimeoutError:
        raise ConnectionError("The client does not read.") from None


async def _threads(chat: ChatService, *, whole: bool) -> AsyncGenerator[ExportedThread, None]:
    """All threads there are now, the oldest first. What is deleted meanwhile is left out."""
    for id_ in await chat.thread_ids():
        try:
            yield await chat.export(id_, whole=whole)
        except NotFound:
            continue


async def _as_json(chat: ChatService) -> AsyncGenerator[bytes, None]:
    head = codec.dumps({"format": _FORMAT, "exported_at": codec.format_time(codec.now())})
    yield head.removesuffix(b"}") + b',"threads":['
    before = b"\n"
    async with aclosing(_threads(chat, whole=True)) as threads:
        async for thread in threads:
            yield before + codec.dumps(thread)
            before = b",\n"
    yield b"]}\n"


async def _as_markdown(chat: ChatService) -> AsyncGenerator[bytes, None]:
    before = ""
    async with aclosing(_threads(chat, whole=False)) as threads:
        async for one in threads:
            yield (before + as_markdown(one)).encode()
            before = "\n---\n\n"


async def import_(request: web.Request) -> web.StreamResponse:
    """Take in threads; the same file again changes nothing."""
    services = request.app[SERVICES]
    body = await read_bytes(request, 4 * services.settings.body_timeout, IMPORT_LIMIT)
    threads = await asyncio.to_thread(_parse, request, body)
    importer = Importer(services.hub, services.database, services.settings.user_id)
    return json_response(request, ImportReply([await importer.add(one) for one in threads]))


def _parse(request: web.Request, body: bytes) -> list[ExportedThread]:
    found = parse_json(request, body, Conversations)
    if found.format != _FORMAT:
        raise Invalid(f"`format` must be {_FORMAT}.", field="format")
    return [check(one, f"threads.{number}.") for number, one in enumerate(found.threads)]
