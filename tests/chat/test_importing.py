"""Conversations out and in again: the same on the other side, nothing doubled, nothing of others touched."""

import copy
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from chat_calls import call, history, say, send, turn
from conftest import ScriptedModel

from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]
Exported = dict[str, Any]


async def export(client: TestClient) -> Exported:
    response = await client.get("/api/chat/export")
    assert response.status == 200
    found = await response.json()
    found.pop("exported_at")
    return found  # type: ignore[no-any-return]


async def take(client: TestClient, exported: Exported, status: int = 200) -> Any:
    response = await client.post("/api/chat/import", json=exported)
    reply = await response.json()
    assert response.status == status, reply
    return reply["threads"] if status == 200 else reply["error"]


def outcomes(done: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(one["thread_id"], one["outcome"], one["turns"]) for one in done]


@pytest.fixture
async def talked(make_client: MakeClient, settings: Settings) -> TestClient:
    """A gateway with three threads: one plain, one pinned with a tool call and an undone turn, one empty."""
    png = {"name": "p.png", "media_type": "image/png", "data": "iVBORw0KGgo="}
    model = ScriptedModel(say("Hello ", "there."), call("Time"), say("It is late."), say("No."), say("Fine."))
    client = await make_client(settings, llm=model)
    await turn(client, "hi «you» \N{GRINNING FACE}", thread_id="a", attachments=[png])
    await turn(client, "what time is it?", thread_id="b")
    await turn(client, "not this", thread_id="b")
    await turn(client, "/undo", thread_id="b")
    await client.patch("/api/chat/threads/b", json={"title": "The clock", "pinned": True})
    await client.post("/api/chat/threads", json={"thread_id": "c", "title": "empty"})
    return client


@pytest.fixture
async def other(make_client: MakeClient, settings: Settings, tmp_path: Path) -> TestClient:
    """Another gateway, where nothing was said."""
    return await make_client(attrs.evolve(settings, home=tmp_path / "other"))


async def test_what_was_exported_is_the_same_after_it_was_imported_and_a_second_time_changes_nothing(
    talked: TestClient, other: TestClient
) -> None:
    exported = await export(talked)
    assert {one["thread"]["id"]: len(one["turns"]) for one in exported["threads"]} == {"a": 1, "b": 3, "c": 0}
    (file,) = exported["threads"][0]["turns"][0]["attachments"]
    assert (file["name"], file["data"]) == ("p.png", "iVBORw0KGgo=")
    calls = next(one for one in exported["threads"] if one["thread"]["id"] == "b")["turns"][0]["tool_calls"]
    assert [one["name"] for one in calls] == ["Time"]
    assert {name for name, _, _ in outcomes(await take(other, exported))} == {"a", "b", "c"}
    assert await export(other) == exported
    again = await take(other, exported)
    assert {outcome for _, outcome, _ in outcomes(again)} == {"unchanged"}
    assert await export(other) == exported
    assert await (await other.get(f"/api/chat/attachments/{exported['threads'][0]['turns'][0]['message_id']}/0")).read()
    listed = [await (await client.get("/api/chat/threads")).json() for client in (talked, other)]
    assert listed[0]["threads"] == listed[1]["threads"]  # in the same order too
    found = await (await other.get("/api/chat/search?query=late")).json()
    assert [one["thread_id"] for one in found["results"]] == ["b"]
    usage = await (await other.get("/api/status")).json()
    assert usage["token_usage"]["total_tokens"] == 0  # what others have spent is not spent here


async def test_one_thread_that_goes_on_after_its_export_goes_on_where_it_was_imported(
    talked: TestClient, other: TestClient
) -> None:
    await take(other, await export(talked))
    await turn(talked, "and more", thread_id="a")
    exported = await export(talked)
    assert ("a", "continued", 1) in outcomes(await take(other, exported))
    assert (await export(other))["threads"][-1]["turns"] == next(
        one["turns"] for one in exported["threads"] if one["thread"]["id"] == "a"
    )
    # Went on here instead: an older file takes nothing away.
    await turn(other, "help", thread_id="a")
    assert ("a", "unchanged", 0) in outcomes(await take(other, exported))
    assert [one["user_message"] for one in await history(other, "a")][-1] == "help"


async def test_a_thread_whose_id_is_taken_gets_another_one_the_same_every_time(
    talked: TestClient, other: TestClient
) -> None:
    await turn(other, "help", thread_id="a")
    mine = await history(other, "a")
    exported = await export(talked)
    first = await take(other, exported)
    renamed = next(one for one in first if one["exported_id"] == "a")
    assert renamed["thread_id"].startswith("a-")
    assert await history(other, "a") == mine
    assert [one["user_message"] for one in await history(other, renamed["thread_id"])] == ["hi «you» \N{GRINNING FACE}"]
    assert {outcome for _, outcome, _ in outcomes(await take(other, exported))} == {"unchanged"}


