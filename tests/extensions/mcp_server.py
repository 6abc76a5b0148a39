"""A stand-in for a hosted MCP server, as a process of its own: the SDK's server over streamable HTTP, behind a token.

Each line of its log is one request: method, path and all headers, or one call of a tool. `POST /control` changes the token
that it takes, or lets it redirect.
"""

import argparse
import json
import socket
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("stand-in")
facts: dict[str, Any] = {"token": "", "redirect": None, "header": "authorization"}
log_path = Path()


def note(event: str, **more: Any) -> None:
    with log_path.open("a") as log:
        log.write(json.dumps({"event": event, **more}) + "\n")


@server.tool()
def get_issue(number: int) -> str:
    """One issue."""
    note("call", tool="get_issue", number=number)
    return f"Issue {number}: the boiler is cold"


@server.tool()
def create_issue(title: str) -> str:
    """Open an issue."""
    note("call", tool="create_issue", title=title)
    return f"Opened: {title}"


@server.tool()
def echo_secret() -> str:
    """Says the token that it was given, as a careless server might."""
    return f"Your token is {facts['token']}, by the way."


class Front:
    """Logs what comes, and lets through what has the token."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"] == "/control":
            facts.update(json.loads((await receive())["body"]))
            await answer(send, 200)
            return
        note("request", method=scope["method"], path=scope["path"], headers=headers)
        if facts["redirect"]:
            await answer(send, 307, [(b"location", facts["redirect"].encode())])
        elif headers.get(facts["header"]) != f"Bearer {facts['token']}":
            await answer(send, 401, [(b"www-authenticate", b"Bearer")])
        elif scope["path"] == "/me":
            await answer(send, 200)
        else:
            await self._app(scope, receive, send)


async def answer(send: Any, status: int, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers or []})
    await send({"type": "http.response.body", "body": b"{}"})


def main() -> None:
    global log_path  # noqa: PLW0603 - a program of one file
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--token", required=True)
    given = parser.parse_args()
    log_path = given.log
    facts["token"] = given.token
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    note("listening", port=listening.getsockname()[1])
    app = Front(server.streamable_http_app())
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


main()
