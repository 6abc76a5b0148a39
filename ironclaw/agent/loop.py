"""One turn: ask the model, run the tools it calls, give it their results, until it answers.

`Agent.run()` is an async generator of events. It never yields inside a task group or a timeout: the consumer may stop
between any two events, and what is running then is ended in a `finally`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import attrs

from ironclaw import codec
from ironclaw.agent.prompt import SYSTEM
from ironclaw.agent.toolbox import Toolbox
from ironclaw.errors import BadRequest, IronclawError, ProviderError
from ironclaw.events import Event, ReasoningChunk, StreamChunk, Thinking, ToolCompleted, ToolStarted
from ironclaw.llm.models import (
    Delta,
    Finished,
    ModelMessage,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    Waiting,
)
from ironclaw.llm.provider import Provider
from ironclaw.redact import redact
from ironclaw.tools import ToolContext, ToolResult

log = logging.getLogger(__name__)

_PREVIEW = 500
_PARAMETER = 500


@attrs.frozen
class Turn:
    """What a turn starts from: the new message and, oldest first, what was said before it."""

    thread_id: str
    message_id: str
    text: str
    history: tuple[ModelMessage, ...] = ()


@attrs.define
class Tally:
    """What a turn has so far; it stays true when the turn is stopped or breaks."""

    text: list[str] = attrs.Factory(list)
    usage: Usage = Usage()

    @property
    def content(self) -> str:
        """The whole text."""
        return "".join(self.text)


@attrs.define
class _Reply:
    """One reply of the model, as it comes in."""

    text: list[str] = attrs.Factory(list)
    calls: dict[int, dict[str, str]] = attrs.Factory(dict)
    finished: Finished | None = None

    def add_call(self, delta: ToolCallDelta) -> None:
        call = self.calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
        call["id"] = delta.call_id or call["id"]
        call["name"] = delta.name or call["name"]
        call["arguments"] += delta.arguments

    def tool_calls(self, used: set[str]) -> tuple[ToolCall, ...]:
        """The calls in order. Ids are made unique within the turn: small models count from 0 in each reply."""
        found = []
        for index in sorted(self.calls):
            call = self.calls[index]
            call_id = call["id"] or f"call_{index}"
            while call_id in used:
                call_id += "+"
            used.add(call_id)
            found.append(ToolCall(call_id, call["name"], call["arguments"]))
        return tuple(found)


class Agent:
    """A model with tools."""

    def __init__(self, provider: Provider, toolbox: Toolbox, *, max_iterations: int = 50) -> None:
        self._provider = provider
        self._toolbox = toolbox
        self._max_iterations = max_iterations

    async def run(self, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        """The turn's chunks and tool events; the answer is in *tally* when it ends.

        Raises *ProviderError* when the model can't answer.
        """
        messages = [
            ModelMessage("system", SYSTEM),
            *turn.history,
            ModelMessage("user", turn.text),
        ]
        used: set[str] = set()
        for iteration in range(self._max_iterations + 1):
            # After the last round the model gets no tools any more, and so has to answer with what it knows.
            specs = self._toolbox.specs if iteration < self._max_iterations else ()
            reply = _Reply()
            request = ModelRequest(tuple(messages), specs)
            async with aclosing(self._ask(request, reply, turn, tally)) as events:
                async for event in events:
                    yield event
            calls = reply.tool_calls(used)
            if not calls or not specs:
                return
            messages.append(ModelMessage("assistant", "".join(reply.text), tool_calls=calls))
            results: list[str] = [""] * len(calls)
            async with aclosing(self._run_calls(calls, turn, results)) as tool_events:
                async for event in tool_events:
                    yield event
            messages.extend(
                ModelMessage("tool", result, call_id=call.call_id) for call, result in zip(calls, results, strict=True)
            )

    async def _ask(self, request: ModelRequest, reply: _Reply, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        async with aclosing(self._provider.stream(request)) as deltas:
            async for delta in deltas:
                event = _take(delta, reply, turn, tally)
                if event is not None:
                    yield event
        if reply.finished is None:
            raise ProviderError("The model's answer broke off before its end. Try again.", code="cut_off")

    async def _run_calls(
        self, calls: tuple[ToolCall, ...], turn: Turn, results: list[str]
    ) -> AsyncGenerator[Event, None]:
        """Run the calls side by side. Results go to their own call's place; events come as things happen."""
        for call in calls:
            yield ToolStarted(
                name=call.name,
                thread_id=turn.thread_id,
                message_id=turn.message_id,
                call_id=call.call_id,
                parameters=_shown_parameters(call.arguments),
            )
        done: asyncio.Queue[tuple[int, ToolResult, float]] = asyncio.Queue()
        tasks = [
            asyncio.create_task(self._run_call(number, call, turn, done), name=f"tool {call.name}")
            for number, call in enumerate(calls)
        ]
        try:
            for _ in calls:
                number, result, seconds = await done.get()
                results[number] = result.content
                yield ToolCompleted(
                    name=calls[number].name,
                    success=result.success,
                    thread_id=turn.thread_id,
                    message_id=turn.message_id,
                    call_id=calls[number].call_id,
                    duration_ms=round(seconds * 1000),
                    preview=_cut(redact(result.preview or result.content), _PREVIEW),
                )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_call(
        self, number: int, call: ToolCall, turn: Turn, done: "asyncio.Queue[tuple[int, ToolResult, float]]"
    ) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        context = ToolContext(turn.thread_id, turn.message_id, call.call_id)
        try:
            result = await self._call_tool(call, context)
        except IronclawError as error:
            result = ToolResult(error.message, success=False)
        except Exception:
            log.exception("The tool %s failed", call.name)
            result = ToolResult(f"{call.name} failed inside; the log has the details.", success=False)
        done.put_nowait((number, result, clock() - started))

    async def _call_tool(self, call: ToolCall, context: ToolContext) -> ToolResult:
        tool = self._toolbox.find(call.name)
        if tool is None:
            known = ", ".join(self._toolbox.names)
            return ToolResult(f"There is no tool {call.name}; there are {known}.", success=False)
        arguments = _arguments(call.arguments)
        if arguments is None:
            return ToolResult("The arguments are not a JSON object; send them again.", success=False)
        try:
            async with asyncio.timeout(tool.timeout):
                return await tool.run(context, arguments)
        except TimeoutError:
            return ToolResult(f"{call.name} took longer than {tool.timeout:g} s and was ended.", success=False)


