"""Extensions over HTTP: the contract's three calls, their tools in a turn, how tokens live, and what is refused."""

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from approval_calls import answer, until_waiting
from chat_calls import MakeClient, call, say, turn
from conftest import ScriptedModel
from extensions.mcp_process import TOKEN_OF_SERVER, HostedServer, run_hosted, run_hosted_process  # noqa: F401

from ironclaw.settings import Settings


async def ask(client: TestClient, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    response = await client.request(method, f"/api/extensions/{path}", json=body)
    return response.status, await response.json()


async def install_github(client: TestClient, hosted: HostedServer) -> None:
    assert (await ask(client, "POST", "install", {"name": "github", "registry": "builtin"}))[0] == 200
    status, body = await ask(client, "PUT", "github/config", {"settings": {"url": hosted.url}})
    assert (status, body["hosts"]) == (200, ["127.0.0.1"])


async def ready_github(client: TestClient, hosted: HostedServer) -> None:
    await install_github(client, hosted)
    status, body = await ask(client, "POST", "github/auth", {"token": TOKEN_OF_SERVER})
    assert (status, body["authenticated"]) == (200, True), body


async def the_one(client: TestClient) -> dict[str, Any]:
    _, body = await ask(client, "GET", "list")
    return body["extensions"][0]


async def test_the_three_calls_of_the_contract_as_printed(client: TestClient, hosted: HostedServer) -> None:
    assert await ask(client, "GET", "list") == (200, {"extensions": []})
    status, item = await ask(client, "POST", "install", {"name": "github", "registry": "builtin"})
    assert (status, item["name"], item["authenticated"]) == (200, "github", False)
    assert (await ask(client, "POST", "install", {"name": "github", "registry": "builtin"})) == (200, item)
    await ask(client, "PUT", "github/config", {"settings": {"url": hosted.url}})
    assert (await ask(client, "POST", "github/auth", {"token": "ghp_abc123xyz456"}))[0] == 200
    one = await the_one(client)
    assert {key: one[key] for key in ("name", "version", "enabled", "authenticated")} == {
        "name": "github",
        "version": "1.0.0",
        "enabled": True,
        "authenticated": True,
    }


async def test_a_turn_reads_with_a_tool_of_it_and_asks_before_it_writes(
    make_client: MakeClient, settings: Settings, hosted: HostedServer
) -> None:
    model = ScriptedModel(
        call("github__get_issue", '{"number": 7}'),
        call("github__create_issue", '{"title": "Cold"}', "c2"),
        say("done"),
    )
    client = await make_client(settings, llm=model)
    await ready_github(client, hosted)
    running = asyncio.create_task(turn(client, "look", thread_id="a"))
    pending = await until_waiting(client)
    assert pending["name"] == "github__create_issue"
    assert [one["tool"] for one in hosted.events("call")] == ["get_issue"]
    assert (await answer(client, pending["request_id"], "approve"))[0] == 200
    events = await running
    done = [one for one in events if one["type"] == "tool_completed"]
    assert [(one["name"], one["success"]) for one in done] == [
        ("github__get_issue", True),
        ("github__create_issue", True),
    ]
    assert "the boiler is cold" in done[0]["preview"]
    assert hosted.events("call")[1] == {"event": "call", "tool": "create_issue", "title": "Cold"}
    told = model.requests[1].messages[-1].content
    assert told.startswith("data ")  # marked as what a stranger says
    assert "from github__get_issue" in told


async def test_a_wrong_token_is_refused_and_not_kept(client: TestClient, hosted: HostedServer) -> None:
    await install_github(client, hosted)
    status, body = await ask(client, "POST", "github/auth", {"token": "ghp_wrongwrong"})
    assert (status, body["error"]["code"], body["error"]["field"]) == (422, "token_refused", "token")
    _, shown = await ask(client, "GET", "github")
    assert (shown["authenticated"], shown["secrets"][0]["set"], shown["state"]) == (False, False, "needs_token")


async def test_a_401_later_takes_authenticated_back_and_a_new_token_gives_it_again(
    make_client: MakeClient, settings: Settings, hosted: HostedServer
) -> None:
    client = await make_client(settings, llm=ScriptedModel(call("github__get_issue", '{"number": 7}'), say("done")))
    await ready_github(client, hosted)
    hosted.set(token="ghp_the_next_one")
    events = await turn(client, "look", thread_id="a")
    done = next(one for one in events if one["type"] == "tool_completed")
    assert (done["success"], "token" in done["preview"]) == (False, True)
    one = await the_one(client)
    assert (one["authenticated"], one["state"], one["error"]["code"]) == (False, "needs_token", "token_refused")
    status, body = await ask(client, "POST", "github/auth", {"token": "ghp_the_next_one"})
    assert (status, body["authenticated"], body.get("error")) == (200, True, None)


async def test_a_token_that_can_not_be_checked_now_is_kept_and_not_called_authenticated(
    client: TestClient, unused_tcp_port: int
) -> None:
    await ask(client, "POST", "install", {"name": "github"})
    await ask(client, "PUT", "github/config", {"settings": {"url": f"http://127.0.0.1:{unused_tcp_port}/mcp"}})
    status, body = await ask(client, "POST", "github/auth", {"token": "ghp_abc123xyz456"})
    assert (status, body["authenticated"], body["state"]) == (200, False, "failed")
    assert "can't be used at" in body["error"]["message"]


async def test_a_new_address_forgets_the_token_of_the_old_one(client: TestClient, hosted: HostedServer) -> None:
    await ready_github(client, hosted)
    seen = len(hosted.events("request"))
    status, body = await ask(client, "PUT", "github/config", {"settings": {"url": "http://127.0.0.1:9/mcp"}})
    assert (status, body["authenticated"], body["secrets"][0]["set"]) == (200, False, False)
    await ask(client, "PUT", "github/config", {"settings": {"url": hosted.url}})
    assert (await the_one(client))["state"] == "needs_token"
    assert len(hosted.events("request")) == seen


async def test_what_goes_on_is_told_in_events(client: TestClient, hosted: HostedServer) -> None:
    stream = await client.get(
        "/api/chat/events?types=auth_required,auth_completed,extension_updated",
        headers={"Accept": "application/x-ndjson"},
    )
    await install_github(client, hosted)
    await ask(client, "POST", "github/auth", {"token": "ghp_wrongwrong"})
    await ask(client, "POST", "github/auth", {"token": TOKEN_OF_SERVER})
    await ask(client, "DELETE", "github")
    lines: list[bytes] = []
    while not any(b'"removed"' in line for line in lines):
        lines.append(await asyncio.wait_for(stream.content.readline(), 10))
    text = b"".join(lines).decode()
    assert text.index('"auth_required"') < text.index('"auth_completed"')
    assert "ghp_" not in text


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc", ".git", "x" * 300, "-rf", "gith\u0443b", "a--b", "GitHub", "a/b", "", "list", "git hub", "a\n"],
)
async def test_s76_a_name_that_is_no_plain_word_is_refused_before_anything_is_read_or_made(
    client: TestClient, settings: Settings, name: str
) -> None:
    status, body = await ask(client, "POST", "install", {"name": name})
    assert (status, body["error"]["field"]) == (422, "name")
    assert settings.home is not None
    assert not (settings.home / "extensions").exists()
    assert await ask(client, "GET", "list") == (200, {"extensions": []})


