"""The record of model calls and the budget on disk: the SQL of usage."""

import operator
import sqlite3
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

import attrs

from ironclaw.codec import format_time
from ironclaw.database import Migration
from ironclaw.usage.periods import end_of, midnight
from ironclaw.values import frozen

PricedBy = Literal["provider", "local", "prices"]

MIGRATIONS = (
    Migration(
        20,
        "usage",
        """
        CREATE TABLE usage (
            id INTEGER PRIMARY KEY,
            created_at TEXT NOT NULL,
            scope TEXT NOT NULL,
            scope_id TEXT,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            cost_usd REAL
        ) STRICT;
        CREATE INDEX usage_by_time ON usage (created_at)
        """,
    ),
    Migration(
        21,
        "usage in detail",
        """
        ALTER TABLE usage ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage ADD COLUMN priced_by TEXT;
        ALTER TABLE usage ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE usage_totals (tokens INTEGER NOT NULL, cost_usd REAL NOT NULL, unpriced_tokens INTEGER NOT NULL)
            STRICT;
        INSERT INTO usage_totals SELECT
            coalesce(sum(input_tokens + output_tokens), 0),
            total(cost_usd),
            coalesce(sum(CASE WHEN cost_usd IS NULL THEN input_tokens + output_tokens END), 0)
            FROM usage
        """,
    ),
    Migration(
        22,
        "budget",
        "CREATE TABLE budget (id INTEGER PRIMARY KEY CHECK (id = 1), day_usd REAL, month_usd REAL) STRICT",
    ),
)


@frozen(kw_only=True)
class UsageRecord:
    """One model call.

    *cost_usd* is None where no price is known; *priced_by* says who knew it: the `provider` in its reply, our list of
    `prices`, or nobody had to, as the model is `local`. *estimated*: the provider did not say the tokens.
    """

    scope: str
    scope_id: str | None
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    priced_by: PricedBy | None = None
    estimated: bool = False


@frozen
class Totals:
    """Sums over all time. *cost_usd* has the known costs only; *unpriced_tokens* are those without one."""

    tokens: int = 0
    cost_usd: float = 0.0
    unpriced_tokens: int = 0

    def plus(self, record: UsageRecord) -> "Totals":
        """The sums with one more call."""
        tokens = record.input_tokens + record.output_tokens
        if record.cost_usd is None:
            return Totals(self.tokens + tokens, self.cost_usd, self.unpriced_tokens + tokens)
        return Totals(self.tokens + tokens, self.cost_usd + record.cost_usd, self.unpriced_tokens)


@frozen(kw_only=True)
class UsageRow:
    """The calls of one day that one scope made of one model. *cost_usd* sums the known costs; None: none is known."""

    day: str
    scope: str
    scope_id: str | None
    provider: str
    model: str
    priced_by: str | None
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: float | None
    unpriced_tokens: int
    estimated_calls: int


@frozen
class Caps:
    """The most that may be spent in a day and in a month, in US dollars; null for no cap."""

    day_usd: float | None
    month_usd: float | None


_IN_ORDER = operator.attrgetter(*(field.name for field in attrs.fields(UsageRecord)))


def append(db: sqlite3.Connection, records: Sequence[tuple[datetime, UsageRecord]]) -> None:
    """Keep records, each with the moment of its call."""
    if not records:
        return
    said = {second: format_time(second) for second in {moment.replace(microsecond=0) for moment, _ in records}}
    db.executemany(
        "INSERT INTO usage (created_at, scope, scope_id, provider, model, input_tokens, output_tokens, cost_usd,"
        " cached_tokens, reasoning_tokens, priced_by, estimated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(said[moment.replace(microsecond=0)], *_IN_ORDER(record)) for moment, record in records],
    )
    more = Totals()
    for _, record in records:
        more = more.plus(record)
    db.execute(
        "UPDATE usage_totals SET tokens = tokens + ?, cost_usd = cost_usd + ?, unpriced_tokens = unpriced_tokens + ?",
        attrs.astuple(more),
    )


def read_totals(db: sqlite3.Connection) -> Totals:
    """The sums over all time."""
    return Totals(*db.execute("SELECT tokens, cost_usd, unpriced_tokens FROM usage_totals").fetchone())


def read_costs(db: sqlite3.Connection, days: Sequence[date]) -> dict[date, float]:
    """The known costs of each of *days*, in US dollars."""
    sql = "SELECT total(cost_usd) FROM usage WHERE created_at >= ? AND created_at < ?"
    return {day: db.execute(sql, _bounds(day)).fetchone()[0] for day in days}


def read_rows(db: sqlite3.Connection, days: Sequence[date]) -> list[UsageRow]:
    """The calls of *days*, in their order. It reads the records of these days and no others."""
    sql = (
        "SELECT scope, scope_id, provider, model, priced_by, count(*) AS calls, sum(input_tokens) AS input_tokens,"
        " sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,"
        " sum(reasoning_tokens) AS reasoning_tokens, sum(cost_usd) AS cost_usd,"
        " sum(CASE WHEN cost_usd IS NULL THEN input_tokens + output_tokens ELSE 0 END) AS unpriced_tokens,"
        " sum(estimated) AS estimated_calls FROM usage WHERE created_at >= ? AND created_at < ?"
        " GROUP BY scope, scope_id, provider, model, priced_by"
    )
    return [UsageRow(day=day.isoformat(), **dict(row)) for day in days for row in db.execute(sql, _bounds(day))]


def _bounds(day: date) -> tuple[str, str]:
    return midnight(day), midnight(end_of("day", day))


def read_caps(db: sqlite3.Connection) -> Caps:
    """The budget; without caps until one was set."""
    row = db.execute("SELECT day_usd, month_usd FROM budget").fetchone()
    return Caps(*row) if row else Caps(None, None)


def write_caps(db: sqlite3.Connection, caps: Caps) -> None:
    """Keep the budget in place of the one before."""
    db.execute("INSERT OR REPLACE INTO budget VALUES (1, ?, ?)", attrs.astuple(caps))
