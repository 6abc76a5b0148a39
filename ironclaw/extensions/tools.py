"""The tools of extensions as the agent gets them: `name__tool`, with a risk that does not depend on the server's word."""

from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ironclaw.extensions.schema import FoundTool, tool_name
from ironclaw.extensions.session import Answer
from ironclaw.extensions.store import Record
from ironclaw.tools import Risk, Tool, ToolContext, ToolResult

Call = Callable[[ToolContext, FoundTool, Mapping[str, Any]], Awaitable[Answer]]
_SPARE = 70.0  # the first call also starts the server


def make_tools(record: Record, call: Call) -> tuple[Tool, ...]:
    """The tools that the server listed last."""
    return tuple(_tool(record, found, call) for found in record.tools or ())


def risk_of(record: Record, found: FoundTool) -> Risk:
    """Reading where the manifest says so; what a server says of its own tools counts for nothing."""
    reads = any(fnmatchcase(found.name, pattern) for pattern in record.manifest.tools.read)
    return Risk.READ if reads else Risk.ACT


def _tool(record: Record, found: FoundTool, call: Call) -> Tool:
    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        answer = await call(context, found, arguments)
        return ToolResult(answer.text or "It gave nothing.", success=answer.success)

    return Tool(
        name=tool_name(record.name, found.name),
        description=f"{found.description or found.name} (extension {record.name})",
        parameters=found.parameters,
        run=run,
        risk=risk_of(record, found),
        timeout=record.manifest.tools.timeout + _SPARE,
    )
