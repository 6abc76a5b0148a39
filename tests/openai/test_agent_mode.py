"""Model `ironclaw` on /v1: the agent with its tools and memory, a client's own tools, threads only where one is named."""

import asyncio
import json
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from approval_calls import Shell, approvals, ask
from chat_calls import MakeClient, call, history, say
from conftest import ScriptedModel
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401

from ironclaw.errors import ProviderError
from ironclaw.llm.models import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from ironclaw.settings import Settings

LOOK = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def chat(client: TestClient, *messages: dict[str, Any], headers: Any = None, **more: Any) -> Any:
    body = {"model": "ironclaw", "messages": messages, **more}
    return await client.post("/v1/chat/completions", json=body, headers=headers)


async def answer(client: TestClient, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The one choice of a reply, with the reply's usage."""
    response = await chat(client, *messages, **more)
    body = await response.json()
    assert response.status == 200, body
    return {**body["choices"][0], "usage": body["usage"]}


async def refusal(client: TestClient, *messages: dict[str, Any], **more: Any) -> tuple[int, dict[str, Any]]:
    response = await chat(client, *messages, **more)
    return response.status, (await response.json())["error"]


async def chunks(client: TestClient, *messages: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    response = await chat(client, *messages, stream=True, **more)
    assert response.status == 200, await response.text()
    events = (await response.text()).strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events[:-1]]


async def threads(client: TestClient) -> list[str]:
    return [one["id"] for one in (await (await client.get("/api/chat/threads")).json())["threads"]]


# The conversation


async def test_the_whole_history_counts_and_the_client_s_system_messages_follow_ours(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(say("Fine."))
    client = await make_client(settings, llm=model)
    said = [user("one"), {"role": "assistant", "content": "two"}, user("three")]
    await answer(
        client, {"role": "system", "content": "Be brief."}, *said, {"role": "developer", "content": "In rhyme."}
    )
    system, *others = model.requests[0].messages
    assert [(one.role, one.content) for one in others] == [("user", "one"), ("assistant", "two"), ("user", "three")]
    assert system.content.startswith("You are IronClaw")
    assert system.content.endswith("# Instructions of the program through which your user asks\nBe brief.\n\nIn rhyme.")


async def test_a_conversation_without_a_user_is_refused(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    status, error = await refusal(client, {"role": "system", "content": "Be brief."})
    assert (status, error["param"], error["type"]) == (400, "messages", "invalid_request_error")


async def test_the_agent_reads_the_notes_with_its_own_tools(
    make_client: MakeClient,
    settings: Settings,
    stand_in: StandInProcess,
) -> None:
    more = {"llm_backend": "openai_compatible", "llm_base_url": f"{stand_in.url}/v1", "llm_model": "obedient"}
    client = await make_client(attrs.evolve(settings, **more))
    (settings.home / "workspace" / "MEMORY.md").write_text("The cat is called Tom.\n")  # type: ignore[operator]
    choice = await answer(client, user('call FileRead {"path": "MEMORY.md"}'))
    assert "The cat is called Tom." in choice["message"]["content"]
    assert "The cat is called Tom." in stand_in.requests()[0]["body"]["messages"][0]["content"]  # it knows its notes
    assert choice["usage"]["total_tokens"] == 2 * 17  # of both calls


async def test_no_thread_is_left_and_nobody_else_sees_the_turn(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(call("Time"), say("It is late.")))
    before = await threads(client)
    gateway = client.gateway  # type: ignore[attr-defined]
    with gateway.services.hub.subscribe() as everything:
        assert (await answer(client, user("What time is it?")))["message"]["content"] == "It is late."
        gateway.services.chat.new_default()
        assert (await anext(aiter(everything))).kind == "thread_updated"
    assert await threads(client) == before == []


async def test_thoughts_are_reasoning_content(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel([ReasoningDelta("Hm."), *say("Yes.")]))
    deltas = [one["choices"][0]["delta"] for one in await chunks(client, user("?"))]
    assert [one["reasoning_content"] for one in deltas if "reasoning_content" in one] == ["Hm."]
    assert (await answer(client, user("?")))["message"]["reasoning_content"] == "Hm."


async def test_an_answer_that_ran_out_of_room_says_so(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel([TextDelta("Half"), Finished("length", Usage(1, 1))]))
    assert (await answer(client, user("?")))["finish_reason"] == "length"


async def test_what_fails_before_the_first_word_is_a_status(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel([ProviderError("Away.", code="unreachable")]))
    for more in ({}, {"stream": True}, {"metadata": {"thread_id": "t"}}):
        status, error = await refusal(client, user("?"), **more)
        assert (status, error["message"], error["code"]) == (502, "Away.", "unreachable")


# The client's own tools


async def test_a_call_of_the_client_s_tool_ends_the_turn_and_is_handed_over(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(call("Time"), call("look", '{"at": "sky"}', "c1"), say("It is blue."))
    client = await make_client(settings, llm=model)
    asked = [user("What colour is the sky?")]
    choice = await answer(client, *asked, tools=[LOOK])
    assert choice["finish_reason"] == "tool_calls"
    (made,) = choice["message"]["tool_calls"]
    assert made["function"] == {"name": "look", "arguments": '{"at": "sky"}'}
    assert choice["usage"]["total_tokens"] == 4  # the agent's own call of Time counts too
    results = [choice["message"], {"role": "tool", "tool_call_id": made["id"], "content": "blue"}]
    assert (await answer(client, *asked, *results, tools=[LOOK]))["message"]["content"] == "It is blue."
    *_, assistant, tool = model.requests[-1].messages
    assert (assistant.tool_calls[0].call_id, tool.role, tool.call_id) == (made["id"], "tool", made["id"])
    assert (tool.content, assistant.tool_calls[0].name) == ("blue", "look")


async def test_a_new_call_never_has_the_id_of_an_earlier_one(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(call("look", "{}", "call_0")))
    before = {"id": "call_0", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    spoken = [{"role": "assistant", "tool_calls": [before]}, {"role": "tool", "tool_call_id": "call_0", "content": "x"}]
    choice = await answer(client, user("Look twice."), *spoken, tools=[LOOK])
    assert choice["message"]["tool_calls"][0]["id"] != "call_0"


async def test_calls_of_both_sides_in_one_reply_run_ours_and_send_theirs_back(
    make_client: MakeClient, settings: Settings
) -> None:
    both = [
        ToolCallDelta(0, "{}", "a", "Time"),
        ToolCallDelta(1, "{}", "b", "look"),
        Finished("tool_calls", Usage(1, 1)),
    ]
    model = ScriptedModel(both, call("look", "{}", "c"))
    client = await make_client(settings, llm=model)
    choice = await answer(client, user("Both."), tools=[LOOK])
    time, look = (one for one in model.requests[1].messages if one.role == "tool")
    assert ("20" in time.content, "Call it alone" in look.content) == (True, True)
    assert [one["id"] for one in choice["message"]["tool_calls"]] == ["c"]


async def test_several_calls_of_the_client_s_tools_are_handed_over_together(
    make_client: MakeClient, settings: Settings
) -> None:
    two = [ToolCallDelta(n, "{}", f"c{n}", "look") for n in range(2)]
    client = await make_client(settings, llm=ScriptedModel([TextDelta("Wait."), *two, Finished("tool_calls")]))
    found = await chunks(client, user("Twice."), tools=[LOOK], stream_options={"include_usage": True})
    calls = [one for chunk in found for choice in chunk["choices"] for one in choice["delta"].get("tool_calls", [])]
    assert [(one["index"], one["id"]) for one in calls] == [(0, "c0"), (1, "c1")]
    assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_client_s_tool_with_the_name_of_ours_is_the_client_s(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(call("Time"))
    client = await make_client(settings, llm=model)
    theirs = {"type": "function", "function": {"name": "Time", "description": "Their clock."}}
    assert (await answer(client, user("?"), tools=[theirs]))["finish_reason"] == "tool_calls"
    assert [one.description for one in model.requests[0].tools if one.name == "Time"] == ["Their clock."]


async def test_a_call_that_was_cut_off_is_not_handed_over(make_client: MakeClient, settings: Settings) -> None:
    cut = [ToolCallDelta(0, '{"at": "sk', "c", "look"), Finished("length", Usage(1, 1))]
    client = await make_client(settings, llm=ScriptedModel(cut, say("I could not look.")))
    choice = await answer(client, user("?"), tools=[LOOK])
    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", "I could not look.")


# Approvals


@pytest.mark.parametrize("more", [{}, {"metadata": {"thread_id": "kept"}}])
async def test_what_needs_an_approval_is_refused_and_the_answer_says_where_to_give_it(
    make_client: MakeClient, settings: Settings, more: dict[str, Any]
) -> None:
    shell = Shell()
    model = ScriptedModel(ask("df -h"), say("I may not."))
    client = await make_client(settings, llm=model, tools=[shell.tool])
    text = (await answer(client, user("How full is the disk?"), **more))["message"]["content"]
    said, _, where = text.partition("\n\n")
    assert (said, where.startswith("`Shell` needs your approval")) == ("I may not.", True)
    assert "conversation on the gateway's own page" in where
    assert "nobody can give one here" in model.requests[1].messages[-1].content
    assert (shell.ran, await approvals(client)) == ([], [])


# Threads


async def test_a_thread_key_keeps_the_conversation_and_what_is_stored_is_the_truth(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(say("First."), say("Second."), say("Third."))
    client = await make_client(settings, llm=model)
    await answer(client, user("one"), headers={"X-IronClaw-Thread": "kept"})
    invented = [user("never said"), {"role": "assistant", "content": "nor this"}]
    found = await chunks(client, *invented, user("two"), metadata={"thread_id": "kept"})
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in found) == "Second."
    assert [one.content for one in model.requests[1].messages[1:]] == ["one", "First.", "two"]
    assert [one["user_message"] for one in await history(client, "kept")] == ["one", "two"]
    assert await threads(client) == ["kept"]
    usage = (await answer(client, user("three"), metadata={"thread_id": "kept"}))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2, 1)


async def test_a_thread_takes_no_tools_of_the_client_and_no_impossible_name(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    status, error = await refusal(client, user("x"), tools=[LOOK], metadata={"thread_id": "t"})
    assert (status, error["param"]) == (400, "tools")
    status, error = await refusal(client, user("x"), headers={"X-IronClaw-Thread": "../x"})
    assert (status, error["param"]) == (400, "thread_id")
    assert await threads(client) == []


async def first_words(client: TestClient, **more: Any) -> Any:
    """A stream whose first words have come."""
    response = await chat(client, user("Go on for long."), stream=True, **more)
    while b"Begun" not in await response.content.readline():
        pass
    return response


async def test_r25_a_client_that_leaves_ends_its_turn_unless_a_thread_keeps_it(
    make_client: MakeClient, settings: Settings
) -> None:
    go_on = asyncio.Event()
    model = ScriptedModel([TextDelta("Begun"), go_on, *say(" and done.")])
    client = await make_client(settings, llm=model)
    (await first_words(client)).close()
    async with asyncio.timeout(2):
        while not model.closed:
            await asyncio.sleep(0.01)
    services = client.gateway.services  # type: ignore[attr-defined]
    with services.hub.subscribe(thread_id="kept") as events:
        (await first_words(client, metadata={"thread_id": "kept"})).close()
        go_on.set()
        async for event in events:
            if event.kind == "response":
                break
    assert [(one["state"], one["response"]) for one in await history(client, "kept")] == [
        ("completed", "Begun and done.")
    ]


# Side calls and rates


@pytest.mark.parametrize(
    ("text", "headers"),
    [("### Task:\nGenerate a concise title.", None), ("A title, please.", {"X-OpenWebUI-Task": "title_generation"})],
)
async def test_a_front_end_s_side_call_runs_no_tools_and_makes_no_thread(
    make_client: MakeClient, settings: Settings, text: str, headers: Any
) -> None:
    model = ScriptedModel(say("A title"))
    client = await make_client(settings, llm=model)
    more = {"metadata": {"thread_id": "kept"}, "tools": [LOOK]}
    choice = await answer(client, user(text), headers=headers, **more)
    assert choice["message"]["content"] == "A title"
    assert (model.requests[0].tools, [one.content for one in model.requests[0].messages]) == ((), [text])
    assert await threads(client) == []


async def test_the_built_in_assistant_has_no_titles_and_says_nothing(client: TestClient) -> None:
    choice = await answer(client, user("### Task:\nGenerate a concise title."))
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")


async def test_s64_the_agent_s_answers_are_counted_with_the_chat_messages(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, chat_rate=3), llm=ScriptedModel())
    await answer(client, user("one"))
    await client.post("/api/chat/send", json={"message": "two"})
    made = await client.post("/v1/responses", json={"model": "ironclaw", "input": "three"})
    assert made.status == 200
    response = await chat(client, user("four"))
    error = (await response.json())["error"]
    assert (response.status, error["type"], error["code"]) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert int(response.headers["Retry-After"]) > 0
    other = await client.post("/v1/chat/completions", json={"model": "scripted-1", "messages": [user("five")]})
    assert other.status == 200  # a model without the agent is no chat message


# Pictures, and how replies are to be written


SEEN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def test_the_agent_sees_pictures(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(say("A cat."))
    client = await make_client(settings, llm=model)
    parts = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, SEEN]}
    await answer(client, parts)
    await answer(client, parts, metadata={"thread_id": "t"})
    for request in model.requests:
        told = request.messages[-1]
        assert (told.content, told.pictures) == ("What is it?", (SEEN["image_url"]["url"],))
    assert [len(one["attachments"]) for one in await history(client, "t")] == [1]


async def test_a_picture_that_is_none_or_not_the_user_s_is_refused(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("Yes.")))
    odd = {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}
    status, error = await refusal(client, {"role": "user", "content": [odd]})
    assert (status, error["param"]) == (400, "messages[0].content[0].image_url.url")
    status, error = await refusal(client, user("?"), {"role": "assistant", "content": [SEEN]}, user("?"))
    assert (status, error["param"]) == (400, "messages[1].content[0]")


async def test_what_a_client_asks_of_the_writing_reaches_the_model(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(say("{}"))
    client = await make_client(settings, llm=model)
    asked = {"temperature": 0.1, "seed": 7, "stop": ["END"], "response_format": {"type": "json_object"}}
    await answer(client, user("?"), max_tokens=50, **asked)
    assert (model.requests[0].options, model.requests[0].max_output_tokens) == (asked, 50)
    await answer(client, user("?"))
    assert (model.requests[1].options, model.requests[1].max_output_tokens) == ({}, None)
