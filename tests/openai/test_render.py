"""A reply in OpenAI's words: what each piece of it becomes, as events and in one piece."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from v1_calls import events_of

from ironclaw.errors import Invalid, ProviderError
from ironclaw.llm.models import (
    Delta,
    Finished,
    ModelMessage,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolSpec,
    Usage,
    Waiting,
)
from ironclaw.openai.messages import read_messages, read_tools
from ironclaw.openai.render import Shape, render_stream, render_whole

BASE = {"id": "chatcmpl-1", "created": 7, "model": "m"}
CALLS: list[Delta] = [
    ToolCallDelta(0, '{"a"', "c1", "loo"),
    ToolCallDelta(0, ":1}", None, "look"),
    ToolCallDelta(1, "{}", "c2", "go"),
    Finished("tool_calls", Usage(3, 2, 0.0, 1, 1)),
]


def shape(**more: Any) -> Shape:
    return Shape(**{"model": "m", "reply_id": "chatcmpl-1", "created": 7, **more})


async def said(*deltas: Delta | Exception) -> AsyncGenerator[Delta, None]:
    for delta in deltas:
        if isinstance(delta, Exception):
            raise delta
        yield delta


async def events(*deltas: Delta | Exception, **more: Any) -> list[Any]:
    return events_of(b"".join([piece async for piece in render_stream(said(*deltas), shape(**more))]))


async def whole(*deltas: Delta | Exception, **more: Any) -> dict[str, Any]:
    return json.loads(await render_whole(said(*deltas), shape(**more)))  # type: ignore[no-any-return]


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {**BASE, "object": "chat.completion.chunk", "choices": [choice]}


async def test_a_stream_begins_with_the_role_and_ends_with_the_reason_and_done() -> None:
    got = await events(Waiting("Loading"), ReasoningDelta("hm"), TextDelta('a"\n'), TextDelta("é"), Finished("length"))
    assert got == [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": 'a"\n'}),
        chunk({"content": "é"}),
        chunk({}, "length"),
        "[DONE]",
    ]


async def test_usage_comes_before_done_when_it_is_asked_for() -> None:
    got = await events(TextDelta("a"), Finished("stop", Usage(3, 2, 0.0, 1, 1)), include_usage=True)
    assert got[-2] == {
        **BASE,
        "object": "chat.completion.chunk",
        "choices": [],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


async def test_the_pieces_of_calls_add_up_to_the_calls() -> None:
    pieces = [one["choices"][0]["delta"]["tool_calls"][0] for one in (await events(*CALLS))[1:-2]]
    assert [(one["index"], one.get("id"), one.get("type")) for one in pieces] == [
        (0, "c1", "function"),
        (0, None, None),
        (1, "c2", "function"),
    ]
    for index, name, arguments in ((0, "look", '{"a":1}'), (1, "go", "{}")):
        mine = [one["function"] for one in pieces if one["index"] == index]
        assert "".join(one.get("name", "") for one in mine) == name
        assert "".join(one["arguments"] for one in mine) == arguments


async def test_a_whole_reply_is_one_completion() -> None:
    got = await whole(ReasoningDelta("hm"), TextDelta("a"), TextDelta("b"), Finished("stop", Usage(3, 2)))
    message = {"role": "assistant", "content": "ab", "refusal": None, "reasoning_content": "hm"}
    assert got["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    assert (got["object"], got["usage"]["total_tokens"]) == ("chat.completion", 5)
    assert "system_fingerprint" not in got


async def test_a_whole_reply_of_calls_has_no_content() -> None:
    choice = (await whole(*CALLS))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "go", "arguments": "{}"}},
    ]


async def test_the_fingerprint_says_who_it_really_is() -> None:
    assert (await whole(Finished("stop"), fingerprint="f"))["system_fingerprint"] == "f"
    assert (await events(Finished("stop"), fingerprint="f"))[0]["system_fingerprint"] == "f"


async def test_an_error_is_raised_before_the_first_event_and_is_the_last_one_after_it() -> None:
    with pytest.raises(ProviderError):
        await events(Waiting("Loading"), ProviderError("x."))
    got = await events(TextDelta("a"), ProviderError("It broke.", code="cut_off"))
    assert got[-1] == {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": "cut_off"}}


async def test_a_reply_without_its_end_is_an_error() -> None:
    assert (await events(TextDelta("a")))[-1]["error"]["code"] == "cut_off"
    with pytest.raises(ProviderError, match="cut off"):
        await whole(TextDelta("a"))
    with pytest.raises(ProviderError, match="cut off"):
        await events()


async def test_leaving_a_stream_closes_what_it_is_made_from() -> None:
    closed = []

    async def endless() -> AsyncGenerator[Delta, None]:
        try:
            while True:
                yield TextDelta("a")
        finally:
            closed.append(True)

    pieces = render_stream(endless(), shape())
    await anext(pieces)
    await pieces.aclose()
    assert closed == [True]


@given(st.text(), st.text())
async def test_any_text_comes_out_as_it_went_in(model: str, text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    name = model.encode("utf-8", "replace").decode()
    got = await events(TextDelta(clean), Finished("stop"), model=name)
    assert got[1]["choices"][0]["delta"]["content"] == clean
    assert got[1]["model"] == name


# What comes in


def test_messages_are_read_in_all_their_forms() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read_messages(
        [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": "d"},
            {"role": "user", "content": parts, "name": "ignored"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": parts},
        ]
    ) == (
        ModelMessage("system", "s"),
        ModelMessage("system", "d"),
        ModelMessage("user", "a\nb"),
        ModelMessage("assistant", "", (ToolCall("c", "f", '{"a": 1}'),)),
        ModelMessage("tool", "a\nb", call_id="c"),
    )


@pytest.mark.parametrize(
    ("message", "field", "code"),
    [
        ({"role": "king"}, "messages[0].role", "invalid_value"),
        ({}, "messages[0].role", "invalid_value"),
        ({"role": "user", "content": 1}, "messages[0].content", "invalid_type"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[0].content[0].image_url.url", "invalid_value"),
        ({"role": "tool", "content": [{"type": "image_url"}]}, "messages[0].content[0]", "unsupported_content"),
        ({"role": "user", "content": [{"type": "text"}, 1]}, "messages[0].content[1]", "unsupported_content"),
    ],
)
def test_a_message_that_cannot_be_read_is_named(message: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_messages([message])
    assert (caught.value.field, caught.value.code) == (field, code)


def test_tools_are_functions() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert read_tools([{"type": "function", "function": function}]) == (ToolSpec("f", "d", {"type": "object"}),)
    assert read_tools(None) == ()
    with pytest.raises(Invalid):
        read_tools([{"type": "web_search"}])
