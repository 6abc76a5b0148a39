"""Takes conversations in that were exported here or elsewhere. The JSON of it is the API's; how it is stored is below.

A thread keeps its id and its messages theirs, unless they are taken by others; the new ones are made from the old ones and
the content, so that the same file a second time changes nothing. A thread that went on where it was exported from is
continued. What was not finished there is interrupted here: nothing is answered again.
"""

import hashlib
import re
import sqlite3
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import attrs

from ironclaw import codec
from ironclaw.chat import attachments, search
from ironclaw.chat.models import (
    MOST_CHARACTERS,
    ExportedThread,
    Thread,
    TurnError,
    TurnRecord,
    TurnState,
    check_thread_id,
)
from ironclaw.chat.thread_store import next_rank
from ironclaw.database import Database
from ironclaw.errors import Invalid
from ironclaw.events import ThreadUpdated
from ironclaw.hub import Hub
from ironclaw.redact import redact
from ironclaw.values import frozen

Outcome = Literal["created", "continued", "unchanged"]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ENDED = frozenset({TurnState.COMPLETED, TurnState.STOPPED, TurnState.FAILED, TurnState.INTERRUPTED})
_MOST_TITLE = 200
_LARGEST = 2**53
_CUT_OFF = TurnError("interrupted", "It was not finished when it was exported.")
_NAMESPACE = uuid.UUID("5f0c9f3e-7b0d-4c1c-9a55-7e2d7f0b9f10")


@frozen(kw_only=True)
class Imported:
    """What became of one thread: *thread_id* is its id here, *exported_id* the one in the file, *turns* those added."""

    thread_id: str
    exported_id: str
    outcome: Outcome
    turns: int


class Importer:
    """Stores conversations that come from a file."""

    def __init__(self, hub: Hub, database: Database, user_id: str) -> None:
        self._hub = hub
        self._database = database
        self._user_id = user_id

    async def add(self, exported: ExportedThread) -> Imported:
        """Store a checked thread, whole or not at all. Raises *DatabaseFailed*."""
        done = await self._database.write(_store(exported, self._user_id))
        if done.outcome != "unchanged":
            change = "created" if done.outcome == "created" else "changed"
            event = ThreadUpdated(thread_id=done.thread_id, change=change, title=exported.thread.title)
            self._hub.publish(event)
        return done


# Checking


def check(exported: ExportedThread, where: str) -> ExportedThread:
    """The thread as it may be stored, pasted keys removed. Raises *Invalid* that names the field below *where*."""
    thread = exported.thread
    try:
        check_thread_id(thread.id)
    except Invalid as error:
        raise Invalid(error.message, field=f"{where}thread.id") from None
    _text(thread.title, _MOST_TITLE, f"{where}thread.title")
    for name in ("created_at", "updated_at"):
        _time(getattr(thread, name), f"{where}thread.{name}")
    turns = [_checked(turn, f"{where}turns.{number}.") for number, turn in enumerate(exported.turns)]
    ids = [turn.message_id for turn in turns]
    if len(set(ids)) != len(ids):
        raise Invalid("A message is in the thread twice.", field=f"{where}turns")
    return ExportedThread(attrs.evolve(thread, title=redact.remove_keys(thread.title)), turns)


def _checked(turn: TurnRecord, where: str) -> TurnRecord:
    if not _MESSAGE_ID.fullmatch(turn.message_id):
        raise Invalid("A message id has 1 to 128 characters of A-Z a-z 0-9 . _ : -", field=f"{where}message_id")
    _text(turn.user_message, MOST_CHARACTERS, f"{where}user_message")
    _text(turn.response or "", None, f"{where}response")
    _time(turn.created_at, f"{where}created_at")
    for name in ("started_at", "ended_at"):
        if getattr(turn, name) is not None:
            _time(getattr(turn, name), f"{where}{name}")
    numbers = {
        "usage.input_tokens": turn.usage.input_tokens,
        "usage.output_tokens": turn.usage.output_tokens,
        "cost_usd": turn.cost_usd,
        "duration_ms": turn.duration_ms,
    }
    for name, number in numbers.items():
        if number is not None and not 0 <= number <= _LARGEST:
            raise Invalid("The number is out of range.", field=f"{where}{name}")
    _check_calls(turn, where)
    for number, file in enumerate(turn.attachments):
        file.read(f"{where}attachments.{number}")
    ended = turn.state in _ENDED
    return attrs.evolve(
        turn,
        user_message=redact.remove_keys(turn.user_message),
        response=None if turn.response is None else redact.remove_keys(turn.response),
        state=turn.state if ended else TurnState.INTERRUPTED,
        ended_at=turn.ended_at if ended else turn.ended_at or turn.created_at,
        error=turn.error if ended else turn.error or _CUT_OFF,
    )


def _check_calls(turn: TurnRecord, where: str) -> None:
    if len({call.call_id for call in turn.tool_calls}) != len(turn.tool_calls):
        raise Invalid("A tool call is in the turn twice.", field=f"{where}tool_calls")
    for number, call in enumerate(turn.tool_calls):
        for name in ("call_id", "name", "preview"):
            _text(getattr(call, name), None, f"{where}tool_calls.{number}.{name}")
        if call.duration_ms is not None and not 0 <= call.duration_ms <= _LARGEST:
            raise Invalid("The number is out of range.", field=f"{where}tool_calls.{number}.duration_ms")


