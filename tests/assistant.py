"""Talks to the built-in assistant as the turn loop does."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ironclaw.llm.builtin import BuiltinProvider
from ironclaw.llm.models import (
    Delta,
    ModelMessage,
    ModelRequest,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolSpec,
)
from ironclaw.tools import Tool, ToolContext, ToolResult

NAMES = (
    *("MemorySearch", "MemoryTodos", "MemoryDone", "FileRead", "FileList", "FileAppend", "FileWrite"),
    *("Time", "Status", "JobStart", "JobList"),
)
SPECS = tuple(ToolSpec(name, "", {}) for name in NAMES)
NO_MODEL = "That needs a language model, and none is connected."
STATUS = """\
host: tower
version: 0.1.0
up: 3 days
memory: 61 MiB
disk: 120 GB free
notes: 214 (4 changed today)
jobs: 1 running
tokens: 12 today
model: none"""


async def status(_: ToolContext, __: Any) -> ToolResult:
    return ToolResult(STATUS)


STATUS_TOOL = Tool("Status", "how it is", {"type": "object"}, status)


def day(ago: int = 0) -> str:
    return f"{datetime.now(UTC).astimezone().date() - timedelta(days=ago)}"


async def deltas(*messages: ModelMessage, tools: Sequence[ToolSpec] = SPECS, delay: float = 0) -> list[Delta]:
    provider = BuiltinProvider(word_delay=delay, hostname="tower")
    return [delta async for delta in provider.stream(ModelRequest(messages, tuple(tools)))]


def user(text: str) -> ModelMessage:
    return ModelMessage("user", text)


async def calls(text: str, *before: ModelMessage) -> list[tuple[str, dict[str, Any]]]:
    got = await deltas(*before, user(text))
    return [(d.name or "", json.loads(d.arguments)) for d in got if isinstance(d, ToolCallDelta)]


async def said(*messages: ModelMessage, tools: Sequence[ToolSpec] = SPECS) -> str:
    return "".join(d.text for d in await deltas(*messages, tools=tools) if isinstance(d, TextDelta))


async def answered(text: str, result: str, *before: ModelMessage) -> str:
    """The answer when the tool that *text* leads to gives *result*."""
    (planned,) = await calls(text, *before)
    call = ToolCall("c1", planned[0], json.dumps(planned[1]))
    return await said(
        *before, user(text), ModelMessage("assistant", "", (call,)), ModelMessage("tool", result, call_id="c1")
    )
