"""The chat service behind the real application: order, parallel threads, stop, commands, ephemeral, idempotency."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from chat_calls import END, MakeClient, call, history, say, send, turn
from conftest import ScriptedModel

from ironclaw.errors import ProviderError
from ironclaw.llm.models import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from ironclaw.settings import Settings
from ironclaw.tools import Tool, ToolContext, ToolResult


async def test_events_of_a_turn_come_in_their_order_and_end_with_the_whole_text(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel([ReasoningDelta("hm"), *say("Hel", "lo")]))
    events = await turn(client, "hi")
    assert [event["type"] for event in events] == [
        "user_message", "thinking", "reasoning_chunk", "stream_chunk", "stream_chunk", "response",
    ]  # fmt: skip
    end = events[-1]
    assert end["content"] == "Hello"
    assert end["usage"] == {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3}
    assert end["cost_usd"] == 0.5
    assert {event["message_id"] for event in events} == {end["message_id"]}


async def test_a_threads_turns_run_in_order_and_threads_run_side_by_side(
    make_client: MakeClient, settings: Settings
) -> None:
    gate = asyncio.Event()
    model = ScriptedModel([gate, *say("slow")], say("fast"), say("second"))
    client = await make_client(settings, llm=model)
    first = await send(client, "one", thread_id="a")
    async with asyncio.timeout(5):
        while not model.requests:
            await asyncio.sleep(0.005)
    second = await send(client, "two", thread_id="a")
    other = await client.post("/api/chat/send?wait=5", json={"message": "x", "thread_id": "b"})
    assert (await other.json())["response"]["content"] == "fast"  # b did not wait for a
    assert [one["state"] for one in await history(client, "a")] == ["running", "queued"]
    gate.set()
    async with asyncio.timeout(5):
        while [one["state"] for one in await history(client, "a")] != ["completed", "completed"]:
            await asyncio.sleep(0.01)
    turns = await history(client, "a")
    assert [one["message_id"] for one in turns] == [first["message_id"], second["message_id"]]
    assert [one["response"] for one in turns] == ["slow", "second"]


async def test_what_waits_says_at_which_place(make_client: MakeClient, settings: Settings) -> None:
    gate = asyncio.Event()
    model = ScriptedModel([gate, *say("done")])
    client = await make_client(settings, llm=model)
    await send(client, "one", thread_id="a")
    tasks = []
    for text in ("two", "three"):
        tasks.append(asyncio.create_task(turn(client, text, thread_id="a")))
        await asyncio.sleep(0.05)
    gate.set()
    positions = [[event["position"] for event in await task if event["type"] == "queued"] for task in tasks]
    assert positions == [[1], [2]]


async def test_no_more_turns_run_at_once_than_allowed(make_client: MakeClient, settings: Settings) -> None:
    import attrs

    gate = asyncio.Event()
    model = ScriptedModel([gate, *say("done")])
    client = await make_client(attrs.evolve(settings, max_turns=2), llm=model)
    tasks = [asyncio.create_task(turn(client, "x", thread_id=f"t{n}")) for n in range(4)]
    async with asyncio.timeout(20):
        while len(model.requests) < 2:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)  # for a third one that would come too
    assert len(model.requests) == 2
    gate.set()
    assert [events[-1]["type"] for events in await asyncio.gather(*tasks)] == ["response"] * 4


async def test_stop_ends_the_model_call_and_keeps_the_text(make_client: MakeClient, settings: Settings) -> None:
    gate = asyncio.Event()
    model = ScriptedModel([TextDelta("half "), gate])
    client = await make_client(settings, llm=model)
    running = asyncio.create_task(turn(client, "x", thread_id="a"))
    async with asyncio.timeout(5):
        while not model.requests:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    reply = await client.post("/api/chat/stop", json={"thread_id": "a"})
    assert await reply.json() == {"status": "stopped"}
    events = await running
    assert events[-1]["type"] == "stopped"
    assert events[-1]["content"] == "half "
    assert model.closed == 1
    assert (await history(client, "a"))[0]["state"] == "stopped"
    assert await (await client.post("/api/chat/stop", json={"thread_id": "a"})).json() == {"status": "idle"}


async def test_stop_with_drop_ends_what_waits_too(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel([asyncio.Event()])
    client = await make_client(settings, llm=model)
    for text in ("one", "two", "three"):
        await send(client, text, thread_id="a")
    await client.post("/api/chat/stop", json={"thread_id": "a", "queued": "drop"})
    async with asyncio.timeout(5):
        while {one["state"] for one in await history(client, "a")} != {"stopped"}:
            await asyncio.sleep(0.01)
    assert len(model.requests) <= 1


async def test_r18_of_many_turns_each_has_one_end_after_its_chunks_and_history_has_their_order(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("a", "b", "c")))
    events = await client.get("/api/chat/events", headers={"Accept": "application/x-ndjson"})
    await events.content.readline()

    async def ten(thread: str) -> None:
        for number in range(10):
            await send(client, f"{thread} {number}", thread_id=thread)

    await asyncio.gather(*(ten(f"t{n}") for n in range(50)))
    seen: dict[str, list[str]] = {}
    last, ended, order = 0, 0, {f"t{n}": [] for n in range(50)}
    while ended < 500:
        event = json.loads(await asyncio.wait_for(events.content.readline(), 10))
        if "message_id" not in event:
            continue
        assert event["id"] > last
        last = event["id"]
        seen.setdefault(event["message_id"], []).append(event["type"])
        if event["type"] in END:
            ended += 1
            order[event["thread_id"]].append(event["message_id"])
    chunks = ["user_message", "thinking", *["stream_chunk"] * 3, "response"]
    assert all([kind for kind in kinds if kind != "queued"] == chunks for kinds in seen.values())
    for thread, ids in order.items():
        assert [one["message_id"] for one in await history(client, thread)] == ids


async def test_tools_of_one_reply_run_side_by_side_and_answer_their_own_call(
    make_client: MakeClient, settings: Settings
) -> None:
    async def run(context: ToolContext, arguments: Any) -> ToolResult:
        await asyncio.sleep(arguments["wait"])
        return ToolResult(f"waited {arguments['wait']}")

    tool = Tool("Wait", "waits", {"type": "object"}, run)
    calls = [
        ToolCallDelta(0, '{"wait": 0.15}', "slow", "Wait"),
        ToolCallDelta(1, '{"wa', "quick", "Wait"),
        ToolCallDelta(1, 'it": 0.01}'),
        Finished("tool_calls"),
    ]
    model = ScriptedModel(calls, say("ok"))
    client = await make_client(settings, llm=model, tools=[tool])
    events = await turn(client, "x", thread_id="a")
    done = [event["call_id"] for event in events if event["type"] == "tool_completed"]
    assert done == ["quick", "slow"]
    results = [(one.call_id, one.content.splitlines()[1]) for one in model.requests[1].messages if one.role == "tool"]
    assert results == [("slow", "waited 0.15"), ("quick", "waited 0.01")]
    stored = (await history(client, "a"))[0]["tool_calls"]
    assert [(one["call_id"], one["success"]) for one in stored] == [("slow", True), ("quick", True)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (call("Nothing"), "There is no tool Nothing"),
        (call("Time", "[1]"), "not a JSON object"),
        (call("Boom"), "Boom failed inside"),
        (call("Late"), "took longer than"),
    ],
)
async def test_a_call_that_fails_is_told_to_the_model_and_the_turn_goes_on(
    make_client: MakeClient, settings: Settings, script: list[object], expected: str
) -> None:
    async def boom(*_: Any) -> ToolResult:
        raise RuntimeError("secret inside")

    async def late(*_: Any) -> ToolResult:
        await asyncio.sleep(5)
        return ToolResult("")

    tools = [Tool("Boom", "", {"type": "object"}, boom), Tool("Late", "", {"type": "object"}, late, timeout=0.05)]
    model = ScriptedModel(script, say("went on"))
    client = await make_client(settings, llm=model, tools=tools)
    events = await turn(client, "x")
    assert [event["success"] for event in events if event["type"] == "tool_completed"] == [False]
    assert expected in model.requests[1].messages[-1].content
    assert "secret inside" not in json.dumps(events)
    assert events[-1]["content"] == "went on"


async def test_a_model_that_calls_tools_without_end_is_made_to_answer(
    make_client: MakeClient, settings: Settings
) -> None:
    import attrs

    model = ScriptedModel(call("Time"), call("Time"), call("Time"), say("enough"))
    client = await make_client(attrs.evolve(settings, max_tool_iterations=3), llm=model)
    assert (await turn(client, "x"))[-1]["content"] == "enough"
    assert [bool(request.tools) for request in model.requests] == [True, True, True, False]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([ProviderError("No route.", code="unreachable")], "unreachable"),
        ([TextDelta("half"), RuntimeError("inside")], "internal"),
        ([TextDelta("half")], "cut_off"),
    ],
)
async def test_a_model_that_breaks_ends_the_turn_with_its_reason_and_the_next_turn_works(
    make_client: MakeClient, settings: Settings, script: list[object], code: str
) -> None:
    client = await make_client(settings, llm=ScriptedModel(script, say("fine")))
    events = await turn(client, "x", thread_id="a")
    assert events[-1]["type"] == "turn_failed"
    assert events[-1]["code"] == code
    assert "inside" not in events[-1]["message"] or code == "internal"
    assert (await history(client, "a"))[0]["error"]["code"] == code
    assert (await turn(client, "y", thread_id="a"))[-1]["content"] == "fine"


async def test_wait_says_502_when_the_model_failed_and_202_when_it_still_runs(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel([ProviderError("No route.")], [asyncio.Event()]))
    failed = await client.post("/api/chat/send?wait", json={"message": "x", "thread_id": "a"})
    assert (failed.status, (await failed.json())["error"]["message"]) == (502, "No route.")
    running = await client.post("/api/chat/send?wait=0", json={"message": "x", "thread_id": "a"})
    assert (running.status, (await running.json())["state"]) == (202, "running")


async def test_text_fails_with_a_status_before_the_first_byte_and_breaks_off_after_it(
    make_client: MakeClient, settings: Settings
) -> None:
    import aiohttp

    client = await make_client(
        settings, llm=ScriptedModel([ProviderError("No route.")], [TextDelta("half"), ProviderError("gone")])
    )
    first = await client.post(
        "/api/chat/send", data="x", headers={"Accept": "text/plain", "Content-Type": "text/plain"}
    )
    assert first.status == 502
    second = await client.post(
        "/api/chat/send", data="x", headers={"Accept": "text/plain", "Content-Type": "text/plain"}
    )
    assert second.status == 200
    with pytest.raises(aiohttp.ClientPayloadError):
        await second.text()


async def test_commands_are_answered_while_a_turn_runs_and_are_never_sent_to_a_model(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel([TextDelta("x"), asyncio.Event()])
    client = await make_client(settings, llm=model)
    await send(client, "go", thread_id="a")
    assert (await turn(client, "/status", thread_id="a"))[-1]["type"] == "response"
    stopped = await turn(client, "/stop", thread_id="a")
    assert stopped[-1]["content"] == "Stopped."
    assert len(model.requests) == 1
    assert (await turn(client, "/find", thread_id="a"))[-1]["content"].startswith("Write something behind it")


async def test_text_that_only_looks_like_a_command_goes_to_the_model(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(say("ok"))
    client = await make_client(settings, llm=model)
    for text in ("/etc/fstab is wrong", "/statuses", "/Help", "//help", "a /help"):
        await turn(client, text)
    assert len(model.requests) == 5


async def test_an_ephemeral_message_leaves_nothing_behind(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    reply = await client.post("/api/chat/send?wait", json={"message": "secret plan", "ephemeral": True})
    assert (await reply.json())["response"]["content"] == "Hello."
    assert (await (await client.get("/api/chat/threads")).json())["threads"] == []
    refused = await client.post("/api/chat/send", json={"message": "x", "ephemeral": True})
    assert refused.status == 422


async def test_r35_many_sends_under_one_key_make_one_turn(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel()
    client = await make_client(settings, llm=model)

    async def post(message: str = "x") -> tuple[int, dict[str, Any]]:
        reply = await client.post(
            "/api/chat/send?wait", json={"message": message, "thread_id": "a"}, headers={"Idempotency-Key": "k"}
        )
        return reply.status, await reply.json()

    replies = await asyncio.gather(*(post() for _ in range(20)))
    assert {status for status, _ in replies} == {200}
    assert len({body["message_id"] for _, body in replies}) == 1
    assert {body["response"]["content"] for _, body in replies} == {"Hello."}
    assert len(await history(client, "a")) == 1
    assert len(model.requests) == 1
    assert (await post("other"))[0] == 409


async def test_a_message_is_told_with_the_key_that_it_was_sent_under(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k1", "Accept": "application/x-ndjson"}
    body = {"message": "what time is it?", "thread_id": "a"}
    sent = await client.post("/api/chat/send", json=body, headers=headers)
    events = [json.loads(line) async for line in sent.content]
    without = await turn(client, "what time is it?", thread_id="a")
    assert [one[0].get("idempotency_key", "none") for one in (events, without)] == ["k1", "none"]
    assert [one.get("idempotency_key", "none") for one in await history(client, "a")] == ["k1", "none"]


async def test_the_sums_of_status_are_those_of_the_turns(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(
        settings, llm=ScriptedModel(say("a", usage=Usage(10, 5, 0.25)), say("b", usage=Usage(4, 1, None)))
    )
    await turn(client, "x")
    await turn(client, "y")
    usage = (await (await client.get("/api/status")).json())["token_usage"]
    assert usage == {"total_tokens": 20, "estimated_cost_usd": 0.25, "unpriced_tokens": 5}
    await client.close()
    again = await make_client(settings)
    assert (await (await again.get("/api/status")).json())["token_usage"] == usage
