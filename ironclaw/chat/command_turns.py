"""Turns that are commands: carried out at once, beside whatever their thread does, and never sent to a model."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from ironclaw.agent import Agent, Tally, Turn
from ironclaw.chat import commands
from ironclaw.chat.approvals import Approvals
from ironclaw.chat.models import title_of
from ironclaw.chat.store import NewTurn
from ironclaw.events import Event, StreamChunk
from ironclaw.memory.workspace import Undone
from ironclaw.redact import printable
from ironclaw.skills import SkillManager
from ironclaw.skills.tools import line_of

_MOST_NAMES = 30
UndoChanges = Callable[[str], Awaitable[Undone]]
"""Gives back the notes that the turn of a message changed."""


class Models(Protocol):
    """Which models there are to choose from."""

    @property
    def usual(self) -> str | None:
        """The name of the model that answers by default; None for the built-in assistant."""

    async def names(self) -> Sequence[str]:
        """What can be chosen. Raises *ProviderError* when the server can't be asked."""


class Chat(Protocol):
    """What commands need of the chat."""

    approvals: Approvals

    async def stop(self, thread_id: str) -> bool:
        """End the running turn of a thread."""

    async def undo(self, thread_id: str) -> tuple[str, str] | None:
        """Take the newest exchange back."""

    async def compact(self, turn: NewTurn, tally: Tally) -> tuple[int, str]:
        """Summarise a conversation."""

    def new_default(self) -> None:
        """Begin a new default thread."""

    async def model_of(self, thread_id: str) -> str | None:
        """The model that was chosen for a thread."""

    async def choose_model(self, thread_id: str, model: str | None) -> None:
        """Choose a model for a thread."""


class CommandTurns:
    """Carries out commands, and the words that answer what waits in a thread."""

    def __init__(
        self,
        chat: Chat,
        builtin_for: Callable[[str], Agent],
        models: Models,
        undo_changes: UndoChanges,
        skills: SkillManager,
    ) -> None:
        self._skills = skills
        self._undo_changes = undo_changes
        self._chat = chat
        self._models = models
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
            case "model":
                return await self._model(turn.thread_id, command.argument)
            case "skills":
                return await self._list_skills(command.argument)
            case "compact":
                if self._models.usual is None:
                    return "The built-in assistant needs no summary: it looks at one message at a time."
                return _compacted(*await self._chat.compact(turn, tally))
            case _:
                return await self._undo(turn.thread_id)

    async def _undo(self, thread_id: str) -> str:
        """Take the newest exchange back, and give the notes that it changed their text from before."""
        undone = await self._chat.undo(thread_id)
        if undone is None:
            return "There is nothing to undo in this conversation."
        message_id, text = undone
        said = [f"Taken back: “{title_of(text)}” and its answer. The model does not see them any more."]
        notes = await self._undo_changes(message_id)
        said += [f"`{path}` is as it was before." for path in notes.restored]
        said += [f"`{path}` was changed again since, so it stays as it is." for path in notes.left]
        return "\n".join(said)

    async def _list_skills(self, query: str) -> str:
        """The skills that can be used, or those that fit some words."""
        if query:
            found = (await self._skills.search(query)).items[:_MOST_NAMES]
            lines = [f"- {one.name} ({one.state}): {printable(one.description)}" for one in found]
            return "\n".join(lines) or "No skill fits these words. `/skills` lists those that can be used."
        enabled = [line_of(one) for one in (await self._skills.enabled()).values()]
        if not enabled:
            return "No skill is enabled. `/skills WORDS` looks for some; `ironclaw skills install NAME` takes one."
        return "\n".join([*enabled, "", "`/skill NAME what to do` uses one; without that the model chooses by itself."])

    async def _model(self, thread_id: str, name: str) -> str:
        """Say which model answers in a thread, or choose another one of its server; `default` is the usual one."""
        if self._models.usual is None:
            return "No model is connected yet: the built-in assistant answers. System in the page connects one."
        if name == "default":
            await self._chat.choose_model(thread_id, None)
            return f"From the next message on `{self._models.usual}` answers here."
        names = await self._models.names()
        listed = ", ".join(f"`{one}`" for one in names[:_MOST_NAMES])
        if not name:
            used = await self._chat.model_of(thread_id) or self._models.usual
            return f"`{used}` answers here. `/model NAME` chooses another; there are {listed}."
        if name not in names:
            return f"There is no model `{name}`; there are {listed}."
        await self._chat.choose_model(thread_id, name)
        return f"From the next message on `{name}` answers here. `/model default` goes back."


def _compacted(count: int, summary: str) -> str:
    if not count:
        return "There is nothing new to summarise in this conversation."
    return f"{count} exchange{'s' * (count != 1)} summarised; the model goes on from this:\n\n{summary}"
