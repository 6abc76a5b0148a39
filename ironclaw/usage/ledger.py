"""Counts model calls: sums in memory, loaded at the start; records on disk within a second, off the hot path."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING

from ironclaw import codec
from ironclaw.database import Database
from ironclaw.usage import store
from ironclaw.usage.calls import CallCounts
from ironclaw.usage.periods import Period, last_days, local_day, start_of
from ironclaw.usage.store import Totals, UsageRecord, UsageRow
from ironclaw.values import frozen

if TYPE_CHECKING:
    from ironclaw.usage.report import UsageReport

_WRITE_EVERY = 0.5
_MONTH = 31


@frozen
class _Kept:
    """What earlier processes recorded: all of it summed, and the costs of the last month by day."""

    totals: Totals
    costs: dict[date, float]


class Ledger:
    """The sums and what is still to be written. Made by `open()`, ended by `aclose()`."""

    def __init__(self, database: Database, kept: _Kept, clock: Callable[[], datetime]) -> None:
        self.totals = kept.totals
        self.counts = CallCounts()
        self._costs = kept.costs
        self._clock = clock
        self._database = database
        self._unwritten: list[tuple[datetime, UsageRecord]] = []
        self._writer = asyncio.get_running_loop().create_task(self._write_forever(), name="usage-writer")

    @classmethod
    async def open(cls, database: Database, clock: Callable[[], datetime] = codec.now) -> "Ledger":
        """The ledger with all that earlier processes recorded. *clock* gives the time, with its zone."""
        days = last_days(_MONTH, local_day(clock()))
        kept = await database.read(lambda db: _Kept(store.read_totals(db), store.read_costs(db, days)))
        return cls(database, kept, clock)

    @property
    def alive(self) -> bool:
        """Whether records still reach the disk."""
        return not self._writer.done()

    @property
    def waiting(self) -> int:
        """Records that are still to be written."""
        return len(self._unwritten)

    @property
    def today(self) -> date:
        """The day that it is here."""
        return local_day(self._clock())

    def spent(self, period: Period) -> float:
        """The known costs of this day or month so far, in US dollars."""
        today = self.today
        first = start_of(period, today)
        return sum(cost for day, cost in self._costs.items() if first <= day <= today)

    def record(self, record: UsageRecord) -> None:
        """Count one call, now."""
        now = self._clock()
        if record.cost_usd:
            day = local_day(now)
            self._costs[day] = self._costs.get(day, 0.0) + record.cost_usd
        self.totals = self.totals.plus(record)
        self.counts.record(record)
        self._unwritten.append((now, record))

    async def report(self, days: int) -> "UsageReport":
        """The usage of the last *days* days, today included, with all that was recorded until now."""
        from ironclaw.usage.report import report_of  # noqa: PLC0415 - a start needs sums only

        asked = await self._asked(days)
        return await self._database.read(lambda db: report_of(asked, store.read_rows(db, asked)))

    async def rows(self, days: int) -> list[UsageRow]:
        """The same as rows, the oldest day first."""
        asked = await self._asked(days)
        return await self._database.read(lambda db: store.read_rows(db, asked))

    async def _asked(self, days: int) -> list[date]:
        await self._write()  # also when there is nothing: writes are in order, so those before it are done then
        return last_days(days, self.today)

    async def _write_forever(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_EVERY)
            if self._unwritten:
                await self._write()

    async def _write(self) -> None:
        records, self._unwritten = self._unwritten, []
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
