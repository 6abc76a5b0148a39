"""/v1/responses: what comes in becomes a chat completion, its reply becomes events, and can be gone on from."""

import asyncio
import json
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from chat_calls import MakeClient, call, say
from conftest import ScriptedModel
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from llm.stand_in_process import StandInProcess, reply, run_stand_in, sse  # noqa: F401

from ironclaw import codec
from ironclaw.errors import BadRequest, Invalid, ProviderError
from ironclaw.llm.models import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from ironclaw.openai import store
from ironclaw.openai.responses_events import ResponseBuilder
from ironclaw.openai.responses_input import parse_request
from ironclaw.openai.store import Bounds, StoredResponse
from ironclaw.settings import Settings

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}
KEY = "sk-abcdefghijklmnop0123456789"


async def create(client: TestClient, given: Any, status: int = 200, **more: Any) -> dict[str, Any]:
    response = await client.post("/v1/responses", json={"model": "echo", "input": given, **more})
    body = await response.json()
    assert response.status == status, body
    return body  # type: ignore[no-any-return]


async def stream(client: TestClient, given: Any, **more: Any) -> list[dict[str, Any]]:
    response = await client.post("/v1/responses", json={"model": "echo", "input": given, "stream": True, **more})
    assert (response.status, response.content_type) == (200, "text/event-stream"), await response.text()
    events = [event.split("\n") for event in (await response.text()).strip().split("\n\n")]
    found = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in events]
    assert all(name == event["type"] for name, event in found)
    return [event for _, event in found]


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item.get("content", ()))


@pytest.fixture
async def connected(make_client: MakeClient, settings: Settings, stand_in: StandInProcess) -> TestClient:
    """A client of a gateway with the stand-in as its model server."""
    more = {"llm_backend": "openai_compatible", "llm_base_url": f"{stand_in.url}/v1", "llm_model": "echo"}
    return await make_client(attrs.evolve(settings, **more))


# What goes to the model


PICTURE = "data:image/png;base64,AA=="
SCHEMA = {"name": "n", "schema": {"type": "object"}, "strict": True}
GIVEN = [
    {
        "role": "user",
        "content": [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": PICTURE}],
    },
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
    {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "look", "arguments": '{"at": 1}'},
    {"type": "function_call", "id": "fc_2", "call_id": "b", "name": "look", "arguments": ""},
    {"type": "function_call_output", "call_id": "a", "output": "blue"},
    {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "red"}]},
    {"role": "developer", "content": "In rhyme."},
]
CALLS = [
    {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
    {"id": "b", "type": "function", "function": {"name": "look", "arguments": "{}"}},
]
HEARD = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PICTURE}}],
    },
    {"role": "assistant", "content": "I look.", "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "a", "content": "blue"},
    {"role": "tool", "tool_call_id": "b", "content": "red"},
    {"role": "system", "content": "In rhyme."},
]


