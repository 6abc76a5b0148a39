"""Carries out the tool calls of one reply: side by side, each result on its own call.

Calls that need a person are left open; the loop pauses the turn for them.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import attrs

from ironclaw.agent import parameters
from ironclaw.agent.approvals import Decision, Policy, digest_of
from ironclaw.agent.toolbox import Toolbox, only_reads, refusal
from ironclaw.agent.turn import Action, Paused, Request, Turn
from ironclaw.errors import Invalid, IronclawError
from ironclaw.events import Event, SkillUsed, ToolCompleted, ToolStarted
from ironclaw.llm.models import ToolCall
from ironclaw.redact import redact
from ironclaw.tools import SkillUse, Tool, ToolContext, ToolResult
from ironclaw.values import define, frozen

log = logging.getLogger(__name__)

MOST_CALLS = 32
_PREVIEW = 500
_DENIED = "The person did not allow this call. Do not try it again; say what you could not do."
NOBODY = (
    "This call needs an approval and nobody can give one here. Do not try it again; say that it can be allowed by asking"
    " in a conversation."
)
"""What the model is told of a call that nobody can allow; people see it as the call's preview."""

_ALONE = "This tool runs with the program that asks, not here. Call it alone, in a reply without other tools."
_CUT_OFF = "Your reply was cut off before this call was complete, so it was not run. Send it again with less text."
_TOO_MANY = f"Only the first {MOST_CALLS} calls of a reply are run. Send this one again if you still need it."


@frozen
class _Ready:
    """A call that may run."""

    number: int
    call: ToolCall
    tool: Tool
    arguments: Mapping[str, Any]


@frozen
class _Refused:
    """A call that does not run, what the model is told, and in short what people are."""

    number: int
    call: ToolCall
    reason: str
    preview: str = ""


@define
class Round:
    """The calls of one reply and what came of them. *requests* are those that wait for a person.

    *read_only_by*: the skill from elsewhere that was read before or by these calls.
    """

    calls: Sequence[ToolCall]
    results: list[str | None]
    requests: list[Request] = attrs.Factory(list)
    read_only_by: str = ""

    @classmethod
    def of(cls, calls: Sequence[ToolCall], read_only_by: str = "") -> "Round":
        """A round in which nothing has run yet."""
        return cls(calls, [None] * len(calls), read_only_by=read_only_by)


