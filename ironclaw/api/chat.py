"""Messages over HTTP: send in its five forms (plain, wait, SSE, NDJSON, text), and stop."""

import asyncio
import contextlib
import hashlib
import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

import attrs
from aiohttp import web

from ironclaw import codec
from ironclaw.api.frames import ndjson_frames, sse_frames
from ironclaw.api.keys import PRINCIPAL, SERVICES
from ironclaw.api.requests import PICTURES_LIMIT, content_type, parse_json, read_body, read_bytes, read_query, wants
from ironclaw.api.responses import json_response
from ironclaw.api.streams import (
    OPEN_STREAMS,
    StreamClient,
    aborted_when_broken,
    connected,
    ndjson_response,
    sse_response,
    streaming,
    until_gone,
)
from ironclaw.chat import attachments
from ironclaw.chat.attachments import Attachment
from ironclaw.chat.models import Accepted, Approval, TurnState, check_message, check_thread_id
from ironclaw.errors import BadRequest, Invalid, IronclawError, ProviderError
from ironclaw.events import TURN_END_KINDS, Event, TurnUsage
from ironclaw.hub import Released
from ironclaw.services import Services
from ironclaw.values import frozen

_DEFAULT_WAIT = 120
_LONGEST_WAIT = 600
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@frozen
class AttachedFile:
    """A file that comes with a message: a picture or a text; *data* is its bytes in base64."""

    name: str
    media_type: str
    data: str = attrs.field(repr=False)


@frozen
class SendMessage:
    """A message. Without *thread_id* it goes to the default thread; *ephemeral* keeps no thread at all.

    *approvals* `deny` refuses tools that would ask for an approval.
    """

    message: str
    thread_id: str | None = None
    ephemeral: bool = False
    approvals: Literal["ask", "deny"] = "ask"
    attachments: list[AttachedFile] = attrs.Factory(list)


@frozen
class SendQuery:
    """*wait*: answer when the turn has ended, or after this many seconds (default 120, at most 600)."""

    wait: str | None = None


@frozen
class Answer:
    """What the agent said."""

    content: str
    usage: TurnUsage


@frozen(kw_only=True)
class Sent:
    """An accepted message; with ?wait also its answer, once there is one, and the turn's *state*.

    *pending_approval* is the call that waits for a person, where the turn waits for one.
    """

    status: str = "ok"
    message_id: str
    thread_id: str | None = attrs.field()
    state: str | None = None
    response: Answer | None = None
    pending_approval: Approval | None = None


@frozen
class StopTurn:
    """Which thread; *queued* `drop` also ends what waits behind the running turn."""

    thread_id: str
    queued: str = "keep"


@frozen
class StopReply:
    """*status* is `stopped`, or `idle` when nothing ran."""

    status: str


@frozen
class Done:
    """It is done."""

    status: str = "ok"


async def send(request: web.Request) -> web.StreamResponse:
    """Take a message, and answer in the form that the caller asked for."""
    services = request.app[SERVICES]
    services.limits.api.check(request[PRINCIPAL].name)
    # A stream's place is taken before anything else: a refusal must not leave a turn behind.
    with services.slots.take() if _wants_stream(request) else contextlib.nullcontext():
        return await _send(request, services)


def _wants_stream(request: web.Request) -> bool:
    return any(wants(request, kind) for kind in ("text/event-stream", "application/x-ndjson", "text/plain"))


async def _send(request: web.Request, services: Services) -> web.StreamResponse:
    try:
        body = await _message(request, services.settings.body_timeout)
        wait = _wait_seconds(read_query(request, SendQuery).wait)
    except IronclawError:
        await _spend(request, is_message=False)  # no message came of it, but it was a call
        raise
    if body.ephemeral:
        await _spend(request, is_message=True)
        return await _answer_ephemeral(request, services, body, wait)
    message_id = str(uuid.uuid4())
    # Subscribed before it is accepted, so that not even its first event is missed.
    with services.hub.subscribe(message_id=message_id) as subscription:
        accepted = await _accept(request, services, body, message_id)
        live = _until_end(aiter(subscription))
        events = services.hub.follow(accepted.message_id) if accepted.replayed else live
        async with aclosing(events):
            return await _reply(request, accepted, events, wait)