def _take(delta: Delta, reply: _Reply, turn: Turn, tally: Tally) -> Event | None:
    """Put one piece of a reply where it belongs; the event to show for it, if any."""
    match delta:
        case TextDelta(text):
            # What a round says after tools is a paragraph of its own.
            shown = f"\n\n{text}" if tally.text and not reply.text else text
            reply.text.append(text)
            tally.text.append(shown)
            return StreamChunk(content=shown, thread_id=turn.thread_id, message_id=turn.message_id)
        case ReasoningDelta(text):
            return ReasoningChunk(content=text, thread_id=turn.thread_id, message_id=turn.message_id)
        case Waiting(text):
            return Thinking(message=text, thread_id=turn.thread_id, message_id=turn.message_id)
        case ToolCallDelta():
            reply.add_call(delta)
        case Finished():
            reply.finished = delta
            tally.usage += delta.usage
    return None


def _arguments(text: str) -> dict[str, Any] | None:
    """The arguments as plain data; None when they are no JSON object."""
    try:
        data = codec.loads(text or "{}")
    except BadRequest:
        return None
    return data if isinstance(data, dict) else None


def _shown_parameters(text: str) -> dict[str, Any]:
    """The arguments for people: secrets masked, long ones cut."""
    arguments = _arguments(text)
    if arguments is None:
        return {"arguments": _cut(redact(text), _PARAMETER)}
    return {
        name: _cut(redact(value if isinstance(value, str) else codec.dumps(value).decode()), _PARAMETER)
        for name, value in arguments.items()
    }


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