async def test_everything_that_can_be_said_becomes_a_chat_completion(
    connected: TestClient, stand_in: StandInProcess
) -> None:
    same = {"temperature": 0.5, "parallel_tool_calls": False}
    more = {
        "instructions": "Be brief.",
        "tools": [LOOK],
        "tool_choice": {"type": "function", "name": "look"},
        "text": {"format": {"type": "json_schema", **SCHEMA}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "max_output_tokens": 9,
        "metadata": {"of": "test"},
        "not_yet_known": {"deep": [1]},
    }
    response = await create(connected, GIVEN, **more, **same)
    (request,) = stand_in.requests()
    assert request["body"] == {
        "model": "echo",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": HEARD,
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_schema", "json_schema": SCHEMA},
        "reasoning_effort": "low",
        "max_tokens": 9,
        **same,
    }
    assert (response["metadata"], response["tools"], response["temperature"]) == ({"of": "test"}, [LOOK], 0.5)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "echo"}, "input"),
        ({"model": 5, "input": "x"}, "model"),
        ({"model": "echo", "input": 5}, "input"),
        ({"model": "echo", "input": ["x"]}, "input[0]"),
        ({"model": "echo", "input": [{"role": "judge", "content": "x"}]}, "input[0].role"),
        ({"model": "echo", "input": [{"role": []}]}, "input[0].role"),
        ({"model": "echo", "input": [{"role": "user", "content": [{"type": {}}]}]}, "input[0].content[0]"),
        ({"model": "echo", "input": [{"role": "user"}]}, "input[0].content"),
        ({"model": "echo", "input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"model": "echo", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"model": "echo", "input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"model": "echo", "input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"model": "echo", "input": [{"type": "function_call", "call_id": "x"}]}, "input[0].name"),
        ({"model": "echo", "input": "x", "tools": [LOOK, {"type": "web_search"}]}, "tools[1].type"),
        ({"model": "echo", "input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"model": "echo", "input": "x", "tools": {}}, "tools"),
        ({"model": "echo", "input": "x", "tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"model": "echo", "input": "x", "text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"model": "echo", "input": "x", "conversation": "conv_1"}, "conversation"),
        ({"model": "echo", "input": "x", "prompt": {"id": "p"}}, "prompt"),
        ({"model": "echo", "input": "x", "stream": "yes"}, "stream"),
        ({"model": "echo", "input": "x", "max_output_tokens": "9"}, "max_output_tokens"),
        ({"model": "echo", "input": "x", "previous_response_id": 7}, "previous_response_id"),
    ],
)
async def test_what_can_t_be_done_is_refused_by_name(client: TestClient, body: dict[str, Any], param: str) -> None:
    response = await client.post("/v1/responses", json=body)
    error = (await response.json())["error"]
    assert (response.status, error["type"], error["param"]) == (400, "invalid_request_error", param)


@pytest.mark.parametrize("where", ["metadata", "tools", "not_yet_known"])
async def test_what_is_nested_too_deeply_is_refused(client: TestClient, where: str) -> None:
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    value = b'[{"type":"function","name":"f","parameters":%s}]' % deep if where == "tools" else deep
    body = b'{"model":"ironclaw","input":"x","%s":%s}' % (where.encode(), value)
    response = await client.post("/v1/responses", data=body, headers={"Content-Type": "application/json"})
    assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")


JSON = st.sampled_from([None, True, -1, 0.5, "", "x", "type", [], ["x"], {}, {"type": "x"}, [{"type": "input_text"}]])
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "input_image", "x"]), "text": JSON, "image_url": JSON}
)
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning", "x"])},
    optional={
        "role": st.sampled_from(["user", "assistant", "system"]) | JSON, "content": st.lists(PARTS, max_size=2) | JSON,
        "call_id": JSON, "name": JSON, "arguments": JSON, "output": st.lists(PARTS, max_size=2) | JSON,
    },
)  # fmt: skip
NAMES = (
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "max_output_tokens",
    "instructions",
    "metadata",
    "store",
    "stream",
)


@profile(deadline=None)
@given(items=st.lists(ITEMS, max_size=3) | JSON, more=st.dictionaries(st.sampled_from(NAMES), JSON))
def test_whatever_comes_in_is_taken_or_refused_and_never_breaks_anything(items: Any, more: dict[str, Any]) -> None:
    try:
        asked = parse_request(codec.dumps({"model": "m", "input": items, **more}))
    except (Invalid, BadRequest):
        return
    assert {one["role"] for one in asked.messages} <= {"user", "assistant", "system", "tool"}


# What comes back


async def test_thoughts_text_and_calls_come_in_the_official_order(make_client: MakeClient, settings: Settings) -> None:
    calls = [ToolCallDelta(0, '{"a":', "c0", "look"), ToolCallDelta(0, " 1}"), ToolCallDelta(1, "{}", "c1", "look")]
    script = [
        ReasoningDelta("Hm."),
        TextDelta("I "),
        TextDelta("look."),
        *calls,
        Finished("tool_calls", Usage(5, 3, 0.1)),
    ]
    client = await make_client(settings, llm=ScriptedModel(script))
    events = await stream(client, "Hi", model="scripted-1", tools=[LOOK])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    response = events[-1]["response"]
    assert [(one["type"], one["status"]) for one in response["output"]] == [
        ("reasoning", "completed"), ("message", "completed"), ("function_call", "completed"),
        ("function_call", "completed"),
    ]  # fmt: skip
    first, second = response["output"][2:]
    assert (first["call_id"], first["arguments"], second["call_id"]) == ("c0", '{"a": 1}', "c1")
    assert response["usage"]["total_tokens"] == 8
    done = [event["item"]["id"] for event in events if event["type"] == "response.output_item.done"]
    assert done == [one["id"] for one in response["output"]]


