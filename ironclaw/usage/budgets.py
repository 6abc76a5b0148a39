"""Spending caps of a day and a month. What a call may cost is reserved before it, so that calls together can't pass a cap.

What is spent comes from the ledger, for the day and month that it is when it is asked: nothing has to be reset at midnight.
"""

from datetime import date

import attrs

from ironclaw.database import Database
from ironclaw.errors import BudgetSpent, Invalid
from ironclaw.events import BudgetWarning
from ironclaw.hub import Hub
from ironclaw.usage import store
from ironclaw.usage.ledger import Ledger
from ironclaw.usage.periods import Period, end_of, midnight, start_of
from ironclaw.usage.store import Caps
from ironclaw.values import frozen

_WARN_AT = 0.8
_MOST_USD = 1_000_000
_PERIODS: tuple[Period, ...] = ("day", "month")
_NAMES: dict[Period, str] = {"day": "today's budget", "month": "this month's budget"}
_RAISE = "Raise it under System, or with PUT /api/budget; it starts anew {when}."
_WHEN = {"day": "at midnight", "month": "with the next month"}


@frozen(eq=False)
class Reservation:
    """What a call that runs may cost, in US dollars."""

    amount: float


@frozen(kw_only=True)
class PeriodState:
    """One period, in US dollars: what is spent, what is reserved for calls that run, and when it starts anew."""

    limit_usd: float | None = attrs.field()
    spent_usd: float
    reserved_usd: float
    resets_at: str


class Budgets:
    """The caps and the reservations. Made by `open()`; there is nothing to end."""

    def __init__(self, ledger: Ledger, database: Database, hub: Hub, caps: Caps) -> None:
        self.caps = caps
        self._ledger = ledger
        self._database = database
        self._hub = hub
        self._open: set[Reservation] = set()
        self._warned = {period: self._warning_of(period) for period in _PERIODS if self._is_nearly_spent(period)}

    @classmethod
    async def open(cls, ledger: Ledger, database: Database, hub: Hub) -> "Budgets":
        """The budget as it was kept."""
        return cls(ledger, database, hub, await database.read(store.read_caps))

    @property
    def active(self) -> bool:
        """Whether any cap is set."""
        return self.caps != Caps(None, None)

    @property
    def reserved(self) -> float:
        """What the calls that run may cost together, in US dollars."""
        return sum(one.amount for one in self._open)

    def state(self, period: Period) -> PeriodState:
        """How a period is now."""
        return PeriodState(
            limit_usd=self._cap(period),
            spent_usd=round(self._ledger.spent(period), 6),
            reserved_usd=round(self.reserved, 6),
            resets_at=self._resets_at(period),
        )

    async def set(self, caps: Caps) -> None:
        """Keep other caps, from now on. Raises *Invalid* for an amount that can't be one."""
        for name, cap in attrs.asdict(caps).items():
            if cap is not None and not 0 <= cap <= _MOST_USD:
                raise Invalid(f"`{name}` must be from 0 to {_MOST_USD} US dollars, or null for no cap.", field=name)
        await self._database.write(lambda db: store.write_caps(db, caps))
        self.caps = caps
        self._warn()

    def check(self) -> None:
        """Raises *BudgetSpent* when a budget is spent already."""
        for period in _PERIODS:
            cap, spent = self._cap(period), self._ledger.spent(period)
            if cap is not None and spent >= cap:
                raise BudgetSpent(
                    f"{_NAMES[period].capitalize()} of {_usd(cap)} is spent ({_usd(spent)}). {self._how_to_raise(period)}"
                )

    def reserve(self, amount: float) -> Reservation:
        """Set *amount* US dollars aside for a call. Raises *BudgetSpent* when that would pass a cap."""
        self.check()
        for period in _PERIODS:
            cap, spent, reserved = self._cap(period), self._ledger.spent(period), self.reserved
            if cap is not None and spent + reserved + amount > cap:
                raise BudgetSpent(
                    f"This call may cost up to {_usd(amount)}, more than is left of {_NAMES[period]} of {_usd(cap)}"
                    f" ({_usd(spent)} spent, {_usd(reserved)} reserved for calls that run). {self._how_to_raise(period)}"
                )
        reservation = Reservation(amount)
        self._open.add(reservation)
        return reservation

    def settle(self, reservation: Reservation | None) -> None:
        """A call has ended: what it cost stands in the ledger, and what was reserved for it is free again."""
        if reservation is not None:
            self._open.discard(reservation)
        self._warn()

    def _cap(self, period: Period) -> float | None:
        return self.caps.day_usd if period == "day" else self.caps.month_usd

    def _resets_at(self, period: Period) -> str:
        return midnight(end_of(period, self._ledger.today))

    def _how_to_raise(self, period: Period) -> str:
        return _RAISE.format(when=_WHEN[period])

    # Warnings

    def _is_nearly_spent(self, period: Period) -> bool:
        cap = self._cap(period)
        return cap is not None and 0 < _WARN_AT * cap <= self._ledger.spent(period)

    def _warning_of(self, period: Period) -> tuple[date, float | None]:
        """What a warning is about: the same is not said twice."""
        return start_of(period, self._ledger.today), self._cap(period)

    def _warn(self) -> None:
        for period in _PERIODS:
            cap = self._cap(period)
            if cap is None or not self._is_nearly_spent(period):
                continue
            about = self._warning_of(period)
            if self._warned.get(period) != about:
                self._warned[period] = about
                spent = round(self._ledger.spent(period), 6)
                self._hub.publish(BudgetWarning(period=period, spent_usd=spent, limit_usd=cap))


def _usd(amount: float) -> str:
    """An amount for people, with cents at least and all its places to a millionth."""
    whole, _, places = f"{amount:.6f}".partition(".")
    return f"${whole}.{places.rstrip('0'):0<2}"
