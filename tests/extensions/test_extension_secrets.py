"""Where tokens and commands from outside may go: cases S20, S80 and S81 of the threat list."""

import asyncio
import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiohttp.test_utils import TestClient
from chat_calls import MakeClient, call, say, turn
from conftest import ScriptedModel
from extensions.mcp_process import TOKEN_OF_SERVER, HostedServer, run_hosted, run_hosted_process  # noqa: F401
from extensions.stdio_ground import KEY, PROGRAM, SECRET, starts, write_manifest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401

from ironclaw.errors import Invalid
from ironclaw.extensions.manifest import parse
from ironclaw.extensions.session import HttpPlan, Refusals
from ironclaw.extensions.wire import http_client
from ironclaw.settings import Settings

PYTHON = sys.executable


async def ask(client: TestClient, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    response = await client.request(method, f"/api/extensions/{path}", json=body)
    return response.status, await response.json()


# S20: the token


@pytest.mark.process
@pytest.mark.timeout(120)
def test_s20_the_token_goes_in_one_header_to_one_host_and_is_nowhere_else(
    gateway_process: Callable[..., GatewayProcess], hosted: HostedServer, stand_in: StandInProcess
) -> None:
    old = os.umask(0)
    try:
        gateway = gateway_process(LOG_LEVEL="trace", LLM_BASE_URL=f"{stand_in.url}/v1", LLM_MODEL="obedient").start()
    finally:
        os.umask(old)
    replies: list[Any] = []

    def api(method: str, path: str, body: Any = None) -> Any:
        replies.append(gateway.request(method, path, body, timeout=60)[2])
        return replies[-1]

    api("POST", "/api/extensions/install", {"name": "github"})
    api("PUT", "/api/extensions/github/config", {"settings": {"url": hosted.url}})
    assert api("POST", "/api/extensions/github/auth", {"token": TOKEN_OF_SERVER})["authenticated"] is True
    asked = 'call github__get_issue {"number": 3}'
    assert "the boiler is cold" in api("POST", "/api/chat/send?wait=60", {"message": asked})["response"]["content"]
    api("POST", "/api/extensions/github/test")
    for path in ("/api/extensions/list", "/api/extensions/github", "/api/status", "/api/chat/history"):
        api("GET", path)
    api("POST", "/api/extensions/github/auth", {"token": TOKEN_OF_SERVER, "wrong": TOKEN_OF_SERVER})
    assert TOKEN_OF_SERVER not in json.dumps([str(one) for one in replies])

    requests = hosted.events("request")
    assert requests
    for request in requests:
        holders = [name for name, value in request["headers"].items() if TOKEN_OF_SERVER in value]
        assert holders == ["authorization"]
    assert TOKEN_OF_SERVER not in json.dumps(stand_in.events())  # what the model was sent

    with contextlib.closing(sqlite3.connect(gateway.home / "ironclaw.db")) as db:
        assert TOKEN_OF_SERVER not in "\n".join(db.iterdump())
    files = [path for path in gateway.home.rglob("*") if path.is_file()]
    assert {"ironclaw.db", "ironclaw.db-wal", "secrets.key"} <= {path.name for path in files}
    for path in files:
        assert TOKEN_OF_SERVER.encode() not in path.read_bytes(), path
        if path.parent == gateway.home and path.suffix not in {".json"}:
            assert path.stat().st_mode & 0o077 == 0 or path.name == "lock", path
    assert gateway.home.stat().st_mode & 0o077 == 0
    gateway.terminate()
    gateway.wait()
    assert TOKEN_OF_SERVER not in gateway.log


# S80: a command that comes in over HTTP


def servers(tmp_path: Path) -> dict[str, Any]:
    entry = {"command": PYTHON, "args": [str(PROGRAM), "good", str(tmp_path / "starts")], "env": {"KEY": SECRET}}
    return {"mcpServers": {"Pasted Server": entry}}


async def test_s80_a_pasted_command_is_kept_disabled_and_runs_only_as_it_was_confirmed(
    make_client: MakeClient, settings: Settings, tmp_path: Path
) -> None:
    client = await make_client(settings, llm=ScriptedModel(call("pasted-server__say", '{"text": "a"}'), say("done")))
    status, item = await ask(client, "POST", "install?wait=2", servers(tmp_path))
    assert status == 200
    assert (item["name"], item["state"], item["enabled"]) == ("pasted-server", "unconfirmed", False)
    _, shown = await ask(client, "GET", "pasted-server")
    assert shown["command"]["argv"] == [PYTHON, str(PROGRAM), "good", str(tmp_path / "starts")]
    assert shown["command"]["variables"] == ["KEY"]
    assert SECRET not in json.dumps(shown)
    for body in ({}, {"confirm": ""}, {"confirm": "0" * 64}):
        status, reply = await ask(client, "POST", "pasted-server/enable", body)
        assert (status, reply["error"]["code"]) == (409, "confirm_needed")
    assert (await ask(client, "POST", "pasted-server/test"))[1]["ok"] is False
    events = await turn(client, "go", thread_id="a")
    assert next(one for one in events if one["type"] == "tool_completed")["success"] is False
    assert starts(tmp_path / "starts") == []  # nothing of it has run

    confirm = {"confirm": shown["command"]["confirm"]}
    status, item = await ask(client, "POST", "pasted-server/enable?wait=20", confirm)
    assert (status, item["enabled"], item["tool_count"]) == (200, True, 6)
    assert len(starts(tmp_path / "starts")) == 1
    assert (await ask(client, "POST", "install", servers(tmp_path)))[0] == 409  # and none takes its place


async def test_s80_another_command_has_another_hash(client: TestClient, tmp_path: Path) -> None:
    hashes = set()
    for change in ({}, {"args": ["other"]}, {"command": "node"}, {"env": {"OTHER": SECRET}}):
        body = servers(tmp_path)
        body["mcpServers"]["Pasted Server"].update(change)
        await ask(client, "POST", "install", body)
        hashes.add((await ask(client, "GET", "pasted-server"))[1]["command"]["confirm"])
        await ask(client, "DELETE", "pasted-server")
    assert len(hashes) == 4


@pytest.mark.parametrize(
    "body",
    [
        {"name": "github", "command": "sh"},
        {"name": "github", "url": "http://evil.test/mcp"},
        {"name": "github", "mcpServers": {"a": {"command": "sh"}}},
        {"mcpServers": {}},
        {"mcpServers": {"a": {"command": "sh"}, "b": {"command": "sh"}}},
        {"mcpServers": {"a": {}}},
        {"mcpServers": {"a": {"command": "sh", "url": "http://x.test"}}},
        {"mcpServers": {"a": {"command": "sh", "args": "-c id"}}},
        {"mcpServers": {"a": {"command": "sh", "env": {"A": 1}}}},
        {"mcpServers": {"a": {"command": "sh", "env": {"A\nB": "x"}}}},
        {"mcpServers": {"a": {"url": "file:///etc/passwd"}}},
        {"mcpServers": {"a": {"url": "http://u:p@x.test/mcp"}}},
        {"mcpServers": {"a": {"command": "npx", "args": ["--call", "id"]}}},
        {"mcpServers": {"a": {"command": "uvx", "args": ["--with", "x", "y"]}}},
        {"mcpServers": {"a": {"command": "npx", "args": ["-y", "git+ssh://x/y"]}}},
        {"mcpServers": {"a": {"command": "uvx", "args": ["--from", "../x", "y"]}}},
    ],
    ids=json.dumps,
)
async def test_s80_what_is_no_plain_server_is_refused_and_nothing_is_kept(
    client: TestClient, body: dict[str, Any]
) -> None:
    assert (await ask(client, "POST", "install", body))[0] == 422
    assert (await ask(client, "GET", "list"))[1] == {"extensions": []}


async def test_s80_pasted_uvx_and_npx_become_packages_of_their_own(client: TestClient) -> None:
    for args, package in ((["uvx", "mcp-server-time"], "mcp-server-time"), (["npx", "-y", "@a/b@1.2"], "@a/b@1.2")):
        body = {"mcpServers": {"a": {"command": args[0], "args": [*args[1:], "--x={y}"]}}}
        await ask(client, "POST", "install", body)
        command = (await ask(client, "GET", "a"))[1]["command"]
        assert (command["package"], command["argv"][-1]) == (package, "--x={y}")
        await ask(client, "DELETE", "a")


async def test_s80_no_tool_of_the_agent_installs_enables_or_authenticates(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(say("1"))
    client = await make_client(settings, llm=model)
    await turn(client, "hello", thread_id="a")
    names = {tool.name.lower() for tool in model.requests[0].tools}
    assert names
    assert not [name for name in names if "extension" in name or "install" in name or "auth" in name]


# S81: where a secret may go


async def test_s81_a_redirect_to_another_host_is_not_followed_and_gets_no_token(
    make_client: MakeClient, settings: Settings, hosted: HostedServer
) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1 << 16))
        writer.close()

    other = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    one = call("github__get_issue", '{"number": 1}')
    client = await make_client(settings, llm=ScriptedModel(one, say("1"), one, say("2")))
    await ask(client, "POST", "install", {"name": "github"})
    await ask(client, "PUT", "github/config", {"settings": {"url": hosted.url}})
    assert (await ask(client, "POST", "github/auth", {"token": TOKEN_OF_SERVER}))[1]["authenticated"] is True
    for there in (f"http://127.0.0.1:{port}/mcp", f"http://localhost:{hosted.port}/mcp"):
        hosted.set(redirect=there)
        events = await turn(client, "go", thread_id="a")
        assert next(one for one in events if one["type"] == "tool_completed")["success"] is False
    _, item = await ask(client, "POST", "github/auth", {"token": TOKEN_OF_SERVER})
    assert item["authenticated"] is False  # a redirect is no word about the token
    assert heard == []
    assert {one["headers"]["host"] for one in hosted.events("request")} == {f"127.0.0.1:{hosted.port}"}
    other.close()
    await other.wait_closed()


