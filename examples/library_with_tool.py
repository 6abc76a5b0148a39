"""The gateway as a library, without HTTP: it answers, and its agent calls a tool of this program.

    python examples/library_with_tool.py

prints what the built-in assistant says to `help`; then the events of a turn in which a stand-in for a language model calls
the tool `Lamp`, which asks first: here the program itself allows it. `home=None` leaves nothing on disk.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ironclaw import (
    ApprovalNeeded,
    Delta,
    Finished,
    Gateway,
    ModelRequest,
    Response,
    Risk,
    Settings,
    TextDelta,
    Tool,
    ToolCallDelta,
    ToolContext,
    ToolResult,
)

lamps = {"kitchen": False, "hall": False}


async def switch(context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
    """Do what the model asked for. Its arguments fit the schema below."""
    lamps[arguments["room"]] = arguments["on"]
    return ToolResult(f"The lamp is {'on' if arguments['on'] else 'off'}.")


LAMP = Tool(
    name="Lamp",
    description="Switches the lamp of a room on or off.",
    parameters={
        "type": "object",
        "properties": {"room": {"enum": list(lamps)}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
    },
    run=switch,
    risk=Risk.ACT,
)


class StandIn:
    """Calls the lamp, then says so: what a real model would do, without one."""

    name = model = "stand-in"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """One reply of the model."""
        last = request.messages[-1]
        if last.role == "tool":
            yield TextDelta("Done." if "is on" in last.content else "The lamp stays as it is.")
            yield Finished("stop")
        else:
            yield ToolCallDelta(0, '{"room": "kitchen", "on": true}', call_id="call-1", name="Lamp")
            yield Finished("tool_calls")


async def main() -> None:
    """Ask the built-in assistant, then send to the stand-in."""
    async with Gateway(Settings(home=None)) as gateway:
        print((await gateway.ask("help")).content, end="\n\n")
    async with Gateway(Settings(home=None), llm=StandIn(), tools=[LAMP]) as gateway:
        async for event in gateway.send("Light in the kitchen, please!"):
            print(event.kind, event.content if isinstance(event, Response) else "")
            if isinstance(event, ApprovalNeeded):
                await gateway.answer(event.request_id, "approve")
    print(f"In the kitchen it is {'light' if lamps['kitchen'] else 'dark'}.")


if __name__ == "__main__":
    asyncio.run(main())
