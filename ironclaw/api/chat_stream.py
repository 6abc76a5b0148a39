"""The live events of the chat as a long stream: SSE, or NDJSON by Accept."""

import contextlib

from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import last_event_id, read_query, wants
from ironclaw.api.streams import StreamClient, ndjson_response, sse_response, streaming
from ironclaw.chat.models import check_thread_id
from ironclaw.errors import BadRequest
from ironclaw.events import NAMES
from ironclaw.hub import Hub
from ironclaw.values import frozen


@frozen
class EventsQuery:
    """*thread_id*: that thread's events only; *types*: only these, separated by commas; *last_event_id*: resume."""

    thread_id: str | None = None
    types: str | None = None
    last_event_id: str | None = None


def types_of(text: str | None) -> frozenset[str] | None:
    """The kinds of events asked for. Raises *BadRequest* for one that there is not."""
    if not text:
        return None
    types = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := sorted(types - NAMES):
        raise BadRequest(f"There is no event {unknown[0]}; there are {', '.join(sorted(NAMES))}.", field="types")
    return types


async def events(request: web.Request) -> web.StreamResponse:
    """Join the hub and stay."""
    query = read_query(request, EventsQuery)
    types = types_of(query.types)
    thread_id = check_thread_id(query.thread_id) if query.thread_id else None
    after = last_event_id(request)
    ndjson = wants(request, "application/x-ndjson") and not wants(request, "text/event-stream")
    response = ndjson_response() if ndjson else sse_response()
    with request.app[SERVICES].slots.take():
        return await _join(request, response, types, thread_id, after, ndjson=ndjson)


async def _join(
    request: web.Request,
    response: web.StreamResponse,
    types: frozenset[str] | None,
    thread_id: str | None,
    after: int | None,
    *,
    ndjson: bool,
) -> web.StreamResponse:
    async with streaming(request, response, ndjson=ndjson) as client:
        client.types = types
        await stay(request.app[SERVICES].hub, client, thread_id, after)
    return response


async def stay(hub: Hub, client: StreamClient, thread_id: str | None, after: int | None) -> None:
    """Keep *client* in the hub until it is gone."""
    with contextlib.suppress(ConnectionError):
        await hub.join(client, thread_id, after)
        try:
            await client.closed
        finally:
            hub.leave(client, thread_id)
