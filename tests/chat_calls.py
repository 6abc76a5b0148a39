"""What tests of the chat say over HTTP, and what a scripted model answers."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.test_utils import TestClient

from ironclaw.llm.models import Finished, TextDelta, ToolCallDelta, Usage

MakeClient = Callable[..., Awaitable[TestClient]]
END = {"response", "stopped", "turn_failed"}


def say(*words: str, usage: Usage = Usage(2, 1, 0.5)) -> list[object]:  # noqa: B008
    return [*(TextDelta(word) for word in words), Finished("stop", usage)]


def call(name: str, arguments: str = "{}", call_id: str = "c1", index: int = 0) -> list[object]:
    return [ToolCallDelta(index, arguments, call_id, name), Finished("tool_calls", Usage(1, 1, 0.0))]


async def send(client: TestClient, message: str, **more: Any) -> dict[str, Any]:
    response = await client.post("/api/chat/send", json={"message": message, **more})
    body = await response.json()
    assert response.status == 200, body
    return body


async def turn(client: TestClient, message: str, **more: Any) -> list[dict[str, Any]]:
    """The events of one turn."""
    response = await client.post(
        "/api/chat/send", json={"message": message, **more}, headers={"Accept": "application/x-ndjson"}
    )
    assert response.status == 200, await response.text()
    return [json.loads(line) async for line in response.content]


async def history(client: TestClient, thread_id: str) -> list[dict[str, Any]]:
    return (await (await client.get(f"/api/chat/history?thread_id={thread_id}")).json())["turns"]
