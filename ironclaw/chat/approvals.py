"""Answers of a person to tool calls that wait: over the API, a WebSocket, or as a plain word in the thread.

When to ask is decided in `agent/approvals.py`; the turn that waits is kept by `worker.py`, on disk by `approval_store.py`.
"""

import asyncio
import contextlib
from typing import Final

from ironclaw.agent import Action, Policy, Tally
from ironclaw.chat import approval_store
from ironclaw.chat.approval_store import Settled
from ironclaw.chat.models import Approval
from ironclaw.chat.worker import TurnRunner
from ironclaw.database import Database
from ironclaw.errors import Conflict
from ironclaw.events import ApprovalSettled
from ironclaw.hub import Hub

WORDS: Final[dict[str, Action]] = {"yes": "approve", "no": "deny", "always": "always"}


class Approvals:
    """The requests of all turns that wait."""

    def __init__(self, hub: Hub, database: Database, turns: TurnRunner, policy: Policy) -> None:
        self._hub = hub
        self._database = database
        self._turns = turns
        self._policy = policy

    async def open(self) -> None:
        """Know what earlier processes were answered, and what still waits."""
        for name, subject in await self._database.read(approval_store.remembered):
            self._policy.remember(name, subject)
        self._turns.asked.update(one.request_id for one in await self.waiting())

    async def waiting(self, thread_id: str | None = None) -> list[Approval]:
        """What waits for a person, the oldest first: everywhere, or in one thread."""
        return await self._database.read(lambda db: approval_store.waiting(db, thread_id))

    async def settle(self, request_id: str, action: Action) -> Approval:
        """Answer one request, once. When it was the turn's last, the turn goes on.

        Raises *NotFound*, *Conflict* when it was answered already, *Invalid* where "always" may not be answered.
        """
        approval = await self._database.read(lambda db: approval_store.find(db, request_id))
        return await asyncio.shield(asyncio.ensure_future(self._settle(approval, action)))

    async def _settle(self, approval: Approval, action: Action) -> Approval:
        event = ApprovalSettled(
            request_id=approval.request_id,
            action=action,
            thread_id=approval.thread_id,
            message_id=approval.message_id,
            call_id=approval.call_id,
        )
        stored = self._hub.publish(event, approval_store.settle(approval.request_id, action), required=True).stored
        assert stored is not None
        settled: Settled = await stored
        self._turns.asked.discard(approval.request_id)
        self._turns.changes += 1
        if action == "always":
            self._policy.remember(approval.name, approval.subject)
        turn = self._turns.waiting.get(approval.thread_id)
        if not settled.open and turn is not None and turn.message_id == approval.message_id:
            self._turns.resume(turn)
        return settled.approval

    async def stop_waiting(self, thread_id: str) -> bool:
        """End the turn of a thread that waits, as stopped: what it asked for is denied. False when none waits."""
        turn = self._turns.take_paused(thread_id)
        if turn is None:
            return False
        # Denied before it is ended: should the process end in between, nothing is left that could still be allowed.
        for one in await self.waiting(thread_id):
            if one.message_id == turn.message_id:
                with contextlib.suppress(Conflict):  # answered in this moment
                    await self._settle(one, "deny")
        tally = Tally()
        resume = await self._database.read(lambda db: approval_store.resume_of(db, turn.message_id))
        if resume is not None:
            tally = Tally([resume.paused.text], resume.paused.usage)
        await self._turns.end_paused(turn, tally)
        return True

    async def answer(self, thread_id: str, word: str) -> str:
        """Take *word* as the answer to what waits in a thread; what to say about it."""
        waiting, action = await self.waiting(thread_id), WORDS[word]
        if not waiting:
            return "Nothing waits for an answer in this conversation."
        if len(waiting) > 1 and action != "deny":
            listed = "\n".join(f"- {one.name}: `{one.subject}`" for one in waiting)
            return f"{len(waiting)} calls wait, so please answer each one where it is shown:\n\n{listed}"
        if action == "always" and not waiting[0].always:
            return f"{waiting[0].name} is asked about each time here. Answer yes or no."
        for one in waiting:
            await self.settle(one.request_id, action)
        return _SAID[action].format(name=", ".join(one.name for one in waiting), subject=waiting[0].subject)


_SAID: Final[dict[Action, str]] = {
    "approve": "Allowed once: {name} on `{subject}`.",
    "always": "Allowed from now on: {name} on `{subject}`.",
    "deny": "Not allowed: {name}.",
}
