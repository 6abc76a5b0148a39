"""What calls that pass through use, cost, and may cost: counted as the server says, else estimated, within the budget."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from llm.provider_calls import open_http  # noqa: F401
from llm.stand_in_process import StandInProcess, byte_by_byte, chunk, reply, run_stand_in, sse  # noqa: F401
from usage_parts import open_parts
from v1_calls import (
    CHAT,
    asked,
    chat,
    open_relayed,  # noqa: F401
    read_until,
    stream,
    usage_of,
)

from ironclaw.errors import BudgetSpent
from ironclaw.llm.endpoint import Endpoint
from ironclaw.llm.link import ServerLink, Settled
from ironclaw.llm.servers import Dialer
from ironclaw.llm.transport import ModelHTTP
from ironclaw.openai.calls import Call, parse_call
from ironclaw.openai.errors import error_of
from ironclaw.openai.names import Names
from ironclaw.openai.relay import Relay
from ironclaw.settings import Settings
from ironclaw.usage.store import Caps


async def test_usage_is_recorded_as_the_server_says_it_and_hidden_unless_asked_for(relayed: TestClient) -> None:
    plain = await chat(relayed, asked())
    assert plain["usage"] == {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    quiet = await stream(relayed, asked())
    assert not any("usage" in one for one in quiet[:-1])
    told = await stream(relayed, asked(stream_options={"include_usage": True}))
    assert [one["usage"] for one in told[:-1] if "usage" in one] == [plain["usage"]]
    totals = await usage_of(relayed)
    assert (totals["calls"], totals["input_tokens"], totals["output_tokens"]) == (3, 36, 15)
    assert totals["estimated_calls"] == 0


async def test_usage_is_estimated_and_said_so_where_the_server_says_none(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    stand_in.script("mute", reply(sse(*[chunk("word")] * 20, chunk(finish="stop"))))
    events = await stream(relayed, asked("mute", stream_options={"include_usage": True}))
    last = events[-2]
    assert (last["choices"], last["object"], events[-1]) == ([], "chat.completion.chunk", "[DONE]")
    assert last["usage"]["estimated"] is True
    assert last["usage"]["completion_tokens"] == 20
    whole = json.dumps({"choices": [{"message": {"content": "word" * 20}, "finish_reason": "stop"}]})
    stand_in.script("mute", reply(whole, Content_Type="application/json"))
    await chat(relayed, asked("mute"))
    totals = await usage_of(relayed)
    assert (totals["calls"], totals["estimated_calls"], totals["output_tokens"]) == (2, 2, 40)


async def test_text_that_is_only_passed_by_is_estimated_as_well(relayed: TestClient, stand_in: StandInProcess) -> None:
    stand_in.script("mute", reply(sse(*[chunk("four")] * 2000, chunk(finish="stop"))))
    await stream(relayed, asked("mute"))
    assert 1900 <= (await usage_of(relayed))["output_tokens"] <= 2100


async def test_include_usage_works_with_a_server_that_refuses_to_be_asked(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    refusal = reply(json.dumps({"error": {"message": "unknown field stream_options"}}), status=400)
    stand_in.script("old", refusal, reply(sse(chunk("Hi", finish="stop"))))
    for _ in range(2):
        events = await stream(relayed, asked("old", stream_options={"include_usage": True}))
        assert events[-2]["usage"]["estimated"] is True
    assert ["stream_options" in one["body"] for one in stand_in.requests()] == [True, False, False]


async def test_a_call_that_is_left_is_counted_and_one_that_failed_is_not(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    await chat(relayed, asked("missing-not", stream=True) | {"model": "hello", "messages": []}, 400)
    stand_in.script("refusing", reply(json.dumps({"error": {"message": "no"}}), status=400))
    await chat(relayed, asked("refusing"), 400)
    assert (await usage_of(relayed))["calls"] == 0
    stand_in.script("held", reply(sse(chunk("word" * 10), done=False), {"hang": True}))
    response = await relayed.post(CHAT, json=asked("held", stream=True))
    await read_until(response, b"\n\n")
    response.close()
    await asyncio.to_thread(stand_in.wait_for, "gone", within=2.0)
    totals = await usage_of(relayed)
    assert (totals["calls"], totals["estimated_calls"], totals["output_tokens"]) == (1, 1, 10)


def a_hosted_link(http: ModelHTTP, settings: Settings, stand_in: StandInProcess) -> ServerLink:
    """The stand-in, as if it were a provider whose tokens cost something."""
    endpoint = Endpoint(kind="openai", name="openai", base_url=f"{stand_in.url}/v1")
    settled = Settled(endpoint, "gpt-4o-mini")
    return ServerLink("page", lambda: None, Dialer.of(http, settings), endpoint, "gpt-4o-mini", settled=settled)


def a_call(**fields: Any) -> Call:
    return parse_call(json.dumps(asked("gpt-4o-mini", **fields)).encode(), "messages")


async def test_no_call_passes_a_budget_that_is_spent(
    http: ModelHTTP, settings: Settings, stand_in: StandInProcess, tmp_path: Path
) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(0.0, None))
        link = a_hosted_link(http, settings, stand_in)
        with pytest.raises(BudgetSpent) as caught:
            await Relay(parts.meter, Names({})).answer(link, "/chat/completions", a_call(), default=True)
    shown = error_of(caught.value)
    assert (shown.status, shown.type, shown.code) == (429, "insufficient_quota", "insufficient_quota")
    assert stand_in.requests() == []


async def test_a_budget_bounds_what_a_call_may_write_and_is_free_again_after_it(
    http: ModelHTTP, settings: Settings, stand_in: StandInProcess, tmp_path: Path
) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    stand_in.script("gpt-4o-mini", reply(json.dumps({"choices": [], "usage": usage}), Content_Type="application/json"))
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(5.0, None))
        link, relay = a_hosted_link(http, settings, stand_in), Relay(parts.meter, Names({}))
        for asked_for, sent in (({}, {"max_completion_tokens": 4096}), ({"max_tokens": 7}, {"max_tokens": 7})):
            await relay.answer(link, "/chat/completions", a_call(**asked_for), default=True)
            assert stand_in.requests()[-1]["body"] == {**asked("gpt-4o-mini"), **sent}
        assert parts.budgets.reserved == 0
        assert parts.ledger.spent("day") == pytest.approx(2 * (1000 * 0.15 + 100 * 0.6) / 1e6)


async def test_embeddings_and_completions_pass_through(relayed: TestClient, stand_in: StandInProcess) -> None:
    got: dict[str, Any] = await chat(relayed, {"model": "e", "input": ["a", "bc"], "new": 1}, path="/v1/embeddings")
    assert [one["embedding"] for one in got["data"]] == [[1.0, 0.5], [2.0, 0.5]]
    assert stand_in.requests("/v1/embeddings")[-1]["body"] == {"model": "e", "input": ["a", "bc"], "new": 1}
    got = await chat(relayed, {"model": "hello", "prompt": "Once"}, path="/v1/completions")
    assert got["choices"][0]["text"] == "Once"
    totals = await usage_of(relayed)
    assert (totals["calls"], totals["input_tokens"], totals["output_tokens"]) == (2, 24, 5)
