"""One reply of a model, put together from its pieces."""

import attrs

from ironclaw.agent.turn import Tally, Turn
from ironclaw.events import Event, ReasoningChunk, StreamChunk, Thinking
from ironclaw.llm.models import Delta, Finished, ReasoningDelta, TextDelta, ToolCall, ToolCallDelta, Waiting
from ironclaw.values import define


@define
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: list[str] = attrs.Factory(list)


@define
class Reply:
    """A reply as it comes in."""

    text: list[str] = attrs.Factory(list)
    finished: Finished | None = None
    _calls: dict[int, _Call] = attrs.Factory(dict)

    @property
    def content(self) -> str:
        """The text so far."""
        return "".join(self.text)

    @property
    def cut_off(self) -> bool:
        """Whether the model ran out of room, so that its last call may be half a call."""
        return self.finished is not None and self.finished.reason == "length"

    @property
    def has_calls(self) -> bool:
        """Whether it asks for tools."""
        return bool(self._calls)

    def take(self, delta: Delta, turn: Turn, tally: Tally) -> Event | None:
        """Put one piece where it belongs; the event to show for it, if any."""
        match delta:
            case TextDelta(text):
                # What a round says after tools is a paragraph of its own.
                shown = f"\n\n{text}" if tally.text and not self.text else text
                self.text.append(text)
                tally.text.append(shown)
                return StreamChunk(content=shown, thread_id=turn.thread_id, message_id=turn.message_id)
            case ReasoningDelta(text):
                return ReasoningChunk(content=text, thread_id=turn.thread_id, message_id=turn.message_id)
            case Waiting(text):
                return Thinking(message=text, thread_id=turn.thread_id, message_id=turn.message_id)
            case ToolCallDelta():
                self._add_call(delta)
            case Finished():
                self.finished = delta
                tally.usage += delta.usage
                tally.reason = delta.reason
        return None

    def _add_call(self, delta: ToolCallDelta) -> None:
        call = self._calls.setdefault(delta.index, _Call())
        call.call_id = delta.call_id or call.call_id
        call.name = delta.name or call.name
        call.arguments.append(delta.arguments)

    def calls(self, used: set[str]) -> tuple[ToolCall, ...]:
        """The calls in order. Ids are made unique within the turn: small models count from 0 in each reply."""
        found = []
        for index, call in sorted(self._calls.items()):
            call_id = call.call_id or f"call_{index}"
            while call_id in used:
                call_id += f"+{len(used)}"
            used.add(call_id)
            found.append(ToolCall(call_id, call.name, "".join(call.arguments)))
        return tuple(found)
