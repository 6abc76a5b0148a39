"""Turns and idempotency keys on disk. Functions here run inside the writer or the reader. Threads: `thread_store.py`."""

import sqlite3
from collections.abc import Callable
from typing import Any

import attrs

from ironclaw import codec
from ironclaw.chat import attachments, search
from ironclaw.chat.attachments import Attachment, Told
from ironclaw.chat.models import Accepted, SkillRecord, ToolCallRecord, TurnError, TurnRecord, TurnState
from ironclaw.chat.thread_store import touch_thread
from ironclaw.errors import Conflict
from ironclaw.events import SkillUsed, ToolCompleted, ToolStarted, TurnUsage
from ironclaw.values import frozen


class Replayed(Exception):  # noqa: N818 - not an error: it takes the transaction back
    """The idempotency key was used already for the same request."""

    def __init__(self, accepted: Accepted) -> None:
        super().__init__()
        self.accepted = accepted


@frozen(kw_only=True)
class NewTurn:
    """A turn as it is accepted."""

    message_id: str
    thread_id: str
    text: str
    title: str
    user_id: str
    command: bool = False
    can_ask: bool = True
    key: str | None = None
    fingerprint: str = ""
    attachments: tuple[Attachment, ...] = ()


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
        touch_thread(db, turn.thread_id, turn.title, turn.user_id, moment)
        db.execute(
            "INSERT INTO turns (message_id, thread_id, state, command, can_ask, user_message, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (turn.message_id, turn.thread_id, state, turn.command, turn.can_ask, turn.text, moment),
        )
        attachments.keep(db, turn.message_id, turn.attachments)

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


