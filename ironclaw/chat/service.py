"""The chat: accepts messages, stops turns, keeps threads. Turns are run by `worker.py`, SQL is in `store.py`."""

import asyncio
import logging
import secrets
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

import attrs

from ironclaw.agent import Agent, Compacted, Policy, Tally, Turn
from ironclaw.chat import approval_store, attachments, commands, recall, search, store, thread_store
from ironclaw.chat.approvals import WORDS, Approvals
from ironclaw.chat.attachments import Attachment
from ironclaw.chat.command_turns import CommandTurns, Models, UndoChanges
from ironclaw.chat.ephemeral import AgentFor, EphemeralTurns
from ironclaw.chat.models import (
    Accepted,
    ExportedThread,
    History,
    Thread,
    TurnRecord,
    TurnState,
    check_message,
    check_thread_id,
    title_of,
)
from ironclaw.chat.store import Conversation, NewTurn
from ironclaw.chat.worker import INTERRUPTED, TurnRunner, ending_event, ending_of
from ironclaw.database import Database
from ironclaw.errors import Unavailable
from ironclaw.events import Event, ThreadUpdated, UserMessage
from ironclaw.hub import Hub
from ironclaw.redact import redact
from ironclaw.skills import SkillManager

T = TypeVar("T")
log = logging.getLogger(__name__)

_HISTORY_EXCHANGES = 150  # the agent summarises before there are so many
_ALL = 1_000_000


