"""Caps of a day and a month: calls together never pass them, and nothing sticks after midnight."""

import contextlib
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from usage_parts import NOON, cost, open_parts

from ironclaw.errors import BudgetSpent, Invalid
from ironclaw.events import BudgetWarning
from ironclaw.usage.budgets import Reservation
from ironclaw.usage.store import Caps


async def test_a_call_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        parts.ledger.record(cost(0.5))
        first = parts.budgets.reserve(0.25)
        with pytest.raises(BudgetSpent) as refused:
            parts.budgets.reserve(0.2501)
        for part in (
            "$0.2501",
            "today's budget of $1.00",
            "$0.50 spent",
            "$0.25 reserved",
            "PUT /api/budget",
            "at midnight",
        ):
            assert part in refused.value.message
        parts.budgets.reserve(0.25)
        parts.budgets.settle(first)
        assert parts.budgets.reserved == 0.25


async def test_a_spent_budget_says_which_one_and_how_to_raise_it(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(10.0, 1.0))
        parts.ledger.record(cost(1.5))
        with pytest.raises(
            BudgetSpent, match=r"This month's budget of \$1\.00 is spent \(\$1\.50\)\. Raise it"
        ) as refused:
            parts.budgets.check()
        assert (refused.value.code, "with the next month" in refused.value.message) == ("budget_spent", True)
        await parts.budgets.set(Caps(10.0, None))
        parts.budgets.check()


async def test_a_cap_of_nothing_refuses_everything(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(0.0, None))
        with pytest.raises(BudgetSpent):
            parts.budgets.reserve(0.0)


async def test_a_spent_day_is_over_at_midnight_and_a_spent_month_is_not(tmp_path: Path) -> None:
    async with open_parts(tmp_path, now=datetime(2026, 3, 30, 12, tzinfo=UTC)) as parts:
        await parts.budgets.set(Caps(1.0, 1.5))
        parts.ledger.record(cost(1.0))
        with pytest.raises(BudgetSpent, match="Today"):
            parts.budgets.check()
        parts.clock.now += timedelta(days=1)
        parts.budgets.check()
        parts.ledger.record(cost(0.75))
        with pytest.raises(BudgetSpent, match="This month"):
            parts.budgets.check()
        parts.clock.now += timedelta(days=1)
        parts.budgets.reserve(1.0)
        assert parts.budgets.state("month").spent_usd == 0.0


async def test_what_runs_over_midnight_counts_for_the_new_day(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        running = parts.budgets.reserve(0.75)
        parts.clock.now += timedelta(days=1)
        with pytest.raises(BudgetSpent):
            parts.budgets.reserve(0.5)
        parts.ledger.record(cost(0.5))
        parts.budgets.settle(running)
        assert parts.budgets.state("day").spent_usd == 0.5


async def test_caps_and_what_is_spent_outlive_a_restart(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        parts.ledger.record(cost(1.0))
    async with open_parts(tmp_path) as parts:
        assert parts.budgets.caps == Caps(1.0, None)
        with pytest.raises(BudgetSpent):
            parts.budgets.check()
    async with open_parts(tmp_path, now=NOON + timedelta(days=1)) as parts:
        parts.budgets.check()


@pytest.mark.parametrize("cap", [-0.01, 1_000_001.0, float("nan"), float("inf")])
async def test_an_amount_that_is_no_cap_is_refused(tmp_path: Path, cap: float) -> None:
    async with open_parts(tmp_path) as parts:
        with pytest.raises(Invalid) as refused:
            await parts.budgets.set(Caps(1.0, cap))
        assert (refused.value.field, parts.budgets.active) == ("month_usd", False)


async def test_a_warning_comes_once_a_period_at_80_percent(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, 2.0))
        with parts.hub.subscribe() as reader:
            for usd in (0.75, 0.125, 0.0625):
                parts.ledger.record(cost(usd))
                parts.budgets.settle(None)
            parts.clock.now += timedelta(days=1)
            parts.ledger.record(cost(0.875))
            parts.budgets.settle(None)
            events = await parts.events(reader)
        assert events == [
            BudgetWarning(period="day", spent_usd=0.875, limit_usd=1.0),
            BudgetWarning(period="day", spent_usd=0.875, limit_usd=1.0),
            BudgetWarning(period="month", spent_usd=1.8125, limit_usd=2.0),
        ]


async def test_a_warning_is_not_said_again_after_a_restart_but_for_a_new_cap(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.budgets.set(Caps(1.0, None))
        parts.ledger.record(cost(0.875))
        parts.budgets.settle(None)
    async with open_parts(tmp_path) as parts:
        with parts.hub.subscribe() as reader:
            parts.ledger.record(cost(0.0))
            parts.budgets.settle(None)
            await parts.budgets.set(Caps(2.0, None))
            await parts.budgets.set(Caps(0.9375, None))
            assert await parts.events(reader) == [BudgetWarning(period="day", spent_usd=0.875, limit_usd=0.9375)]


STEPS = st.lists(st.tuples(st.sampled_from(["reserve", "settle", "fail", "tomorrow"]), st.floats(0, 0.6)), max_size=40)


@given(steps=STEPS)
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_sequence_of_calls_passes_a_cap_or_falls_below_nothing(steps: list[tuple[str, float]]) -> None:
    """Calls cost what was reserved or less."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_parts(Path(folder)) as parts:
            await parts.budgets.set(Caps(1.0, 1.5))
            running: list[Reservation] = []
            for step, amount in steps:
                if step == "reserve":
                    with contextlib.suppress(BudgetSpent):
                        running.append(parts.budgets.reserve(amount))
                elif step == "tomorrow":
                    parts.clock.now += timedelta(days=1)
                elif running:
                    done = running.pop(0)
                    if step == "settle":
                        parts.ledger.record(cost(min(amount, done.amount)))
                    parts.budgets.settle(done)
                reserved = parts.budgets.reserved
                assert reserved == pytest.approx(sum(one.amount for one in running))
                assert 0 <= parts.ledger.spent("day") <= parts.ledger.spent("month")
                assert parts.ledger.spent("day") + reserved <= 1.0 + 1e-9
                assert parts.ledger.spent("month") + reserved <= 1.5 + 1e-9