async def _message(request: web.Request, timeout: float) -> SendMessage:
    body = await read_bytes(request, timeout, PICTURES_LIMIT)
    message = parse_json(request, body, SendMessage) if content_type(request) != "text/plain" else _plain_message(body)
    check_message(message.message)
    if message.thread_id is not None:
        check_thread_id(message.thread_id)
    return message


def _plain_message(body: bytes) -> SendMessage:
    try:
        return SendMessage(body.decode())
    except UnicodeDecodeError:
        raise BadRequest("The text is not UTF-8.") from None


def _wait_seconds(text: str | None) -> int | None:
    if text is None:
        return None
    if text.lower() in {"", "true"}:
        return _DEFAULT_WAIT
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise BadRequest(f"`wait` must be a number of seconds, at most {_LONGEST_WAIT}.", field="wait")
    return min(int(text), _LONGEST_WAIT)


async def _accept(request: web.Request, services: Services, body: SendMessage, message_id: str) -> Accepted:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        await _spend(request, is_message=True)
        return await services.chat.accept(
            body.message,
            thread_id=body.thread_id,
            message_id=message_id,
            can_ask=body.approvals == "ask",
            files=await _files(body),
        )
    if not _KEY.fullmatch(key):
        raise BadRequest("An Idempotency-Key has 1 to 200 printable characters.", field="Idempotency-Key")
    fingerprint = await asyncio.to_thread(lambda: hashlib.sha256(codec.dumps(body)).hexdigest())
    replay = await services.chat.find_replay(key, fingerprint)
    await _spend(request, is_message=replay is None)
    return replay or await services.chat.accept(
        body.message,
        thread_id=body.thread_id,
        message_id=message_id,
        key=key,
        fingerprint=fingerprint,
        can_ask=body.approvals == "ask",
        files=await _files(body),
    )


async def _files(body: SendMessage) -> list[Attachment]:
    """What comes with the message. Raises *Invalid*."""
    if not body.attachments:
        return []
    if len(body.attachments) > attachments.MOST:  # before any of them is decoded
        raise Invalid(f"A message takes at most {attachments.MOST} files.", field="attachments")
    given = [(one.name, one.media_type, one.data, f"attachments[{at}]") for at, one in enumerate(body.attachments)]
    return await asyncio.to_thread(lambda: [attachments.read(*one) for one in given])


async def _spend(request: web.Request, *, is_message: bool) -> None:
    """A message costs one of both rates, or nothing when either is used up; a replay makes no turn, so it is none."""
    limits = request.app[SERVICES].limits
    await limits.spend(request[PRINCIPAL].name, limits.api, *((limits.chat,) if is_message else ()))


async def _until_end(events: AsyncGenerator[Released, None]) -> AsyncGenerator[Released, None]:
    async for event in events:
        yield event
        if event.kind in TURN_END_KINDS:
            return


async def _reply(
    request: web.Request, accepted: Accepted, events: AsyncGenerator[Released, None], wait: int | None
) -> web.StreamResponse:
    if wants(request, "text/event-stream") or wants(request, "application/x-ndjson"):
        return await _stream(request, events)
    if wants(request, "text/plain"):
        return await _stream_text(request, events)
    sent = Sent(message_id=accepted.message_id, thread_id=accepted.thread_id or None)
    if wait is None:
        return json_response(request, sent)
    return await _wait(request, sent, events, wait)


