"""Threads, turns and idempotency keys on disk: the SQL of chat. Functions here run inside the writer or the reader."""

import re
import sqlite3
from collections.abc import Callable
from typing import Any

import attrs

from ironclaw import codec
from ironclaw.chat import search
from ironclaw.chat.models import Accepted, Thread, ToolCallRecord, TurnError, TurnRecord, TurnState
from ironclaw.database import get_meta, set_meta
from ironclaw.errors import Conflict, NotFound
from ironclaw.events import ToolCompleted, ToolStarted, TurnUsage

_DEFAULT_THREAD = "default_thread"


class Replayed(Exception):  # noqa: N818 - not an error: it takes the transaction back
    """The idempotency key was used already for the same request."""

    def __init__(self, accepted: Accepted) -> None:
        super().__init__()
        self.accepted = accepted


@attrs.frozen(kw_only=True)
class NewTurn:
    """A turn as it is accepted."""

    message_id: str
    thread_id: str
    text: str
    title: str
    user_id: str
    command: bool = False
    key: str | None = None
    fingerprint: str = ""


def accept(turn: NewTurn, state: TurnState) -> Callable[[sqlite3.Connection], None]:
    """Store a new turn, its thread where it is new, and its idempotency key. *Replayed* when the key is there."""

    def store(db: sqlite3.Connection) -> None:
        moment = codec.format_time(codec.now())
        if turn.key is not None:
            replayed = find_key(db, turn.key, turn.fingerprint)
            if replayed is not None:
                raise Replayed(replayed)
            db.execute("DELETE FROM idempotency WHERE created_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 day')")
            values = (turn.key, turn.fingerprint, turn.message_id, turn.thread_id, moment)
            db.execute("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)", values)
        _touch_thread(db, turn.thread_id, turn.title, turn.user_id, moment)
        db.execute(
            "INSERT INTO turns (message_id, thread_id, state, command, user_message, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (turn.message_id, turn.thread_id, state, turn.command, turn.text, moment),
        )

    return store


def find_key(db: sqlite3.Connection, key: str, fingerprint: str) -> Accepted | None:
    """What was accepted under *key* within a day. Raises *Conflict* when that was another request."""
    row = db.execute(
        "SELECT fingerprint, message_id, thread_id FROM idempotency"
        " WHERE key = ? AND created_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 day')",
        (key,),
    ).fetchone()
    if row is None:
        return None
    if row[0] != fingerprint:
        raise Conflict(
            "This Idempotency-Key was used for another request. Use a new key for a new message.",
            code="idempotency_conflict",
        )
    return Accepted(row[1], row[2], replayed=True)


