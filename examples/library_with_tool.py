"""The gateway as a library, without HTTP: it answers, and its agent calls a tool of this program.

    python examples/library_with_tool.py

prints what the built-in assistant says to `help`; then, event by event, a turn in which a stand-in for a language model
calls the tool `Lamp`. `home=None` leaves nothing on disk.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ironclaw import (
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
    """Do what the model asked for. Its arguments are whatever it wrote: check them."""
    room, on = arguments.get("room"), arguments.get("on")
    if room not in lamps or not isinstance(on, bool):
        return ToolResult(f"There are lamps in: {', '.join(lamps)}. `on` is true or false.", success=False)
    lamps[room] = on
    return ToolResult(f"The lamp in the {room} is {'on' if on else 'off'}.")


LAMP = Tool(
    name="Lamp",
    description="Switches the lamp of a room on or off.",
    parameters={
        "type": "object",
        "properties": {"room": {"enum": list(lamps)}, "on": {"type": "boolean"}},
    },
    run=switch,
    risk=Risk.ACT,
)


class StandIn:
    """Calls the lamp, then repeats what the lamp said: what a real model would do, without one."""

    name = "stand-in"
    model = "stand-in-1"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """One reply of the model."""
        last = request.messages[-1]
        if last.role == "tool":
            yield TextDelta(f"Done. {last.content}")
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
    print(f"In the kitchen it is {'light' if lamps['kitchen'] else 'dark'}.")


if __name__ == "__main__":
    asyncio.run(main())
