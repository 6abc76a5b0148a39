"""Every call is reserved, counted once and priced by who knows; nothing that a provider says lowers a sum."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from usage_parts import Hosted, Parts, Scripted, ask, open_parts, records, replies

from ironclaw.errors import BudgetSpent, ProviderError
from ironclaw.llm.builtin import BuiltinProvider
from ironclaw.llm.models import (
    Abilities,
    Finished,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolSpec,
    Usage,
)
from ironclaw.llm.models import ModelMessage as Message
from ironclaw.llm.prices import Prices
from ironclaw.llm.provider import Provider
from ironclaw.usage.budgets import Reservation
from ironclaw.usage.store import Caps

TOLD = Usage(1_000_000, 1000, None, cached_tokens=400_000, reasoning_tokens=200)
# gpt-4o-mini, in US dollars for a million tokens: input 0.15, cached input 0.075, output 0.60
TOLD_COST = 0.6 * 0.15 + 0.4 * 0.075 + 0.001 * 0.60


class Local(Scripted):
    local = True


async def one(parts: Parts, provider: Provider, text: str = "hi") -> dict[str, object]:
    """The record of one call."""
    await replies(parts.metered(provider), ask(text))
    return (await records(parts))[-1]


async def test_a_call_is_recorded_with_all_its_tokens_and_the_price_of_the_list(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        provider = Hosted(TextDelta("Hello."), Finished("stop", TOLD))
        text, finished = await replies(parts.metered(provider), ask())
        assert text == TextDelta("Hello.")
        assert isinstance(finished, Finished)
        assert finished.usage.cost_usd == pytest.approx(TOLD_COST)
        assert (finished.usage.cached_tokens, finished.usage.reasoning_tokens) == (400_000, 200)
        (record,) = await records(parts)
    facts = {
        "scope": "thread", "scope_id": "t1", "provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1_000_000,
        "output_tokens": 1000, "cached_tokens": 400_000, "reasoning_tokens": 200, "priced_by": "prices", "estimated": 0,
    }  # fmt: skip
    assert {name: record[name] for name in facts} == facts
    assert record["cost_usd"] == pytest.approx(TOLD_COST)


async def test_the_providers_own_price_comes_first(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        record = await one(parts, Hosted(Finished("stop", Usage(1000, 10, 0.5))))
        assert (record["cost_usd"], record["priced_by"]) == (0.5, "provider")
        record = await one(parts, Local(Finished("stop", Usage(1000, 10, 0.25))))
        assert (record["cost_usd"], record["priced_by"]) == (0.25, "provider")


async def test_a_local_model_and_the_built_in_assistant_cost_nothing_and_are_never_refused(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(0.0, 0.0))
        local = Local(Finished("stop", Usage(1000, 10, None)))
        record = await one(parts, local)
        assert (record["cost_usd"], record["priced_by"]) == (0.0, "local")
        assert local.requests[0].max_output_tokens is None
        record = await one(parts, BuiltinProvider(word_delay=0.0), "/help")
        assert (record["provider"], record["cost_usd"], record["priced_by"]) == ("builtin", 0.0, "local")
        assert record["output_tokens"] > 0  # type: ignore[operator]
        parts.meter.check(local)
        with pytest.raises(BudgetSpent):
            parts.meter.check(Hosted())


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"), ("no-such-provider", "gpt-4o-mini"), ("openai.example.com", "gpt-4o-mini"),
        ("openai", ""), ("openai", "whisper-1"), ("scripted", "scripted-1"),
    ],
)  # fmt: skip
async def test_a_price_that_is_not_known_is_none_and_not_0(tmp_path: Path, provider: str, model: str) -> None:
    async with open_parts(tmp_path) as parts:
        hosted = Hosted(Finished("stop", Usage(1000, 10, None)))
        hosted.name, hosted.model = provider, model  # type: ignore[misc]
        record = await one(parts, hosted)
        assert (record["cost_usd"], record["priced_by"]) == (None, None)
        assert parts.ledger.totals.unpriced_tokens == 1010


async def test_a_model_that_the_list_has_as_free_costs_0(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        hosted = Hosted(Finished("stop", Usage(1000, 10, None)))
        hosted.name, hosted.model = "mistral", "mistral-nemo:free"  # type: ignore[misc]
        assert (await one(parts, hosted))["cost_usd"] == 0.0


async def test_without_the_list_a_price_is_none_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)  # importing it fails
    async with open_parts(tmp_path) as parts:
        with caplog.at_level(logging.WARNING, "ironclaw"):
            for _ in range(3):
                assert (await one(parts, Hosted(Finished("stop", TOLD))))["cost_usd"] is None
        assert [record.message for record in caplog.records if "ironclaw[prices]" in record.message] == [
            "The list of prices is not installed, so the cost of hosted models is known only where they say it."
            " To have it: pip install 'ironclaw[prices]'"
        ]
        await parts.budgets.set(Caps(1.0, None))
        with pytest.raises(BudgetSpent, match=r"pip install 'ironclaw\[prices\]'"):
            await replies(parts.metered(Hosted()), ask())


def test_prices_need_no_network_and_are_not_loaded_before_they_are_needed() -> None:
    program = (
        "import asyncio, sys\n"
        "from ironclaw.llm.prices import Prices; import ironclaw.llm.metered; from ironclaw.llm.models import Usage\n"
        "assert 'genai_prices' not in sys.modules\n"
        "def no_network(event, args):\n"
        "    if event in {'socket.connect', 'socket.getaddrinfo', 'socket.sendto'}: raise SystemExit(event)\n"
        "sys.addaudithook(no_network)\n"
        "async def run():\n"
        "    prices = Prices()\n"
        "    assert prices.cost_of('openai', 'gpt-4o-mini', Usage(1000, 0)) is None\n"
        "    await asyncio.gather(prices.load(), prices.load())\n"
        "    return prices.cost_of('openai', 'gpt-4o-mini', Usage(1000, 0))\n"
        "print(asyncio.run(run()))\n"
    )
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True
    )
    assert (json.loads(ran.stdout or "null"), ran.stderr) == (0.00015, "")


@pytest.mark.parametrize(
    "usage",
    [
        Usage(-5, 10, -1.0), Usage(5, -10, float("nan")), Usage(10**9, 5, float("inf")), Usage(0, 0, 0.0),
        Usage(float("nan"), 1, 1e9), Usage("7", 1, "free"), Usage(True, 1, None),  # type: ignore[arg-type]
    ],
)  # fmt: skip
async def test_usage_that_cannot_be_true_is_estimated_and_never_lowers_a_sum_s72(tmp_path: Path, usage: Usage) -> None:
    async with open_parts(tmp_path) as parts:
        before = parts.ledger.totals
        record = await one(parts, Hosted(TextDelta("x" * 400), Finished("stop", usage)), "y" * 4000)
        assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (1004, 100, 1)
        assert record["cost_usd"] == pytest.approx(1004 * 0.15e-6 + 100 * 0.60e-6)
        assert parts.ledger.totals.tokens > before.tokens
        assert parts.ledger.totals.cost_usd > before.cost_usd


async def test_parts_of_the_tokens_are_never_more_than_the_whole_s72(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        record = await one(parts, Hosted(Finished("stop", Usage(100, 10, None, 500, -3))))
        assert (record["cached_tokens"], record["reasoning_tokens"], record["estimated"]) == (100, 0, 0)
        assert record["cost_usd"] == pytest.approx(100 * 0.075e-6 + 10 * 0.60e-6)


# Calls that end early


async def test_a_stopped_call_is_counted_by_estimate(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        provider = Hosted(TextDelta("x" * 200), ReasoningDelta("y" * 100), asyncio.Event())
        seen = asyncio.Event()

        async def read() -> None:
            async with aclosing(parts.metered(provider).stream(ask("z" * 3984))) as deltas:
                async for delta in deltas:
                    if isinstance(delta, ReasoningDelta):
                        seen.set()

        task = asyncio.create_task(read())
        await seen.wait()
        assert parts.budgets.reserved > 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        (record,) = await records(parts)
        assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (1000, 75, 1)
        assert record["cost_usd"] == pytest.approx(1000 * 0.15e-6 + 75 * 0.60e-6)
        assert (parts.budgets.reserved, provider.closed) == (0.0, 1)


async def test_a_call_stopped_before_its_first_token_was_sent_all_the_same(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        provider = Hosted(asyncio.Event())
        task = asyncio.create_task(replies(parts.metered(provider), ask("z" * 3984)))
        while not provider.requests:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        (record,) = await records(parts)
        assert (record["input_tokens"], record["output_tokens"], parts.budgets.reserved) == (1000, 0, 0.0)


async def test_a_call_that_fails_before_its_first_token_costs_nothing_and_frees_what_was_reserved(
    tmp_path: Path,
) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        with pytest.raises(ProviderError):
            await replies(parts.metered(Hosted(ProviderError("Away."))), ask())
        assert (await records(parts), parts.budgets.reserved) == ([], 0.0)


async def test_a_call_that_breaks_off_is_counted_by_estimate(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        call = ToolCallDelta(0, "x" * 35, "c1", "Write")
        with pytest.raises(ProviderError):
            await replies(parts.metered(Hosted(call, ProviderError("Gone."))), ask())
        await replies(parts.metered(Hosted(call)), ask())
        found = await records(parts)
        assert [(record["output_tokens"], record["estimated"]) for record in found] == [(10, 1), (10, 1)]
        assert parts.budgets.reserved == 0.0


async def test_an_estimate_counts_bytes_tools_and_calls(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        spec = ToolSpec("Read", "Reads.", {"type": "object"})
        request = ModelRequest((Message("user", "早上好" * 100),), (spec,))
        await replies(parts.metered(Hosted(Finished("stop", Usage(0, 0, None)))), request)
        (record,) = await records(parts)
        assert record["input_tokens"] == -(-(900 + 16 + 16 + 10 + 17) // 4)


# Budgets


async def test_parallel_calls_never_pass_a_budget_of_one_cent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(0.01, None))
        seen: list[float] = []
        go = asyncio.Event()
        inner = parts.budgets.reserve

        def watched(amount: float) -> Reservation:
            try:
                return inner(amount)
            finally:
                seen.append(parts.ledger.spent("day") + parts.budgets.reserved)

        monkeypatch.setattr(parts.budgets, "reserve", watched)
        provider = Hosted(TextDelta("x"), go, Finished("stop", Usage(500, 4000, None)))
        calls = [asyncio.create_task(replies(parts.metered(provider), ask())) for _ in range(10)]
        while len(seen) < 10:
            await asyncio.sleep(0)
        go.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        for _ in range(10):  # and what comes after them
            try:
                await replies(parts.metered(provider), ask())
            except BudgetSpent as refused:
                assert "$0.01" in refused.message  # noqa: PT017
        refusals = [one for one in outcomes if isinstance(one, BudgetSpent)]
        assert (len(outcomes) - len(refusals), len(refusals)) == (3, 7)  # one may cost a quarter of a cent
        assert len(seen) == 20
        assert max(seen) <= 0.01
        assert 0.0075 < parts.ledger.spent("day") <= 0.01
        assert parts.budgets.reserved == 0.0
        assert provider.requests[0].max_output_tokens == 4096


async def test_with_a_budget_a_call_keeps_the_output_cap_it_has_and_without_one_gets_none(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        provider = Hosted(Finished("stop", Usage(10, 5, None)))
        await replies(parts.metered(provider), ask())
        await parts.budgets.set(Caps(None, 1.0))
        await replies(parts.metered(provider), ask(most=100))
        assert [request.max_output_tokens for request in provider.requests] == [None, 100]


async def test_an_unknown_price_under_a_budget_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        provider = Scripted(Finished("stop", Usage(3, 1, 0.25)))
        await replies(parts.metered(provider), ask())
        await parts.budgets.set(Caps(10.0, None))
        with pytest.raises(
            BudgetSpent, match=r"scripted-1 \(scripted\) is not known.*BUDGET_UNKNOWN_PRICE=allow"
        ) as refused:
            await replies(parts.metered(provider), ask())
        assert (refused.value.code, len(provider.requests)) == ("price_unknown", 1)


async def test_an_unknown_price_can_be_allowed_until_the_budget_is_spent(tmp_path: Path) -> None:
    async with open_parts(tmp_path, allow_unpriced=True) as parts:
        provider = Scripted(Finished("stop", Usage(10, 5, 0.75)))
        await parts.budgets.set(Caps(1.0, None))
        await replies(parts.metered(provider), ask())
        await replies(parts.metered(provider), ask())
        with pytest.raises(BudgetSpent, match=r"\$1\.50"):
            await replies(parts.metered(provider), ask())


async def test_a_metered_provider_says_what_its_provider_can_do(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        provider = Hosted()
        assert parts.metered(provider).abilities == Abilities()
        provider.abilities = Abilities(1000, True)  # type: ignore[attr-defined]
        metered = parts.metered(provider)
        assert (metered.abilities, metered.name, metered.model) == (Abilities(1000, True), "openai", "gpt-4o-mini")


async def test_a_list_that_is_not_loaded_knows_no_price() -> None:
    prices = Prices()
    assert (prices.cost_of("openai", "gpt-4o-mini", Usage(1000, 0)), prices.missing) == (None, False)
