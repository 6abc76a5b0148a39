"""What a turn starts from, what it has so far, and where it stands while it waits for a person. Plain values."""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from ironclaw.llm.models import NOTHING_USED, FinishReason, ModelMessage, ToolCall, ToolSpec, Usage
from ironclaw.values import define, frozen

Action = Literal["approve", "always", "deny"]


@frozen(kw_only=True)
class Request:
    """A call that waits for a person. *digest* binds the answer to exactly this call; *number* is its place among all."""

    request_id: str
    number: int
    name: str
    call_id: str
    subject: str
    digest: str
    always: bool


@frozen(kw_only=True)
class Paused:
    """Where a turn stands that waits: enough to go on with, also in another process.

    *messages* are those since the user's; the last one has the *calls*. *results* has one place for each call, None for
    those that wait. *read_only_by*: as in `Tally`.
    """

    messages: tuple[ModelMessage, ...]
    calls: tuple[ToolCall, ...]
    results: tuple[str | None, ...]
    requests: tuple[Request, ...]
    iteration: int
    text: str
    usage: Usage
    read_only_by: str = ""


@frozen
class Resume:
    """A paused turn with the answers, by request id."""

    paused: Paused
    actions: Mapping[str, Action]


@frozen
class Turn:
    """What a turn starts from: the new message and, oldest first, what was said before it.

    *summary* stands for what was said before *history*. *can_ask* False: nobody can be asked, so what needs an approval is
    refused. *client_tools* are run by the program that asks: a call of them ends the turn, and *since* has what was called
    before, with its results. *instructions* are that program's own, for after the system prompt; *options* and
    *most_output* are what it asks of each reply. *skill* is one that the person has named: it is read before anything
    else.

    *attached* is what a model gets to read behind the message's *text*, *pictures* what it gets to see.
    """

    thread_id: str
    message_id: str
    text: str
    history: tuple[ModelMessage, ...] = ()
    summary: str = ""
    can_ask: bool = True
    resume: Resume | None = None
    client_tools: tuple[ToolSpec, ...] = ()
    since: tuple[ModelMessage, ...] = ()
    instructions: str = ""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    most_output: int | None = None
    skill: str | None = None
    attached: str = attrs.field(default="", repr=False)
    pictures: tuple[str, ...] = attrs.field(default=(), repr=False)

    def message(self, text: str) -> ModelMessage:
        """The new message with all that comes with it; *text* is what it says to the model."""
        return ModelMessage("user", text + self.attached, pictures=self.pictures)

    def is_for_client(self, call: ToolCall) -> bool:
        """Whether a call is of a tool that the program that asks runs itself."""
        return any(tool.name == call.name for tool in self.client_tools)


@frozen
class Compacted:
    """A new summary; it covers all of the turn's history but its newest *kept* messages."""

    summary: str
    kept: int


@define
class Tally:
    """What a turn has so far; it stays true when the turn is stopped or breaks.

    *client_calls* are for the program that asks to run; *reason* is why the model's last reply ended. *read_only_by* names
    the skill from elsewhere that was read, so that from there on only tools that read may be called.
    """

    text: list[str] = attrs.Factory(list)
    usage: Usage = NOTHING_USED
    paused: Paused | None = None
    compacted: Compacted | None = None
    client_calls: tuple[ToolCall, ...] = ()
    reason: FinishReason = "stop"
    read_only_by: str = ""

    @property
    def content(self) -> str:
        """The whole text."""
        return "".join(self.text)
