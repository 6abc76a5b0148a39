"""Counts model calls: sums in memory, loaded at the start; records on disk within a second, off the hot path."""

import asyncio
import contextlib
import sqlite3

import attrs

from ironclaw import codec
from ironclaw.database import Database
from ironclaw.usage import store
from ironclaw.usage.store import UsageRecord

_WRITE_EVERY = 0.5


@attrs.frozen
class Totals:
    """Sums over all time. *cost_usd* has the known costs only; *unpriced_tokens* are those without one."""

    tokens: int
    cost_usd: float
    unpriced_tokens: int


class Ledger:
    """The sums and what is still to be written. Made by `open()`, ended by `aclose()`."""

    def __init__(self, database: Database, totals: Totals) -> None:
        self.totals = totals
        self._database = database
        self._unwritten: list[UsageRecord] = []
        self._writer = asyncio.get_running_loop().create_task(self._write_forever(), name="usage-writer")

    @classmethod
    async def open(cls, database: Database) -> "Ledger":
        """The ledger with all that earlier processes recorded."""
        return cls(database, Totals(*await database.read(store.read_totals)))

    @property
    def alive(self) -> bool:
        """Whether records still reach the disk."""
        return not self._writer.done()

    def record(self, scope: str, scope_id: str | None, call: tuple[str, str, int, int, float | None]) -> None:
        """Count one call: (provider, model, input tokens, output tokens, cost in US dollars or None)."""
        record = UsageRecord(codec.format_time(codec.now()), scope, scope_id, *call)
        tokens = record.input_tokens + record.output_tokens
        self.totals = Totals(
            self.totals.tokens + tokens,
            self.totals.cost_usd + (record.cost_usd or 0.0),
            self.totals.unpriced_tokens + (tokens if record.cost_usd is None else 0),
        )
        self._unwritten.append(record)

    async def _write_forever(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_EVERY)
            await self._write()

    async def _write(self) -> None:
        records = self._unwritten
        if not records:
            return
        self._unwritten = []
        try:
            await self._database.write(lambda db: store.append(db, records))
        except sqlite3.Error:
            self._unwritten = records + self._unwritten  # the disk may have room again; the database has logged it

    async def aclose(self) -> None:
        """Write the rest."""
        self._writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._writer
        await self._write()
