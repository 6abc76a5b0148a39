"""Ollama's protocol against a model server in another process."""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import aiohttp
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
    reply,
    run_stand_in,  # noqa: F401 - a fixture
)

from ironclaw.errors import ProviderError
from ironclaw.llm.failures import Failures
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
    Waiting,
)
from ironclaw.llm.ollama import OllamaProvider, list_models, show
from ironclaw.llm.provider import Provider
from ironclaw.llm.transport import ModelHTTP

Make = Callable[..., OllamaProvider]


@pytest.fixture
def make(http: ModelHTTP, stand_in: StandInProcess) -> Make:
    """Makes a provider for a model of the stand-in."""

    def make(model: str, **more: Any) -> OllamaProvider:
        abilities = more.pop("abilities", Abilities())
        return OllamaProvider(http, _ollama(stand_in.url, **more), model, timeouts=SHORT, abilities=abilities)

    return make


def _ollama(url: str, **more: Any) -> Any:
    return endpoint(url, **{"kind": "ollama", "name": "ollama", "local": True, **more})


def _lines(*chunks: Any) -> str:
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in chunks)


def _say(text: str, **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text, **more}, "done": False}


_DONE = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


async def test_a_reply_comes_piece_by_piece_and_ends_with_its_usage(make: Make) -> None:
    provider = make("hello")
    assert isinstance(provider, Provider)
    assert await read(provider) == [
        *map(TextDelta, ("Hello ", "from ", "the ", "model.")),
        Finished("stop", Usage(12, 5, 0.0)),
    ]


async def test_a_model_that_is_not_loaded_is_announced(make: Make, stand_in: StandInProcess) -> None:
    stand_in.facts(loaded=["echo:latest"])
    assert (await read(make("hello")))[0] == Waiting("Loading hello…")
    assert not [delta for delta in await read(make("echo")) if isinstance(delta, Waiting)]
    stand_in.facts(loaded=["hello:latest"])
    assert not [delta for delta in await read(make("hello:latest")) if isinstance(delta, Waiting)]


async def test_what_the_model_thinks_aloud_is_not_its_answer(make: Make) -> None:
    deltas = await read(make("think"))
    assert (thoughts_of(deltas), text_of(deltas)) == ("The person greets. So do I.", "Good day.")


async def test_tool_calls_come_whole(make: Make, stand_in: StandInProcess) -> None:
    calls = [{"function": {"index": n, "name": "Read", "arguments": {"n": n}}} for n in range(2)]
    stand_in.facts(loaded=["call"])
    stand_in.script("call", reply(_lines(_say("", tool_calls=calls[:1]), _say("", tool_calls=calls[1:]), _DONE)))
    deltas = await read(make("call"))
    assert deltas[:-1] == [ToolCallDelta(n, f'{{"n":{n}}}', None, "Read") for n in range(2)]
    assert deltas[-1].reason == "tool_calls"  # type: ignore[union-attr]


async def test_what_is_sent(make: Make, stand_in: StandInProcess) -> None:
    messages = (
        ModelMessage("user", "Hi"),
        ModelMessage("assistant", "", (ToolCall("a", "Read", '{"x":1}'), ToolCall("b", "Write", "{broken"))),
        ModelMessage("tool", "result", call_id="a"),
    )
    provider = make("hello", abilities=Abilities(32_000))
    await read(provider, ModelRequest(messages, (ToolSpec("Read", "Reads.", {"type": "object"}),), 99))
    [request] = stand_in.requests("/api/chat")
    calls = [
        {"id": "a", "function": {"name": "Read", "arguments": {"x": 1}}},
        {"id": "b", "function": {"name": "Write", "arguments": {}}},
    ]
    function = {"name": "Read", "description": "Reads.", "parameters": {"type": "object"}}
    assert request["body"] == {
        "model": "hello",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "content": "result", "tool_name": "Read", "tool_call_id": "a"},
        ],
        "stream": True,
        "options": {"num_ctx": 32_000, "num_predict": 99},
        "tools": [{"type": "function", "function": function}],
    }


async def test_the_context_is_8192_unless_told(make: Make, stand_in: StandInProcess) -> None:
    provider = make("hello", abilities=Abilities(tools=False))
    await read(provider, ask(tools=(ToolSpec("Read", "", {}),)))
    [request] = stand_in.requests("/api/chat")
    assert request["body"]["options"] == {"num_ctx": 8192}
    assert provider.abilities.context_tokens == 8192
    assert "tools" not in request["body"]


async def test_odd_borders_change_nothing(make: Make, stand_in: StandInProcess) -> None:
    data = _lines(_say("Grüße "), _say("an 🦀"), _DONE).replace("\n", "\r\n\r\n").encode()
    stand_in.script("odd", reply(*byte_by_byte(data)))
    assert text_of(await read(make("odd"))) == "Grüße an 🦀"


