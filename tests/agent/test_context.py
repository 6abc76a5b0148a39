"""How a conversation is kept within a model's context. (That turns do so by themselves: `tests/chat/`.)"""

import pytest
from conftest import ScriptedModel
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.agent.compaction import KEPT, is_full, kept_of, summarise, tokens_of, without_old_results
from ironclaw.errors import ProviderError
from ironclaw.llm.models import Finished, ModelMessage, TextDelta, ToolCall, Usage


def said(count: int, length: int = 10) -> list[ModelMessage]:
    return [ModelMessage("assistant" if n % 2 else "user", f"{n} " + "x" * length) for n in range(count)]


ROLES = st.lists(st.sampled_from(["user", "user assistant"]), max_size=60)


@given(ROLES)
def test_what_stays_begins_with_the_users_word_and_is_at_most_half(roles: list[str]) -> None:
    history = [ModelMessage(role, "x") for one in roles for role in one.split()]  # type: ignore[arg-type]
    kept = kept_of(history)
    assert kept <= min(KEPT, len(history) // 2)
    assert not kept or history[len(history) - kept].role == "user"


def test_the_arguments_of_calls_count_as_well() -> None:
    call = ToolCall("c", "Tool", "x" * 4000)
    assert tokens_of([ModelMessage("assistant", "", tool_calls=(call,))]) > 1000
    assert is_full(said(10, 4000), 10_000)
    assert not is_full(said(10, 4000), 20_000)
    assert not is_full(said(10, 4000), None)


def rounds(count: int, size: int) -> list[ModelMessage]:
    messages = [ModelMessage("user", "go")]
    for number in range(count):
        call = ToolCall(f"c{number}", "Tool", "{}")
        messages.append(ModelMessage("assistant", "", tool_calls=(call,)))
        messages.append(ModelMessage("tool", f"{number} " + "x" * size, call_id=call.call_id))
    return messages


def test_the_oldest_results_are_left_out_until_the_rest_fits_and_the_last_round_stays() -> None:
    messages = rounds(10, 4000)
    fitting = without_old_results(messages, 8000)
    dropped = [one.content.startswith("[An earlier result") for one in fitting if one.role == "tool"]
    assert dropped == sorted(dropped, reverse=True)  # the oldest first
    assert 0 < sum(dropped) < 10
    assert not is_full(fitting, 8000)
    assert [(one.role, one.call_id, one.tool_calls) for one in fitting] == [
        (one.role, one.call_id, one.tool_calls) for one in messages
    ]
    last = without_old_results(messages, 10)
    assert last[-1] == messages[-1]
    assert [one.content.startswith("[An earlier") for one in last if one.role == "tool"] == [True] * 9 + [False]
    assert without_old_results(messages, 1_000_000) == messages


async def test_a_summary_goes_on_from_the_last_one_and_its_request_fits_the_context() -> None:
    model = ScriptedModel([TextDelta(" They like tea. "), Finished("stop", Usage(5, 2, 0.1))])
    summary, usage = await summarise(model, said(100, 1000), "They have a cat.", 8000)
    assert summary == "They like tea."
    assert usage == Usage(5, 2, 0.1)
    request = model.requests[0]
    assert request.tools == ()
    assert not is_full(request.messages, 8000)
    text = request.messages[-1].content
    assert text.startswith("Summary of what was before: They have a cat.")
    assert text.rstrip("x").endswith("assistant: 99 ")  # the newest is there whole
    assert model.closed == 1


@pytest.mark.parametrize(
    "script", [[Finished("stop")], [TextDelta("  "), Finished("stop")], [TextDelta("half")], [ProviderError("No.")]]
)
async def test_a_summary_that_did_not_come_whole_is_none(script: list[object]) -> None:
    with pytest.raises(ProviderError):
        await summarise(ScriptedModel(script), said(4), "", None)
