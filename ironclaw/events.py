"""The events that clients see of a turn: the closed list of the API, as attrs classes. How they travel is `hub/`.

Each class has `kind` (the SSE `event:` and the WebSocket `type`) and `durable` (kept in the event log and replayed after
a restart; the others live in memory and are superseded by the event that `ends_turn`). Fields stand in the order in
which they are sent. `thread_id` is always sent, also when it is null.
"""

from typing import Any, ClassVar

import attrs

from ironclaw.values import frozen


@frozen(kw_only=True)
class Event:
    """The base of all events."""

    kind: ClassVar[str]
    durable: ClassVar[bool] = True
    ends_turn: ClassVar[bool] = False

    @property
    def resets(self) -> bool:
        """Whether text that clients hold for this turn may be wrong, so that they must read the history anew."""
        return False


def field_of(event: Event, name: str) -> str | None:
    """The event's *name* field (`thread_id`, `message_id`), or None where it has none."""
    return getattr(event, name, None)


@frozen(kw_only=True)
class UserMessage(Event):
    """A message was accepted and is on disk.

    *attachments* names the files that came with it, *idempotency_key* is the one that it was sent with, if any.
    """

    kind = "user_message"
    content: str
    thread_id: str
    message_id: str
    attachments: list[str] = attrs.field(factory=list)
    idempotency_key: str | None = None


@frozen(kw_only=True)
class Queued(Event):
    """The message waits; *position* 1 is the next to run."""

    kind = "queued"
    durable = False
    position: int
    thread_id: str
    message_id: str


@frozen(kw_only=True)
class Thinking(Event):
    """The turn has begun."""

    kind = "thinking"
    durable = False
    message: str
    thread_id: str
    message_id: str


@frozen(kw_only=True)
class StreamChunk(Event):
    """Some more text of the answer."""

    kind = "stream_chunk"
    durable = False
    content: str
    thread_id: str
    message_id: str


@frozen(kw_only=True)
class ReasoningChunk(Event):
    """Some more of what the model thinks aloud."""

    kind = "reasoning_chunk"
    durable = False
    content: str
    thread_id: str
    message_id: str


@frozen(kw_only=True)
class ToolStarted(Event):
    """A tool call is about to run; *name* is the tool, *parameters* are for people, cut and masked."""

    kind = "tool_started"
    name: str
    thread_id: str
    message_id: str
    call_id: str
    parameters: dict[str, Any]


@frozen(kw_only=True)
class ToolCompleted(Event):
    """A tool call has ended."""

    kind = "tool_completed"
    name: str
    success: bool
    thread_id: str
    message_id: str
    call_id: str
    duration_ms: int
    preview: str


@frozen(kw_only=True)
class SkillUsed(Event):
    """The turn works by the instructions of a skill. *trust* is `trusted`, or `untrusted` for one from elsewhere."""

    kind = "skill_used"
    name: str
    version: str
    source: str
    trust: str
    thread_id: str
    message_id: str


@frozen(kw_only=True)
class ApprovalNeeded(Event):
    """A tool call waits for a person. *subject* is the exact command, path or host; *always*: may be answered so."""

    kind = "approval_needed"
    request_id: str
    name: str
    subject: str
    parameters: dict[str, Any]
    always: bool
    thread_id: str
    message_id: str
    call_id: str


@frozen(kw_only=True)
class ApprovalSettled(Event):
    """A call that waited was answered: *action* is `approve`, `always` or `deny`."""

    kind = "approval_settled"
    request_id: str
    action: str
    thread_id: str
    message_id: str
    call_id: str


@frozen(kw_only=True)
class TurnUsage:
    """Tokens of a turn, summed over its model calls."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


@frozen(kw_only=True)
class Response(Event):
    """The turn's whole answer; it ends the turn. *cost_usd* is null where no price is known."""

    kind = "response"
    ends_turn = True
    content: str
    thread_id: str
    message_id: str
    usage: TurnUsage
    cost_usd: float | None = attrs.field()
    duration_ms: int


@frozen(kw_only=True)
class Stopped(Event):
    """The turn was stopped; *content* is the text it had by then."""

    kind = "stopped"
    ends_turn = True
    content: str
    thread_id: str
    message_id: str
    usage: TurnUsage
    cost_usd: float | None = attrs.field()
    duration_ms: int


