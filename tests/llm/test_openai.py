"""The OpenAI protocol against a model server in another process: what is sent, and what is made of what comes back."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from llm.provider_calls import (
    SHORT,
    ask,
    endpoint,
    open_http,  # noqa: F401 - a fixture
    read,
    read_failing,
    text_of,
    thoughts_of,
)
from llm.stand_in_process import (
    StandInProcess,
    byte_by_byte,
    chunk,
    reply,
    run_stand_in,  # noqa: F401 - a fixture
    sse,
)

from ironclaw.llm.models import (
    Abilities,
    Finished,
    ModelMessage,
    ModelRequest,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolSpec,
    Usage,
)
from ironclaw.llm.openai import OpenAIProvider, list_models
from ironclaw.llm.provider import Provider
from ironclaw.llm.transport import ModelHTTP

Make = Callable[..., OpenAIProvider]


@pytest.fixture
def make(http: ModelHTTP, stand_in: StandInProcess) -> Make:
    """Makes a provider for a model of the stand-in."""

    def make(model: str, **more: Any) -> OpenAIProvider:
        abilities = more.pop("abilities", Abilities())
        there = endpoint(f"{stand_in.url}/v1", **more)
        return OpenAIProvider(http, there, model, timeouts=SHORT, abilities=abilities)

    return make


async def test_a_reply_comes_piece_by_piece_and_ends_with_its_usage(make: Make) -> None:
    provider = make("hello")
    assert isinstance(provider, Provider)
    assert await read(provider) == [
        *map(TextDelta, ("Hello ", "from ", "the ", "model.")),
        Finished("stop", Usage(12, 5, None)),
    ]


async def test_a_piece_is_given_out_before_the_next_one_is_sent(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("one", reply(sse(chunk("first"), done=False), {"hang": True}))
    deltas = make("one").stream(ask())
    assert await anext(deltas) == TextDelta("first")
    assert not stand_in.events("end", path="/v1/chat/completions")
    await deltas.aclose()


async def test_odd_borders_change_nothing(make: Make, stand_in: StandInProcess) -> None:
    """In the middle of UTF-8, of a line, of CRLF; with comments, without a space after `data:`."""
    stream = sse(": OPENROUTER PROCESSING\n\n", chunk("Grüße "), chunk("an 🦀"), chunk(None, finish="stop"))
    data = stream.replace("\n", "\r\n").replace("data: ", "data:").encode()
    stand_in.script("odd", reply(*byte_by_byte(data)))
    assert text_of(await read(make("odd"))) == "Grüße an 🦀"


async def test_a_tool_call_is_put_together_from_interleaved_pieces(make: Make, stand_in: StandInProcess) -> None:
    def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
        return chunk(tool_calls=[{"index": index, "function": function, **more}])

    stand_in.script(
        "two",
        reply(
            sse(
                piece(0, "", id="a", name="Read"),
                piece(1, '{"x"', id="b", name="Write"),
                piece(0, '{"path":'),
                piece(1, ":1}"),
                piece(0, '"n"}'),
                chunk(finish="tool_calls"),
            )
        ),
    )
    deltas = await read(make("two"))
    assert _calls(deltas) == {0: ("a", "Read", '{"path":"n"}'), 1: ("b", "Write", '{"x":1}')}
    assert isinstance(deltas[-1], Finished)
    assert deltas[-1].reason == "tool_calls"


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param(
            [{"id": "a", "function": {"name": "A", "arguments": "{"}}, {"function": {"arguments": "}"}}],
            {0: ("a", "A", "{}")},
            id="no index",
        ),
        pytest.param(
            [{"function": {"name": "A", "arguments": "{}"}}, {"function": {"name": "A", "arguments": "{}"}}],
            {0: (None, "A", "{}"), 1: (None, "A", "{}")},
            id="neither index nor id, whole calls",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "A", "arguments": "{}"}},
                {"index": 0, "id": "b", "function": {"name": "B", "arguments": "{}"}},
            ],
            {0: ("a", "A", "{}"), 1: ("b", "B", "{}")},
            id="index 0 for all",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "get_", "arguments": ""}},
                {"index": 0, "function": {"name": "time", "arguments": "{}"}},
            ],
            {0: ("a", "get_time", "{}")},
            id="the name in pieces",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "A", "arguments": "{"}},
                {"index": 0, "id": "a", "function": {"name": "A", "arguments": "}"}},
            ],
            {0: ("a", "A", "{}")},
            id="id and name again with each piece",
        ),
        pytest.param(
            [{"index": 0, "function": {"name": "A", "arguments": {"x": 1}}}], {0: (None, "A", '{"x":1}')}, id="object"
        ),
        pytest.param(["?", {"index": "0", "function": 5}], {0: (None, None, "")}, id="nonsense"),
    ],
)
async def test_tool_calls_are_read_as_servers_send_them(
    make: Make, stand_in: StandInProcess, pieces: list[Any], calls: dict[int, Any]
) -> None:
    stand_in.script("calls", reply(sse(*[chunk(tool_calls=[one]) for one in pieces], chunk(finish="stop"))))
    deltas = await read(make("calls"))
    assert _calls(deltas) == calls
    assert deltas[-1].reason == "tool_calls"  # type: ignore[union-attr]


async def test_a_thousand_tool_calls_are_refused(make: Make, stand_in: StandInProcess) -> None:
    """S72."""
    many = [{"index": n, "id": f"c{n}", "function": {"name": "A", "arguments": "{}"}} for n in range(1000)]
    stand_in.script("many", reply(sse(chunk(tool_calls=many), chunk(finish="tool_calls"))))
    got, error = await read_failing(make("many"))
    assert error.code == "bad_reply"
    assert len(got) == 128


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_what_the_model_thinks_aloud_is_not_its_answer(make: Make, stand_in: StandInProcess, field: str) -> None:
    first = chunk(None, **{field: "Hm."})
    stand_in.script("think", reply(sse(first, chunk("Yes."), chunk(None, finish="stop"))))
    deltas = await read(make("think"))
    assert (thoughts_of(deltas), text_of(deltas)) == ("Hm.", "Yes.")


async def test_only_the_first_choice_counts(make: Make, stand_in: StandInProcess) -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "length"}]}
    stand_in.script("two", reply(sse(chunk("A"), other, chunk(finish="stop"))))
    assert await read(make("two")) == [TextDelta("A"), Finished("stop", Usage(_any, 1, None))]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("function_call", "stop"),
    ],
)
async def test_a_reason_that_nobody_knows_is_a_stop(
    make: Make, stand_in: StandInProcess, word: str, reason: str
) -> None:
    stand_in.script("end", reply(sse(chunk("A", function_call={"name": "old"}), chunk(finish=word))))
    deltas = await read(make("end"))
    assert [type(delta) for delta in deltas] == [TextDelta, Finished]
    assert deltas[-1].reason == reason  # type: ignore[union-attr]


_any = type("Any", (), {"__eq__": lambda *_: True, "__hash__": None})()


@pytest.mark.parametrize("apart", [True, False])
async def test_usage_comes_after_the_finish_or_with_it(make: Make, stand_in: StandInProcess, apart: bool) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 7},
        "cost": 0.0125,
    }
    chunks = [chunk("A"), chunk(finish="stop"), {"choices": [], "usage": usage}]
    if not apart:
        chunks = [chunk("A"), chunk(finish="stop", usage=usage)]
    stand_in.script("usage", reply(sse(*chunks)))
    assert (await read(make("usage")))[-1] == Finished("stop", Usage(100, 20, 0.0125, 64, 7))


async def test_a_local_model_costs_nothing(make: Make) -> None:
    assert (await read(make("hello", local=True)))[-1] == Finished("stop", Usage(12, 5, 0.0))


@pytest.mark.parametrize("wrong", ["-5", "NaN", "1.5", '"12"', "true", "1e300", "99999999999999999999", "null", "[]"])
async def test_usage_that_cannot_be_true_is_estimated(make: Make, stand_in: StandInProcess, wrong: str) -> None:
    """S72: a cost never falls, and nothing is free by accident."""
    usage = f'"usage":{{"prompt_tokens":{wrong},"completion_tokens":{wrong},"cost":{wrong if wrong != "1.5" else -1}}}'
    last = f'data: {{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],{usage}}}\n\n'
    stand_in.script("wrong", reply(sse(chunk("x" * 4000), last)))
    [_, end] = await read(make("wrong"), ask("y" * 8000))
    assert isinstance(end, Finished)
    assert end.usage.output_tokens == 1000
    assert 2000 < end.usage.input_tokens < 2100
    assert end.usage.cost_usd is None


async def test_usage_that_falls_does_not_lower_the_cost(make: Make, stand_in: StandInProcess) -> None:
    """S72."""
    more, less = ({"prompt_tokens": n, "completion_tokens": n, "cost": n / 10} for n in (9, 3))
    stand_in.script("fall", reply(sse(chunk("A", usage=more), chunk(finish="stop", usage=less))))
    assert (await read(make("fall")))[-1] == Finished("stop", Usage(9, 9, 0.9))


async def test_half_an_emoji_does_not_break_a_reply(make: Make, stand_in: StandInProcess) -> None:
    half = 'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
    stand_in.script("half", reply(sse(half, chunk(finish="stop"))))
    assert text_of(await read(make("half"))) == "a?"


async def test_a_server_that_does_not_stream_is_understood(make: Make, stand_in: StandInProcess) -> None:
    whole = {"choices": [{"message": {"content": "All at once."}, "finish_reason": "stop"}]}
    stand_in.script("plain", reply(json.dumps(whole, indent=2), Content_Type="application/json"))
    assert text_of(await read(make("plain"))) == "All at once."


async def test_what_is_sent(make: Make, stand_in: StandInProcess) -> None:
    provider = make("hello", api_key="sk-0123456789abcdef", name="openai")
    messages = (
        ModelMessage("system", "Be short."),
        ModelMessage("user", "Hi"),
        ModelMessage("assistant", "", (ToolCall("a", "Read", '{"x":1}'), ToolCall("b", "Read", "{broken"))),
        ModelMessage("tool", "result", call_id="a"),
    )
    tool = ToolSpec("Read", "Reads.", {"type": "object", "properties": {}})
    await read(provider, ModelRequest(messages, (tool,), 99))
    [request] = stand_in.requests()
    assert request["headers"]["Authorization"] == "Bearer sk-0123456789abcdef"
    function = {"name": "Read", "description": "Reads.", "parameters": {"type": "object", "properties": {}}}
    calls = [
        {"id": "a", "type": "function", "function": {"name": "Read", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "Read", "arguments": "{}"}},
    ]
    assert request["body"] == {
        "model": "hello",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "result", "tool_call_id": "a"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": function}],
        "max_completion_tokens": 99,
    }


async def test_other_servers_get_the_old_limit_and_models_without_tools_get_none(
    make: Make, stand_in: StandInProcess
) -> None:
    provider = make("hello", abilities=Abilities(tools=False))
    await read(provider, ask(tools=(ToolSpec("Read", "", {}),), max_output_tokens=7))
    [request] = stand_in.requests()
    assert request["body"]["max_tokens"] == 7
    assert not request["body"].keys() & {"tools", "max_completion_tokens"}
    assert "Authorization" not in request["headers"]


async def test_a_server_that_refuses_stream_options_is_asked_without(make: Make, stand_in: StandInProcess) -> None:
    no = reply('{"error":{"message":"Unknown field: stream_options"}}', status=400)
    stand_in.script("old", no, reply(sse(chunk("Hi"), chunk(finish="stop"))))
    provider = make("old")
    for _ in range(2):
        assert text_of(await read(provider)) == "Hi"
    assert ["stream_options" in one["body"] for one in stand_in.requests()] == [True, False, False]


async def test_a_connection_is_used_again_after_a_whole_reply(make: Make, stand_in: StandInProcess) -> None:
    provider = make("hello")
    await asyncio.gather(*[read(provider) for _ in range(3)])
    await read(provider)
    assert len(stand_in.requests()) == 4
    assert not stand_in.events("gone")


async def test_models_are_listed_with_their_context(http: ModelHTTP, stand_in: StandInProcess) -> None:
    stand_in.facts(
        models=[
            "a",
            {"id": "b", "context_length": 4096},
            {"id": "c", "meta": {"n_ctx": 512}},
            {"id": "d", "max_model_len": -1},
        ]
    )
    models = await list_models(http, endpoint(f"{stand_in.url}/v1"), timeout=5)
    assert [(one.id, one.context_tokens) for one in models] == [("a", None), ("b", 4096), ("c", 512), ("d", None)]


def _calls(deltas: list[Any]) -> dict[int, tuple[str | None, str | None, str]]:
    """Id, name and arguments of each call, put together as a turn does."""
    calls: dict[int, tuple[str | None, str | None, str]] = {}
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            call_id, name, arguments = calls.get(delta.index, (None, None, ""))
            calls[delta.index] = (delta.call_id or call_id, delta.name or name, arguments + delta.arguments)
    return calls
