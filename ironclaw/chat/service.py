"""The chat: accepts messages, stops turns, keeps threads. Turns are run by `worker.py`, SQL is in `store.py`."""

import asyncio
import logging
import secrets
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from ironclaw.agent import Agent, Tally, Turn
from ironclaw.chat import commands, search, store
from ironclaw.chat.models import (
    Accepted,
    History,
    Thread,
    TurnError,
    TurnRecord,
    TurnState,
    check_message,
    check_thread_id,
    title_of,
)
from ironclaw.chat.store import NewTurn
from ironclaw.chat.worker import INTERRUPTED, TurnRunner, ending_event, ending_of
from ironclaw.database import Database
from ironclaw.errors import IronclawError, Unavailable
from ironclaw.events import Event, StreamChunk, ThreadUpdated, UserMessage
from ironclaw.hub import Hub
from ironclaw.llm.models import ModelMessage
from ironclaw.redact import redact

T = TypeVar("T")
log = logging.getLogger(__name__)

_HISTORY_EXCHANGES = 50
_ALL = 1_000_000


class ChatService:
    """All conversations of this gateway. Made by `open()`, ended by `aclose()`."""

    def __init__(
        self,
        hub: Hub,
        database: Database,
        agent_for: Callable[[str], Agent],
        builtin_for: Callable[[str], Agent],
        *,
        max_turns: int,
        user_id: str,
    ) -> None:
        self._hub = hub
        self._database = database
        self._agent_for = agent_for
        self._builtin_for = builtin_for
        self._user_id = user_id
        self._default: str | None = None
        self._accepting: set[asyncio.Task[Accepted]] = set()
        self._closed = False
        self.turns = TurnRunner(hub, database, self._answer, max_turns=max_turns)

    async def open(self) -> None:
        """Take up what the last process left: what ran is marked interrupted, what waited runs in its order."""
        self._default = await self._database.read(store.default_thread)
        for message_id, thread_id, state, text, partial, command in await self._database.read(store.unfinished):
            if state == TurnState.QUEUED and not command:
                self.turns.enqueue(self._new_turn(message_id, thread_id, text))
            else:
                await self._mark_interrupted(message_id, thread_id, partial)

    async def _mark_interrupted(self, message_id: str, thread_id: str, partial: str) -> None:
        ending = ending_of(message_id, Tally([partial]), TurnState.INTERRUPTED, INTERRUPTED, 0)
        stored = self._hub.publish(ending_event(thread_id, ending), store.finish(ending)).stored
        assert stored is not None
        await stored

    # Messages

    async def accept(
        self,
        text: str,
        *,
        thread_id: str | None = None,
        message_id: str | None = None,
        key: str | None = None,
        fingerprint: str = "",
    ) -> Accepted:
        """Take a message: when this returns it is on disk and will be answered, whoever goes away meanwhile.

        *key* is an idempotency key; *fingerprint* tells whether a second use of it is the same request. Raises *Invalid*
        for a message that can't be taken, *Conflict* for a key used otherwise, *DatabaseFailed* when nothing was kept.
        """
        text = redact.remove_keys(check_message(text))
        turn = self._new_turn(
            message_id or str(uuid.uuid4()), thread_id or self.default_thread(), text, key, fingerprint
        )
        if self._closed:
            raise Unavailable("The gateway is shutting down. Send it again in a moment.", retry_after=5)
        task = asyncio.create_task(self._accept(turn), name=f"accept {turn.message_id}")
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return await asyncio.shield(task)

    def _new_turn(
        self, message_id: str, thread_id: str, text: str, key: str | None = None, fingerprint: str = ""
    ) -> NewTurn:
        return NewTurn(
            message_id=message_id,
            thread_id=check_thread_id(thread_id),
            text=text,
            title=title_of(text),
            user_id=self._user_id,
            command=commands.parse(text) is not None,
            key=key,
            fingerprint=fingerprint,
        )

    async def _accept(self, turn: NewTurn) -> Accepted:
        state = TurnState.RUNNING if turn.command else TurnState.QUEUED
        event = UserMessage(content=turn.text, thread_id=turn.thread_id, message_id=turn.message_id)
        stored = self._hub.publish(event, store.accept(turn, state), required=True).stored
        assert stored is not None
        try:
            await stored
        except store.Replayed as replayed:
            return replayed.accepted
        self.turns.changes += 1
        if turn.command:
            self.turns.run_at_once(turn, self._obey)
        else:
            self.turns.enqueue(turn)
        return Accepted(turn.message_id, turn.thread_id)

    async def find_replay(self, key: str, fingerprint: str) -> Accepted | None:
        """What was accepted under this idempotency key. Raises *Conflict* when that was another request."""
        return await self._database.read(lambda db: store.find_key(db, key, fingerprint))

    async def stop(self, thread_id: str, *, drop_queued: bool = False) -> bool:
        """End the running turn of a thread, and with *drop_queued* what waits behind it; whether anything ended."""
        check_thread_id(thread_id)
        dropped = await self.turns.drop_waiting(thread_id) if drop_queued else 0
        return self.turns.stop(thread_id) or dropped > 0

    # What a turn does

    async def _answer(self, turn: NewTurn, tally: Tally) -> AsyncGenerator[Event, None]:
        exchanges = await self._database.read(
            lambda db: store.conversation(db, turn.thread_id, turn.message_id, _HISTORY_EXCHANGES)
        )
        history = tuple(message for exchange in exchanges for message in _messages(*exchange))
        agent = self._agent_for(turn.thread_id)
        start = Turn(turn.thread_id, turn.message_id, commands.plain(turn.text), history)
        async with aclosing(agent.run(start, tally)) as events:
            async for event in events:
                yield event

    async def _obey(self, turn: NewTurn, tally: Tally) -> AsyncGenerator[Event, None]:
        command = commands.parse(turn.text)
        assert command is not None
        if command.usage is not None or command.phrase is None:
            text = command.usage or await self._carry_out(command, turn)
            tally.text.append(text)
            yield StreamChunk(content=text, thread_id=turn.thread_id, message_id=turn.message_id)
            return
        agent = self._builtin_for(turn.thread_id)
        start = Turn(turn.thread_id, turn.message_id, command.phrase)
        async with aclosing(agent.run(start, tally)) as events:
            async for event in events:
                yield event

    async def _carry_out(self, command: commands.Command, turn: NewTurn) -> str:
        match command.name:
            case "stop":
                stopped = self.turns.stop(turn.thread_id)
                return "Stopped." if stopped else "Nothing is running in this conversation."
            case "new":
                self._set_default(_new_thread_id())
                return "A new conversation has begun: messages without a thread go there from now on."
            case _:
                undone = await self._change_thread(turn.thread_id, "undone", None, store.undo(turn.thread_id))
                self.turns.changes += 1
                if undone is None:
                    return "There is nothing to undo in this conversation."
                return f"Taken back: “{title_of(undone)}” and its answer. The model does not see them any more."

    async def ephemeral(self, text: str, message_id: str) -> AsyncGenerator[Event, None]:
        """Answer without a thread: nothing is stored, nobody else sees it, and leaving the iteration ends the turn."""
        text = redact.remove_keys(check_message(text))
        turn = Turn(_new_thread_id(), message_id, commands.plain(text))
        clock = asyncio.get_running_loop().time
        started = clock()
        tally, state, error = Tally(), TurnState.COMPLETED, None
        try:
            async with aclosing(self._agent_for(turn.thread_id).run(turn, tally)) as events:
                async for event in events:
                    yield event
        except IronclawError as problem:
            state, error = TurnState.FAILED, TurnError(problem.code, problem.message)
        ending = ending_of(message_id, tally, state, error, round((clock() - started) * 1000))
        yield ending_event(turn.thread_id, ending)

    # Threads

    def default_thread(self) -> str:
        """The thread of messages that name none; made when it is first needed."""
        return self._default or self._set_default(_new_thread_id())

    def _set_default(self, thread_id: str) -> str:
        self._default = thread_id
        event = ThreadUpdated(thread_id=thread_id, change="default", title=None)
        self._hub.publish(event, store.set_default_thread(thread_id))
        return thread_id

    async def threads(self, limit: int, before: int | None) -> tuple[list[Thread], int | None]:
        """A page of threads, pinned ones first, then the newest, and where the next begins."""
        return await self._database.read(lambda db: store.list_threads(db, limit, before))

    async def create_thread(self, thread_id: str | None, title: str) -> Thread:
        """An empty thread. Raises *Conflict* when there is one of that id."""
        id_ = check_thread_id(thread_id) if thread_id is not None else _new_thread_id()
        return await self._change_thread(id_, "created", title, store.create_thread(id_, title, self._user_id))

    async def change_thread(self, thread_id: str, title: str | None, pinned: bool | None) -> Thread:
        """Rename, pin or unpin. Raises *NotFound*."""
        return await self._change_thread(thread_id, "changed", title, store.change_thread(thread_id, title, pinned))

    async def delete_thread(self, thread_id: str) -> None:
        """Stop what runs in a thread, and delete it with all that was said. Raises *NotFound*."""
        await self._database.read(lambda db: store.find_thread(db, thread_id))
        await self.turns.drop_waiting(thread_id)
        await self.turns.stop_and_wait(thread_id)
        await self._hub.forget_thread(thread_id, store.delete_thread(thread_id))
        if self._default == thread_id:
            self._set_default(_new_thread_id())
        await self._change_thread(thread_id, "deleted", None, lambda _: None)

    async def fork_thread(self, thread_id: str, message_id: str) -> Thread:
        """A new thread with what was said before *message_id*. Raises *NotFound*."""
        target = _new_thread_id()
        transaction = store.fork_thread(thread_id, message_id, target, self._user_id)
        return await self._change_thread(target, "created", None, transaction)

    async def _change_thread(
        self, thread_id: str, change: str, title: str | None, transaction: Callable[[sqlite3.Connection], T]
    ) -> T:
        event = ThreadUpdated(thread_id=thread_id, change=change, title=title)
        stored = self._hub.publish(event, transaction, required=True).stored
        assert stored is not None
        value: T = await asyncio.shield(stored)
        return value

    async def search(self, query: str, limit: int) -> tuple[list[search.SearchHit], bool]:
        """Where something was said, the newest first, and whether there is more. Raises *Invalid*."""
        return await self._database.read(lambda db: search.search(db, query, limit))

    async def export(self, thread_id: str) -> tuple[Thread, list[TurnRecord]]:
        """A thread and all its turns. Raises *NotFound*."""
        return await self._database.read(
            lambda db: (store.find_thread(db, thread_id), store.read_turns(db, thread_id, _ALL, None)[0])
        )

    async def history(self, thread_id: str | None, limit: int, before: int | None) -> History:
        """A page of a thread's turns, with the running one's text. Raises *NotFound*, but never for the default thread."""
        thread = check_thread_id(thread_id) if thread_id is not None else self.default_thread()
        turns, cursor = list[TurnRecord](), None
        for _ in range(5):
            changes = self.turns.changes
            turns, cursor = await self._database.read(lambda db: self._read_history(db, thread, limit, before))
            if changes == self.turns.changes:  # nothing was stored since: this and the head are of one moment
                break
        head = self._hub.head
        live = self.turns.live.get(thread)
        return History(
            thread_id=thread,
            last_id=head,
            turns=turns,
            in_progress=live.progress(head) if live is not None else None,
            next_cursor=str(cursor) if cursor is not None else None,
        )

    def _read_history(
        self, db: sqlite3.Connection, thread_id: str, limit: int, before: int | None
    ) -> tuple[list[TurnRecord], int | None]:
        if thread_id != self._default:
            store.find_thread(db, thread_id)
        return store.read_turns(db, thread_id, limit, before)

    async def aclose(self, grace: float) -> None:
        """Take no more messages, finish accepting, and end the turns."""
        self._closed = True
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await self.turns.aclose(grace)


def _messages(question: str, answer: str) -> list[ModelMessage]:
    messages = [ModelMessage("user", commands.plain(question))]
    if answer:
        messages.append(ModelMessage("assistant", answer))
    return messages


def _new_thread_id() -> str:
    return f"thread-{secrets.token_hex(6)}"
