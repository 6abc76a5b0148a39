"""Turns of a running gateway: whatever a model or a tool does, each ends once, and none gets what is another's."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import attrs
from chat_calls import END, MakeClient, history, say, turn
from conftest import ScriptedModel
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ironclaw.chat.models import TurnRecord
from ironclaw.errors import ProviderError
from ironclaw.gateway import Gateway
from ironclaw.llm.models import Delta, Finished, ModelRequest, ReasoningDelta, TextDelta, ToolCallDelta, Usage, Waiting
from ironclaw.settings import Settings
from ironclaw.tools import Tool, ToolContext, ToolResult

ANY = {"type": "object"}
OVERFLOW = ProviderError("Too long.", code="context_overflow")


async def count(*_: Any) -> ToolResult:
    return ToolResult("counted")


async def no_result(*_: Any) -> ToolResult:
    raise RuntimeError("inside")


COUNT = Tool("Count", "counts", ANY, count)


async def test_s75_a_turn_that_takes_too_long_ends_once_with_its_text(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel([TextDelta("half "), asyncio.Event()], say("fine"))
    client = await make_client(attrs.evolve(settings, turn_timeout=2.0), llm=model)
    events = await turn(client, "x", thread_id="a")
    assert [event["type"] for event in events if event["type"] in END] == ["turn_failed"]
    assert (events[-1]["code"], events[-1]["content"]) == ("turn_timeout", "half ")
    assert (await history(client, "a"))[0]["response"] == "half "
    assert model.closed == 1
    assert (await turn(client, "y", thread_id="a"))[-1]["content"] == "fine"


async def test_r18_parallel_turns_with_tools_mix_nothing_up(make_client: MakeClient, settings: Settings) -> None:
    class Model(ScriptedModel):
        async def stream(self, request: Any) -> Any:
            results = [one.content.splitlines()[1] for one in request.messages if one.role == "tool"]
            asked = next(one.content for one in reversed(request.messages) if one.role == "user")
            await asyncio.sleep(0)
            if results:
                yield TextDelta(f"{asked}: {' '.join(results)}")
            else:
                for n in range(3):
                    yield ToolCallDelta(n, json.dumps({"text": f"{asked}-{n}", "wait": (2 - n) / 100}), f"c{n}", "Echo")
            yield Finished("stop", Usage(1, 1, 0.0))

    async def echo(context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        await asyncio.sleep(arguments["wait"])
        return ToolResult(f"{context.thread_id} {arguments['text']}")

    client = await make_client(settings, llm=Model(), tools=[Tool("Echo", "", ANY, echo)])
    turns = {f"t{n}": asyncio.create_task(turn(client, f"q{n}", thread_id=f"t{n}")) for n in range(10)}
    for number, (thread, task) in enumerate(turns.items()):
        events = await task
        assert {event["thread_id"] for event in events} == {thread}
        ids = [event["id"] for event in events]
        assert ids == sorted(ids)
        done = {e["call_id"]: e["preview"] for e in events if e["type"] == "tool_completed"}
        assert done == {f"c{n}": f"{thread} q{number}-{n}" for n in range(3)}
        assert events[-1]["content"] == f"q{number}: " + " ".join(f"{thread} q{number}-{n}" for n in range(3))
        stored = (await history(client, thread))[0]["tool_calls"]
        started = [event["call_id"] for event in events if event["type"] == "tool_started"]
        assert [one["call_id"] for one in stored] == started == ["c0", "c1", "c2"]
        assert [one["preview"] for one in stored] == [done[call_id] for call_id in started]


async def test_a_turn_that_is_stopped_before_its_first_step_has_its_end_all_the_same(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("a"), say("b")))
    chat = client.gateway.services.chat  # type: ignore[attr-defined]
    with client.gateway.services.hub.subscribe(thread_id="a") as events:  # type: ignore[attr-defined]
        accepting = asyncio.create_task(chat.accept("x", thread_id="a"))
        while "a" not in chat.turns.live:  # looked at each turn of the loop, so before the turn's own first step
            await asyncio.sleep(0)
        assert chat.turns.stop("a")
        await accepting
        async with asyncio.timeout(5):
            kinds = [(await anext(aiter(events))).kind]
            while kinds[-1] not in END:
                kinds.append((await anext(aiter(events))).kind)
    assert kinds[-1] == "stopped"
    assert [one["state"] for one in await history(client, "a")] == ["stopped"]
    assert (await turn(client, "y", thread_id="a"))[-1]["type"] == "response"


SHORT = st.text(max_size=5)
STEPS = st.one_of(
    st.builds(TextDelta, SHORT),
    st.builds(ReasoningDelta, SHORT),
    st.builds(Waiting, SHORT),
    st.builds(
        ToolCallDelta,
        st.integers(-3, 2**40),
        st.sampled_from(["", "{}", '{"a": 1}', "[", "null", '{"a":']) | SHORT,
        st.none() | st.sampled_from(["", "c1", "c1+1", "x\n"]),
        st.none() | st.sampled_from(["", "Count", "Break", "Nothing", "FileRead"]),
    ),
    st.builds(Finished, st.sampled_from(["stop", "length", "tool_calls", "content_filter"])),
    st.sampled_from([ProviderError("No."), OVERFLOW, RuntimeError("inside"), TimeoutError(), ValueError()]),
)
SCRIPTS = st.lists(st.lists(STEPS, max_size=6), min_size=1, max_size=4)


class Scripted:
    """A model for each message, chosen by its text; each ends what it says with a sound reply."""

    name = model = "scripted"

    def __init__(self, scripts: list[list[list[Delta | Exception]]]) -> None:
        self.models = {f"q{number}": ScriptedModel(*one, say("end")) for number, one in enumerate(scripts)}

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        asked = next(one.content for one in request.messages if one.role == "user")
        return self.models[asked].stream(request)


async def turns_of(scripts: list[list[list[Delta | Exception]]]) -> list[tuple[list[str], TurnRecord]]:
    """The kinds of the events of a turn for each list of scripts, all at once in one gateway, and what is stored of it."""
    tools = [COUNT, Tool("Break", "", ANY, no_result)]  # the second can't be called like this
    async with Gateway(Settings(home=None, llm_discover=False), llm=Scripted(scripts), tools=tools) as gateway:

        async def one_turn(number: int) -> tuple[list[str], TurnRecord]:
            thread = f"t{number}"
            with gateway.services.hub.subscribe(thread_id=thread) as events:
                accepted = await gateway.services.chat.accept(f"q{number}", thread_id=thread)
                await gateway.services.hub.wait_for_end(accepted.message_id)
                await gateway.services.chat.accept("/help", thread_id=thread)
                kinds: list[str] = []
                async for event in events:
                    if event.message_id != accepted.message_id:
                        break
                    kinds.append(event.kind)
            return kinds, (await gateway.services.chat.history(thread, 5, None)).turns[0]

        return await asyncio.gather(*map(one_turn, range(len(scripts))))


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SCRIPTS, min_size=5, max_size=10))
def test_s72_whatever_a_model_says_a_turn_has_exactly_one_end_and_it_comes_last(
    scripts: list[list[list[Delta | Exception]]],
) -> None:
    for kinds, stored in asyncio.run(turns_of(scripts)):
        assert [kind for kind in kinds if kind in END] == kinds[-1:]
        assert kinds.count("tool_started") == kinds.count("tool_completed") == len(stored.tool_calls)
        assert stored.state == ("completed" if kinds[-1] == "response" else "failed")
        assert all(one.success is not None for one in stored.tool_calls)
