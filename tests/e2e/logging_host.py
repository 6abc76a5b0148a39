"""A host program that writes to its gateway's log what it is told: `python tests/e2e/logging_host.py HOME TOKEN`.

Each line of its stdin is JSON: `{"level": "warning", "text": "...", "count": 3, "trace": "..."}`. `{}` in the text is the
number of the line; with a trace, an error with that text is logged. It says where it serves in HOME/gateway.json, as
`ironclaw run` does.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from ironclaw import Gateway, Settings

log = logging.getLogger("ironclaw.pump")


def write(wish: dict[str, Any]) -> None:
    """Log what is wished."""
    error = RuntimeError(wish["trace"]) if "trace" in wish else None
    for number in range(wish.get("count", 1)):
        log.log(logging.getLevelName(wish["level"].upper()), wish["text"].replace("{}", str(number)), exc_info=error)


async def main(home: Path, token: str) -> None:
    """Serve until the process is ended."""
    logging.getLogger("ironclaw").setLevel(logging.INFO)
    loop = asyncio.get_running_loop()
    settings = Settings(home=home, auth_token=token, api_rate=0, chat_rate=0, word_delay=0.0, llm_discover=False)
    runner = web.AppRunner(Gateway(settings).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["GATEWAY_PORT"])).start()
    facts = {"pid": os.getpid(), "url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    (home / "gateway.json").write_text(json.dumps(facts))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        write(json.loads(line))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
