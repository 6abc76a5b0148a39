"""A job's output over HTTP: whole, as it was written, or live from any place of it, as text, SSE or JSON lines."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import orjson
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import last_event_id, read_query, wants
from ironclaw.api.streams import Watched, aborted_when_broken
from ironclaw.jobs.models import Job
from ironclaw.jobs.output import Output
from ironclaw.jobs.text import MOST, harmless, piece_text
from ironclaw.values import frozen

_TEXT = "text/plain; charset=utf-8"
_RETRY = b"retry: 2000\n\n"


@frozen
class LogsQuery:
    """*follow*: stay while the job runs; *raw*: the bytes as printed; *last_event_id*: go on behind this place."""

    follow: bool = False
    raw: bool = False
    last_event_id: str | None = None


@frozen
class _Form:
    """How pieces of text and the end of the job go out."""

    media_type: str
    start: bytes
    piece: Callable[[str, int], bytes]
    end: Callable[[Job, int], bytes]


async def logs(request: web.Request) -> web.StreamResponse:
    """The output of a job."""
    query = read_query(request, LogsQuery)
    job = await request.app[SERVICES].jobs.find(request.match_info["id"])
    output = await asyncio.to_thread(request.app[SERVICES].jobs.output, job.id)
    place = last_event_id(request) or 0
    if query.raw:
        return await _raw(request, job, output, place)
    form = _form_of(request)
    follows = query.follow or form.media_type == "text/event-stream"
    with request.app[SERVICES].slots.take(), Watched(request) as client:
        response = web.StreamResponse(headers={"Content-Type": form.media_type, "X-Accel-Buffering": "no"})
        await response.prepare(request)
        with aborted_when_broken(request, response):
            if form.start:
                await client.send(response, form.start)
            if form.media_type != _TEXT:
                client.keep_alive(ndjson=form.media_type == "application/x-ndjson")
            async with aclosing(_pieces(output, place, follows=follows)) as pieces:
                async for text, place in pieces:
                    await client.send(response, form.piece(text, place))
            ended = await request.app[SERVICES].jobs.find(job.id)
            if ended.ended and (last := form.end(ended, place)):
                await client.send(response, last)
    return response


async def _pieces(output: Output, place: int, *, follows: bool) -> AsyncGenerator[tuple[str, int], None]:
    """The texts from *place* on, each with the place behind it; to the end of the job where it *follows*."""
    while True:
        closed, seen = output.closed, output.total
        while True:
            piece = await asyncio.to_thread(output.read, place, MOST)
            last = closed or not follows
            text, used = harmless(piece.data, final=last and piece.stop >= seen)
            if not used:
                break
            text, place = piece_text(piece, place, text), piece.start + used
            yield text, place
        if closed or not follows:
            return
        await output.more(seen)


async def _raw(request: web.Request, job: Job, output: Output, place: int) -> web.StreamResponse:
    """What is kept of the output, byte by byte, to be saved."""
    disposition = f'attachment; filename="{job.id}.log"'
    response = web.StreamResponse(
        headers={"Content-Type": "application/octet-stream", "Content-Disposition": disposition}
    )
    with Watched(request) as client, aborted_when_broken(request, response):
        await response.prepare(request)
        while (piece := await asyncio.to_thread(output.read, place, MOST)).data:
            await client.send(response, piece.data)
            place = piece.stop
    return response


def _form_of(request: web.Request) -> _Form:
    if wants(request, "text/event-stream"):
        return _Form("text/event-stream", _RETRY, _sse_piece, _sse_end)
    if wants(request, "application/x-ndjson"):
        return _Form("application/x-ndjson", b"", _json_piece, _json_end)
    return _Form(_TEXT, b"", lambda text, _: text.encode(), lambda *_: b"")


def _sse_piece(text: str, place: int) -> bytes:
    return b"id: %d\nevent: log\ndata: %s\n\n" % (place, orjson.dumps({"text": text}))


def _sse_end(job: Job, place: int) -> bytes:
    return b"id: %d\nevent: end\ndata: %s\n\n" % (place, orjson.dumps(_ending(job)))


def _json_piece(text: str, place: int) -> bytes:
    return orjson.dumps({"type": "log", "cursor": place, "text": text}) + b"\n"


def _json_end(job: Job, place: int) -> bytes:
    return orjson.dumps({"type": "end", "cursor": place, **_ending(job)}) + b"\n"


def _ending(job: Job) -> dict[str, object]:
    return {"status": job.status, "exit_code": job.exit_code, "reason": job.reason, "detail": job.detail}