async def test_s81_the_client_of_an_extension_reaches_its_own_origin_only_and_follows_nothing(
    hosted: HostedServer,
) -> None:
    plan = HttpPlan("x", hosted.url, {"Authorization": f"Bearer {TOKEN_OF_SERVER}"})
    async with http_client(plan, Refusals()) as client:
        for elsewhere in (
            f"http://localhost:{hosted.port}/mcp",
            f"http://127.0.0.1:{hosted.port + 1}/",
            "https://127.0.0.1/",
        ):
            with pytest.raises(httpx2.ConnectError, match="is not the server of this extension"):
                await client.get(elsewhere)
        hosted.set(redirect=f"http://localhost:{hosted.port}/mcp")
        assert (await client.get(hosted.url, follow_redirects=False)).status_code == 307
        with pytest.raises(httpx2.ConnectError):
            await client.get(hosted.url, follow_redirects=True)
    assert {one["headers"]["host"] for one in hosted.events("request")} == {f"127.0.0.1:{hosted.port}"}


async def test_s81_a_metadata_address_is_never_connected(client: TestClient) -> None:
    await ask(client, "POST", "install", {"name": "github"})
    await ask(client, "PUT", "github/config", {"settings": {"url": "http://169.254.169.254/mcp"}})
    _, item = await ask(client, "POST", "github/auth", {"token": TOKEN_OF_SERVER})
    assert item["authenticated"] is False
    assert "never connected" in item["error"]["message"]


