"""The OpenAI-compatible API, `/v1`: bodies in, replies out. Who answers is decided in `ironclaw/openai/`."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol, TypeVar

from aiohttp import web

from ironclaw.api.keys import PRINCIPAL, SERVICES
from ironclaw.api.requests import PICTURES_LIMIT, check_json_type, read_bytes
from ironclaw.api.responses import json_response
from ironclaw.api.streams import Watched, aborted_when_broken
from ironclaw.errors import IronclawError
from ironclaw.llm.chunks import mapping, text
from ironclaw.openai.calls import parse_call
from ironclaw.openai.relay import Answer

_SIDE_CALL = "### Task:\n"  # how Open WebUI begins what it asks for a title, tags or follow-ups


class Asked(Protocol):
    """What a body asks for."""

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def stream(self) -> bool: ...  # noqa: D102


A = TypeVar("A", bound=Asked)


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """A chat completion, plain or streamed."""
    call = await read_call(request, partial(parse_call, needs="messages"), is_chat=True)
    thread_id = thread_of(request, call.fields)
    side_call = is_side_call(request, call.fields, call.fields["messages"])
    completions = request.app[SERVICES].openai.completions
    return await answer(request, call, lambda: completions.chat(call, thread_id=thread_id, side_call=side_call))


async def completions(request: web.Request) -> web.StreamResponse:
    """A completion of the old kind."""
    call = await read_call(request, partial(parse_call, needs="prompt"))
    return await answer(request, call, lambda: request.app[SERVICES].openai.completions.complete(call))


async def embeddings(request: web.Request) -> web.StreamResponse:
    """Embeddings."""
    call = await read_call(request, partial(parse_call, needs="input"))
    return await answer(request, call, lambda: request.app[SERVICES].openai.completions.embed(call))


async def models(request: web.Request) -> web.StreamResponse:
    """The models that can be named."""
    return json_response(request, {"object": "list", "data": await request.app[SERVICES].openai.models.listed()})


async def model(request: web.Request) -> web.StreamResponse:
    """One model."""
    return json_response(request, await request.app[SERVICES].openai.models.named(request.match_info["id"]))


async def read_call(request: web.Request, parse: Callable[[bytes], A], *, is_chat: bool = False) -> A:
    """What the body asks for, once its rates are spent: a refusal by one rate takes nothing from the other."""
    services = request.app[SERVICES]
    limits, who = services.limits, request[PRINCIPAL].name
    limits.api.check(who)
    try:
        check_json_type(request)
        call = parse(await read_bytes(request, services.settings.body_timeout, PICTURES_LIMIT))
    except IronclawError:
        await limits.spend(who, limits.api)
        raise
    if is_chat and services.openai.completions.is_for_agent(call.model):
        await limits.spend(who, limits.api, limits.chat)
    else:
        await limits.spend(who, limits.api)
    return call


async def answer(request: web.Request, call: Asked, ask: Callable[[], Awaitable[Answer]]) -> web.StreamResponse:
    """The reply, for as long as the client is there: when it leaves, the call to the model ends."""
    with (
        request.app[SERVICES].slots.take() if call.stream else contextlib.nullcontext(),
        Watched(request) as client,
    ):
        reply = await ask()
        if isinstance(reply.body, bytes):
            return web.Response(body=reply.body, headers=reply.headers)
        async with aclosing(reply.body) as pieces:
            first = await anext(pieces)  # what fails before it is a reply with a status of its own
            response = web.StreamResponse(headers={**reply.headers, "X-Accel-Buffering": "no"})
            await response.prepare(request)
            with aborted_when_broken(request, response):
                await client.send(response, first)
                client.keep_alive()
                async for piece in pieces:  # while the client does not read, nothing more is read from the model
                    await client.send(response, piece)
            return response


def thread_of(request: web.Request, fields: Mapping[str, Any]) -> str | None:
    """The thread that a call goes on with; None for none."""
    named = request.headers.get("X-IronClaw-Thread") or text(mapping(fields.get("metadata")).get("thread_id"))
    return named or None


def is_side_call(request: web.Request, fields: Mapping[str, Any], messages: Sequence[Any]) -> bool:
    """Whether a front end asks for itself (a title, tags, follow-ups), not for the person."""
    if request.headers.get("X-OpenWebUI-Task") or mapping(fields.get("metadata")).get("task"):
        return True
    return len(messages) == 1 and text(mapping(messages[0]).get("content")).startswith(_SIDE_CALL)