async def test_a_name_that_no_registry_has_says_where_to_look(client: TestClient) -> None:
    status, body = await ask(client, "POST", "install", {"name": "githib"})
    assert (status, "ironclaw extensions search" in body["error"]["message"]) == (404, True)
    assert (await ask(client, "POST", "install", {"name": "github", "registry": "clawhub"}))[0] == 404


async def test_the_registry_lists_what_can_be_installed_with_what_it_asks_for(client: TestClient) -> None:
    status, body = await ask(client, "GET", "registry?query=issues")
    assert status == 200
    found = {one["name"]: one for one in body["extensions"]}
    assert found["github"]["installed"] is False
    assert found["github"]["hosts"] == ["api.githubcopilot.com"]
    assert found["github"]["secrets"][0]["title"] == "Personal access token"


async def test_removing_deletes_the_token_too(client: TestClient, hosted: HostedServer, settings: Settings) -> None:
    await ready_github(client, hosted)
    assert await ask(client, "DELETE", "github") == (200, {"status": "removed", "name": "github"})
    assert (await ask(client, "GET", "github"))[0] == 404
    await install_github(client, hosted)
    assert (await the_one(client))["state"] == "needs_token"
    assert settings.home is not None
    assert not (settings.home / "extensions" / "github").exists()


async def test_an_own_manifest_that_only_this_test_knows_works(
    make_client: MakeClient, settings: Settings, hosted: HostedServer
) -> None:
    assert settings.home is not None
    folder = settings.home / "extensions"
    folder.mkdir(parents=True)
    (folder / "tracker.toml").write_text(MANIFEST.replace("ADDRESS", hosted.url))
    client = await make_client(settings, llm=ScriptedModel(call("tracker__get_issue", '{"number": 1}'), say("done")))
    status, item = await ask(client, "POST", "install", {"name": "tracker"})
    assert (status, item["version"], item["registry"], item["state"]) == (200, "3.1", "own", "needs_token")
    hosted.set(header="x-key")
    status, item = await ask(client, "POST", "tracker/auth", {"token": TOKEN_OF_SERVER})
    assert (status, item["authenticated"], item["tool_count"]) == (200, True, 3), item
    events = await turn(client, "look", thread_id="a")
    assert "the boiler is cold" in next(one for one in events if one["type"] == "tool_completed")["preview"]


MANIFEST = """
name = "tracker"
version = "3.1"
title = "Tracker"
description = "Issues of a tracker."

[server]
kind = "http"
url = "ADDRESS"

[[secrets]]
name = "key"
title = "Key"
header = "X-Key"
format = "Bearer {secret}"

[tools]
read = ["get_*"]
"""


async def test_a_manifest_that_is_wrong_says_what_is(client: TestClient, settings: Settings) -> None:
    assert settings.home is not None
    folder = settings.home / "extensions"
    folder.mkdir()
    (folder / "broken.toml").write_text(
        MANIFEST.replace("tracker", "broken").replace('header = "X-Key"', 'env = "KEY"')
    )
    status, body = await ask(client, "POST", "install", {"name": "broken"})
    assert (status, "needs a `header`" in body["error"]["message"]) == (422, True)
    (folder / "broken.toml").write_text("name = ")
    assert (await ask(client, "POST", "install", {"name": "broken"}))[0] == 422
    assert (await ask(client, "GET", "registry"))[0] == 200  # the others are there all the same
