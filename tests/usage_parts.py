"""A meter with all that is below it, on a database of its own, and a clock that tests set."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import attrs

from ironclaw.database import Database
from ironclaw.events import Event
from ironclaw.hub import MIGRATIONS as HUB
from ironclaw.hub import Hub, Subscription
from ironclaw.llm.metered import Meter, MeteredProvider
from ironclaw.llm.models import Delta, ModelMessage, ModelRequest
from ironclaw.llm.prices import Prices
from ironclaw.llm.provider import Provider
from ironclaw.usage.budgets import Budgets
from ironclaw.usage.ledger import Ledger
from ironclaw.usage.store import MIGRATIONS as USAGE
from ironclaw.usage.store import UsageRecord

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


class Scripted:
    """A model outside the machine that gives the same reply each time: deltas, events to wait for, errors to raise."""

    name = "scripted"
    model = "scripted-1"

    def __init__(self, *steps: object) -> None:
        self.steps = steps
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step  # type: ignore[misc]
        finally:
            self.closed += 1


class Hosted(Scripted):
    """One of a provider whose prices are in the list."""

    name = "openai"
    model = "gpt-4o-mini"


@attrs.define
class Clock:
    """The time, as a test says it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@attrs.frozen
class Parts:
    """What `open_parts` opens."""

    database: Database
    hub: Hub
    ledger: Ledger
    budgets: Budgets
    meter: Meter
    clock: Clock

    def metered(self, provider: Provider, scope_id: str = "t1") -> MeteredProvider:
        return MeteredProvider(provider, self.meter, "thread", scope_id)

    async def events(self, reader: Subscription) -> list[Event | None]:
        """What *reader* was given until now."""
        await self.database.write(lambda db: None)  # an event is released once it is on disk
        reader.end()
        return [released.event async for released in reader]


@contextlib.asynccontextmanager
async def open_parts(folder: Path, *, allow_unpriced: bool = False, now: datetime = NOON) -> AsyncIterator[Parts]:
    clock = Clock(now)
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.open(folder / "usage.db", (*HUB, *USAGE))
        stack.push_async_callback(database.aclose)
        hub = await Hub.open(database)
        stack.push_async_callback(hub.aclose)
        ledger = await Ledger.open(database, clock)
        stack.push_async_callback(ledger.aclose)
        budgets = await Budgets.open(ledger, database, hub)
        meter = Meter(ledger, budgets, Prices(), allow_unpriced=allow_unpriced)
        yield Parts(database, hub, ledger, budgets, meter, clock)


def cost(usd: float | None, tokens: int = 1, **more: object) -> UsageRecord:
    """A record of a call that cost so much."""
    facts = {"scope": "thread", "scope_id": "t1", "provider": "openai", "model": "gpt-4o-mini", **more}
    return UsageRecord(input_tokens=tokens, output_tokens=0, cost_usd=usd, **facts)  # type: ignore[arg-type]


def ask(text: str = "hi", most: int | None = None) -> ModelRequest:
    return ModelRequest((ModelMessage("user", text),), max_output_tokens=most)


async def replies(provider: MeteredProvider, request: ModelRequest) -> list[Delta]:
    return [delta async for delta in provider.stream(request)]


async def records(parts: Parts) -> list[dict[str, object]]:
    """All records on disk, oldest first."""
    await parts.ledger.rows(1)  # what was recorded before is on disk then
    return await parts.database.read(lambda db: [dict(row) for row in db.execute("SELECT * FROM usage ORDER BY id")])
