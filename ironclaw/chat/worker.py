"""Runs turns: one inbox and one worker for each active thread.

A thread's turns run in order, threads run side by side. Each turn is one task that can be cancelled; what it does goes
to the store and to the hub from here.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import attrs

from ironclaw import codec
from ironclaw.agent import Paused, Request, Tally, parameters
from ironclaw.chat import approval_store, store
from ironclaw.chat.models import Approval, InProgress, TurnError, TurnState
from ironclaw.chat.store import NewTurn, TurnEnding
from ironclaw.database import Database
from ironclaw.errors import IronclawError
from ironclaw.events import (
    ApprovalNeeded,
    Event,
    Queued,
    Response,
    SkillUsed,
    Stopped,
    StreamChunk,
    Thinking,
    ToolCompleted,
    ToolStarted,
    TurnEnd,
    TurnFailed,
    TurnUsage,
)
from ironclaw.hub import Hub
from ironclaw.values import define

log = logging.getLogger(__name__)

_SAVE_EVERY = 0.5
INTERRUPTED = TurnError(
    "interrupted", "The gateway stopped while this answer was being written. Send the message again to get one."
)

_TOO_LONG = TurnError("turn_timeout", "This turn took longer than one may (AGENT_TURN_TIMEOUT), so it was ended.")

TurnSource = Callable[[NewTurn, Tally], AsyncGenerator[Event, None]]
"""What a turn does: its chunks and tool events; the answer is in the tally at the end."""


@define(eq=False)
class LiveTurn:
    """A turn that runs now."""

    turn: NewTurn
    started: float
    tally: Tally = attrs.Factory(Tally)
    chunks: list[tuple[int, str]] = attrs.Factory(list)
    task: "asyncio.Task[None] | None" = None
    begun: bool = False
    cancelled_as: TurnState | None = None
    ending: bool = False
    saved_at: float = 0.0

    def end_as(self, state: TurnState) -> bool:
        """End it from outside, as *state*; False when it is ending by itself already."""
        if self.ending or self.task is None:
            return False
        if self.cancelled_as is None:
            self.cancelled_as = state
            if self.begun:  # a task that is cancelled before its first step would not get to its end
                self.task.cancel()
        return True

    def progress(self, head: int) -> InProgress:
        """The text as clients have it that have seen all events up to *head*."""
        unseen = sum(len(content) for id_, content in self.chunks if id_ > head)
        text = self.tally.content  # with what it said before it waited for a person
        return InProgress(self.turn.message_id, text[: len(text) - unseen], head)


class TurnRunner:
    """Everything that runs or waits. Made once, ended by `aclose()`."""

    def __init__(self, hub: Hub, database: Database, source: TurnSource, *, max_turns: int, timeout: float) -> None:
        self._timeout = timeout
        self._hub = hub
        self._database = database
        self._source = source
        self._slots = asyncio.Semaphore(max_turns)
        self._waiting_for_slot = 0
        self._inboxes: dict[str, asyncio.Queue[NewTurn]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._running: set[LiveTurn] = set()
        self._closing = False
        self.live: dict[str, LiveTurn] = {}
        """The running turn of each thread."""
        self.waiting: dict[str, NewTurn] = {}
        """The turn of each thread that waits for a person; it holds no slot and no task."""
        self.asked: set[str] = set()
        """The requests that wait for a person, by id."""
        self._resumed: dict[str, NewTurn] = {}
        self.ended: Counter[TurnState] = Counter()
        """How the turns of this process ended."""
        self.changes = 0
        """Grows whenever what is stored of a turn changes; lets a reader see that it read in between."""

    @property
    def queued(self) -> int:
        """Messages that wait for those before them or for a free slot."""
        return sum(inbox.qsize() for inbox in self._inboxes.values())

    @property
    def running(self) -> int:
        """Turns that run now, commands among them."""
        return len(self._running)

    def enqueue(self, turn: NewTurn) -> None:
        """Let *turn* run when those before it in its thread have ended and there is a free slot."""
        inbox = self._inboxes.setdefault(turn.thread_id, asyncio.Queue())
        ahead = inbox.qsize() + (turn.thread_id in self.live) + (turn.thread_id in self.waiting)
        if not ahead and self._slots.locked():
            ahead = self._waiting_for_slot + 1
        if ahead:
            self._hub.publish(Queued(position=ahead, thread_id=turn.thread_id, message_id=turn.message_id))
        inbox.put_nowait(turn)
        self._wake(turn.thread_id)

    def _wake(self, thread_id: str) -> None:
        """Have the thread's turns worked on, unless one of them waits for a person."""
        inbox = self._inboxes.setdefault(thread_id, asyncio.Queue())
        if thread_id not in self._workers and thread_id not in self.waiting:
            self._workers[thread_id] = asyncio.create_task(self._work(thread_id, inbox), name=f"worker {thread_id}")

    def wait_for_person(self, turn: NewTurn) -> None:
        """Keep *turn* aside until `resume`; what is behind it in its thread waits with it."""
        self.waiting[turn.thread_id] = turn

    def resume(self, turn: NewTurn) -> None:
        """Go on with a turn that waited, before all others of its thread."""
        self.waiting.pop(turn.thread_id, None)
        self._resumed[turn.thread_id] = turn
        self._wake(turn.thread_id)

    def run_at_once(self, turn: NewTurn, source: TurnSource) -> None:
        """Run a command beside whatever its thread does."""
        self._start(LiveTurn(turn, self._now()), source)

    def _start(self, live: LiveTurn, source: TurnSource) -> "asyncio.Task[None]":
        live.task = asyncio.create_task(self._run(live, source), name=f"turn {live.turn.message_id}")
        self._running.add(live)
        live.task.add_done_callback(lambda _: self._running.discard(live))
        return live.task

    def stop(self, thread_id: str) -> bool:
        """End the running turn of a thread; False when none runs."""
        live = self.live.get(thread_id)
        return live is not None and live.end_as(TurnState.STOPPED)

    async def stop_and_wait(self, thread_id: str) -> None:
        """The same, and wait until its end is stored."""
        live = self.live.get(thread_id)
        if live is not None and live.task is not None:
            live.end_as(TurnState.STOPPED)
            await asyncio.wait([live.task])

    def take_paused(self, thread_id: str) -> NewTurn | None:
        """The turn of a thread that waits for a person, or was answered and waits for a slot; it does not go on now."""
        return self.waiting.pop(thread_id, None) or self._resumed.pop(thread_id, None)

    async def end_paused(self, turn: NewTurn, tally: Tally) -> None:
        """End a turn that was taken, as stopped with what it has, and go on with what is behind it."""
        await self._finish(LiveTurn(turn, self._now(), tally), TurnState.STOPPED)
        self._wake(turn.thread_id)

    async def drop_queued(self, thread_id: str) -> int:
        """End the turns that wait for their turn in a thread, as stopped; how many there were."""
        inbox = self._inboxes.get(thread_id)
        dropped = 0
        while inbox is not None and not inbox.empty():
            live = LiveTurn(inbox.get_nowait(), self._now())
            await self._finish(live, TurnState.STOPPED)
            dropped += 1
        return dropped

    async def _work(self, thread_id: str, inbox: "asyncio.Queue[NewTurn]") -> None:
        try:
            while self._has_work(thread_id, inbox):
                self._waiting_for_slot += 1
                try:
                    await self._slots.acquire()
                finally:
                    self._waiting_for_slot -= 1
                try:
                    if self._has_work(thread_id, inbox):
                        resumed = thread_id in self._resumed
                        await self._run_live(self._resumed.pop(thread_id) if resumed else inbox.get_nowait())
                finally:
                    self._slots.release()
        finally:
            del self._workers[thread_id]
            if inbox.empty():
                self._inboxes.pop(thread_id, None)

    def _has_work(self, thread_id: str, inbox: "asyncio.Queue[NewTurn]") -> bool:
        if self._closing or thread_id in self.waiting:
            return False
        return thread_id in self._resumed or not inbox.empty()

    async def _run_live(self, turn: NewTurn) -> None:
        live = LiveTurn(turn, self._now())
        self.live[turn.thread_id] = live
        try:
            await asyncio.wait([self._start(live, self._source)])
        finally:
            del self.live[turn.thread_id]

    async def _run(self, live: LiveTurn, source: TurnSource) -> None:
        """One turn, to its end whatever happens: it always leaves exactly one ending event."""
        turn = live.turn
        thinking = Thinking(message="Processing your request...", thread_id=turn.thread_id, message_id=turn.message_id)
        # Nothing of the turn is seen before it is known on disk that it began, so that it never begins twice.
        self._hub.publish(thinking, store.mark_running(turn.message_id))
        state, error = TurnState.COMPLETED, None
        timer = asyncio.get_running_loop().call_later(self._timeout, live.end_as, TurnState.FAILED)
        live.begun = True
        try:
            if live.cancelled_as is not None:
                raise asyncio.CancelledError  # noqa: TRY301 - ended before its first step
            async with aclosing(source(turn, live.tally)) as events:
                async for event in events:
                    await self._emit(live, event)
        except asyncio.CancelledError:
            state = live.cancelled_as or TurnState.INTERRUPTED
            error = {TurnState.INTERRUPTED: INTERRUPTED, TurnState.FAILED: _TOO_LONG}.get(state)
        except IronclawError as problem:
            state, error = TurnState.FAILED, TurnError(problem.code, problem.message)
        except Exception:
            log.exception("A turn failed inside")
            text = "Something inside the gateway failed; its log has the details. Send the message again to retry."
            state, error = TurnState.FAILED, TurnError("internal", text)
        timer.cancel()
        live.ending = True
        if state is TurnState.COMPLETED and live.tally.paused is not None:
            await self._pause(live, live.tally.paused)
        else:
            await self._finish(live, state, error)

    async def _pause(self, live: LiveTurn, paused: Paused) -> None:
        """Leave the turn waiting for a person. Nobody is asked before the question is on disk."""
        turn = live.turn
        approvals = [_approval(turn, paused, request) for request in paused.requests]
        transaction = approval_store.pause(turn.message_id, paused, approvals)
        self.wait_for_person(turn)
        asked = [
            self._hub.publish(_question(one), transaction if number == 0 else None, required=True).stored
            for number, one in enumerate(approvals)
        ]
        try:
            for stored in asked:
                assert stored is not None
                await stored
        except sqlite3.Error:
            self.waiting.pop(turn.thread_id, None)
            problem = TurnError("not_stored", "The question for your approval could not be stored. Try again.")
            await self._finish(live, TurnState.FAILED, problem)
            return
        self.asked.update(one.request_id for one in approvals)
        self.changes += 1

    async def _emit(self, live: LiveTurn, event: Event) -> None:
        match event:
            case StreamChunk(content=content):
                live.chunks.append((self._hub.publish(event).id, content))
                self._save_sometimes(live)
            case ToolStarted():
                # The tool starts only after this is on disk: after a crash it is known to have been begun.
                await self._store(event, store.start_call(event))
            case ToolCompleted():
                await self._store(event, store.complete_call(event))
            case SkillUsed():
                await self._store(event, store.use_skill(event))
            case _:
                self._hub.publish(event)

    async def _store(self, event: Event, transaction: Callable[[sqlite3.Connection], Any]) -> None:
        stored = self._hub.publish(event, transaction).stored
        assert stored is not None
        await asyncio.shield(stored)
        self.changes += 1

    def _save_sometimes(self, live: LiveTurn) -> None:
        if self._now() - live.saved_at >= _SAVE_EVERY:
            live.saved_at = self._now()
            self._database.submit(store.save_partial(live.turn.message_id, live.tally.content))

    async def _finish(self, live: LiveTurn, state: TurnState, error: TurnError | None = None) -> None:
        milliseconds = round((self._now() - live.started) * 1000)
        self.ended[state] += 1
        ending = ending_of(live.turn.message_id, live.tally, state, error, milliseconds)
        log.debug("Turn %s: %s after %d ms", live.turn.message_id, error.code if error else state.value, milliseconds)
        stored = self._hub.publish(ending_event(live.turn.thread_id, ending), store.finish(ending)).stored
        assert stored is not None
        try:
            await stored
        except sqlite3.Error:
            log.warning("The end of a turn could not be stored; it will show as interrupted after a restart")
        self.changes += 1

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def aclose(self, grace: float) -> None:
        """Give running turns *grace* seconds, then mark them interrupted. What waits stays on disk for the next start."""
        self._closing = True
        tasks = [live.task for live in self._running if live.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for live in self._running:
            live.end_as(TurnState.INTERRUPTED)
        await asyncio.gather(*tasks, return_exceptions=True)
        workers = tuple(self._workers.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _approval(turn: NewTurn, paused: Paused, request: Request) -> Approval:
    return Approval(
        request_id=request.request_id,
        thread_id=turn.thread_id,
        message_id=turn.message_id,
        call_id=request.call_id,
        name=request.name,
        subject=request.subject,
        parameters=parameters.shown(paused.calls[request.number].arguments),
        always=request.always,
        created_at=codec.format_time(codec.now()),
    )


def _question(approval: Approval) -> ApprovalNeeded:
    return ApprovalNeeded(
        request_id=approval.request_id,
        name=approval.name,
        subject=approval.subject,
        parameters=approval.parameters,
        always=approval.always,
        thread_id=approval.thread_id,
        message_id=approval.message_id,
        call_id=approval.call_id,
    )


def ending_of(message_id: str, tally: Tally, state: TurnState, error: TurnError | None, duration_ms: int) -> TurnEnding:
    """How a turn ended, with what it had by then."""
    content, usage = tally.content, tally.usage
    return TurnEnding(
        message_id=message_id,
        state=state,
        response=content if content or state is TurnState.COMPLETED else None,
        error=error,
        usage=TurnUsage(
            input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, total_tokens=usage.total_tokens
        ),
        cost_usd=usage.cost_usd,
        duration_ms=duration_ms,
    )


def ending_event(thread_id: str, ending: TurnEnding) -> TurnEnd:
    """The event that tells how a turn ended."""
    common: dict[str, Any] = {
        "content": ending.response or "",
        "thread_id": thread_id,
        "message_id": ending.message_id,
        "usage": ending.usage,
        "cost_usd": ending.cost_usd,
        "duration_ms": ending.duration_ms,
    }
    if ending.state is TurnState.COMPLETED:
        return Response(**common)
    if ending.error is None:
        return Stopped(**common)
    return TurnFailed(code=ending.error.code, message=ending.error.message, **common)
