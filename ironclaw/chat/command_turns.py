"""Turns that are commands: carried out at once, beside whatever their thread does, and never sent to a model."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from ironclaw.agent import Agent, Tally, Turn
from ironclaw.chat import commands
from ironclaw.chat.approvals import Approvals
from ironclaw.chat.models import title_of
from ironclaw.chat.store import NewTurn
from ironclaw.events import Event, StreamChunk


class Chat(Protocol):
    """What commands need of the chat."""

    approvals: Approvals

    async def stop(self, thread_id: str) -> bool:
        """End the running turn of a thread."""

    async def undo(self, thread_id: str) -> str | None:
        """Take the newest exchange back."""

    async def compact(self, turn: NewTurn, tally: Tally) -> tuple[int, str]:
        """Summarise a conversation."""

    def new_default(self) -> None:
        """Begin a new default thread."""


class CommandTurns:
    """Carries out commands, and the words that answer what waits in a thread."""

    def __init__(self, chat: Chat, builtin_for: Callable[[str], Agent]) -> None:
        self._chat = chat
        self._builtin_for = builtin_for

    async def run(self, turn: NewTurn, tally: Tally) -> AsyncGenerator[Event, None]:
        """The turn's events; some commands are plain phrases of the built-in assistant."""
        command = commands.parse(turn.text)
        if command is None or command.usage is not None or command.phrase is None:
            text = await self._text(command, turn, tally)
            tally.text.append(text)
            yield StreamChunk(content=text, thread_id=turn.thread_id, message_id=turn.message_id)
            return
        agent = self._builtin_for(turn.thread_id)
        start = Turn(turn.thread_id, turn.message_id, command.phrase, can_ask=False)
        async with aclosing(agent.run(start, tally)) as events:
            async for event in events:
                yield event

    async def _text(self, command: commands.Command | None, turn: NewTurn, tally: Tally) -> str:
        if command is None:
            return await self._chat.approvals.answer(turn.thread_id, turn.text.strip().casefold())
        if command.usage is not None:
            return command.usage
        match command.name:
            case "stop":
                stopped = await self._chat.stop(turn.thread_id)
                return "Stopped." if stopped else "Nothing is running in this conversation."
            case "new":
                self._chat.new_default()
                return "A new conversation has begun: messages without a thread go there from now on."
            case "compact":
                return _compacted(*await self._chat.compact(turn, tally))
            case _:
                undone = await self._chat.undo(turn.thread_id)
                if undone is None:
                    return "There is nothing to undo in this conversation."
                return f"Taken back: “{title_of(undone)}” and its answer. The model does not see them any more."


def _compacted(count: int, summary: str) -> str:
    if not count:
        return "There is nothing new to summarise in this conversation."
    return f"{count} exchange{'s' * (count != 1)} summarised; the model goes on from this:\n\n{summary}"