class ChatService:
    """All conversations of this gateway. Made by `open()`, ended by `aclose()`."""

    def __init__(
        self,
        hub: Hub,
        database: Database,
        agent_for: AgentFor,
        builtin_for: Callable[[str], Agent],
        *,
        policy: Policy,
        models: Models,
        undo_changes: UndoChanges,
        skills: SkillManager,
        check_budget: Callable[[], None],
        max_turns: int,
        turn_timeout: float,
        user_id: str,
    ) -> None:
        """*agent_for* makes the agent of a thread and the model chosen for it (None: the usual one).

        *undo_changes* gives back the notes that a turn changed; *check_budget* raises *BudgetSpent* when a turn could not
        be paid.
        """
        self._hub = hub
        self._database = database
        self._agent_for = agent_for
        self._check_budget = check_budget
        self._user_id = user_id
        self._models = models
        self._default: str | None = None
        self._accepting: set[asyncio.Task[Accepted]] = set()
        self._closed = False
        self.turns = TurnRunner(hub, database, self._answer, max_turns=max_turns, timeout=turn_timeout)
        self.approvals = Approvals(hub, database, self.turns, policy)
        self.ephemeral = EphemeralTurns(agent_for, models, check_budget)
        self._commands = CommandTurns(self, builtin_for, models, undo_changes, skills)

    async def open(self) -> None:
        """Take up what the last process left: what ran is marked interrupted, what waited runs in its order."""
        self._default = await self._database.read(thread_store.default_thread)
        await self.approvals.open()
        for left in await self._database.read(store.unfinished):
            turn = self._new_turn(left.message_id, left.thread_id, left.text, can_ask=left.can_ask)
            if left.state is TurnState.WAITING:
                self.turns.wait_for_person(turn)
            elif left.state is TurnState.QUEUED and left.paused:
                self.turns.resume(turn)
            elif left.state is TurnState.QUEUED and not left.command:
                self.turns.enqueue(turn)
            else:
                await self._mark_interrupted(left.message_id, left.thread_id, left.partial)

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
        can_ask: bool = True,
        files: Sequence[Attachment] = (),
    ) -> Accepted:
        """Take a message: when this returns it is on disk and will be answered, whoever goes away meanwhile.

        *key* is an idempotency key; *fingerprint* tells whether a second use of it is the same request. *can_ask* False
        refuses tools that need an approval; *files* come with the message. Raises *Invalid* for a message that can't be
        taken, *BudgetSpent*, *Conflict* for a key used otherwise, *DatabaseFailed* when nothing was kept.
        """
        text = redact.remove_keys(check_message(text))
        attachments.check(files, self._models.usual)
        id_, thread = message_id or str(uuid.uuid4()), thread_id or self.default_thread()
        turn = attrs.evolve(
            self._new_turn(id_, thread, text, key, fingerprint, can_ask=can_ask), attachments=tuple(files)
        )
        if not turn.command:
            self._check_budget()
        if self._closed:
            raise Unavailable("The gateway is shutting down. Send it again in a moment.", retry_after=5)
        task = asyncio.create_task(self._accept(turn), name=f"accept {turn.message_id}")
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return await asyncio.shield(task)

    def _new_turn(
        self,
        message_id: str,
        thread_id: str,
        text: str,
        key: str | None = None,
        fingerprint: str = "",
        *,
        can_ask: bool = True,
    ) -> NewTurn:
        return NewTurn(
            message_id=message_id,
            thread_id=check_thread_id(thread_id),
            text=text,
            title=title_of(text),
            user_id=self._user_id,
            command=commands.parse(text) is not None or self._is_answer(thread_id, text),
            can_ask=can_ask,
            key=key,
            fingerprint=fingerprint,
        )

    def _is_answer(self, thread_id: str, text: str) -> bool:
        """Whether a message is just the word that answers what waits in its thread."""
        return thread_id in self.turns.waiting and text.strip().casefold() in WORDS

    async def _accept(self, turn: NewTurn) -> Accepted:
        state = TurnState.RUNNING if turn.command else TurnState.QUEUED
        event = UserMessage(
            content=turn.text,
            thread_id=turn.thread_id,
            message_id=turn.message_id,
            attachments=[one.name for one in turn.attachments],
            idempotency_key=turn.key,
        )
        stored = self._hub.publish(event, store.accept(turn, state), required=True).stored
        assert stored is not None
        try:
            await stored
        except store.Replayed as replayed:
            return replayed.accepted
        log.debug("Processing message %s: %d characters", turn.message_id, len(turn.text))
        self.turns.changes += 1
        if turn.command:
            self.turns.run_at_once(turn, self._commands.run)
        else:
            self.turns.enqueue(turn)
        return Accepted(turn.message_id, turn.thread_id)

    async def find_replay(self, key: str, fingerprint: str) -> Accepted | None:
        """What was accepted under this idempotency key. Raises *Conflict* when that was another request."""
        return await self._database.read(lambda db: store.find_key(db, key, fingerprint))

    async def stop(self, thread_id: str, *, drop_queued: bool = False) -> bool:
        """End the running turn of a thread, and with *drop_queued* what waits behind it; whether anything ended."""
        check_thread_id(thread_id)
        dropped = await self.turns.drop_queued(thread_id) if drop_queued else 0
        return self.turns.stop(thread_id) or await self.approvals.stop_waiting(thread_id) or dropped > 0

    # What a turn does

    async def _answer(self, turn: NewTurn, tally: Tally) -> AsyncGenerator[Event, None]:
        conversation, model, resume, files = await self._database.read(
            lambda db: (
                store.conversation(db, turn.thread_id, turn.message_id, _HISTORY_EXCHANGES),
                thread_store.model_of(db, turn.thread_id),
                approval_store.resume_of(db, turn.message_id),
                attachments.of_message(db, turn.message_id),
            )
        )
        text, skill = commands.asked(turn.text)
        start = Turn(
            turn.thread_id,
            turn.message_id,
            text,
            recall.messages(conversation),
            conversation.summary,
            turn.can_ask,
            resume,
            skill=skill,
            attached=files.text,
            pictures=files.pictures,
        )
        try:
            async with aclosing(self._agent_for(turn.thread_id, model).run(start, tally)) as events:
                async for event in events:
                    yield event
        finally:
            if tally.compacted is not None:
                self._keep_summary(turn.thread_id, conversation, tally.compacted)

    def _keep_summary(self, thread_id: str, conversation: Conversation, compacted: Compacted) -> None:
        upto = recall.covered(conversation, compacted.kept)
        self._database.submit(store.keep_summary(thread_id, upto, compacted.summary))

    async def compact(self, turn: NewTurn, tally: Tally) -> tuple[int, str]:
        """Summarise a conversation now: how many exchanges that were, and the summary."""
        conversation, model = await self._database.read(
            lambda db: (
                store.conversation(db, turn.thread_id, turn.message_id, _HISTORY_EXCHANGES),
                thread_store.model_of(db, turn.thread_id),
            )
        )
        if not conversation.exchanges:
            return 0, conversation.summary
        agent = self._agent_for(turn.thread_id, model)
        summary, tally.usage = await agent.summarise(recall.messages(conversation), conversation.summary)
        self._keep_summary(turn.thread_id, conversation, Compacted(summary, 0))
        return len(conversation.exchanges), summary

    async def undo(self, thread_id: str) -> tuple[str, str] | None:
        """Take the newest exchange out of a thread's conversation; its (message_id, text), or None when there is none."""
        undone = await self._change_thread(thread_id, "undone", None, store.undo(thread_id))
        self.turns.changes += 1
        return undone

    async def model_of(self, thread_id: str) -> str | None:
        """The model that was chosen for a thread; None for the usual one."""
        return await self._database.read(lambda db: thread_store.model_of(db, thread_id))

    async def choose_model(self, thread_id: str, model: str | None) -> None:
        """Let another model of the connected server answer in a thread from its next turn on; None: the usual one."""
        await self._database.write(thread_store.set_model(thread_id, model))

    def new_default(self) -> None:
        """Begin a new default thread."""
        self._set_default(_new_thread_id())

    async def attachment(self, message_id: str, number: int) -> Attachment:
        """A file that came with a message. Raises *NotFound*."""
        return await self._database.read(lambda db: attachments.find(db, message_id, number))

    # Threads

    def default_thread(self) -> str:
        """The thread of messages that name none; made when it is first needed."""
        return self._default or self._set_default(_new_thread_id())

    def _set_default(self, thread_id: str) -> str:
        self._default = thread_id
        event = ThreadUpdated(thread_id=thread_id, change="default", title=None)
        self._hub.publish(event, thread_store.set_default_thread(thread_id))
        return thread_id

    async def threads(self, limit: int, before: int | None) -> tuple[list[Thread], int | None]:
        """A page of threads, pinned ones first, then the newest, and where the next begins."""
        return await self._database.read(lambda db: thread_store.list_threads(db, limit, before))

    async def create_thread(self, thread_id: str | None, title: str) -> Thread:
        """An empty thread. Raises *Conflict* when there is one of that id."""
        id_ = check_thread_id(thread_id) if thread_id is not None else _new_thread_id()
        return await self._change_thread(id_, "created", title, thread_store.create_thread(id_, title, self._user_id))

    async def change_thread(self, thread_id: str, title: str | None, pinned: bool | None) -> Thread:
        """Rename, pin or unpin. Raises *NotFound*."""
        return await self._change_thread(
            thread_id, "changed", title, thread_store.change_thread(thread_id, title, pinned)
        )

    async def delete_thread(self, thread_id: str) -> None:
        """Stop what runs in a thread, and delete it with all that was said. Raises *NotFound*."""
        await self._database.read(lambda db: thread_store.find_thread(db, thread_id))
        await self.turns.drop_queued(thread_id)
        await self.approvals.stop_waiting(thread_id)
        await self.turns.stop_and_wait(thread_id)
        await self._hub.forget_thread(thread_id, thread_store.delete_thread(thread_id))
        if self._default == thread_id:
            self._set_default(_new_thread_id())
        await self._change_thread(thread_id, "deleted", None, lambda _: None)

    async def fork_thread(self, thread_id: str, message_id: str) -> Thread:
        """A new thread with what was said before *message_id*. Raises *NotFound*."""
        target = _new_thread_id()
        transaction = thread_store.fork_thread(thread_id, message_id, target, self._user_id)
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

    async def thread_ids(self) -> list[str]:
        """All threads, the one that was used last at the end."""
        return await self._database.read(thread_store.thread_ids)

    async def export(self, thread_id: str, *, whole: bool) -> ExportedThread:
        """A thread and all its turns; *whole*: with the files that came with messages. Raises *NotFound*."""
        return await self._database.read(
            lambda db: ExportedThread(
                thread_store.find_thread(db, thread_id), store.read_turns(db, thread_id, _ALL, None, whole=whole)[0]
            )
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
            pending_approval=next(iter(await self.approvals.waiting(thread)), None),
            next_cursor=str(cursor) if cursor is not None else None,
        )

    def _read_history(
        self, db: sqlite3.Connection, thread_id: str, limit: int, before: int | None
    ) -> tuple[list[TurnRecord], int | None]:
        if thread_id != self._default:
            thread_store.find_thread(db, thread_id)
        return store.read_turns(db, thread_id, limit, before)

    async def aclose(self, grace: float) -> None:
        """Take no more messages, finish accepting, and end the turns."""
        self._closed = True
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await self.turns.aclose(grace)


def _new_thread_id() -> str:
    return f"thread-{secrets.token_hex(6)}"