class CallRunner:
    """Runs calls with the tools of one agent."""

    def __init__(self, toolbox: Toolbox, policy: Policy) -> None:
        self._toolbox = toolbox
        self._policy = policy

    async def run(self, round_: Round, turn: Turn, *, cut_off: bool) -> AsyncGenerator[Event, None]:
        """Run all calls that need nobody; those that do are in `round_.requests` afterwards."""
        steps: list[_Ready | _Refused] = []
        for number, call in enumerate(round_.calls):
            step = await self._plan(number, call, turn, round_, cut_off=cut_off)
            if step is not None:
                steps.append(step)
        async with aclosing(self._carry_out(steps, turn, round_)) as events:
            async for event in events:
                yield event

    async def resume(
        self, paused: Paused, actions: Mapping[str, Action], turn: Turn, round_: Round
    ) -> AsyncGenerator[Event, None]:
        """Run the calls that a person has allowed, exactly as they were shown."""
        steps: list[_Ready | _Refused] = []
        for request in paused.requests:
            call = paused.calls[request.number]
            allowed = actions.get(request.request_id) in {"approve", "always"}
            steps.append(await self._answered(request, call, round_, allowed=allowed))
        async with aclosing(self._carry_out(steps, turn, round_)) as events:
            async for event in events:
                yield event

    async def _plan(
        self, number: int, call: ToolCall, turn: Turn, round_: Round, *, cut_off: bool
    ) -> _Ready | _Refused | None:
        if number >= MOST_CALLS or cut_off:
            return _Refused(number, call, _CUT_OFF if cut_off else _TOO_MANY)
        if turn.is_for_client(call):
            return _Refused(number, call, refusal(round_.read_only_by) if round_.read_only_by else _ALONE)
        try:
            tool, arguments = await self._checked(call, round_)
            decision = self._decide(tool, arguments)
        except Invalid as error:
            return _Refused(number, call, error.message)
        if not decision.ask:
            return _Ready(number, call, tool, arguments)
        if not turn.can_ask:
            return _Refused(number, call, NOBODY)
        round_.requests.append(_request(number, call, decision))
        return None

    async def _checked(self, call: ToolCall, round_: Round) -> tuple[Tool, Mapping[str, Any]]:
        tool = self._toolbox.find(call.name)
        if tool is None:
            raise Invalid(f"There is no tool {call.name}; there are {', '.join(self._toolbox.names)}.")
        if round_.read_only_by and not only_reads(tool):
            raise Invalid(refusal(round_.read_only_by))
        arguments = parameters.read(call.arguments)
        await self._toolbox.checker.check(tool, arguments)
        return tool, arguments

    def _decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Decision:
        try:
            return self._policy.decide(tool, arguments)
        except Exception:
            # A tool says itself what a call acts on; while that is not known, the call does not run.
            log.exception("The tool %s could not say what a call acts on", tool.name)
            raise Invalid(f"{tool.name} failed inside; the log has the details.") from None

    async def _answered(self, request: Request, call: ToolCall, round_: Round, *, allowed: bool) -> _Ready | _Refused:
        if not allowed:
            return _Refused(request.number, call, _DENIED, "not allowed")
        try:
            tool, arguments = await self._checked(call, round_)
        except Invalid as error:
            return _Refused(request.number, call, error.message)
        if digest_of(tool.name, arguments) != request.digest:
            return _Refused(request.number, call, "This is not the call that was allowed, so it was not run.")
        return _Ready(request.number, call, tool, arguments)

    async def _carry_out(
        self, steps: Sequence[_Ready | _Refused], turn: Turn, round_: Round
    ) -> AsyncGenerator[Event, None]:
        """Events come as things happen, results go to their own call's place."""
        for step in steps:
            yield ToolStarted(
                name=step.call.name,
                thread_id=turn.thread_id,
                message_id=turn.message_id,
                call_id=step.call.call_id,
                parameters=parameters.shown(step.call.arguments),
            )
        done: asyncio.Queue[tuple[ToolCall, int, ToolResult, float]] = asyncio.Queue()
        tasks = [asyncio.create_task(_run(step, turn, done), name=f"tool {step.call.name}") for step in steps]
        try:
            for _ in steps:
                call, number, result, seconds = await done.get()
                round_.results[number] = result.content
                if result.skill is not None and result.skill.read_only:
                    round_.read_only_by = result.skill.name
                yield ToolCompleted(
                    name=call.name,
                    success=result.success,
                    thread_id=turn.thread_id,
                    message_id=turn.message_id,
                    call_id=call.call_id,
                    duration_ms=round(seconds * 1000),
                    preview=parameters.cut(redact(result.preview or result.content), _PREVIEW),
                )
                if result.skill is not None:
                    yield skill_used(result.skill, turn)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def skill_used(skill: SkillUse, turn: Turn) -> SkillUsed:
    """The event that tells that a turn has read a skill."""
    return SkillUsed(
        name=skill.name,
        version=skill.version,
        source=skill.source,
        trust=skill.trust,
        thread_id=turn.thread_id,
        message_id=turn.message_id,
    )


def _request(number: int, call: ToolCall, decision: Decision) -> Request:
    return Request(
        request_id=str(uuid.uuid4()),
        number=number,
        name=call.name,
        call_id=call.call_id,
        subject=decision.subject,
        digest=decision.digest,
        always=decision.always,
    )


async def _run(
    step: _Ready | _Refused, turn: Turn, done: "asyncio.Queue[tuple[ToolCall, int, ToolResult, float]]"
) -> None:
    clock = asyncio.get_running_loop().time
    started = clock()
    result = (
        ToolResult(step.reason, step.preview, success=False)
        if isinstance(step, _Refused)
        else await _result(step, turn)
    )
    seconds = clock() - started
    how = "done" if result.success else "refused or failed"
    log.debug("Tool %s %s after %.0f ms", step.call.name, how, seconds * 1000)
    done.put_nowait((step.call, step.number, result, seconds))


async def _result(step: _Ready, turn: Turn) -> ToolResult:
    context = ToolContext(turn.thread_id, turn.message_id, step.call.call_id)
    name = step.tool.name
    try:
        async with asyncio.timeout(step.tool.timeout):
            return await step.tool.run(context, step.arguments)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return ToolResult(f"{name} broke off inside.", success=False)  # it waited for something that was cancelled
    except TimeoutError:
        return ToolResult(f"{name} took longer than {step.tool.timeout:g} s and was ended.", success=False)
    except IronclawError as error:
        return ToolResult(error.message, success=False)
    except Exception:
        log.exception("The tool %s failed", name)
        return ToolResult(f"{name} failed inside; the log has the details.", success=False)
