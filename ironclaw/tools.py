"""What a tool is. Tools themselves ship with their noun; `agent/toolbox.py` joins them."""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

import attrs


class Risk(StrEnum):
    """What a call may do: look, change the workspace, or act on the world outside."""

    READ = "read"
    WRITE = "write"
    ACT = "act"


@attrs.frozen
class ToolResult:
    """What a call gave: *content* for the model, and for people a *preview* of one line."""

    content: str
    preview: str = ""
    success: bool = True


@attrs.frozen
class ToolContext:
    """Which turn a call belongs to."""

    thread_id: str
    message_id: str
    call_id: str


ToolFunction = Callable[[ToolContext, Mapping[str, Any]], Awaitable[ToolResult]]


@attrs.frozen
class Tool:
    """One thing the agent may call.

    *parameters* is the JSON Schema of the arguments (an object schema); *run* gets them as plain data and raises an
    `IronclawError` when the call can't be done, which the model then reads. *timeout* is in seconds.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: ToolFunction = attrs.field(eq=False)
    risk: Risk = Risk.READ
    timeout: float = 60.0
