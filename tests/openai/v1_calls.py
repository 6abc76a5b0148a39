"""What the tests of `/v1` share: a gateway in front of the stand-in model server, calls, and streams read to their end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from llm.stand_in_process import StandInProcess

from ironclaw.settings import Settings

CHAT = "/v1/chat/completions"
MakeClient = Callable[..., Awaitable[TestClient]]


@pytest.fixture(name="relayed")
async def open_relayed(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> AsyncIterator[TestClient]:
    """A client of a gateway whose model is `hello` of the stand-in."""
    client = await make_client(before(settings, stand_in))
    tasks = asyncio.all_tasks()
    yield client
    await settled(tasks)


def before(settings: Settings, stand_in: StandInProcess, **more: Any) -> Settings:
    """Settings of a gateway in front of the stand-in."""
    return attrs.evolve(settings, llm_base_url=f"{stand_in.url}/v1", llm_model="hello", **more)


async def settled(tasks: set["asyncio.Task[Any]"]) -> None:
    """Wait until no task is left that was not there, but for those that serve open connections."""
    for _ in range(200):
        left = asyncio.all_tasks() - tasks - {asyncio.current_task()}
        if {one.get_coro().__qualname__ for one in left} <= {"RequestHandler.start"}:  # type: ignore[union-attr]
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"left over: {left}")


def asked(model: str = "hello", text: str = "Hi", **more: Any) -> dict[str, Any]:
    """A call's body."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def chat(client: TestClient, body: Any, status: int = 200, path: str = CHAT, **headers: str) -> dict[str, Any]:
    """The reply to a call that must end with *status*."""
    response = await client.post(path, json=body, headers=headers)
    reply = await response.json()
    assert response.status == status, reply
    return reply  # type: ignore[no-any-return]


async def stream(client: TestClient, body: dict[str, Any], path: str = CHAT) -> list[Any]:
    """The events of a streamed call, as JSON; `[DONE]` as text."""
    response = await client.post(path, json={**body, "stream": True})
    assert response.status == 200, await response.text()
    assert response.content_type == "text/event-stream"
    return events_of(await response.read())


def events_of(data: bytes) -> list[Any]:
    """What the `data:` lines hold."""
    lines = [line[6:] for line in data.decode().split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def text_of(events: list[Any]) -> str:
    """The text of a streamed reply."""
    choices = [choice for one in events if one != "[DONE]" for choice in one.get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def read_until(response: ClientResponse, wanted: bytes) -> bytes:
    """What came until *wanted* had."""
    data = b""
    while wanted not in data:
        more = await response.content.readany()
        assert more, data
        data += more
    return data


async def usage_of(client: TestClient) -> dict[str, Any]:
    """The totals of GET /api/usage."""
    return (await (await client.get("/api/usage?days=1")).json())["totals"]  # type: ignore[no-any-return]
