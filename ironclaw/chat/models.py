"""Threads and turns, as they are stored and shown."""

import re
from enum import StrEnum
from typing import Any

import attrs

from ironclaw.chat.attachments import AttachmentInfo
from ironclaw.errors import Invalid
from ironclaw.events import TurnUsage
from ironclaw.values import frozen

_THREAD_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
MOST_CHARACTERS = 500_000


class TurnState(StrEnum):
    """Where a turn is; the last four are ends.

    It moves forward only, but that a turn that waited for a person runs again.
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@frozen
class Thread:
    """One conversation. *state* is that of its newest turn, or `idle`."""

    id: str
    title: str
    pinned: bool
    created_at: str
    updated_at: str
    turn_count: int
    state: str


@frozen
class ToolCallRecord:
    """One tool call of a turn; *success* is None while it runs, and when it was cut off."""

    call_id: str
    name: str
    parameters: dict[str, Any]
    success: bool | None = attrs.field()
    preview: str
    duration_ms: int | None = attrs.field()


@frozen
class SkillRecord:
    """A skill that a turn has read, as it was then."""

    name: str
    version: str
    source: str
    trust: str


@frozen
class TurnError:
    """Why a turn has no answer."""

    code: str
    message: str


@frozen(kw_only=True)
class Approval:
    """A tool call that waits for a person, or was answered: *action* is None, `approve`, `always` or `deny`.

    *subject* is the exact command, path or host that it is about; *always* says whether that may be answered.
    """

    request_id: str
    thread_id: str
    message_id: str
    call_id: str
    name: str
    subject: str
    parameters: dict[str, Any]
    always: bool
    created_at: str
    action: str | None = None


@frozen(kw_only=True)
class TurnRecord:
    """One message and what came of it. *idempotency_key*: the one that it was sent with, kept for a day."""

    message_id: str
    state: TurnState
    user_message: str
    created_at: str
    started_at: str | None = attrs.field()
    ended_at: str | None = attrs.field()
    attachments: list[AttachmentInfo] = attrs.Factory(list)
    tool_calls: list[ToolCallRecord]
    skills: list[SkillRecord] = attrs.Factory(list)
    response: str | None = attrs.field()
    error: TurnError | None = None
    usage: TurnUsage
    cost_usd: float | None = attrs.field()
    duration_ms: int | None = attrs.field()
    undone: bool
    command: bool
    idempotency_key: str | None = None


@frozen
class ExportedThread:
    """A thread with all its turns."""

    thread: Thread
    turns: list[TurnRecord]


@frozen
class InProgress:
    """The running turn's text so far, true up to the event *last_id*."""

    message_id: str
    content: str
    last_id: int


@frozen(kw_only=True)
class History:
    """Turns of a thread, oldest first. *last_id*: read the stream from this event on, and nothing is missed or doubled.

    *pending_approval* is the first call that waits for a person.
    """

    thread_id: str
    last_id: int
    turns: list[TurnRecord]
    in_progress: InProgress | None = attrs.field()
    pending_approval: Approval | None = attrs.field()
    next_cursor: str | None = attrs.field()


@frozen
class Accepted:
    """A message that is on disk. *replayed*: it was there already, under the same idempotency key."""

    message_id: str
    thread_id: str
    replayed: bool = False


def check_thread_id(thread_id: str) -> str:
    """The id as it is. Raises *Invalid* unless it is 1 to 128 of `A-Z a-z 0-9 . _ : -`, and not `.` or `..`."""
    if not _THREAD_ID.fullmatch(thread_id) or thread_id in {".", ".."}:
        raise Invalid(
            "A thread id has 1 to 128 characters of A-Z a-z 0-9 . _ : - and is not . or ..", field="thread_id"
        )
    return thread_id


def check_message(message: str) -> str:
    """The message as it is. Raises *Invalid* when it is blank, too long, or holds a NUL."""
    if not message.strip():
        raise Invalid("The message is empty. Write something.", field="message")
    if "\0" in message:
        raise Invalid("The message holds a NUL character, which can't be stored. Leave it out.", field="message")
    if len(message) > MOST_CHARACTERS:
        raise Invalid(f"The message is longer than {MOST_CHARACTERS} characters. Send it in parts.", field="message")
    return message


def title_of(message: str) -> str:
    """A thread's first title: the first line of its first message, at most 60 characters."""
    line = " ".join(message.split())
    return line if len(line) <= 60 else line[:59].rstrip() + "…"