async def test_messages_whose_ids_are_taken_in_another_thread_are_there_all_the_same(
    talked: TestClient,
) -> None:
    exported = await export(talked)
    moved = copy.deepcopy(exported)
    for one in moved["threads"]:
        one["thread"]["id"] = f"moved-{one['thread']['id']}"
    done = await take(talked, moved)
    assert [one["outcome"] for one in done] == ["created"] * 3
    assert [one["user_message"] for one in await history(talked, "moved-b")] == [
        one["user_message"] for one in await history(talked, "b")
    ]
    assert {one["outcome"] for one in await take(talked, moved)} == {"unchanged"}
    assert (await export(talked))["threads"][:3] == exported["threads"]


async def test_what_was_not_finished_is_interrupted_and_never_answered_again(
    talked: TestClient, make_client: MakeClient, settings: Settings, tmp_path: Path
) -> None:
    exported = await export(talked)
    for state in ("queued", "running", "waiting"):
        one = copy.deepcopy(exported["threads"][0])
        one["thread"]["id"] = state
        one["turns"][0].update(message_id=f"m-{state}", state=state, response=None, ended_at=None)
        exported["threads"].append(one)
    elsewhere = attrs.evolve(settings, home=tmp_path / "elsewhere")
    first = await make_client(elsewhere)
    await take(first, exported)
    await first.close()
    second = await make_client(elsewhere)  # the start takes up what was left
    for state in ("queued", "running", "waiting"):
        (only,) = await history(second, state)
        assert (only["state"], only["error"]["code"], only["response"]) == ("interrupted", "interrupted", None)
    assert (await (await second.get("/api/chat/approvals")).json())["approvals"] == []


async def test_pasted_keys_are_removed_on_the_way_in(talked: TestClient, other: TestClient) -> None:
    exported = await export(talked)
    exported["threads"][0]["turns"][0]["user_message"] = "my key is sk-abcdefghijklmnop1234567890"
    await take(other, exported)
    assert "sk-abcdef" not in json.dumps(await export(other))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda one: one["thread"].update(id="../x"), "threads.0.thread.id"),
        (lambda one: one["thread"].update(title="x" * 201), "threads.0.thread.title"),
        (lambda one: one["thread"].update(created_at="yesterday"), "threads.0.thread.created_at"),
        (lambda one: one["thread"].update(updated_at="2026-13-45T99:00:00Z"), "threads.0.thread.updated_at"),
        (lambda one: one["thread"].update(owner="x"), "threads.0.thread.owner"),
        (lambda one: one["turns"][0].update(message_id="a b"), "threads.0.turns.0.message_id"),
        (lambda one: one["turns"][0].update(state="done"), "threads.0.turns.0.state"),
        (lambda one: one["turns"][0].update(user_message="x\0"), "threads.0.turns.0.user_message"),
        (lambda one: one["turns"][0].update(user_message="x" * 500_001), "threads.0.turns.0.user_message"),
        (lambda one: one["turns"][0].update(cost_usd=-1.0), "threads.0.turns.0.cost_usd"),
        (lambda one: one["turns"][0].update(duration_ms=2**62), "threads.0.turns.0.duration_ms"),
        (lambda one: one["turns"].append(one["turns"][0]), "threads.0.turns"),
        (lambda one: one["turns"][0].pop("usage"), "threads.0.turns.0.usage"),
    ],
)
async def test_what_may_not_be_stored_is_refused_by_the_name_of_its_field_and_nothing_is_kept(
    talked: TestClient, other: TestClient, change: Callable[[Any], object], field: str
) -> None:
    exported = await export(talked)
    exported["threads"] = [one for one in exported["threads"] if one["thread"]["id"] == "a"] * 1
    good = copy.deepcopy(exported["threads"][0])
    change(exported["threads"][0])
    exported["threads"].append({**good, "thread": {**good["thread"], "id": "behind"}})
    error = await take(other, exported, status=422)
    assert field.endswith(error["field"]), error  # what has the wrong shape is named by its own name only
    assert (await export(other))["threads"] == []


async def test_a_file_of_something_else_and_one_that_is_too_large_are_refused(other: TestClient) -> None:
    assert (await take(other, {"format": "chat-history", "threads": []}, status=422))["field"] == "format"
    assert (await take(other, {"thread": {}}, status=422))["field"]
    headers = {"Content-Length": str((64 << 20) + 1), "Content-Type": "application/json"}
    response = await other.post("/api/chat/import", data=b"{}", headers=headers)
    assert response.status == 413


async def test_all_of_it_as_markdown_is_for_reading(talked: TestClient) -> None:
    response = await talked.get("/api/chat/export?format=markdown")
    assert response.headers["Content-Type"].startswith("text/markdown")
    text = await response.text()
    assert text.index("hi «you»") < text.index("# The clock")
    assert ":\n\nnot this\n" not in text  # it was taken back
    assert (await talked.get("/api/chat/export?format=pdf")).status == 400


async def test_a_running_turn_is_exported_as_far_as_it_is_and_a_thread_that_runs_is_not_continued(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel([30.0]))
    await send(client, "slow", thread_id="a")
    exported = await export(client)
    assert exported["threads"][0]["turns"][0]["state"] in {"queued", "running"}
    assert outcomes(await take(client, exported)) == [("a", "unchanged", 0)]
