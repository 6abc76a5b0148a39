"""`/v1/responses`: bodies in, responses out. How one is made stands in `ironclaw/openai/responses.py`."""

from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.openai import answer, is_side_call, read_call, thread_of
from ironclaw.api.responses import json_response
from ironclaw.openai.responses_input import parse_request


async def create(request: web.Request) -> web.StreamResponse:
    """A response, whole or as events."""
    asked = await read_call(request, parse_request, is_chat=True)
    thread_id = thread_of(request, asked.fields)
    side_call = is_side_call(request, asked.fields, asked.messages)
    responses = request.app[SERVICES].openai.responses
    return await answer(request, asked, lambda: responses.create(asked, thread_id=thread_id, side_call=side_call))


async def read(request: web.Request) -> web.StreamResponse:
    """A kept response."""
    return json_response(request, await request.app[SERVICES].openai.responses.find(request.match_info["id"]))


async def delete(request: web.Request) -> web.StreamResponse:
    """Forget a response."""
    response_id = request.match_info["id"]
    await request.app[SERVICES].openai.responses.delete(response_id)
    return json_response(request, {"id": response_id, "object": "response.deleted", "deleted": True})
