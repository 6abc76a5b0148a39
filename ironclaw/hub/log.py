"""The event log on disk, and the ids: the SQL of the hub.

Ids come in blocks: a number that was never given out yet is kept before ids below it are used, so that none comes back
after a crash.
"""

import sqlite3
from collections.abc import Callable

from ironclaw import codec
from ironclaw.database import Migration, get_meta, set_meta
from ironclaw.hub.channels import Released

MIGRATIONS = (
    Migration(
        10,
        "event log",
        """
        CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            thread_id TEXT,
            message_id TEXT,
            resets INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            body BLOB NOT NULL
        ) STRICT;
        CREATE INDEX events_by_thread ON events (thread_id, id);
        CREATE INDEX events_by_message ON events (message_id, id) WHERE message_id IS NOT NULL;
        CREATE INDEX events_that_reset ON events (id) WHERE resets
        """,
    ),
)
_HIGHEST = "events_highest_id"
_TRIMMED = "events_trimmed_to"


def append(db: sqlite3.Connection, released: Released, *, resets: bool) -> None:
    """Keep one event."""
    db.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            released.id,
            released.kind,
            released.thread_id,
            released.message_id,
            resets,
            codec.format_time(codec.now()),
            released.body,
        ),
    )


def keep_highest(highest: int) -> Callable[[sqlite3.Connection], None]:
    """Promise that no id up to *highest* is given out by a later process."""
    return lambda db: set_meta(db, _HIGHEST, str(highest))


def read_marks(db: sqlite3.Connection) -> tuple[int, int]:
    """The highest id that may have been given out, and the highest that was deleted."""
    return int(get_meta(db, _HIGHEST) or 0), int(get_meta(db, _TRIMMED) or 0)


def read_page(
    db: sqlite3.Connection, after: int, before: int, thread_id: str | None, limit: int
) -> tuple[list[Released], bool]:
    """Up to *limit* events with after < id < before, in order, and whether there may be more."""
    where, values = ("thread_id = ? AND ", [thread_id]) if thread_id is not None else ("", [])
    rows = db.execute(
        f"SELECT id, kind, thread_id, message_id, body FROM events WHERE {where}id > ? AND id < ? ORDER BY id LIMIT ?",  # noqa: S608
        [*values, after, before, limit],
    ).fetchall()
    return [Released(*row) for row in rows], len(rows) == limit


def read_turn(db: sqlite3.Connection, message_id: str) -> list[Released]:
    """What was kept of one turn, in order."""
    rows = db.execute(
        "SELECT id, kind, thread_id, message_id, body FROM events WHERE message_id = ? ORDER BY id", (message_id,)
    )
    return [Released(*row) for row in rows]


def has_reset(db: sqlite3.Connection, after: int, thread_id: str | None) -> bool:
    """Whether an event after *after* says that text which clients hold may be wrong."""
    row = db.execute(
        "SELECT 1 FROM events WHERE resets AND id > ? AND (? IS NULL OR thread_id = ?) LIMIT 1",
        (after, thread_id, thread_id),
    ).fetchone()
    return row is not None


def forget_thread(db: sqlite3.Connection, thread_id: str) -> None:
    """Delete what was kept of one thread."""
    db.execute("DELETE FROM events WHERE thread_id = ?", (thread_id,))


def trim(db: sqlite3.Connection, *, keep: int, days: int) -> int:
    """Delete what is beyond the newest *keep* events or older than *days*; the highest id ever deleted."""
    newest = db.execute("SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?", (keep,)).fetchone()
    oldest = db.execute(
        "SELECT max(id) FROM events WHERE created_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?)", (f"-{days} days",)
    ).fetchone()
    last = max(newest[0] if newest else 0, oldest[0] or 0)
    if last:
        db.execute("DELETE FROM events WHERE id <= ?", (last,))
        set_meta(db, _TRIMMED, str(last))
    return last
