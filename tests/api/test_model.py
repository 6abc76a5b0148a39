"""Connecting a model over HTTP: live from the next turn on, locked where it is set elsewhere, its key never seen again."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from chat_calls import MakeClient, say, turn
from conftest import ScriptedModel
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess
from model_calls import KEY, NOTHING, call, closed_port, connect, listening

from ironclaw.api.routes import ROUTES
from ironclaw.settings import Settings


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandInProcess]:
    process = StandInProcess(tmp_path / "stand-in.log")
    yield process
    process.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return attrs.evolve(settings, llm_connect_timeout=1.0)


# Connecting


async def test_without_a_model_nothing_is_claimed(client: TestClient) -> None:
    assert await call(client, "GET") == NOTHING
    assert await call(client, "GET", "/available") == {"models": []}
    assert (await (await client.get("/api/status")).json())["model"] == {
        "state": "none", "provider": "builtin", "model": "builtin"
    }  # fmt: skip


async def test_a_test_says_what_it_found_and_keeps_nothing(client: TestClient, stand_in: StandInProcess) -> None:
    found = await call(client, "POST", "/test", {"address": f"127.0.0.1:{stand_in.port}", "api_key": KEY})
    assert found.pop("reply_ms") >= 0
    assert found == {
        "ok": True, "provider": "127.0.0.1", "base_url": f"{stand_in.url}/v1", "model": "hello",
        "models": ["hello", "echo", "count-20", "think", "obedient"],
    }  # fmt: skip
    assert await call(client, "GET") == NOTHING
    assert "canary" not in json.dumps(found)
    assert [one["body"]["model"] for one in stand_in.requests()] == ["hello"]


async def test_a_change_is_live_from_the_next_turn_on(client: TestClient, stand_in: StandInProcess) -> None:
    assert "no model" in (await turn(client, "Hello, agent!"))[-1]["content"].replace("No language model", "no model")
    state = await connect(client, stand_in)
    assert (state["state"], state["model"], state["source"], state["locked"]) == ("ready", "hello", "page", False)
    assert (await turn(client, "Hello"))[-1]["content"] == "Hello from the model."
    assert (await call(client, "PUT", body={"model": "echo"}))["model"] == "echo"
    assert (await turn(client, "say it again"))[-1]["content"] == "say it again"
    assert (await (await client.get("/api/status")).json())["model"]["model"] == "echo"
    assert await call(client, "DELETE") == NOTHING
    assert "Hello. I'm IronClaw" in (await turn(client, "Hello, agent!", thread_id="new"))[-1]["content"]


async def test_a_running_turn_keeps_the_model_it_began_with(client: TestClient, stand_in: StandInProcess) -> None:
    await connect(client, stand_in, "count-4-0.2")
    running = asyncio.create_task(turn(client, "count"))
    await asyncio.to_thread(stand_in.wait_for, "request", 1, where=lambda one: one["body"].get("max_tokens") is None
                            and one["path"].endswith("completions"))  # fmt: skip
    await connect(client, stand_in, "hello")
    assert (await running)[-1]["content"].strip() == "1 2 3 4"
    assert (await turn(client, "hi"))[-1]["content"] == "Hello from the model."


async def test_the_models_of_the_connected_server_are_listed(client: TestClient, stand_in: StandInProcess) -> None:
    stand_in.facts(models=[{"id": "embed-small"}, {"id": "big", "max_model_len": 4096}, {"id": "echo"}])
    await connect(client, stand_in, "echo")
    listed = (await call(client, "GET", "/available"))["models"]
    assert listed == [
        {"id": "embed-small", "context_tokens": None}, {"id": "big", "context_tokens": 4096},
        {"id": "echo", "context_tokens": None},
    ]  # fmt: skip


async def test_clients_are_told_of_each_change_once(client: TestClient, stand_in: StandInProcess) -> None:
    hub = client.gateway.services.hub  # type: ignore[attr-defined]
    with hub.subscribe(thread_id=None) as events:
        await connect(client, stand_in)
        await call(client, "DELETE")
        seen = []
        async for released in events:
            seen.append((released.event.state, released.event.model))
            if len(seen) == 2:
                break
    assert seen == [("ready", "hello"), ("none", None)]


# Set elsewhere


async def test_a_model_of_the_environment_is_locked(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    client = await make_client(attrs.evolve(settings, llm_base_url=stand_in.url, llm_api_key=KEY))
    assert (await turn(client, "hi"))[-1]["content"] == "Hello from the model."
    state = await call(client, "GET")
    assert (state["source"], state["locked"], state["has_key"], state["model"]) == ("environment", True, True, "hello")
    assert state["base_url"] == f"{stand_in.url}/v1"
    for method, body in (("PUT", {"address": "tower"}), ("DELETE", None)):
        assert (await call(client, method, body=body, status=409))["error"]["code"] == "locked"


async def test_a_model_of_the_host_program_is_locked(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("mine")))
    state = await call(client, "GET")
    assert (state["source"], state["locked"], state["state"], state["model"]) == ("host", True, "ready", "scripted-1")
    for method, body in (("PUT", {"address": "tower"}), ("DELETE", None)):
        assert (await call(client, method, body=body, status=409))["error"]["code"] == "locked"
    assert (await turn(client, "hi"))[-1]["content"] == "mine"


async def test_builtin_in_the_environment_means_no_model(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(attrs.evolve(settings, llm_backend="builtin", openai_api_key=KEY, llm_discover=True))
    assert await call(client, "GET") == {**NOTHING, "source": "environment", "locked": True}


# Away


async def test_a_model_that_is_away_fails_with_its_fix_and_is_not_replaced(
    client: TestClient, stand_in: StandInProcess
) -> None:
    await connect(client, stand_in)
    stand_in.close()
    failed = (await turn(client, "status"))[-1]
    assert (failed["event" if "event" in failed else "type"], failed["code"]) == ("turn_failed", "unreachable")
    assert "Start the server" in failed["message"]
    state = await call(client, "GET")
    assert (state["state"], state["error"]["code"]) == ("unreachable", "unreachable")
    assert state["error"]["fix"]
    assert (await call(client, "GET", "/available", status=502))["error"]["code"] == "unreachable"


async def test_one_that_is_kept_untried_is_looked_at_in_the_background(client: TestClient) -> None:
    port = closed_port()
    await call(client, "PUT", body={"address": f"127.0.0.1:{port}", "test": False})
    hub = client.gateway.services.hub  # type: ignore[attr-defined]
    with hub.subscribe(thread_id=None) as events:
        if (await call(client, "GET"))["state"] == "loading":
            async for released in events:
                assert released.event.state == "unreachable"
                break
    assert (await call(client, "GET"))["base_url"] == f"http://127.0.0.1:{port}/v1"


# The key


async def test_what_is_forgotten_is_gone_from_the_disk(client: TestClient, stand_in: StandInProcess) -> None:
    await connect(client, stand_in, api_key=KEY)
    database = client.gateway.services.database  # type: ignore[attr-defined]
    for kept in (1, 0):
        for table in ("secrets", "llm_connection"):
            rows = await database.read(lambda db, table=table: db.execute(f"SELECT * FROM {table}").fetchall())
            assert len(rows) == kept
        await call(client, "DELETE")


async def test_a_key_stays_with_its_origin(client: TestClient, stand_in: StandInProcess, tmp_path: Path) -> None:
    other = StandInProcess(tmp_path / "other.log")
    try:
        assert (await connect(client, stand_in, api_key=KEY))["has_key"] is True
        assert (await connect(client, stand_in, "echo"))["has_key"] is True
        assert (await connect(client, stand_in, "echo", api_key=""))["has_key"] is False
        assert (await connect(client, stand_in, api_key=KEY))["has_key"] is True
        assert (await connect(client, other))["has_key"] is False
        assert (await connect(client, stand_in))["has_key"] is False
    finally:
        other.close()
    assert all("Authorization" not in one["headers"] for one in other.events("request"))


async def test_of_many_ports_only_one_that_asks_for_a_key_sees_it(
    client: TestClient, stand_in: StandInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    async def nosy(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(text="<html>", content_type="text/html")

    async with listening(nosy) as place:
        ports = (int(place.rpartition(":")[2]), stand_in.port)
        monkeypatch.setattr("ironclaw.llm.address.USUAL_PORTS", ports)
        answer = await call(client, "POST", "/test", {"address": "127.0.0.1", "api_key": KEY})
    assert (answer["ok"], answer["base_url"]) == (True, f"{stand_in.url}/v1")
    assert set(seen) == {None}
    assert stand_in.requests()[0]["headers"]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.process
def test_s20_a_key_is_used_after_a_restart_and_seen_nowhere(
    gateway_process: Callable[..., GatewayProcess], stand_in: StandInProcess
) -> None:
    gateway = gateway_process(LOG_LEVEL="trace").start()
    body = {"address": stand_in.url, "model": "hello", "api_key": KEY}
    bodies = [gateway.request("PUT", "/api/model", body)]
    gateway.send("hi", wait=True)
    gateway.terminate()
    assert gateway.wait() == 0
    gateway.start()
    reply = gateway.send("hi", wait=True)
    assert reply["response"]["content"] == "Hello from the model."
    sent = stand_in.requests()
    assert len(sent) == 3
    assert {one["headers"]["Authorization"] for one in sent} == {f"Bearer {KEY}"}
    stand_in.script("hello", {"status": 401, "steps": [{"send": json.dumps({"error": f"wrong key {KEY}"})}]})
    gateway.send("hi", wait=False)
    with_wait = gateway.request("POST", "/api/chat/send?wait=20", {"message": "again"})
    bodies += [with_wait, gateway.request("POST", "/api/model/test", {"address": stand_in.url, "model": "hello"})]
    bodies += [gateway.request("GET", row.path) for row in ROUTES
               if row.method == "GET" and not row.streams and "{" not in row.path and row.status == 200]  # fmt: skip
    assert gateway.request("GET", "/api/model")[2]["state"] == "key_refused"
    gateway.terminate()
    assert gateway.wait() == 0
    assert KEY not in str(bodies)
    assert KEY not in gateway.log
    assert len(list(gateway.home.iterdir())) >= 4
    for path in gateway.home.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.process
def test_a_lost_secrets_key_costs_the_key_and_not_the_gateway(
    gateway_process: Callable[..., GatewayProcess], stand_in: StandInProcess
) -> None:
    gateway = gateway_process().start()
    body = {"address": stand_in.url, "model": "hello", "api_key": KEY}
    assert gateway.request("PUT", "/api/model", body)[2]["has_key"] is True
    gateway.kill()
    (gateway.home / "secrets.key").unlink()
    gateway.start()
    state = gateway.request("GET", "/api/model")[2]
    assert (state["has_key"], state["model"], state["source"]) == (False, "hello", "page")
    assert gateway.log.count("can't be opened") == 1
    assert gateway.request("PUT", "/api/model", body)[2]["has_key"] is True


# Found


async def test_discovery_lists_the_servers_of_this_machine(
    client: TestClient, stand_in: StandInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironclaw.llm.address.USUAL_PORTS", (closed_port(), stand_in.port))
    found = (await call(client, "GET", "/discover"))["servers"]
    assert found[0]["base_url"] == f"{stand_in.url}/v1"
    assert found[0]["models"][0] == "hello"


async def test_no_tool_of_the_agent_changes_the_model(client: TestClient, stand_in: StandInProcess) -> None:
    await connect(client, stand_in)
    await turn(client, "hi")
    tools = {one["function"]["name"] for one in stand_in.requests()[-1]["body"].get("tools", [])}
    assert tools
    assert not [name for name in tools if "model" in name.lower() or "connect" in name.lower()]