@frozen(kw_only=True)
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
        db.execute(
            "DELETE FROM paused_turns WHERE turn_seq = (SELECT seq FROM turns WHERE message_id = ?)",
            (ending.message_id,),
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


def use_skill(event: SkillUsed) -> Callable[[sqlite3.Connection], None]:
    """Keep that a turn has read a skill; once, however often it does."""
    return lambda db: _execute(
        db,
        "INSERT OR IGNORE INTO turn_skills (turn_seq, name, version, source, trust)"
        " SELECT seq, ?, ?, ?, ? FROM turns WHERE message_id = ?",
        event.name,
        event.version,
        event.source,
        event.trust,
        event.message_id,
    )


@frozen
class Unfinished:
    """A turn that the last process left. *paused*: it waited for a person, or was about to go on after the answer."""

    message_id: str
    thread_id: str
    state: TurnState
    text: str
    partial: str
    command: bool
    can_ask: bool
    paused: bool


def unfinished(db: sqlite3.Connection) -> list[Unfinished]:
    """The turns that the last process left, in order."""
    rows = db.execute(
        "SELECT message_id, thread_id, state, user_message, coalesce(response, ''), command, can_ask,"
        " EXISTS (SELECT 1 FROM paused_turns WHERE turn_seq = seq) FROM turns"
        " WHERE state IN ('queued', 'running', 'waiting') ORDER BY seq"
    )
    return [
        Unfinished(row[0], row[1], TurnState(row[2]), row[3], row[4], bool(row[5]), bool(row[6]), bool(row[7]))
        for row in rows
    ]


@frozen
class Exchange:
    """A message with what its files say, and its answer; *seq* is its place."""

    seq: int
    question: str
    answer: str
    attached: Told


@frozen
class Conversation:
    """What a thread's model is told: a *summary* of what was first, then the exchanges since, oldest first."""

    summary: str
    exchanges: list[Exchange]


def conversation(db: sqlite3.Connection, thread_id: str, before: str, most: int) -> Conversation:
    """What was said before the turn *before*; of the exchanges that no summary covers the newest *most*."""
    row = db.execute("SELECT upto, summary FROM summaries WHERE thread_id = ?", (thread_id,)).fetchone()
    upto, summary = (row[0], row[1]) if row else (0, "")
    rows = db.execute(
        "SELECT seq, user_message, response FROM turns WHERE thread_id = ? AND NOT undone AND NOT command"
        " AND state NOT IN ('queued', 'running', 'waiting') AND seq > ?"
        " AND seq < (SELECT seq FROM turns WHERE message_id = ?)"
        " ORDER BY seq DESC LIMIT ?",
        (thread_id, upto, before, most),
    ).fetchall()
    files = attachments.of_turns(db, [row[0] for row in rows])
    exchanges = [
        Exchange(row[0], row[1], row[2] or "", files.get(row[0], attachments.NOTHING)) for row in reversed(rows)
    ]
    return Conversation(summary, exchanges)


def keep_summary(thread_id: str, upto: int, summary: str) -> Callable[[sqlite3.Connection], None]:
    """From now on *summary* stands for all exchanges up to *upto*."""
    return lambda db: _execute(
        db, "INSERT OR REPLACE INTO summaries (thread_id, upto, summary) VALUES (?, ?, ?)", thread_id, upto, summary
    )


def undo(thread_id: str) -> Callable[[sqlite3.Connection], tuple[str, str] | None]:
    """Take the newest exchange of a thread out of its conversation; its (message_id, text), or None when there is none."""

    def store(db: sqlite3.Connection) -> tuple[str, str] | None:
        row = db.execute(
            "SELECT seq, message_id, user_message FROM turns WHERE thread_id = ? AND NOT undone AND NOT command"
            " AND state NOT IN ('queued', 'running', 'waiting') ORDER BY seq DESC LIMIT 1",
            (thread_id,),
        ).fetchone()
        if row is None:
            return None
        db.execute("UPDATE turns SET undone = 1 WHERE seq = ?", (row[0],))
        # A summary that tells of it goes too; the conversation is summarised anew when it must be.
        db.execute("DELETE FROM summaries WHERE thread_id = ? AND upto >= ?", (thread_id, row[0]))
        return row[1], row[2]

    return store


def read_turns(
    db: sqlite3.Connection, thread_id: str, limit: int, before: int | None, *, whole: bool = False
) -> tuple[list[TurnRecord], int | None]:
    """The newest *limit* turns before the place *before*, oldest first, and the place before those.

    *whole*: with the data of files that came with them.
    """
    rows = db.execute(
        "SELECT * FROM turns WHERE thread_id = ? AND (? IS NULL OR seq < ?) ORDER BY seq DESC LIMIT ?",
        (thread_id, before, before, limit + 1),
    ).fetchall()
    page = list(reversed(rows[:limit]))
    places = [row["seq"] for row in page]
    calls, skills, files = _calls_of(db, places), _skills_of(db, places), attachments.infos(db, places, whole=whole)
    keys = dict(db.execute("SELECT message_id, key FROM idempotency WHERE thread_id = ?", (thread_id,)).fetchall())
    turns = [
        attrs.evolve(
            _turn(row),
            tool_calls=calls.get(row["seq"], []),
            skills=skills.get(row["seq"], []),
            attachments=files.get(row["seq"], []),
            idempotency_key=keys.get(row["message_id"]),
        )
        for row in page
    ]
    return turns, page[0]["seq"] if len(rows) > limit else None


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


def _skills_of(db: sqlite3.Connection, turns: list[int]) -> dict[int, list[SkillRecord]]:
    marks = ",".join("?" * len(turns))
    rows = db.execute(f"SELECT * FROM turn_skills WHERE turn_seq IN ({marks}) ORDER BY rowid", turns)  # noqa: S608
    skills: dict[int, list[SkillRecord]] = {}
    for row in rows:
        used = SkillRecord(row["name"], row["version"], row["source"], row["trust"])
        skills.setdefault(row["turn_seq"], []).append(used)
    return skills


def _turn(row: sqlite3.Row) -> TurnRecord:
    """The turn without what other tables have of it."""
    tokens = row["input_tokens"], row["output_tokens"]
    return TurnRecord(
        message_id=row["message_id"],
        state=TurnState(row["state"]),
        user_message=row["user_message"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        tool_calls=[],
        skills=[],
        response=row["response"],
        error=TurnError(row["error_code"], row["error_message"]) if row["error_code"] else None,
        usage=TurnUsage(input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=sum(tokens)),
        cost_usd=row["cost_usd"],
        duration_ms=row["duration_ms"],
        undone=bool(row["undone"]),
        command=bool(row["command"]),
    )
