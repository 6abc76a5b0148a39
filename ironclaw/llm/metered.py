"""Reserves, counts and prices every call of a model, once and whoever makes it: of a provider, or passed through.

Nothing above ever sees an unmetered provider. The sums and the caps are `usage/`; the prices are `prices.py`.
"""

import functools
import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import attrs

from ironclaw.errors import BudgetSpent
from ironclaw.llm.estimates import bytes_of_delta, bytes_of_request, likely_tokens, most_tokens
from ironclaw.llm.models import Abilities, Delta, Finished, ModelRequest, Usage
from ironclaw.llm.prices import Prices
from ironclaw.llm.provider import Provider
from ironclaw.usage.budgets import Budgets, Reservation
from ironclaw.usage.ledger import Ledger
from ironclaw.usage.store import PricedBy, UsageRecord
from ironclaw.values import define, frozen

log = logging.getLogger(__name__)

OUTPUT_TOKENS = 4096
"""What one call may write while there is a budget, unless it asks for less or more."""

_MOST_TOKENS = 100_000_000
_MOST_USD = 10_000.0


class Seller(Protocol):
    """Whose tokens are counted: a provider by its *name*, and one model of it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102


def is_local(seller: Seller) -> bool:
    """Whether its tokens cost nothing: the built-in assistant, or a server at home."""
    return seller.name == "builtin" or bool(getattr(seller, "local", False))


@frozen
class Meter:
    """What all metered calls of one gateway share. *allow_unpriced*: a budget lets calls of unknown price pass."""

    ledger: Ledger
    budgets: Budgets
    prices: Prices
    allow_unpriced: bool = False

    def check(self, seller: Seller) -> None:
        """Raises *BudgetSpent* when a budget is spent already and a call of *seller* would cost something."""
        if not is_local(seller):
            self.budgets.check()

    async def admit(self, provider: Provider, request: ModelRequest) -> tuple[ModelRequest, Reservation | None]:
        """The request as it may be sent, and what is reserved for it; raises *BudgetSpent* when it may not be."""
        most = request.max_output_tokens or OUTPUT_TOKENS
        reservation = await self.reserve(provider, lambda: bytes_of_request(request), most)
        return (attrs.evolve(request, max_output_tokens=most) if reservation else request), reservation

    async def reserve(self, seller: Seller, size: Callable[[], int], most: int) -> Reservation | None:
        """What is set aside for a call of *size* bytes that may write *most* tokens; None where nothing has to be.

        Raises *BudgetSpent* when the call may not be made.
        """
        if is_local(seller):
            return None
        await self.prices.load()
        if not self.budgets.active:
            return None
        cost = self.prices.cost_of(seller.name, seller.model, Usage(most_tokens(size()), most))
        if cost is None:
            self._admit_unpriced(seller)
            return None
        return self.budgets.reserve(cost)

    def _admit_unpriced(self, seller: Seller) -> None:
        if self.allow_unpriced:
            self.budgets.check()
            return
        install = "Install the list of prices (pip install 'ironclaw[prices]'), set" if self.prices.missing else "Set"
        raise BudgetSpent(
            f"There is a budget, but the price of {seller.model or 'the model'} ({seller.name}) is not known, so it was"
            f" not called. {install} BUDGET_UNKNOWN_PRICE=allow, or take the budget away with PUT /api/budget.",
            code="price_unknown",
        )

    def price(self, seller: Seller, usage: Usage) -> tuple[float | None, PricedBy | None]:
        """What a call has cost, and who knows it."""
        local = is_local(seller)
        if usage.cost_usd is not None and (usage.cost_usd > 0 or not local):
            return usage.cost_usd, "provider"
        if local:
            return 0.0, "local"
        cost = self.prices.cost_of(seller.name, seller.model, usage)
        return cost, None if cost is None else "prices"


class MeteredProvider:
    """A provider whose calls are counted for one *scope* (`thread`, ...) and id, and held within the budget."""

    def __init__(self, provider: Provider, meter: Meter, scope: str, scope_id: str | None) -> None:
        self.name = provider.name
        self.model = provider.model
        self._provider = provider
        self._meter = meter
        self._scope = (scope, scope_id)

    @property
    def abilities(self) -> Abilities:
        """What the model can do, as far as its provider says."""
        found = getattr(self._provider, "abilities", None)
        return found if isinstance(found, Abilities) else Abilities()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The provider's reply; `Finished` has the usage as it was counted, with its cost.

        Raises *BudgetSpent* instead of a call that could pass a budget.
        """
        request, reservation = await self._meter.admit(self._provider, request)
        size = functools.partial(bytes_of_request, request)
        call = MeteredCall(self._provider, self._meter, self._scope, size, reservation)
        try:
            async with aclosing(self._provider.stream(request)) as deltas:
                async for delta in deltas:
                    call.received += bytes_of_delta(delta)
                    yield attrs.evolve(delta, usage=call.count(delta.usage)) if isinstance(delta, Finished) else delta
        except Exception:
            call.fail()
            raise
        finally:
            call.end()
            self.model = self._provider.model  # some know it only after a call