async def _wait(
    request: web.Request, sent: Sent, events: AsyncGenerator[Released, None], seconds: int
) -> web.StreamResponse:
    end: Released | None = None
    try:
        async with asyncio.timeout(seconds):
            async for event in events:
                end = event
                if event.kind == "approval_needed":
                    return await _waits_for_person(request, sent)
    except TimeoutError:
        end = None
    if end is None or end.kind not in TURN_END_KINDS:
        return json_response(request, attrs.evolve(sent, state="running"), status=202)
    fields = codec.loads(end.body)
    if end.kind == "turn_failed" and fields["code"] == TurnState.INTERRUPTED:
        return json_response(request, attrs.evolve(sent, state=TurnState.INTERRUPTED.value), status=202)
    if end.kind == "turn_failed":
        raise _failure(fields)
    answer = Answer(fields["content"], codec.structure(fields["usage"], TurnUsage))
    state = TurnState.COMPLETED if end.kind == "response" else TurnState.STOPPED
    return json_response(request, attrs.evolve(sent, state=state.value, response=answer))


async def _waits_for_person(request: web.Request, sent: Sent) -> web.StreamResponse:
    waiting = await request.app[SERVICES].chat.approvals.waiting(sent.thread_id)
    first = next((one for one in waiting if one.message_id == sent.message_id), None)
    state = TurnState.WAITING if first is not None else TurnState.RUNNING
    return json_response(request, attrs.evolve(sent, state=state.value, pending_approval=first), status=202)


def _failure(fields: dict[str, str]) -> IronclawError:
    return ProviderError(fields["message"], code=fields["code"])


async def _stream(request: web.Request, events: AsyncGenerator[Released, None]) -> web.StreamResponse:
    """The turn's events until it has ended, as SSE or NDJSON. Who leaves early changes nothing: the turn goes on."""
    ndjson = wants(request, "application/x-ndjson")
    frames = ndjson_frames if ndjson else sse_frames
    response = ndjson_response() if ndjson else sse_response(allow_all_methods=True)
    async with streaming(request, response, ndjson=ndjson, greet=not ndjson) as client:
        async for event in until_gone(client, events):
            await response.write(frames([event]))
    return response


async def _stream_text(request: web.Request, events: AsyncGenerator[Released, None]) -> web.StreamResponse:
    """Just the answer, as it is written. A failure is a status before the first byte, a broken connection after it."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8", "X-Accel-Buffering": "no"})
    client = StreamClient(connected(request), ndjson_frames, None, b"")
    with aborted_when_broken(request, response), request.app[OPEN_STREAMS].holding(client, client.end):
        async for event in until_gone(client, events):
            text = _text_of(event, started=response.prepared)
            if text and not response.prepared:
                await response.prepare(request)
            if text:
                await response.write(text.encode())
    return response


def _text_of(event: Released, *, started: bool) -> str:
    """What an event adds to the text. Raises *ProviderError* for a failed turn."""
    if event.kind not in {"stream_chunk", *TURN_END_KINDS}:
        return ""
    fields = codec.loads(event.body)
    if event.kind == "turn_failed":
        raise _failure(fields)
    if event.kind == "stream_chunk":
        return str(fields["content"])
    return "\n" if started else f"{fields['content']}\n"


async def _answer_ephemeral(
    request: web.Request, services: Services, body: SendMessage, wait: int | None
) -> web.StreamResponse:
    if wait is None and not _wants_stream(request):
        raise Invalid(
            "Nothing is kept of an ephemeral message, so its answer must be waited for: add ?wait.", field="ephemeral"
        )
    message_id = str(uuid.uuid4())
    events = _number(services.chat.ephemeral.answer(body.message, message_id, await _files(body)))
    async with aclosing(events):
        return await _reply(request, Accepted(message_id, ""), events, wait or _DEFAULT_WAIT)


async def _number(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Released, None]:
    """Events that nobody else sees, numbered for this reply alone."""
    number = 0
    async with aclosing(events):
        async for event in events:
            number += 1
            yield Released(number, event.kind, None, None, codec.dumps(event), event)


async def stop(request: web.Request) -> web.StreamResponse:
    """End the running turn of a thread."""
    services = request.app[SERVICES]
    body = await read_body(request, StopTurn, services.settings.body_timeout)
    if body.queued not in {"keep", "drop"}:
        raise Invalid("`queued` must be keep or drop.", field="queued")
    stopped = await services.chat.stop(body.thread_id, drop_queued=body.queued == "drop")
    return json_response(request, StopReply("stopped" if stopped else "idle"))
