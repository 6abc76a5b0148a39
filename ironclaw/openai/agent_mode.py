"""The agent as a model: a client's conversation becomes one turn, the turn's events become the pieces of a reply.

Without a thread nothing is kept, and the turn ends with the client's call. With one, the last message goes into it as any
other does: what was said there before counts, not what the client sends, and the turn goes on when the client leaves.
"""

import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing

from ironclaw.agent import Tally, Turn
from ironclaw.agent.calls import NOBODY
from ironclaw.chat import attachments
from ironclaw.chat.service import ChatService
from ironclaw.errors import BudgetSpent, Invalid, IronclawError, ProviderError
from ironclaw.events import (
    Event,
    Queued,
    ReasoningChunk,
    StreamChunk,
    Thinking,
    ToolCompleted,
    TurnEnd,
    TurnFailed,
)
from ironclaw.hub import Hub
from ironclaw.llm.models import (
    Delta,
    Finished,
    FinishReason,
    ModelMessage,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolSpec,
    Usage,
    Waiting,
)
from ironclaw.llm.provider import Provider
from ironclaw.openai.calls import Writing
from ironclaw.redact import redact

_CAN_ALLOW = (
    "needs your approval, which can't be given here, so it was not run."
    " Ask for it in a conversation on the gateway's own page: there you can allow it."
)
_LOOK = "(a picture)"  # what a message says that has nothing but one


_AS_USUAL = Writing()


class AgentMode:
    """Answers for the agent. *plain_model* gives the connected model without the agent; None: there is none."""

    def __init__(self, chat: ChatService, hub: Hub, plain_model: Callable[[], Provider | None]) -> None:
        self._chat = chat
        self._hub = hub
        self._plain_model = plain_model

    async def stream(
        self,
        messages: Sequence[ModelMessage],
        *,
        tools: Sequence[ToolSpec] = (),
        writing: Writing = _AS_USUAL,
        thread_id: str | None = None,
        side_call: bool = False,
    ) -> AsyncGenerator[Delta, None]:
        """The reply, piece by piece; the last piece is `Finished`, with the usage of all the turn's calls.

        *tools* are the client's own, *writing* is how it wants each reply of the model. A *side_call* (for a title, say) is
        answered by the model alone, without tools and thread. Raises *Invalid* for a conversation that can't be taken,
        *ProviderError*, *BudgetSpent*.
        """
        if side_call:
            source = self._ask_plainly(messages, writing)
        elif thread_id is None:
            source = self._run_alone(messages, tools, writing)
        else:
            source = self._run_in_thread(messages, tools, thread_id)
        async with aclosing(source) as deltas:
            async for delta in deltas:
                yield delta

    async def _ask_plainly(self, messages: Sequence[ModelMessage], writing: Writing) -> AsyncGenerator[Delta, None]:
        model = self._plain_model()
        if model is None:  # the built-in assistant knows no titles, and front ends have their own without one
            yield Finished("stop")
            return
        request = ModelRequest(tuple(messages), (), writing.most_output, writing.options)
        async with aclosing(model.stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def _run_alone(
        self, messages: Sequence[ModelMessage], tools: Sequence[ToolSpec], writing: Writing
    ) -> AsyncGenerator[Delta, None]:
        turn, tally = turn_of(messages, tools, writing), Tally()
        refused: list[str] = []
        async with aclosing(self._chat.ephemeral.run(turn, tally)) as events:
            async for event in events:
                for delta in _deltas(event, refused):
                    yield delta
        for index, call in enumerate(tally.client_calls):
            yield ToolCallDelta(index, call.arguments, call.call_id, call.name)
        for delta in _ending(tally, refused):
            yield delta

    async def _run_in_thread(
        self, messages: Sequence[ModelMessage], tools: Sequence[ToolSpec], thread_id: str
    ) -> AsyncGenerator[Delta, None]:
        if tools:
            raise Invalid(
                "A conversation that is kept here has the agent's own tools only. Leave out `tools`, or the thread.",
                field="tools",
                code="unsupported_parameter",
            )
        message = messages[_last_user(messages)]
        files = attachments.from_urls(message.pictures, "messages")
        message_id = str(uuid.uuid4())
        refused: list[str] = []
        # Subscribed before it is accepted, so that not even its first event is missed.
        with self._hub.subscribe(message_id=message_id) as subscription:
            await self._chat.accept(
                message.content or _LOOK, thread_id=thread_id, message_id=message_id, can_ask=False, files=files
            )
            async for released in subscription:
                if isinstance(released.event, TurnEnd):
                    for delta in _ending(_tally_of(released.event), refused):
                        yield delta
                    return
                for delta in _deltas(released.event, refused) if released.event is not None else ():
                    yield delta


def turn_of(messages: Sequence[ModelMessage], tools: Sequence[ToolSpec], writing: Writing = _AS_USUAL) -> Turn:
    """A client's conversation as a turn: what the last message of the user asks for. Raises *Invalid* without one."""
    said = [message for message in messages if message.role != "system"]
    at = _last_user(said)
    turn_id = f"v1-{uuid.uuid4().hex}"
    return Turn(
        turn_id,
        turn_id,
        redact.remove_keys(said[at].content),
        tuple(said[:at]),
        can_ask=False,
        client_tools=tuple(tools),
        since=tuple(said[at + 1 :]),
        instructions="\n\n".join(message.content for message in messages if message.role == "system"),
        options=writing.options,
        most_output=writing.most_output,
        pictures=said[at].pictures,
    )


def _last_user(messages: Sequence[ModelMessage]) -> int:
    at = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), None)
    if at is None:
        raise Invalid("There is no message of the user in `messages`.", field="messages", code="invalid_value")
    return at


def _deltas(event: Event, refused: list[str]) -> Iterator[Delta]:
    """What an event adds to the reply; calls that nobody could allow are noted in *refused*."""
    match event:
        case StreamChunk(content=text):
            yield TextDelta(text)
        case ReasoningChunk(content=text):
            yield ReasoningDelta(text)
        case Thinking(message=text):
            yield Waiting(text)
        case Queued():
            yield Waiting("Another turn of this conversation runs first.")
        case ToolCompleted(name=name, preview=preview) if preview == NOBODY and name not in refused:
            refused.append(name)


def _tally_of(end: TurnEnd) -> Tally:
    """What an ended turn of a thread had. Raises *ProviderError* or *BudgetSpent* for one without an answer."""
    if isinstance(end, TurnFailed):
        raise _failure(end)
    return Tally([end.content], Usage(end.usage.input_tokens, end.usage.output_tokens, end.cost_usd))


def _failure(end: TurnFailed) -> IronclawError:
    kind = BudgetSpent if end.code in {"budget_spent", "price_unknown"} else ProviderError
    return kind(end.message, code=end.code)


def _ending(tally: Tally, refused: Sequence[str]) -> Iterator[Delta]:
    """What is said after the text, and the end."""
    if refused:
        names = ", ".join(f"`{name}`" for name in refused)
        yield TextDelta(f"\n\n{names} {_CAN_ALLOW}" if tally.content else f"{names} {_CAN_ALLOW}")
    reason: FinishReason = "stop" if tally.reason == "tool_calls" else tally.reason  # ours are done by now
    yield Finished("tool_calls" if tally.client_calls else reason, tally.usage)
