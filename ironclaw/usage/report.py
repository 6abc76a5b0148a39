"""Usage as people ask for it: summed by day, model, thread and scope. Made from rows; no SQL and no clock here."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date
from typing import Any, TypeVar

import attrs

from ironclaw.usage.store import UsageRow
from ironclaw.values import frozen

K = TypeVar("K", bound=Hashable)
_MOST_THREADS = 200


@frozen(kw_only=True)
class UsageSum:
    """Some calls together. *cached_tokens* are part of the input, *reasoning_tokens* of the output.

    *cost_usd* sums what has a known price, and is null where none of the calls has one; *unpriced_tokens* are the others'.
    Of *estimated_calls* the provider did not say the tokens.
    """

    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_usd: float | None = attrs.field()
    unpriced_tokens: int
    estimated_calls: int


@frozen(kw_only=True)
class DayUsage(UsageSum):
    """One day, in the gateway's time zone."""

    day: str


@frozen(kw_only=True)
class ModelUsage(UsageSum):
    """One model of one provider. *priced_by*: who knew its price, of `provider`, `local` and `prices`."""

    provider: str
    model: str
    priced_by: list[str]


@frozen(kw_only=True)
class ThreadUsage(UsageSum):
    """One thread."""

    thread_id: str


@frozen(kw_only=True)
class ScopeUsage(UsageSum):
    """All calls of one kind of caller, such as `thread`."""

    scope: str


@frozen(kw_only=True)
class UsageReport:
    """Usage of some days: in all, by day (each of them), by model, by thread (at most 200) and by scope, the most first."""

    days: int
    totals: UsageSum
    by_day: list[DayUsage]
    by_model: list[ModelUsage]
    by_thread: list[ThreadUsage]
    by_scope: list[ScopeUsage]


def report_of(days: Sequence[date], rows: Sequence[UsageRow]) -> UsageReport:
    """The report of *days* from their rows."""
    found = _grouped(rows, lambda row: row.day)
    threads = _grouped((row for row in rows if row.scope == "thread"), lambda row: row.scope_id or "")
    by_thread = _most_first(ThreadUsage(thread_id=one, **summed(some)) for one, some in threads.items())
    return UsageReport(
        days=len(days),
        totals=UsageSum(**summed(rows)),
        by_day=[DayUsage(day=str(day), **summed(found.get(str(day), []))) for day in days],
        by_model=_most_first(
            ModelUsage(provider=provider, model=model, priced_by=_who_priced(some), **summed(some))
            for (provider, model), some in _grouped(rows, lambda row: (row.provider, row.model)).items()
        ),
        by_thread=by_thread[:_MOST_THREADS],
        by_scope=_most_first(
            ScopeUsage(scope=scope, **summed(some)) for scope, some in _grouped(rows, lambda row: row.scope).items()
        ),
    )


def by_day_and_model(rows: Sequence[UsageRow]) -> list[tuple[str, str, str, UsageSum]]:
    """(day, provider, model, sum), in the order of the days."""
    groups = _grouped(rows, lambda row: (row.day, row.provider, row.model))
    return [(*key, UsageSum(**summed(some))) for key, some in groups.items()]


def summed(rows: Sequence[UsageRow]) -> dict[str, Any]:
    """The fields of a `UsageSum` of rows. Nothing costs 0; calls without any known price cost None."""
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    input_tokens = sum(row.input_tokens for row in rows)
    output_tokens = sum(row.output_tokens for row in rows)
    return {
        "calls": sum(row.calls for row in rows),
        "input_tokens": input_tokens,
        "cached_tokens": sum(row.cached_tokens for row in rows),
        "output_tokens": output_tokens,
        "reasoning_tokens": sum(row.reasoning_tokens for row in rows),
        "total_tokens": input_tokens + output_tokens,
        "cost_usd": round(sum(costs), 6) if costs or not rows else None,
        "unpriced_tokens": sum(row.unpriced_tokens for row in rows),
        "estimated_calls": sum(row.estimated_calls for row in rows),
    }


S = TypeVar("S", bound=UsageSum)


def _most_first(sums: Iterable[S]) -> list[S]:
    return sorted(sums, key=lambda one: -one.total_tokens)


def _who_priced(rows: Iterable[UsageRow]) -> list[str]:
    return sorted({row.priced_by for row in rows if row.priced_by is not None})


def _grouped(rows: Iterable[UsageRow], key: Callable[[UsageRow], K]) -> dict[K, list[UsageRow]]:
    groups: dict[K, list[UsageRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
