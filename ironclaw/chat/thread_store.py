"""Threads on disk: the SQL of what a thread is. What is said in them stands in `store.py`."""

import re
import sqlite3
from collections.abc import Callable

from ironclaw import codec
from ironclaw.chat import attachments, search
from ironclaw.chat.models import Thread
from ironclaw.database import get_meta, set_meta
from ironclaw.errors import Conflict, NotFound

_DEFAULT_THREAD = "default_thread"


def next_rank(db: sqlite3.Connection) -> int:
    """The place on top of all threads."""
    row = db.execute("SELECT max(rank) FROM threads").fetchone()
    return int(row[0] or 0) + 1


def touch_thread(db: sqlite3.Connection, thread_id: str, title: str, user_id: str, moment: str) -> None:
    """Put a thread on top, and make it where it is new."""
    db.execute(
        "INSERT INTO threads (id, title, user_id, created_at, updated_at, rank) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, rank = excluded.rank,"
        " title = CASE threads.title WHEN '' THEN excluded.title ELSE threads.title END",
        (thread_id, title, user_id, moment, moment, next_rank(db)),
    )


def default_thread(db: sqlite3.Connection) -> str | None:
    """The thread that messages without one go to."""
    return get_meta(db, _DEFAULT_THREAD)


def set_default_thread(thread_id: str) -> Callable[[sqlite3.Connection], None]:
    """Move the pointer."""
    return lambda db: set_meta(db, _DEFAULT_THREAD, thread_id)


_THREAD = (
    "SELECT t.id, t.title, t.pinned, t.created_at, t.updated_at,"
    " (SELECT count(*) FROM turns WHERE thread_id = t.id),"
    " coalesce((SELECT state FROM turns WHERE thread_id = t.id ORDER BY seq DESC LIMIT 1), 'idle'),"
    " t.pinned * 1099511627776 + t.rank AS place FROM threads t"
)


def _thread(row: sqlite3.Row) -> Thread:
    return Thread(row[0], row[1], bool(row[2]), row[3], row[4], row[5], row[6])


def list_threads(db: sqlite3.Connection, limit: int, before: int | None) -> tuple[list[Thread], int | None]:
    """A page of threads, pinned ones first, then the newest, and where the next one begins."""
    rows = db.execute(
        f"{_THREAD} WHERE ? IS NULL OR place < ? ORDER BY place DESC LIMIT ?", (before, before, limit + 1)
    ).fetchall()
    page = rows[:limit]
    return [_thread(row) for row in page], page[-1][7] if len(rows) > limit else None


def thread_ids(db: sqlite3.Connection) -> list[str]:
    """All threads, the one that was used last at the end."""
    return [str(row[0]) for row in db.execute("SELECT id FROM threads ORDER BY rank")]


def find_thread(db: sqlite3.Connection, thread_id: str) -> Thread:
    """One thread. Raises *NotFound*."""
    row = db.execute(f"{_THREAD} WHERE t.id = ?", (thread_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no thread {thread_id}. GET /api/chat/threads lists them.", field="thread_id")
    return _thread(row)


def create_thread(thread_id: str, title: str, user_id: str) -> Callable[[sqlite3.Connection], Thread]:
    """Make an empty thread. Raises *Conflict* when there is one of that id."""

    def store(db: sqlite3.Connection) -> Thread:
        if db.execute("SELECT 1 FROM threads WHERE id = ?", (thread_id,)).fetchone():
            raise Conflict(f"There is a thread {thread_id} already.", field="thread_id")
        touch_thread(db, thread_id, title, user_id, codec.format_time(codec.now()))
        return find_thread(db, thread_id)

    return store


def change_thread(thread_id: str, title: str | None, pinned: bool | None) -> Callable[[sqlite3.Connection], Thread]:
    """Rename, pin or unpin. Raises *NotFound*."""

    def store(db: sqlite3.Connection) -> Thread:
        find_thread(db, thread_id)
        db.execute(
            "UPDATE threads SET title = coalesce(?, title), pinned = coalesce(?, pinned) WHERE id = ?",
            (title, pinned, thread_id),
        )
        return find_thread(db, thread_id)

    return store


def model_of(db: sqlite3.Connection, thread_id: str) -> str | None:
    """The model that was chosen for a thread, if one was."""
    row = db.execute("SELECT model FROM threads WHERE id = ?", (thread_id,)).fetchone()
    return row[0] if row else None


def set_model(thread_id: str, model: str | None) -> Callable[[sqlite3.Connection], None]:
    """Choose a model for a thread; None is the usual one."""

    def store(db: sqlite3.Connection) -> None:
        db.execute("UPDATE threads SET model = ? WHERE id = ?", (model, thread_id))

    return store


def delete_thread(thread_id: str) -> Callable[[sqlite3.Connection], None]:
    """Delete a thread with its turns and keys. Raises *NotFound*."""

    def store(db: sqlite3.Connection) -> None:
        find_thread(db, thread_id)
        search.forget_thread(db, thread_id)
        db.execute("DELETE FROM idempotency WHERE thread_id = ?", (thread_id,))
        db.execute("DELETE FROM threads WHERE id = ?", (thread_id,))

    return store


def fork_thread(source: str, message_id: str, target: str, user_id: str) -> Callable[[sqlite3.Connection], Thread]:
    """Copy the turns before *message_id* into the new thread *target*. Raises *NotFound*."""

    def store(db: sqlite3.Connection) -> Thread:
        thread = find_thread(db, source)
        row = db.execute(
            "SELECT seq FROM turns WHERE message_id = ? AND thread_id = ?", (message_id, source)
        ).fetchone()
        if row is None:
            raise NotFound(f"The thread {source} has no message {message_id}.", field="message_id")
        touch_thread(db, target, _next_title(thread.title), user_id, codec.format_time(codec.now()))
        _copy_turns(db, source, row[0], target)
        return find_thread(db, target)

    return store


def _next_title(title: str) -> str:
    """`Plans` -> `Plans (2)` -> `Plans (3)`, so that a fork can be told from its source."""
    match = re.fullmatch(r"(.*) \((\d{1,4})\)", title, re.S)
    return f"{match[1]} ({int(match[2]) + 1})" if match else f"{title} (2)"


def _copy_turns(db: sqlite3.Connection, source: str, before: int, target: str) -> None:
    copied = (
        "state, command, undone, user_message, response, error_code, error_message, created_at, started_at, ended_at,"
        " input_tokens, output_tokens, cost_usd, duration_ms"
    )
    turns = db.execute(
        "SELECT seq FROM turns WHERE thread_id = ? AND seq < ?"
        " AND state NOT IN ('queued', 'running', 'waiting') ORDER BY seq",
        (source, before),
    ).fetchall()
    for (seq,) in turns:
        new = db.execute(
            f"INSERT INTO turns (message_id, thread_id, {copied})"  # noqa: S608
            f" SELECT lower(hex(randomblob(16))), ?, {copied} FROM turns WHERE seq = ?",
            (target, seq),
        ).lastrowid
        db.execute(
            "INSERT INTO tool_calls SELECT ?, call_id, name, parameters, success, preview, duration_ms"
            " FROM tool_calls WHERE turn_seq = ?",
            (new, seq),
        )
        if new is not None:
            attachments.copy(db, seq, new)
        db.execute(
            "INSERT INTO turn_skills SELECT ?, name, version, source, trust FROM turn_skills WHERE turn_seq = ?",
            (new, seq),
        )
        search.add(db, str(db.execute("SELECT message_id FROM turns WHERE seq = ?", (new,)).fetchone()[0]))