def _text(text: str, most: int | None, field: str) -> None:
    if "\0" in text:
        raise Invalid("The text holds a NUL character, which can't be stored.", field=field)
    if most is not None and len(text) > most:
        raise Invalid(f"The text is longer than {most} characters.", field=field)


def _time(text: str, field: str) -> None:
    try:
        fine = _TIME.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        fine = False
    if not fine:
        raise Invalid("A time looks like 2026-11-25T08:30:00Z.", field=field)


# Storing


def _store(exported: ExportedThread, user_id: str) -> Callable[[sqlite3.Connection], Imported]:
    def store(db: sqlite3.Connection) -> Imported:
        for thread_id in (exported.thread.id, _other_id(exported)):
            there = _messages_of(db, thread_id)
            known = frozenset(there or ())
            wanted = [_known_as(known, thread_id, turn.message_id) for turn in exported.turns]
            if there is None:
                _make_thread(db, thread_id, exported.thread, user_id)
                _append(db, thread_id, exported.turns)
                return Imported(
                    thread_id=thread_id, exported_id=exported.thread.id, outcome="created", turns=len(exported.turns)
                )
            if known.issuperset(wanted):
                return Imported(thread_id=thread_id, exported_id=exported.thread.id, outcome="unchanged", turns=0)
            if wanted[: len(there)] == there and not _runs(db, thread_id):
                more = exported.turns[len(there) :]
                _append(db, thread_id, more)
                db.execute(
                    "UPDATE threads SET updated_at = max(updated_at, ?), rank = ? WHERE id = ?",
                    (exported.thread.updated_at, next_rank(db), thread_id),
                )
                return Imported(
                    thread_id=thread_id, exported_id=exported.thread.id, outcome="continued", turns=len(more)
                )
        raise Invalid(f"The thread {exported.thread.id} and its copy here have both gone on; delete one of them first.")

    return store


def _other_id(exported: ExportedThread) -> str:
    """The id of a thread whose own id is another's here: the same for the same content."""
    digest = hashlib.sha256(codec.dumps_sorted(exported.turns)).hexdigest()[:12]
    return f"{exported.thread.id[:100]}-{digest}"


def _messages_of(db: sqlite3.Connection, thread_id: str) -> list[str] | None:
    if db.execute("SELECT 1 FROM threads WHERE id = ?", (thread_id,)).fetchone() is None:
        return None
    rows = db.execute("SELECT message_id FROM turns WHERE thread_id = ? ORDER BY seq", (thread_id,))
    return [str(row[0]) for row in rows]


def _known_as(there: frozenset[str], thread_id: str, message_id: str) -> str:
    """The id that a message has in a thread here, if it is there."""
    other = _other_message_id(thread_id, message_id)
    return other if other in there else message_id


def _other_message_id(thread_id: str, message_id: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{thread_id} {message_id}"))


def _runs(db: sqlite3.Connection, thread_id: str) -> bool:
    sql = "SELECT 1 FROM turns WHERE thread_id = ? AND state IN ('queued', 'running', 'waiting')"
    return db.execute(sql, (thread_id,)).fetchone() is not None


def _make_thread(db: sqlite3.Connection, thread_id: str, thread: Thread, user_id: str) -> None:
    db.execute(
        "INSERT INTO threads (id, title, pinned, user_id, created_at, updated_at, rank) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (thread_id, thread.title, thread.pinned, user_id, thread.created_at, thread.updated_at, next_rank(db)),
    )


def _append(db: sqlite3.Connection, thread_id: str, turns: list[TurnRecord]) -> None:
    for turn in turns:
        taken = db.execute("SELECT 1 FROM turns WHERE message_id = ?", (turn.message_id,)).fetchone()
        message_id = _other_message_id(thread_id, turn.message_id) if taken else turn.message_id
        error = turn.error
        seq = db.execute(
            "INSERT INTO turns (message_id, thread_id, state, command, undone, user_message, response, error_code,"
            " error_message, created_at, started_at, ended_at, input_tokens, output_tokens, cost_usd, duration_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(message_id, thread_id, turn.state, turn.command, turn.undone, turn.user_message, turn.response),
                *(error.code if error else None, error.message if error else None),
                *(turn.created_at, turn.started_at, turn.ended_at),
                *(turn.usage.input_tokens, turn.usage.output_tokens, turn.cost_usd, turn.duration_ms),
            ),
        ).lastrowid
        for call in turn.tool_calls:
            parameters = codec.dumps(call.parameters).decode()
            db.execute(
                "INSERT INTO tool_calls VALUES (?, ?, ?, ?, ?, ?, ?)",
                (seq, call.call_id, call.name, parameters, call.success, call.preview, call.duration_ms),
            )
        for skill in turn.skills:
            values = (seq, skill.name, skill.version, skill.source, skill.trust)
            db.execute(
                "INSERT OR IGNORE INTO turn_skills (turn_seq, name, version, source, trust) VALUES (?, ?, ?, ?, ?)",
                values,
            )
        attachments.keep(db, message_id, [file for info in turn.attachments if (file := info.read("attachments"))])
        search.add(db, message_id)
