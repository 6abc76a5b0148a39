"""Turns that belong to no thread: nothing is stored, there is no inbox and no hub, and who leaves ends the turn."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from ironclaw.agent import Agent, Tally, Turn
from ironclaw.chat import attachments, commands
from ironclaw.chat.attachments import Attachment
from ironclaw.chat.command_turns import Models
from ironclaw.chat.models import TurnError, TurnState, check_message
from ironclaw.chat.worker import ending_event, ending_of
from ironclaw.errors import IronclawError
from ironclaw.events import Event
from ironclaw.redact import redact

AgentFor = Callable[[str, str | None], Agent]
"""Makes the agent of a thread and the model chosen for it (None: the usual one)."""


class EphemeralTurns:
    """Runs them. *check_budget* raises *BudgetSpent* when a turn could not be paid."""

    def __init__(self, agent_for: AgentFor, models: Models, check_budget: Callable[[], None]) -> None:
        self._agent_for = agent_for
        self._models = models
        self._check_budget = check_budget
        self.ended: Counter[TurnState] = Counter()
        """How the turns of this process ended."""

    async def answer(self, text: str, message_id: str, files: Sequence[Attachment] = ()) -> AsyncGenerator[Event, None]:
        """A message's turn, with the event of its end. Raises *Invalid* for what can't be taken, *BudgetSpent*."""
        text = redact.remove_keys(check_message(text))
        attachments.check(files, self._models.usual)
        self._check_budget()
        asked, skill = commands.asked(text)
        told = await asyncio.to_thread(attachments.told, files)
        turn = Turn(
            f"thread-{secrets.token_hex(6)}",
            message_id,
            asked,
            can_ask=False,
            skill=skill,
            attached=told.text,
            pictures=told.pictures,
        )
        clock = asyncio.get_running_loop().time
        started = clock()
        tally, state, error = Tally(), TurnState.COMPLETED, None
        try:
            async with aclosing(self.run(turn, tally)) as events:
                async for event in events:
                    yield event
        except IronclawError as problem:
            state, error = TurnState.FAILED, TurnError(problem.code, problem.message)
        ending = ending_of(message_id, tally, state, error, round((clock() - started) * 1000))
        yield ending_event(turn.thread_id, ending)

    async def run(self, turn: Turn, tally: Tally) -> AsyncGenerator[Event, None]:
        """Any turn, without its end: that is in *tally*. Raises *ProviderError* and *BudgetSpent*."""
        state = TurnState.STOPPED  # as long as nothing else is known: who leaves has stopped it
        try:
            async with aclosing(self._agent_for(turn.thread_id, None).run(turn, tally)) as events:
                async for event in events:
                    yield event
            state = TurnState.COMPLETED
        except Exception:
            state = TurnState.FAILED
            raise
        finally:
            self.ended[state] += 1
