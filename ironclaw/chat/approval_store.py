"""Turns that wait for a person, on disk: their requests, the point where they stand, and what "always" was answered to."""

import sqlite3
from collections.abc import Callable, Sequence

import attrs

from ironclaw import codec
from ironclaw.agent import Action, Paused, Resume
from ironclaw.chat.models import Approval
from ironclaw.errors import Conflict, Invalid, NotFound
from ironclaw.values import frozen

_APPROVAL = (
    "SELECT a.request_id, t.thread_id, t.message_id, a.call_id, a.name, a.subject, a.parameters, a.always, a.created_at,"
    " a.action FROM approvals a JOIN turns t ON t.seq = a.turn_seq"
)


@frozen
class Settled:
    """An answer that was stored. *open* is how many calls of the turn still wait."""

    approval: Approval
    open: int


def pause(message_id: str, paused: Paused, approvals: Sequence[Approval]) -> Callable[[sqlite3.Connection], None]:
    """Leave a turn waiting for the answers to *approvals*."""

    def store(db: sqlite3.Connection) -> None:
        seq, text = _seq_of(db, message_id), codec.dumps(paused).decode()
        db.execute("INSERT OR REPLACE INTO paused_turns (turn_seq, state) VALUES (?, ?)", (seq, text))
        db.execute("UPDATE turns SET state = 'waiting', response = ? WHERE seq = ?", (paused.text or None, seq))
        for one in approvals:
            db.execute(
                "INSERT INTO approvals (request_id, turn_seq, call_id, name, subject, parameters, always, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    one.request_id,
                    seq,
                    one.call_id,
                    one.name,
                    one.subject,
                    codec.dumps(one.parameters).decode(),
                    one.always,
                    one.created_at,
                ),
            )

    return store


def _seq_of(db: sqlite3.Connection, message_id: str) -> int:
    return int(db.execute("SELECT seq FROM turns WHERE message_id = ?", (message_id,)).fetchone()[0])


def find(db: sqlite3.Connection, request_id: str) -> Approval:
    """One request. Raises *NotFound*."""
    row = db.execute(f"{_APPROVAL} WHERE a.request_id = ?", (request_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such request. GET /api/chat/approvals lists what waits.", field="request_id")
    return _approval(row)


def waiting(db: sqlite3.Connection, thread_id: str | None = None) -> list[Approval]:
    """The requests that wait, the oldest first: all, or those of one thread."""
    rows = db.execute(
        f"{_APPROVAL} WHERE a.action IS NULL AND (? IS NULL OR t.thread_id = ?) ORDER BY a.created_at, a.rowid",
        (thread_id, thread_id),
    )
    return [_approval(row) for row in rows]


def settle(request_id: str, action: Action) -> Callable[[sqlite3.Connection], Settled]:
    """Store the answer to a request, once. Raises *NotFound*, *Conflict* when it was answered, *Invalid* for "always"."""

    def store(db: sqlite3.Connection) -> Settled:
        approval = find(db, request_id)
        if approval.action is not None:
            raise Conflict(f"This request was answered already: {approval.action}.", code="already_settled")
        if action == "always" and not approval.always:
            raise Invalid("This call is asked about each time; answer approve or deny.", field="action")
        db.execute("UPDATE approvals SET action = ? WHERE request_id = ?", (action, request_id))
        if action == "always":
            db.execute(
                "INSERT OR REPLACE INTO remembered_approvals (name, subject, created_at) VALUES (?, ?, ?)",
                (approval.name, approval.subject, codec.format_time(codec.now())),
            )
        seq = _seq_of(db, approval.message_id)
        row = db.execute("SELECT count(*) FROM approvals WHERE turn_seq = ? AND action IS NULL", (seq,)).fetchone()
        if not row[0]:
            # Should the process end now, the next one goes on from here.
            db.execute("UPDATE turns SET state = 'queued' WHERE seq = ? AND state = 'waiting'", (seq,))
        return Settled(attrs.evolve(approval, action=action), row[0])

    return store


def resume_of(db: sqlite3.Connection, message_id: str) -> Resume | None:
    """Where a turn stood when it was paused, with the answers; None when it never was."""
    row = db.execute(
        "SELECT p.state FROM paused_turns p JOIN turns t ON t.seq = p.turn_seq WHERE t.message_id = ?", (message_id,)
    ).fetchone()
    if row is None:
        return None
    paused = codec.structure(codec.loads(row[0]), Paused)
    answers = db.execute(
        "SELECT request_id, action FROM approvals WHERE turn_seq = ? AND action IS NOT NULL", (_seq_of(db, message_id),)
    )
    return Resume(paused, dict(answers.fetchall()))


def remembered(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """What "always" was answered to, as (tool, subject)."""
    return [(row[0], row[1]) for row in db.execute("SELECT name, subject FROM remembered_approvals")]


def _approval(row: sqlite3.Row) -> Approval:
    return Approval(
        request_id=row[0],
        thread_id=row[1],
        message_id=row[2],
        call_id=row[3],
        name=row[4],
        subject=row[5],
        parameters=codec.loads(row[6]),
        always=bool(row[7]),
        created_at=row[8],
        action=row[9],
    )