async def test_usage_that_is_missing_or_cannot_be_true_is_estimated(make: Make, stand_in: StandInProcess) -> None:
    """S72."""
    wrong = {**_DONE, "prompt_eval_count": -5, "eval_count": 1.5}
    stand_in.script("wrong", reply(_lines(_say("x" * 4000), wrong)), reply(_lines(_say("x" * 4000), _DONE)))
    for _ in range(2):
        end = (await read(make("wrong"), ask("y" * 8000)))[-1]
        assert isinstance(end, Finished)
        assert end.usage.output_tokens == 1000
        assert 2000 < end.usage.input_tokens < 2100


async def test_a_reply_that_ran_out_of_room_says_so(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("full", reply(_lines(_say("A"), {**_DONE, "done_reason": "length"})))
    assert (await read(make("full")))[-1].reason == "length"  # type: ignore[union-attr]


async def test_a_missing_model_can_be_pulled(make: Make) -> None:
    _, error = await read_failing(make("missing"))
    assert (error.code, error.status) == ("model_missing", 404)
    assert "ollama pull missing" in error.fix


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (_lines(_say("Half ")), "cut_off"),
        (_lines(_say("Half "), {"error": "an error was encountered while running the model"}), "provider_failed"),
        (_lines(_say("Half "), {"error": "the input length exceeds the context length"}), "context_overflow"),
        (_lines(_say("Half ")) + "{oops\n", "bad_reply"),
        (_lines(_say("Half ")) + "<html>\n", "bad_reply"),
        (_lines(_say("Half "), [1]), "cut_off"),
    ],
)
async def test_a_broken_reply_keeps_its_text(make: Make, stand_in: StandInProcess, body: str, code: str) -> None:
    """R22, R23, S72."""
    stand_in.script("broken", reply(body))
    got, error = await read_failing(make("broken"))
    assert (text_of(got), error.code) == ("Half ", code)


async def test_a_page_is_no_ollama(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("page", reply("<html>", Content_Type="text/html"))
    _, error = await read_failing(make("page"))
    assert (error.code, "no Ollama API" in error.what) == ("bad_reply", True)


async def test_leaving_ends_the_call(make: Make, stand_in: StandInProcess) -> None:
    """R25."""
    stand_in.script("long", reply(_lines(_say("A")), {"hang": True}))
    stand_in.facts(loaded=["long:latest"])
    deltas = make("long").stream(ask())
    await anext(deltas)
    await deltas.aclose()
    await asyncio.to_thread(stand_in.wait_for, "gone", within=2)


@pytest.mark.parametrize(
    ("url", "fix"),
    [("http://192.168.1.20:11434", "OLLAMA_HOST=0.0.0.0"), ("http://127.0.0.1:11434", "ollama serve")],
)
async def test_an_ollama_that_refuses_is_told_how_to_listen(url: str, fix: str) -> None:
    with closing(socket.socket()) as unheard:
        unheard.bind(("127.0.0.1", 0))
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await session.get(f"http://127.0.0.1:{unheard.getsockname()[1]}")
    error = Failures(_ollama(url)).connecting(caught.value)
    assert (error.code, fix in error.fix) == ("unreachable", True)


async def test_models_are_listed(http: ModelHTTP, stand_in: StandInProcess) -> None:
    stand_in.facts(models=["a", "b:7b"])
    models = await list_models(http, _ollama(stand_in.url), timeout=5)
    assert [one.id for one in models] == ["a:latest", "b:7b"]


async def test_what_is_no_list_is_no_ollama(http: ModelHTTP, stand_in: StandInProcess) -> None:
    stand_in.facts(models=[])
    assert await list_models(http, _ollama(stand_in.url), timeout=5) == []
    with pytest.raises(ProviderError) as caught:
        await list_models(http, _ollama(f"{stand_in.url}/v1/models?"), timeout=5)
    assert caught.value.code == "bad_reply"


@pytest.mark.parametrize(
    ("facts", "abilities"),
    [
        (
            {"capabilities": ["completion", "tools"], "model_info": {"qwen3.context_length": 40960}},
            Abilities(40960, True),
        ),
        ({"capabilities": ["completion"], "model_info": {"a.context_length": -1}}, Abilities(None, False)),
        ({}, Abilities(None, None)),
        ([], Abilities(None, None)),
    ],
)
async def test_what_a_model_can_do_is_asked(
    http: ModelHTTP, stand_in: StandInProcess, facts: Any, abilities: Abilities
) -> None:
    stand_in.facts(show=facts)
    assert await show(http, _ollama(stand_in.url), "hello", timeout=5) == abilities
    [request] = stand_in.requests("/api/show")
    assert request["body"] == {"model": "hello"}
