"""`/v1/responses`: asks for a chat completion, tells of it in responses' own events, and keeps what can be gone on from."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from ironclaw.database import Database
from ironclaw.errors import IronclawError, NotFound
from ironclaw.llm.models import Delta, Waiting
from ironclaw.openai import store
from ironclaw.openai.completions import Completions
from ironclaw.openai.relay import Answer
from ironclaw.openai.responses_events import Event, ResponseBuilder, new_response_id
from ironclaw.openai.responses_input import Asked
from ironclaw.openai.responses_pieces import read_pieces
from ironclaw.redact import redact

_BOUNDS = store.Bounds()


class Responses:
    """Makes and keeps responses."""

    def __init__(self, completions: Completions, database: Database, bounds: store.Bounds = _BOUNDS) -> None:
        self._completions = completions
        self._database = database
        self._bounds = bounds

    async def create(self, asked: Asked, *, thread_id: str | None, side_call: bool) -> Answer:
        """A new response: the whole of it, or its events.

        Raises *NotFound* for an unknown previous response, *Invalid*, *ProviderError* and *BudgetSpent*.
        """
        call = asked.call(await self._before(asked.previous), self._completions.output_field)
        answer = await self._completions.chat(call, thread_id=thread_id, side_call=side_call)
        events = self._events(asked, read_pieces(answer, len(call.raw)))
        if asked.stream:
            return Answer({**answer.headers, "Content-Type": "text/event-stream"}, _lines(events))
        return Answer({**answer.headers, "Content-Type": "application/json"}, await _whole(events))

    async def _events(self, asked: Asked, deltas: AsyncGenerator[Delta, None]) -> AsyncGenerator[Event, None]:
        """Of a stream, an error after the first piece is the last event; any other is raised."""
        builder = ResponseBuilder(new_response_id(), asked.fields)
        began = False
        async with aclosing(deltas):
            try:
                async for delta in deltas:
                    if not began and not isinstance(delta, Waiting):
                        began = True
                        for event in builder.begin():
                            yield event
                    for event in builder.take(delta):
                        if event["type"] in {"response.completed", "response.incomplete"} and asked.store:
                            await self._keep(asked, builder)
                        yield event
            except IronclawError as error:
                if not (began and asked.stream):
                    raise
                yield builder.fail(error)

    async def _before(self, previous: str | None) -> list[dict[str, Any]]:
        if previous is None:
            return []
        parts = await self._database.read(lambda db: store.conversation(db, previous))
        if parts is None:
            raise NotFound(
                f"There is no response {previous} to go on from.",
                code="previous_response_not_found",
                field="previous_response_id",
            )
        return [message for part in parts for message in orjson.loads(part)]

    async def _keep(self, asked: Asked, builder: ResponseBuilder) -> None:
        stored = store.StoredResponse(
            id=builder.response["id"],
            previous_id=asked.previous,
            messages=orjson.dumps(_without_keys([*asked.messages, *builder.said])),
            response=orjson.dumps(_without_keys(builder.response)),
        )
        await self._database.write(store.keep(stored, int(time.time()), self._bounds))

    async def find(self, response_id: str) -> dict[str, Any]:
        """A kept response. Raises *NotFound*."""
        found = await self._database.read(lambda db: store.find(db, response_id))
        if found is None:
            raise _unknown(response_id)
        response: dict[str, Any] = orjson.loads(found)
        return response

    async def delete(self, response_id: str) -> None:
        """Forget a response. Raises *NotFound*."""
        if not await self._database.write(store.delete(response_id)):
            raise _unknown(response_id)


async def _lines(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for event in events:
            yield b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event))


async def _whole(events: AsyncGenerator[Event, None]) -> bytes:
    """The response as the last event has it."""
    last: Event = {}
    async with aclosing(events):
        async for event in events:
            last = event
    return orjson.dumps(last["response"])


def _unknown(response_id: str) -> NotFound:
    return NotFound(f"There is no response {response_id}.", code="response_not_found", field="response_id")


def _without_keys(value: Any) -> Any:
    """The same plain data without keys that somebody pasted into it: those are never stored."""
    if isinstance(value, str):
        return value if value.startswith("data:") else redact.remove_keys(value)
    if isinstance(value, list):
        return [_without_keys(one) for one in value]
    return {name: _without_keys(one) for name, one in value.items()} if isinstance(value, dict) else value
