"""Tool calls that wait for a person, over HTTP."""

from typing import Literal

from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import read_body
from ironclaw.api.responses import json_response
from ironclaw.chat.models import Approval
from ironclaw.values import frozen


@frozen
class ApprovalList:
    """What waits, the oldest first."""

    approvals: list[Approval]


@frozen
class ApprovalAnswer:
    """The answer to one request. `always` also allows this tool on the same subject from now on."""

    request_id: str
    action: Literal["approve", "always", "deny"]


async def waiting(request: web.Request) -> web.StreamResponse:
    """All calls that wait."""
    return json_response(request, ApprovalList(await request.app[SERVICES].chat.approvals.waiting()))


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer one of them, once."""
    services = request.app[SERVICES]
    body = await read_body(request, ApprovalAnswer, services.settings.body_timeout)
    return json_response(request, await services.chat.approvals.settle(body.request_id, body.action))
