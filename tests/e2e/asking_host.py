"""A host program whose gateway has tools that must be asked about: `python tests/e2e/asking_host.py HOME TOKEN`.

`Lamp` may be allowed always, `Shred` never; what they did stands in HOME/done.txt, one line a call. When it serves, it
says where in HOME/gateway.json, as `ironclaw run` does.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

from aiohttp import web

from ironclaw import Gateway, Risk, Settings, ToolContext, ToolResult
from ironclaw.tools import Approval, make_tool


async def main(home: Path, token: str) -> None:
    """Serve until the process is ended."""

    async def lamp(_: ToolContext, *, room: str) -> ToolResult:
        """Switches the lamp of a room."""
        return done(f"lamp {room}")

    async def shred(_: ToolContext, *, command: Annotated[str, "what to run"]) -> ToolResult:
        """Destroys something."""
        return done(f"shred {command}")

    def done(what: str) -> ToolResult:
        with (home / "done.txt").open("a") as file:
            file.write(f"{what}\n")
        return ToolResult(f"Did {what}.")

    tools = [
        make_tool(lamp, name="Lamp", risk=Risk.ACT, subject=lambda arguments: f"lamp in the {arguments['room']}"),
        make_tool(
            shred,
            name="Shred",
            risk=Risk.ACT,
            approval=Approval.ALWAYS,
            subject=lambda arguments: str(arguments["command"]),
        ),
    ]
    settings = Settings(home=home, auth_token=token, api_rate=0, chat_rate=0, word_delay=0.0, llm_discover=False)
    runner = web.AppRunner(Gateway(settings, tools=tools).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    facts = {"pid": os.getpid(), "url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    (home / "gateway.json").write_text(json.dumps(facts))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
