"""Responses that others can go on from, on disk: the SQL of `openai/`.

Each one holds what it added to its conversation; the rest is in those before it. Whatever goes on from a response counts
as a use of all before it too, so that those never go first.
"""

import sqlite3
from collections.abc import Callable

from ironclaw.database import Migration
from ironclaw.values import frozen

MIGRATIONS = (
    Migration(
        50,
        "responses",
        """
        CREATE TABLE responses (
            id TEXT PRIMARY KEY,
            previous_id TEXT,
            used_at INTEGER NOT NULL,
            size INTEGER NOT NULL,
            messages BLOB NOT NULL,
            response BLOB NOT NULL
        ) STRICT;
        CREATE INDEX responses_by_use ON responses (used_at)
        """,
    ),
)

# A response and all that it goes on from.
_CHAIN = """
    WITH RECURSIVE chain (id, previous_id, messages, depth) AS (
        SELECT id, previous_id, messages, 0 FROM responses WHERE id = ?
        UNION ALL
        SELECT responses.id, responses.previous_id, responses.messages, depth + 1
        FROM responses JOIN chain ON responses.id = chain.previous_id
    )
"""


@frozen
class Bounds:
    """How many are kept, their bytes together, and for how many seconds after the last use."""

    most: int = 1000
    size: int = 256 * 1024 * 1024
    seconds: int = 30 * 24 * 3600


@frozen(kw_only=True)
class StoredResponse:
    """One response as JSON: *messages* that it added to the conversation, and the object that the client got."""

    id: str
    previous_id: str | None
    messages: bytes
    response: bytes


def keep(stored: StoredResponse, now: int, bounds: Bounds) -> Callable[[sqlite3.Connection], None]:
    """Keep a response at the Unix time *now*, and let those go that are beyond *bounds*."""

    def store(db: sqlite3.Connection) -> None:
        touch = f"{_CHAIN} UPDATE responses SET used_at = max(used_at, ?) WHERE id IN (SELECT id FROM chain)"  # noqa: S608
        db.execute(touch, (stored.previous_id, now))
        size = len(stored.messages) + len(stored.response)
        values = (stored.id, stored.previous_id, now, size, stored.messages, stored.response)
        db.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?)", values)
        _prune(db, now, bounds)

    return store


def _prune(db: sqlite3.Connection, now: int, bounds: Bounds) -> None:
    """What went on from another has the higher rowid, so of the same time it goes first."""
    db.execute("DELETE FROM responses WHERE used_at < ?", (now - bounds.seconds,))
    newest = "OVER (ORDER BY used_at DESC, rowid ROWS UNBOUNDED PRECEDING)"
    ranked = f"SELECT rowid AS place, row_number() {newest} AS number, sum(size) {newest} AS total FROM responses"  # noqa: S608
    db.execute(
        f"DELETE FROM responses WHERE rowid IN (SELECT place FROM ({ranked}) WHERE number > ? OR total > ?)",  # noqa: S608
        (bounds.most, bounds.size),
    )


def conversation(db: sqlite3.Connection, response_id: str) -> list[bytes] | None:
    """The messages up to a response and with it, a JSON list for each; None unless all are there."""
    query = f"{_CHAIN} SELECT previous_id, messages FROM chain ORDER BY depth DESC"  # noqa: S608
    rows = db.execute(query, (response_id,)).fetchall()
    return [row["messages"] for row in rows] if rows and rows[0]["previous_id"] is None else None


def find(db: sqlite3.Connection, response_id: str) -> bytes | None:
    """A response as the client got it, or None."""
    row = db.execute("SELECT response FROM responses WHERE id = ?", (response_id,)).fetchone()
    return row["response"] if row else None


def delete(response_id: str) -> Callable[[sqlite3.Connection], bool]:
    """Forget a response; whether there was one. What goes on from it can't be gone on from any more."""
    return lambda db: db.execute("DELETE FROM responses WHERE id = ?", (response_id,)).rowcount > 0