@define
class MeteredCall:
    """A call that runs. Everything here is done at once, so that a stop at any point leaves true sums.

    *size* gives the bytes that the model gets to read; *received* counts those that it has written.
    """

    seller: Seller
    meter: Meter
    scope: tuple[str, str | None]
    size: Callable[[], int]
    reservation: Reservation | None
    received: int = 0
    settled: bool = False
    estimated: bool = False

    def fail(self) -> None:
        """The provider has failed: before its first token nothing is counted."""
        if not self.received and not self.settled:
            self.meter.ledger.counts.failed(self.seller.name, self.seller.model, self.scope[0])
            self._settle()

    def end(self) -> None:
        """A call that was stopped or broke off is counted by estimate: its tokens were used all the same."""
        if not self.settled:
            self.count(Usage(cost_usd=None))

    def count(self, said: Usage) -> Usage:
        """Record the call and free what was reserved; the usage that was recorded, `estimated` where nobody said it."""
        usage, self.estimated = self._completed(said)
        cost, priced_by = self.meter.price(self.seller, usage)
        usage = attrs.evolve(usage, cost_usd=cost)
        scope, scope_id = self.scope
        log.debug(
            "%s %s: %d tokens in, %d out", self.seller.name, self.seller.model, usage.input_tokens, usage.output_tokens
        )
        self.meter.ledger.record(
            UsageRecord(
                scope=scope,
                scope_id=scope_id,
                provider=self.seller.name,
                model=self.seller.model,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cost_usd=cost,
                cached_tokens=usage.cached_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                priced_by=priced_by,
                estimated=self.estimated,
            )
        )
        self._settle()
        return usage

    def _settle(self) -> None:
        self.settled = True
        self.meter.budgets.settle(self.reservation)

    def _completed(self, said: Usage) -> tuple[Usage, bool]:
        """The usage as far as it can be true, and whether its tokens are our estimate."""
        cost = said.cost_usd if said.cost_usd is not None and _is_cost(said.cost_usd) else None
        if not (_is_count(said.input_tokens) and _is_count(said.output_tokens) and said.total_tokens):
            # A cost of 0 for tokens that nobody has counted is no price.
            usage = Usage(likely_tokens(self.size()), likely_tokens(self.received), cost or None)
            return usage, True
        cached = min(said.cached_tokens, said.input_tokens) if _is_count(said.cached_tokens) else 0
        reasoning = min(said.reasoning_tokens, said.output_tokens) if _is_count(said.reasoning_tokens) else 0
        return Usage(said.input_tokens, said.output_tokens, cost, cached, reasoning), False


def _is_count(tokens: object) -> bool:
    return type(tokens) is int and 0 <= tokens <= _MOST_TOKENS


def _is_cost(cost: object) -> bool:
    return isinstance(cost, int | float) and math.isfinite(cost) and 0 <= cost <= _MOST_USD
