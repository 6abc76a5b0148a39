"""Servers as child processes: what they get, how they end, and that one that misbehaves harms nothing else."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from approval_calls import answer, until_waiting
from chat_calls import MakeClient, call, say, turn
from conftest import ScriptedModel
from extensions.stdio_ground import KEY, SECRET, install, is_alive, kill, starts, write_manifest

from ironclaw.settings import Settings


def home_of(settings: Settings) -> Path:
    assert settings.home is not None
    return settings.home


async def run_tool(client: TestClient, thread: str = "a") -> dict[str, Any]:
    """The completion of the one tool call of a turn."""
    events = await turn(client, "go", thread_id=thread)
    return next(one for one in events if one["type"] == "tool_completed")


async def told(client: TestClient, model: ScriptedModel) -> str:
    """What the model got as the result of its one call."""
    await run_tool(client)
    return str(model.requests[1].messages[-1].content)


async def state(client: TestClient) -> dict[str, Any]:
    return await (await client.get("/api/extensions/local")).json()  # type: ignore[no-any-return]


async def test_a_server_gets_an_explicit_environment_and_its_secret_in_the_variable_it_names(
    make_client: MakeClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRONCLAW_CANARY", "must-not-be-seen")
    write_manifest(home_of(settings), "good", more=KEY + '\n[server.env]\nMODE = "{data}/x"\n')
    model = ScriptedModel(call("local__environment"), say("done"))
    client = await make_client(settings, llm=model)
    assert (await install(client))["state"] == "needs_token"
    reply = await client.post("/api/extensions/local/auth", json={"token": SECRET})
    assert (await reply.json())["authenticated"] is True
    text = await told(client, model)
    variables = json.loads(text[text.index("{") : text.rindex("}") + 1])
    data = home_of(settings) / "extensions/local/data"
    assert set(variables) <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "KEY", "MODE", "PWD"}
    assert (variables["HOME"], variables["MODE"]) == (str(data), f"{data}/x")
    assert variables["KEY"] == "***"  # it has it, and what it says of it is masked


async def test_a_secret_that_a_server_says_back_is_masked_for_model_and_people(
    make_client: MakeClient, settings: Settings
) -> None:
    write_manifest(home_of(settings), "good", more=KEY)
    model = ScriptedModel(call("local__secret"), say("done"))
    client = await make_client(settings, llm=model)
    await install(client)
    await client.post("/api/extensions/local/auth", json={"token": SECRET})
    done = await run_tool(client)
    assert done["preview"] == "My key is *** and that is that."
    assert SECRET not in str(model.requests)


async def test_it_starts_with_the_first_call_and_stops_when_idle(make_client: MakeClient, settings: Settings) -> None:
    notes = write_manifest(home_of(settings), "good")
    settings = attrs.evolve(settings, extension_idle=1.0)
    model = ScriptedModel(call("local__say", '{"text": "a"}'), say("1"), call("local__say", '{"text": "b"}'), say("2"))
    client = await make_client(settings, llm=model)
    await install(client)
    await asyncio.sleep(0)
    while (await state(client))["state"] != "ready":
        await asyncio.sleep(0.05)
    assert not is_alive(starts(notes)[0])
    assert (await run_tool(client))["preview"] == "You said a."
    assert (await state(client))["state"] == "running"
    assert len(starts(notes)) == 2
    assert (await run_tool(client))["preview"] == "You said b."


async def test_a_server_that_was_killed_is_started_again_by_the_next_call(
    make_client: MakeClient, settings: Settings
) -> None:
    notes = write_manifest(home_of(settings), "good")
    client = await make_client(settings, llm=ScriptedModel(call("local__say", '{"text": "a"}'), say("done")))
    await install(client)
    kill(starts(notes)[0])
    while (await state(client))["state"] == "running":
        await asyncio.sleep(0.05)
    assert (await run_tool(client))["preview"] == "You said a."
    assert len(starts(notes)) == 2


@pytest.mark.parametrize(("reads", "expected"), [('["*"]', 2), ("[]", 1)])
async def test_only_a_call_that_reads_is_sent_again_when_the_server_breaks_off(
    make_client: MakeClient, settings: Settings, reads: str, expected: int
) -> None:
    notes = write_manifest(home_of(settings), "crash")
    path = home_of(settings) / "extensions/local.toml"
    path.write_text(path.read_text().replace('read = ["*"]', f"read = {reads}"))
    client = await make_client(settings, llm=ScriptedModel(call("local__misbehave"), say("done")))
    await install(client)
    answered = asyncio.create_task(run_tool(client))
    if reads == "[]":
        await answer(client, (await until_waiting(client))["request_id"], "approve")
    assert (await answered)["success"] is False
    assert len(starts(notes)) == expected


@pytest.mark.parametrize("how", ["crash", "hang"])
async def test_a_crash_or_a_hang_ends_one_call_and_the_next_one_works(
    make_client: MakeClient, settings: Settings, how: str
) -> None:
    notes = write_manifest(home_of(settings), how, timeout=1.0)
    model = ScriptedModel(
        call("local__misbehave"), say("1"), call("local__say", '{"text": "a"}'), say("2"), call("Time"), say("3")
    )
    client = await make_client(settings, llm=model)
    await install(client)
    done = await run_tool(client)
    assert done["success"] is False
    assert ("did not answer within 1 s" if how == "hang" else "local failed") in done["preview"]
    assert (await run_tool(client))["preview"] == "You said a."
    assert not is_alive(starts(notes)[0])
    assert (await client.get("/api/health")).status == 200


async def test_one_that_can_not_start_says_why_is_tried_again_ever_later_and_degrades_the_status(
    make_client: MakeClient, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    notes = write_manifest(home_of(settings), "broken")
    client = await make_client(settings)
    with caplog.at_level(logging.INFO):
        item = await install(client)
    assert (item["state"], item["error"]["code"]) == ("failed", "server_failed")
    assert "local: I can't start: no such thing" in caplog.text  # what it prints goes to the log under its name
    part = (await (await client.get("/api/status")).json())["parts"]["extensions"]
    assert part["state"] == "degraded"
    assert part["reason"].startswith("local: ")
    body = await (await client.post("/api/extensions/local/test")).json()
    assert body["ok"] is False
    assert len(starts(notes)) == 2


async def test_pauses_between_failing_starts_grow(make_client: MakeClient, settings: Settings) -> None:
    notes = write_manifest(home_of(settings), "once")  # starts once, and never again
    model = ScriptedModel(*[step for _ in range(8) for step in (call("local__say", '{"text": "a"}'), say("x"))])
    client = await make_client(settings, llm=model)
    await install(client)
    kill(starts(notes)[0])
    previews: list[str] = []
    while not any("tried again in" in one for one in previews):
        assert len(previews) < 8, previews
        previews.append((await run_tool(client))["preview"])
    tried = len(starts(notes))
    assert "tried again in" in (await run_tool(client))["preview"]
    assert len(starts(notes)) == tried


async def test_what_a_server_floods_or_prints_is_bounded(
    make_client: MakeClient, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    write_manifest(home_of(settings), "noise")
    client = await make_client(settings, llm=ScriptedModel(call("local__misbehave"), say("done")))
    await install(client)
    with caplog.at_level(logging.INFO):
        await run_tool(client)
        await client.post("/api/extensions/local/disable")
    lines = [one.getMessage() for one in caplog.records if "noise" in one.getMessage()]
    assert 0 < len(lines) <= 200
    assert "\x1b" not in "".join(lines)


async def test_a_line_without_end_ends_the_server_and_not_the_gateway(
    make_client: MakeClient, settings: Settings
) -> None:
    notes = write_manifest(home_of(settings), "flood", timeout=20.0)
    client = await make_client(settings, llm=ScriptedModel(call("local__misbehave"), say("done")))
    await install(client)
    assert (await run_tool(client))["success"] is False
    while is_alive(starts(notes)[0]):
        await asyncio.sleep(0.05)


async def test_a_result_is_cut_where_it_is_too_long(make_client: MakeClient, settings: Settings) -> None:
    write_manifest(home_of(settings), "long")
    model = ScriptedModel(call("local__misbehave"), say("done"))
    client = await make_client(settings, llm=model)
    await install(client)
    assert len(await told(client, model)) < 110_000


async def test_a_stubborn_server_and_what_it_started_are_gone_when_it_is_disabled(
    make_client: MakeClient, settings: Settings
) -> None:
    notes = write_manifest(home_of(settings), "child")
    client = await make_client(settings, llm=ScriptedModel(call("local__misbehave"), say("done")))
    await install(client)
    child = int((await run_tool(client))["preview"])
    assert is_alive(child)
    item = await (await client.post("/api/extensions/local/disable")).json()
    assert (item["state"], item["enabled"]) == ("disabled", False)
    assert not is_alive(starts(notes)[0])
    assert not is_alive(child)


async def test_the_tools_of_a_disabled_one_are_not_there(make_client: MakeClient, settings: Settings) -> None:
    write_manifest(home_of(settings), "good")
    model = ScriptedModel(say("1"))
    client = await make_client(settings, llm=model)
    await install(client)
    await turn(client, "one", thread_id="a")
    await client.post("/api/extensions/local/disable")
    await turn(client, "two", thread_id="a")
    await client.post("/api/extensions/local/enable", json={})
    await turn(client, "three", thread_id="a")
    seen = [any(tool.name == "local__say" for tool in request.tools) for request in model.requests]
    assert seen == [True, False, True]


async def test_a_schema_that_could_stall_the_loop_is_made_harmless(make_client: MakeClient, settings: Settings) -> None:
    write_manifest(home_of(settings), "good")
    arguments = json.dumps({"text": "a" * 40 + "!", "many": [1], "self": {"self": {"self": 1}}, "x" * 40 + "!": 1})
    model = ScriptedModel(call("local__evil", arguments), say("done"))
    client = await make_client(settings, llm=model)
    await install(client)
    async with asyncio.timeout(20):
        assert (await run_tool(client))["preview"] == "It passed."
    spec = next(tool for tool in model.requests[0].tools if tool.name == "local__evil")
    text = json.dumps(dict(spec.parameters))
    assert len(text) < 100_000
    for word in ("$ref", "patternProperties", '"pattern":'):
        assert word not in text
    assert "(pattern: ^(a+)+$)" in text  # the model may know it


async def test_a_missing_program_is_said_with_its_fix(make_client: MakeClient, settings: Settings) -> None:
    write_manifest(home_of(settings), "good")
    path = home_of(settings) / "extensions/local.toml"
    lines = ['command = "uvx"' if line.startswith("command") else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    client = await make_client(settings)
    item = await install(client)
    assert item["state"] == "failed"
    assert item["error"]["message"].endswith("Install uv: pip install uv")
