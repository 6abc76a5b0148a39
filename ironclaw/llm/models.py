"""What goes to a model and what comes back. Plain values; no provider and no HTTP here."""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from ironclaw.values import frozen

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@frozen
class ToolCall:
    """A call that a model asks for. *arguments* is the JSON text as the model wrote it."""

    call_id: str
    name: str
    arguments: str


@frozen
class ModelMessage:
    """One message of the conversation, in the shape that all chat models share.

    A `tool` message answers the call *call_id*; an `assistant` message may carry *tool_calls*. *pictures* of a `user`
    message are URLs; a `data:` one holds the picture itself.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    pictures: tuple[str, ...] = attrs.field(default=(), repr=False)


@frozen
class ToolSpec:
    """A tool as a model sees it; *parameters* is JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@frozen
class ModelRequest:
    """One call of a model.

    *options* are OpenAI's fields for how it writes (`temperature`, `response_format`, ...); a provider that has no such
    thing leaves one out.
    """

    messages: tuple[ModelMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_output_tokens: int | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)


@frozen
class Abilities:
    """What a model can do. *context_tokens* None: not known. *tools*: whether it can call tools; None: not known."""

    context_tokens: int | None = None
    tools: bool | None = None


@frozen
class Usage:
    """Tokens of one or more calls, and their price in US dollars (None: not known).

    *cached_tokens* are those of the input that the provider had kept, *reasoning_tokens* those of the output that were
    thought and not said.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        cost = None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            cost,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


NOTHING_USED = Usage(cost_usd=0.0)
"""What sums begin with."""


@frozen
class TextDelta:
    """Some more of the answer's text."""

    text: str


@frozen
class ReasoningDelta:
    """Some more of what the model thinks aloud, where it shows it."""

    text: str


@frozen
class ToolCallDelta:
    """A whole call, or one more piece of one: *index* says which; name and id come with its first piece."""

    index: int
    arguments: str
    call_id: str | None = None
    name: str | None = None


@frozen
class Waiting:
    """Nothing of the reply yet, and why: the server loads the model, say. *text* is for people."""

    text: str


@frozen
class Finished:
    """The end of a reply; without it a reply counts as cut off."""

    reason: FinishReason
    usage: Usage = Usage()


Delta = TextDelta | ReasoningDelta | ToolCallDelta | Waiting | Finished
