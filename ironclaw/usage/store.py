"""The record of model calls on disk: the SQL of usage."""

import sqlite3

import attrs

from ironclaw.database import Migration

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
)


@attrs.frozen
class UsageRecord:
    """One model call. *cost_usd* is None where no price is known."""

    created_at: str
    scope: str
    scope_id: str | None
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


def append(db: sqlite3.Connection, records: list[UsageRecord]) -> None:
    """Keep records."""
    db.executemany(
        "INSERT INTO usage (created_at, scope, scope_id, provider, model, input_tokens, output_tokens, cost_usd)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [attrs.astuple(record) for record in records],
    )


def read_totals(db: sqlite3.Connection) -> tuple[int, float, int]:
    """Over all time: tokens, known costs in US dollars, and tokens of calls whose price is not known."""
    row = db.execute(
        "SELECT total(input_tokens + output_tokens), total(cost_usd),"
        " total(CASE WHEN cost_usd IS NULL THEN input_tokens + output_tokens ELSE 0 END) FROM usage"
    ).fetchone()
    return int(row[0]), float(row[1]), int(row[2])