def test_pieces_of_two_calls_may_come_in_turns() -> None:
    builder = ResponseBuilder("resp_1", {"model": "m"})
    pieces = [
        ToolCallDelta(0, "[1", "a", "f"),
        ToolCallDelta(1, "[2", "b", "g"),
        ToolCallDelta(0, "]"),
        ToolCallDelta(1, "]"),
    ]
    for piece in [*pieces, Finished("tool_calls")]:
        list(builder.take(piece))
    assert [(one["call_id"], one["arguments"]) for one in builder.output] == [("a", "[1]"), ("b", "[2]")]


async def test_a_reply_that_ran_out_of_room_is_incomplete(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel([TextDelta("Half"), Finished("length", Usage(1, 1))]))
    response = await create(client, "Hi", model="ironclaw")
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["output"][0]["status"] == "incomplete"
    assert (await stream(client, "Hi", model="ironclaw"))[-1]["type"] == "response.incomplete"


async def test_a_failure_is_a_status_before_the_first_word_and_the_last_event_after_it(
    make_client: MakeClient, settings: Settings
) -> None:
    away = ProviderError("Away.", code="unreachable")
    client = await make_client(settings, llm=ScriptedModel([away], [away], [TextDelta("Half"), away]))
    for more in ({}, {"stream": True}):
        assert (await create(client, "Hi", 502, model="scripted-1", **more))["error"]["message"] == "Away."
    last = (await stream(client, "Hi", model="scripted-1"))[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": "server_error", "message": "Away."}
    await create(client, "Hi", 502, model="scripted-1")
    await create(client, "x", 404, previous_response_id=last["response"]["id"])


async def test_a_server_that_does_not_stream_is_read_too(connected: TestClient, stand_in: StandInProcess) -> None:
    message = {"role": "assistant", "content": "All at once."}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    stand_in.script("whole", reply(json.dumps(whole), Content_Type="application/json"))
    assert text_of(await create(connected, "Hi", model="whole")) == "All at once."


async def test_r25_a_client_that_leaves_ends_the_model_s_call_and_keeps_nothing(
    connected: TestClient, stand_in: StandInProcess
) -> None:
    body = {"model": "count-1000-0.01", "input": "Hi", "stream": True}
    response = await connected.post("/v1/responses", json=body)
    created = json.loads((await response.content.readuntil(b"\n\n")).split(b"data: ")[1])["response"]["id"]
    response.close()
    await asyncio.to_thread(stand_in.wait_for, "gone", within=2.0)
    assert (await connected.get(f"/v1/responses/{created}")).status == 404


# What is kept


async def test_a_response_goes_on_from_all_that_was_before_but_not_its_instructions(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(call("look", '{"at": 1}'), say("Blue."), say("You asked for the sky."))
    client = await make_client(settings, llm=model)
    ask: dict[str, Any] = {"model": "scripted-1", "tools": [LOOK]}
    first = await create(client, "Look.", instructions="Be brief.", **ask)
    output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "blue"}
    second = await create(client, [output], previous_response_id=first["id"], **ask)
    third = await create(client, "What did I ask?", previous_response_id=second["id"], **ask)
    assert text_of(third) == "You asked for the sky."
    heard = [(one.role, one.content) for one in model.requests[2].messages]
    assert heard == [
        ("user", "Look."), ("assistant", ""), ("tool", "blue"), ("assistant", "Blue."), ("user", "What did I ask?"),
    ]  # fmt: skip
    assert model.requests[2].messages[1].tool_calls[0].arguments == '{"at": 1}'


async def test_a_response_is_read_again_and_forgotten(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    first = await create(client, "one", model="ironclaw")
    second = await create(client, "two", model="ironclaw", previous_response_id=first["id"])
    assert await (await client.get(f"/v1/responses/{second['id']}")).json() == second
    deleted = await (await client.delete(f"/v1/responses/{first['id']}")).json()
    assert deleted == {"id": first["id"], "object": "response.deleted", "deleted": True}
    for method in ("GET", "DELETE"):
        response = await client.request(method, f"/v1/responses/{first['id']}")
        assert (response.status, (await response.json())["error"]["code"]) == (404, "response_not_found")
    # A conversation without its beginning is none.
    refused = await create(client, "three", 404, model="ironclaw", previous_response_id=second["id"])
    assert refused["error"]["param"] == "previous_response_id"


async def test_what_is_not_to_be_stored_is_not(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    made = await create(client, "Hi", model="ironclaw", store=False)
    assert made["store"] is False
    assert (await client.get(f"/v1/responses/{made['id']}")).status == 404


async def test_a_key_that_was_pasted_is_not_stored(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say(f"Is {KEY} yours?")))
    made = await create(client, f"My key is {KEY}", model="scripted-1", instructions=f"Never say {KEY}")
    await client.close()
    stored = (settings.home / "ironclaw.db").read_bytes()  # type: ignore[operator]
    assert (made["id"].encode() in stored, KEY.encode() in stored) == (True, False)


async def test_only_so_many_are_kept_and_those_in_use_stay_longest(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    client.gateway.services.openai.responses._bounds = Bounds(most=3)  # type: ignore[attr-defined]
    other = (await create(client, "other", model="ironclaw"))["id"]
    chain = [(await create(client, "0", model="ironclaw"))["id"]]
    for number in (1, 2):
        chain.append((await create(client, f"{number}", model="ironclaw", previous_response_id=chain[-1]))["id"])
    kept = [(await client.get(f"/v1/responses/{one}")).status for one in (other, *chain)]
    assert kept.count(200) == 3
    assert kept[1:3] == [200, 200]  # what others go on from is there


async def test_they_are_bounded_in_bytes_and_in_age(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    responses = client.gateway.services.openai.responses  # type: ignore[attr-defined]
    responses._bounds = Bounds(size=20_000)
    large = [(await create(client, "x" * 8000, model="ironclaw"))["id"] for _ in range(3)]
    found = [(await client.get(f"/v1/responses/{one}")).status for one in large]
    assert found.count(200) == 2
    database = client.gateway.services.database  # type: ignore[attr-defined]
    await database.write(lambda db: db.execute("UPDATE responses SET used_at = used_at - 100").rowcount)
    responses._bounds = Bounds(seconds=99)
    newest = (await create(client, "y", model="ironclaw"))["id"]
    assert [(await client.get(f"/v1/responses/{one}")).status for one in (*large, newest)] == [404, 404, 404, 200]


async def test_what_is_gone_on_from_counts_as_used(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings)
    database = client.gateway.services.database  # type: ignore[attr-defined]
    bounds = Bounds(seconds=50)
    for moment, name, previous in ((0, "a", None), (40, "b", "a"), (80, "c", "b"), (120, "d", "c")):
        stored = StoredResponse(id=name, previous_id=previous, messages=b'["%s"]' % name.encode(), response=b"{}")
        await database.write(store.keep(stored, moment, bounds))
    assert await database.read(lambda db: store.conversation(db, "d")) == [b'["a"]', b'["b"]', b'["c"]', b'["d"]']


async def test_nobody_without_the_token_makes_or_reads_any(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, auth=False)
    for method, path in (("POST", ""), ("GET", "/resp_1"), ("DELETE", "/resp_1")):
        response = await client.request(method, f"/v1/responses{path}", json={} if method == "POST" else None)
        assert (response.status, (await response.json())["error"]["code"]) == (401, "invalid_api_key")


async def test_a_thread_key_counts_here_too(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    await create(client, "Hi", model="ironclaw", metadata={"thread_id": "kept"})
    listed = (await (await client.get("/api/chat/threads")).json())["threads"]
    assert [one["id"] for one in listed] == ["kept"]
