"""One turn: ask the model, run the tools it calls, give it their results, until it answers.

`Agent.run()` is an async generator of events. It never yields inside a task group or a timeout: the consumer may stop
between any two events, and what is running then is ended in a `finally`. A call that needs a person ends the generator with
`tally.paused`; the answer starts it anew with `turn.resume`.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import attrs

from ironclaw.agent import compaction
from ironclaw.agent.approvals import Policy
from ironclaw.agent.calls import CallRunner, Round, skill_used
from ironclaw.agent.marks import mark, mark_result, mark_skill
from ironclaw.agent.prompt import Brief, fitting, instructed
from ironclaw.agent.reply import Reply
from ironclaw.agent.toolbox import Toolbox, only_reads
from ironclaw.agent.turn import Compacted, Paused, Tally, Turn
from ironclaw.errors import ProviderError, Unavailable
from ironclaw.events import Event, Thinking
from ironclaw.levels import TRACE
from ironclaw.llm.models import Abilities, ModelMessage, ModelRequest, ToolSpec, Usage
from ironclaw.llm.provider import Provider
from ironclaw.skills.tools import instructions_of, use_of
from ironclaw.tools import SkillUse
from ironclaw.values import define, frozen

log = logging.getLogger(__name__)

_ANSWER_NOW = "No more tools can be called in this turn. Answer now with what you have."
_GO_ON = "Your last reply was empty. Answer the user's message."


@frozen(kw_only=True)
class AgentLimits:
    """What one turn may use: rounds of tools, and tokens of all its calls together."""

    iterations: int = 50
    tokens: int = 2_000_000


_UNKNOWN = Abilities()
_LIMITS = AgentLimits()


@define
class _Talk:
    """What a turn says to the model: *opening* is the system prompt and what was before, *messages* the turn itself.

    *tools* are all that it may call, *specs* those of its next reply.
    """

    opening: list[ModelMessage]
    messages: list[ModelMessage]
    tools: tuple[ToolSpec, ...]
    specs: tuple[ToolSpec, ...] = ()
    call_ids: set[str] = attrs.Factory(set)
    iteration: int = 0
    overflowed: bool = False

    @property
    def all(self) -> list[ModelMessage]:
        return [*self.opening, *self.messages]


class Agent:
    """A model with tools. Without *briefing* it gets no system prompt, and results unmarked: that is for the built-in."""

    def __init__(
        self,
        provider: Provider,
        toolbox: Toolbox,
        *,
        policy: Policy,
        briefing: Brief | None = None,
        abilities: Abilities = _UNKNOWN,
        limits: AgentLimits = _LIMITS,
    ) -> None:
        self._provider = provider
        self._toolbox = toolbox
        self._calls_tools = abilities.tools is not False
        self._calls = CallRunner(toolbox, policy)
        self._briefing = briefing
        self._context = abilities.context_tokens
        self._limits = limits

    async def run(self, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        """The turn's chunks and tool events; the answer is in *tally* when it ends, or the point where it waits.

        Raises *ProviderError* when the model can't answer, *NotFound* or *Conflict* for a skill that can't be used.
        """
        if turn.resume is not None:  # first of all: however the turn ends, it has had this
            tally.text += [turn.resume.paused.text] if turn.resume.paused.text else []
            tally.usage += turn.resume.paused.usage
            tally.read_only_by = turn.resume.paused.read_only_by
        text, use = await self._asked(turn)
        if use is not None:
            tally.read_only_by = use.name if use.read_only else tally.read_only_by
            if turn.resume is None:
                yield skill_used(use, turn)
        talk = _Talk(await self._opening(turn), [turn.message(text), *turn.since], self._tools_of(turn))
        talk.call_ids.update(call.call_id for one in (*turn.history, *turn.since) for call in one.tool_calls)
        if self._is_full(talk) and turn.history:
            async with aclosing(self._compact(talk, turn, tally)) as events:
                async for event in events:
                    yield event
        if turn.resume is not None:
            async with aclosing(self._resume(talk, turn, tally)) as events:
                async for event in events:
                    yield event
        while tally.paused is None:
            talk.specs, reply = self._specs_for(talk, tally), Reply()
            async with aclosing(self._ask(talk, reply, turn, tally)) as events:
                async for event in events:
                    yield event
            calls = reply.calls(talk.call_ids) if talk.specs else ()
            if not calls:
                return
            if not reply.cut_off and not tally.read_only_by and all(map(turn.is_for_client, calls)):
                tally.client_calls = calls
                return
            talk.messages.append(ModelMessage("assistant", reply.content, tool_calls=calls))
            round_ = Round.of(calls, tally.read_only_by)
            async with aclosing(self._calls.run(round_, turn, cut_off=reply.cut_off)) as events:
                async for event in events:
                    yield event
            self._close_round(round_, talk, tally)

    async def summarise(self, history: Sequence[ModelMessage], summary: str) -> tuple[str, Usage]:
        """A summary of a conversation that goes on from *summary*. Raises *ProviderError*."""
        return await compaction.summarise(self._provider, history, summary, self._context)

    # The conversation

    async def _asked(self, turn: Turn) -> tuple[str, SkillUse | None]:
        """The message as the model gets it: behind the instructions of the skill that the person has named."""
        if turn.skill is None:
            return turn.text, None
        if self._briefing is None or self._briefing.skills is None:
            raise Unavailable(
                "Skills are for a language model, and none is connected. System in the page connects one.",
                code="no_model",
            )
        entry = await self._briefing.skills.use(turn.skill)
        text = turn.text or f"Use the skill {entry.name} now."
        return f"{mark_skill(instructions_of(entry))}\n\n{text}", use_of(entry)

    async def _opening(self, turn: Turn) -> list[ModelMessage]:
        opening = []
        if self._briefing is not None:
            system = await self._briefing.system(self._context, turn.text, calls_tools=self._calls_tools)
            opening.append(ModelMessage("system", system + instructed(turn.instructions)))
        if turn.summary:
            opening += _summary_messages(turn.summary)
        return [*opening, *turn.history]

    def _is_full(self, talk: _Talk) -> bool:
        if self._briefing is None:
            return False
        return compaction.is_full(talk.all, self._context) or len(talk.opening) > compaction.MOST_MESSAGES

    async def _compact(self, talk: _Talk, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        """Put a summary in place of all but the newest messages of the history."""
        yield Thinking(message="Summarising the conversation...", thread_id=turn.thread_id, message_id=turn.message_id)
        kept = compaction.kept_of(turn.history)
        old = turn.history[: len(turn.history) - kept]
        summary, usage = await self.summarise(old, turn.summary)
        tally.usage += usage
        tally.compacted = Compacted(summary, kept)
        system = [one for one in talk.opening[:1] if one.role == "system"]
        talk.opening = [*system, *_summary_messages(summary), *turn.history[len(old) :]]

    # Rounds

    def _specs_for(self, talk: _Talk, tally: Tally) -> tuple[ToolSpec, ...]:
        """After the last round the model gets no tools any more, and so has to answer with what it knows."""
        spent = talk.iteration >= self._limits.iterations or tally.usage.total_tokens >= self._limits.tokens
        if spent or not tally.read_only_by:
            return () if spent else talk.tools
        return tuple(spec for spec in talk.tools if only_reads(self._toolbox.find(spec.name)))

    def _tools_of(self, turn: Turn) -> tuple[ToolSpec, ...]:
        """All that may be called in a turn. A tool of the client goes before one of ours that has its name."""
        if not self._calls_tools:
            return ()
        theirs = {tool.name for tool in turn.client_tools}
        return (*(spec for spec in self._toolbox.specs if spec.name not in theirs), *turn.client_tools)

    async def _ask(self, talk: _Talk, reply: Reply, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        """One reply of the model. An overflowing context is compacted once, an empty reply is asked for again once."""
        try:
            async with aclosing(self._stream(talk, reply, turn, tally)) as events:
                async for event in events:
                    yield event
        except ProviderError as error:
            if error.code != "context_overflow" or talk.overflowed or reply.text or reply.has_calls:
                raise
            talk.overflowed = True
            async with aclosing(self._make_room(talk, turn, tally, error)) as events:
                async for event in events:
                    yield event
            async with aclosing(self._stream(talk, reply, turn, tally)) as events:
                async for event in events:
                    yield event
        if _is_empty(reply, talk) and not tally.content.strip():
            async with aclosing(self._ask_again(talk, reply, turn, tally)) as events:
                async for event in events:
                    yield event

    async def _stream(self, talk: _Talk, reply: Reply, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        messages = compaction.without_old_results(talk.all, self._context) if self._briefing else talk.all
        if talk.tools and not talk.specs:
            messages.append(ModelMessage("user", _ANSWER_NOW))
        request = ModelRequest(tuple(messages), talk.specs, turn.most_output, turn.options)
        model, tools = self._provider.model, len(talk.specs)
        log.log(TRACE, "Round %d: %s gets %d messages, %d tools", talk.iteration, model, len(messages), tools)
        async with aclosing(self._provider.stream(request)) as deltas:
            async for delta in deltas:
                event = reply.take(delta, turn, tally)
                if event is not None:
                    yield event
        if reply.finished is None:
            raise ProviderError("The model's answer broke off before its end.", code="cut_off", fix="Try again.")

    async def _make_room(
        self, talk: _Talk, turn: Turn, tally: Tally, error: ProviderError
    ) -> AsyncGenerator[Event, None]:
        if turn.history and tally.compacted is None:
            async with aclosing(self._compact(talk, turn, tally)) as events:
                async for event in events:
                    yield event
        elif not talk.messages[1:]:
            raise error
        else:
            talk.messages = compaction.without_old_results(talk.messages, 1)

    async def _ask_again(self, talk: _Talk, reply: Reply, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        reply.finished = None
        again = attrs.evolve(talk, messages=[*talk.messages, ModelMessage("user", _GO_ON)])
        async with aclosing(self._stream(again, reply, turn, tally)) as events:
            async for event in events:
                yield event
        if _is_empty(reply, talk):
            raise ProviderError(
                "The model gave an empty answer twice.", code="empty_reply", fix="Try again, or choose another model."
            )

    # Tools

    async def _resume(self, talk: _Talk, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        """Take up a turn where it waited: run what was allowed."""
        assert turn.resume is not None
        paused = turn.resume.paused
        talk.messages += paused.messages
        talk.iteration = paused.iteration
        talk.call_ids = {call.call_id for one in talk.messages for call in one.tool_calls}
        round_ = Round(paused.calls, list(paused.results), read_only_by=tally.read_only_by)
        async with aclosing(self._calls.resume(paused, turn.resume.actions, turn, round_)) as events:
            async for event in events:
                yield event
        self._close_round(round_, talk, tally)

    def _close_round(self, round_: Round, talk: _Talk, tally: Tally) -> None:
        """Give the results to the model, or leave the turn paused where calls wait for a person."""
        tally.read_only_by = round_.read_only_by
        if round_.requests:
            tally.paused = Paused(
                messages=tuple(talk.messages[1:]),
                calls=tuple(round_.calls),
                results=tuple(round_.results),
                requests=tuple(round_.requests),
                iteration=talk.iteration,
                text=tally.content,
                usage=tally.usage,
                read_only_by=tally.read_only_by,
            )
            return
        talk.iteration += 1
        for call, result in zip(round_.calls, round_.results, strict=True):
            talk.messages.append(ModelMessage("tool", self._told(call.name, result or ""), call_id=call.call_id))

    def _told(self, name: str, result: str) -> str:
        return result if self._briefing is None else mark_result(name, fitting(result, self._context))


def _is_empty(reply: Reply, talk: _Talk) -> bool:
    """Whether a reply says nothing; calls of tools that it may not call any more say nothing either."""
    return not reply.content.strip() and not (reply.has_calls and talk.specs)


def _summary_messages(summary: str) -> list[ModelMessage]:
    return [
        ModelMessage("user", mark("the conversation so far, summarised", summary)),
        ModelMessage("assistant", "I will go on from there."),
    ]