def _next_rank(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT max(rank) FROM threads").fetchone()
    return int(row[0] or 0) + 1


def _touch_thread(db: sqlite3.Connection, thread_id: str, title: str, user_id: str, moment: str) -> None:
    db.execute(
        "INSERT INTO threads (id, title, user_id, created_at, updated_at, rank) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, rank = excluded.rank,"
        " title = CASE threads.title WHEN '' THEN excluded.title ELSE threads.title END",
        (thread_id, title, user_id, moment, moment, _next_rank(db)),
    )


def mark_running(message_id: str) -> Callable[[sqlite3.Connection], None]:
    """The turn has begun: from here on it is not run again after a crash."""
    moment = codec.format_time(codec.now())
    return lambda db: _execute(
        db, "UPDATE turns SET state = 'running', started_at = ? WHERE message_id = ?", moment, message_id
    )


def save_partial(message_id: str, text: str) -> Callable[[sqlite3.Connection], None]:
    """Keep the text of a turn that still runs."""
    return lambda db: _execute(
        db, "UPDATE turns SET response = ? WHERE message_id = ? AND state = 'running'", text, message_id
    )


def _execute(db: sqlite3.Connection, sql: str, *values: Any) -> None:
    db.execute(sql, values)


@attrs.frozen(kw_only=True)
class TurnEnding:
    """How a turn ended."""

    message_id: str
    state: TurnState
    response: str | None
    error: TurnError | None
    usage: TurnUsage
    cost_usd: float | None
    duration_ms: int


def finish(ending: TurnEnding) -> Callable[[sqlite3.Connection], None]:
    """Store a turn's end."""

    def store(db: sqlite3.Connection) -> None:
        error = ending.error
        db.execute(
            "UPDATE turns SET state = ?, response = ?, error_code = ?, error_message = ?, ended_at = ?,"
            " input_tokens = ?, output_tokens = ?, cost_usd = ?, duration_ms = ? WHERE message_id = ?",
            (
                ending.state,
                ending.response,
                error.code if error else None,
                error.message if error else None,
                codec.format_time(codec.now()),
                ending.usage.input_tokens,
                ending.usage.output_tokens,
                ending.cost_usd,
                ending.duration_ms,
                ending.message_id,
            ),
        )
        search.add(db, ending.message_id)

    return store


def start_call(event: ToolStarted) -> Callable[[sqlite3.Connection], None]:
    """Keep a tool call that begins."""
    return lambda db: _execute(
        db,
        "INSERT INTO tool_calls (turn_seq, call_id, name, parameters)"
        " SELECT seq, ?, ?, ? FROM turns WHERE message_id = ?",
        event.call_id,
        event.name,
        codec.dumps(event.parameters).decode(),
        event.message_id,
    )


def complete_call(event: ToolCompleted) -> Callable[[sqlite3.Connection], None]:
    """Keep how a tool call ended."""
    return lambda db: _execute(
        db,
        "UPDATE tool_calls SET success = ?, preview = ?, duration_ms = ?"
        " WHERE call_id = ? AND turn_seq = (SELECT seq FROM turns WHERE message_id = ?)",
        event.success,
        event.preview,
        event.duration_ms,
        event.call_id,
        event.message_id,
    )


def unfinished(db: sqlite3.Connection) -> list[tuple[str, str, str, str, str, bool]]:
    """Turns that the last process left: (message_id, thread_id, state, text, partial response, command), in order."""
    rows = db.execute(
        "SELECT message_id, thread_id, state, user_message, coalesce(response, ''), command FROM turns"
        " WHERE state IN ('queued', 'running') ORDER BY seq"
    )
    return [tuple(row) for row in rows]


def default_thread(db: sqlite3.Connection) -> str | None:
    """The thread that messages without one go to."""
    return get_meta(db, _DEFAULT_THREAD)


def set_default_thread(thread_id: str) -> Callable[[sqlite3.Connection], None]:
    """Move the pointer."""
    return lambda db: set_meta(db, _DEFAULT_THREAD, thread_id)


def conversation(db: sqlite3.Connection, thread_id: str, before: str, most: int) -> list[tuple[str, str]]:
    """The newest *most* exchanges before the turn *before*, oldest first, as (user text, answer)."""
    rows = db.execute(
        "SELECT user_message, response FROM turns WHERE thread_id = ? AND NOT undone AND NOT command"
        " AND state != 'queued' AND seq < (SELECT seq FROM turns WHERE message_id = ?) ORDER BY seq DESC LIMIT ?",
        (thread_id, before, most),
    ).fetchall()
    return [(row[0], row[1] or "") for row in reversed(rows)]


def undo(thread_id: str) -> Callable[[sqlite3.Connection], str | None]:
    """Take the newest exchange of a thread out of its conversation; its user text, or None when there is none."""

    def store(db: sqlite3.Connection) -> str | None:
        row = db.execute(
            "SELECT seq, user_message FROM turns WHERE thread_id = ? AND NOT undone AND NOT command"
            " AND state NOT IN ('queued', 'running') ORDER BY seq DESC LIMIT 1",
            (thread_id,),
        ).fetchone()
        if row is None:
            return None
        db.execute("UPDATE turns SET undone = 1 WHERE seq = ?", (row[0],))
        return str(row[1])

    return store


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
        _touch_thread(db, thread_id, title, user_id, codec.format_time(codec.now()))
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
        _touch_thread(db, target, _next_title(thread.title), user_id, codec.format_time(codec.now()))
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
        "SELECT seq FROM turns WHERE thread_id = ? AND seq < ? AND state NOT IN ('queued', 'running') ORDER BY seq",
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
        search.add(db, str(db.execute("SELECT message_id FROM turns WHERE seq = ?", (new,)).fetchone()[0]))


def read_turns(
    db: sqlite3.Connection, thread_id: str, limit: int, before: int | None
) -> tuple[list[TurnRecord], int | None]:
    """The newest *limit* turns before the place *before*, oldest first, and the place before those."""
    rows = db.execute(
        "SELECT * FROM turns WHERE thread_id = ? AND (? IS NULL OR seq < ?) ORDER BY seq DESC LIMIT ?",
        (thread_id, before, before, limit + 1),
    ).fetchall()
    page = list(reversed(rows[:limit]))
    calls = _calls_of(db, [row["seq"] for row in page])
    return [_turn(row, calls.get(row["seq"], [])) for row in page], page[0]["seq"] if len(rows) > limit else None


def _calls_of(db: sqlite3.Connection, turns: list[int]) -> dict[int, list[ToolCallRecord]]:
    marks = ",".join("?" * len(turns))
    rows = db.execute(f"SELECT * FROM tool_calls WHERE turn_seq IN ({marks}) ORDER BY rowid", turns)  # noqa: S608
    calls: dict[int, list[ToolCallRecord]] = {}
    for row in rows:
        success = None if row["success"] is None else bool(row["success"])
        call = ToolCallRecord(
            row["call_id"], row["name"], codec.loads(row["parameters"]), success, row["preview"], row["duration_ms"]
        )
        calls.setdefault(row["turn_seq"], []).append(call)
    return calls


def _turn(row: sqlite3.Row, calls: list[ToolCallRecord]) -> TurnRecord:
    tokens = row["input_tokens"], row["output_tokens"]
    return TurnRecord(
        message_id=row["message_id"],
        state=TurnState(row["state"]),
        user_message=row["user_message"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        tool_calls=calls,
        response=row["response"],
        error=TurnError(row["error_code"], row["error_message"]) if row["error_code"] else None,
        usage=TurnUsage(input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=sum(tokens)),
        cost_usd=row["cost_usd"],
        duration_ms=row["duration_ms"],
        undone=bool(row["undone"]),
        command=bool(row["command"]),
    )