@frozen(kw_only=True)
class TurnFailed(Event):
    """The turn ended without an answer; *message* says why and what to do, *content* is the text it had by then."""

    kind = "turn_failed"
    ends_turn = True
    code: str
    message: str
    content: str
    thread_id: str
    message_id: str
    usage: TurnUsage
    cost_usd: float | None = attrs.field()
    duration_ms: int

    @property
    def resets(self) -> bool:
        """After a crash a client may hold more text than we kept."""
        return self.code == "interrupted"


@frozen(kw_only=True)
class ThreadUpdated(Event):
    """A thread was made, renamed, pinned, deleted, or became the default one."""

    kind = "thread_updated"
    thread_id: str
    change: str
    title: str | None = attrs.field()


@frozen(kw_only=True)
class MemoryChanged(Event):
    """A note changed: *change* is `written`, `deleted`, `moved` or `restored`, *author* `person`, `agent`, `outside`."""

    kind = "memory_changed"
    path: str
    change: str
    author: str
    thread_id: str | None = attrs.field(factory=lambda: None)


@frozen(kw_only=True)
class JobStarted(Event):
    """A job was accepted: *status* `pending`, until it has its turn. *browse_path*: its files, below this gateway."""

    kind = "job_started"
    job_id: str
    title: str
    status: str
    started_by: str
    browse_path: str
    thread_id: str | None = attrs.field()


@frozen(kw_only=True)
class JobUpdated(Event):
    """A job runs, or has ended: *status*, *exit_code* and *reason* as in `GET /api/jobs/{id}`."""

    kind = "job_updated"
    job_id: str
    title: str
    status: str
    exit_code: int | None = attrs.field()
    reason: str | None = attrs.field()
    output_bytes: int
    browse_path: str
    thread_id: str | None = attrs.field()


@frozen(kw_only=True)
class JobProgress(JobUpdated):
    """A job that runs has printed more; *last_line* is the last of it. At most one a second, not kept."""

    durable = False
    last_line: str


@frozen(kw_only=True)
class ModelUpdated(Event):
    """The connected model changed, or how it is: *state* as in `GET /api/model`."""

    kind = "model_updated"
    state: str
    provider: str | None = attrs.field()
    model: str | None = attrs.field()
    thread_id: str | None = attrs.field(factory=lambda: None)


@frozen(kw_only=True)
class BudgetWarning(Event):
    """Most of a budget is spent. *period* is `day` or `month`; amounts are in US dollars."""

    kind = "budget_warning"
    period: str
    spent_usd: float
    limit_usd: float
    thread_id: str | None = attrs.field(factory=lambda: None)


@frozen(kw_only=True)
class AuthRequired(Event):
    """An extension needs its token, or does not take the one it has: *message* says why, *url* where to get one."""

    kind = "auth_required"
    name: str
    message: str
    url: str | None = attrs.field()
    thread_id: str | None = attrs.field(factory=lambda: None)


@frozen(kw_only=True)
class AuthCompleted(Event):
    """The token of an extension was checked and taken."""

    kind = "auth_completed"
    name: str
    thread_id: str | None = attrs.field(factory=lambda: None)


@frozen(kw_only=True)
class ExtensionUpdated(Event):
    """An extension changed: *state* as in `GET /api/extensions/list`, or `removed`; *progress* of its installation."""

    kind = "extension_updated"
    name: str
    state: str
    enabled: bool
    authenticated: bool
    progress: str | None = attrs.field(factory=lambda: None)
    thread_id: str | None = attrs.field(factory=lambda: None)


@frozen(kw_only=True)
class Reset(Event):
    """Something between this reader's place and now is gone: read the history anew and go on from *last_id*."""

    kind = "reset"
    durable = False
    reason: str
    last_id: int
    thread_id: str | None = attrs.field()


TurnEnd = Response | Stopped | TurnFailed

EVENTS: tuple[type[Event], ...] = (
    UserMessage,
    Queued,
    Thinking,
    StreamChunk,
    ReasoningChunk,
    ToolStarted,
    ToolCompleted,
    SkillUsed,
    ApprovalNeeded,
    ApprovalSettled,
    Response,
    Stopped,
    TurnFailed,
    ThreadUpdated,
    MemoryChanged,
    JobStarted,
    JobUpdated,
    JobProgress,
    ModelUpdated,
    BudgetWarning,
    AuthRequired,
    AuthCompleted,
    ExtensionUpdated,
    Reset,
)
TURN_END_KINDS = frozenset(event.kind for event in EVENTS if event.ends_turn)
NAMES = frozenset(event.kind for event in EVENTS)