async def test_s81_a_program_has_its_token_checked_where_its_manifest_says_and_gets_it_in_its_variable(
    make_client: MakeClient, settings: Settings, hosted: HostedServer
) -> None:
    assert settings.home is not None
    check = f'[check]\nurl = "http://127.0.0.1:{hosted.port}/me"\n'
    write_manifest(settings.home, "good", server='sandbox = false\nhosts = ["127.0.0.1"]', more=KEY + check)
    model = ScriptedModel(call("local__secret"), say("done"))
    client = await make_client(settings, llm=model)
    await ask(client, "POST", "install", {"name": "local"})
    status, reply = await ask(client, "POST", "local/auth", {"token": "wrong-token-1"})
    assert (status, reply["error"]["code"]) == (422, "token_refused")
    status, item = await ask(client, "POST", "local/auth", {"token": TOKEN_OF_SERVER})
    assert (status, item["authenticated"]) == (200, True)
    assert (await ask(client, "POST", "local/test"))[1]["ok"] is True
    sent = [(one["path"], one["headers"]["authorization"]) for one in hosted.events("request")]
    assert sent == [("/me", "Bearer wrong-token-1"), ("/me", f"Bearer {TOKEN_OF_SERVER}")]
    events = await turn(client, "go", thread_id="a")
    done = next(one for one in events if one["type"] == "tool_completed")
    assert done["preview"] == "My key is *** and that is that."


NOTES = """
name = "x"
version = "1"
title = "X"
description = "x"
[server]
kind = "node"
package = "x"
hosts = ["api.x.test"]
[[secrets]]
env = "KEY"
[check]
url = "https://{}/me"
"""


def test_s81_a_manifest_may_have_its_secret_checked_only_where_it_is_used() -> None:
    assert parse(NOTES.replace("{}", "api.x.test")).check.url == "https://api.x.test/me"
    for host in ("evil.test", "api.x.test.evil.test", "api.x.test@evil.test", "evil.test/api.x.test"):
        with pytest.raises(Invalid, match="must ask a host of the server"):
            parse(NOTES.replace("{}", host))
