"""The tool that tells the time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ironclaw.tools import Tool, ToolContext, ToolResult


async def _time(_: ToolContext, __: Mapping[str, Any]) -> ToolResult:
    moment = datetime.now().astimezone()
    offset = moment.strftime("%z")
    zone = f"{moment.tzname()}, UTC{offset[:3]}:{offset[3:]}"
    return ToolResult(f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M} ({zone})", preview=f"{moment:%H:%M}")


TIME = Tool(
    name="Time",
    description="The local date and time of this server, with its time zone.",
    parameters={"type": "object", "properties": {}, "additionalProperties": False},
    run=_time,
)
