"""What tests of approvals share: a tool that must be asked for, a model that asks for it, and the person's answers."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp.test_utils import TestClient
from chat_calls import history

from ironclaw.llm.models import Finished, ToolCallDelta, Usage
from ironclaw.tools import Risk, Tool, ToolContext, ToolResult

SECRET = "sk-abcdefghijklmnop0123456789"
ENDED = {"completed", "stopped", "failed", "interrupted"}


class Shell:
    """A tool that acts, as far as anybody can tell: it keeps the commands that it was given."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
        self.tool = Tool("Shell", "runs", schema, self.run, Risk.ACT, subject=lambda arguments: arguments["command"])

    async def run(self, _: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        self.ran.append(arguments["command"])
        return ToolResult(f"ran {arguments['command']}")


def ask(command: str) -> list[object]:
    """A model's reply that calls Shell."""
    return [ToolCallDelta(0, json.dumps({"command": command}), "c0", "Shell"), Finished("tool_calls", Usage(1, 1, 0.0))]


def asks(*commands: str) -> list[object]:
    """One that calls it several times."""
    calls = [ToolCallDelta(n, json.dumps({"command": one}), f"c{n}", "Shell") for n, one in enumerate(commands)]
    return [*calls, Finished("tool_calls", Usage(1, 1, 0.0))]


async def approvals(client: TestClient) -> list[dict[str, Any]]:
    """What waits for a person."""
    return (await (await client.get("/api/chat/approvals")).json())["approvals"]


async def answer(client: TestClient, request_id: str, action: str) -> tuple[int, dict[str, Any]]:
    """Answer a request; the status and the body of the reply."""
    reply = await client.post("/api/chat/approval", json={"request_id": request_id, "action": action})
    return reply.status, await reply.json()


async def pause(client: TestClient, thread_id: str = "a", message: str = "x") -> dict[str, Any]:
    """Send a message whose turn comes to wait; the first request."""
    reply = await client.post("/api/chat/send?wait=20", json={"message": message, "thread_id": thread_id})
    body = await reply.json()
    assert (reply.status, body["state"]) == (202, "waiting"), body
    return body["pending_approval"]


async def until_waiting(client: TestClient, subject: str | None = None) -> dict[str, Any]:
    """The first request (of this subject), once there is one."""
    async with asyncio.timeout(10):
        while True:
            for one in await approvals(client):
                if subject in {None, one["subject"]}:
                    return one
            await asyncio.sleep(0.005)


async def settled(client: TestClient, place: int = 0, thread_id: str = "a") -> dict[str, Any]:
    """The turn at this place of a thread, commands left out, once it has ended."""
    async with asyncio.timeout(10):
        while True:
            turns = [one for one in await history(client, thread_id) if not one["command"]]
            if len(turns) > place and turns[place]["state"] in ENDED:
                return turns[place]
            await asyncio.sleep(0.005)
