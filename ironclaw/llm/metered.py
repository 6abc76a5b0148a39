"""Wraps a provider so that every call is reserved, counted and priced, once and whoever makes it.

Nothing above ever sees an unmetered provider. The sums and the caps are `usage/`; the prices are `prices.py`.
"""

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing

import attrs

from ironclaw.errors import BudgetSpent
from ironclaw.llm.estimates import bytes_of_delta, bytes_of_request, likely_tokens, most_tokens
from ironclaw.llm.models import Abilities, Delta, Finished, ModelRequest, Usage
from ironclaw.llm.prices import Prices
from ironclaw.llm.provider import Provider
from ironclaw.usage.budgets import Budgets, Reservation
from ironclaw.usage.ledger import Ledger
from ironclaw.usage.store import PricedBy, UsageRecord

_OUTPUT_TOKENS = 4096  # of one call while there is a budget, unless the call asks for less or more
_MOST_TOKENS = 100_000_000
_MOST_USD = 10_000.0


def is_local(provider: Provider) -> bool:
    """Whether its tokens cost nothing: the built-in assistant, or a server at home."""
    return provider.name == "builtin" or bool(getattr(provider, "local", False))


@attrs.frozen
class Meter:
    """What all metered calls of one gateway share. *allow_unpriced*: a budget lets calls of unknown price pass."""

    ledger: Ledger
    budgets: Budgets
    prices: Prices
    allow_unpriced: bool = False

    def check(self, provider: Provider) -> None:
        """Raises *BudgetSpent* when a budget is spent already and a call of *provider* would cost something."""
        if not is_local(provider):
            self.budgets.check()

    async def admit(self, provider: Provider, request: ModelRequest) -> tuple[ModelRequest, Reservation | None]:
        """The request as it may be sent, and what is reserved for it; raises *BudgetSpent* when it may not be."""
        if is_local(provider):
            return request, None
        await self.prices.load()
        if not self.budgets.active:
            return request, None
        most = request.max_output_tokens or _OUTPUT_TOKENS
        usage = Usage(most_tokens(bytes_of_request(request)), most)
        cost = self.prices.cost_of(provider.name, provider.model, usage)
        if cost is None:
            self._admit_unpriced(provider)
            return request, None
        return attrs.evolve(request, max_output_tokens=most), self.budgets.reserve(cost)

    def _admit_unpriced(self, provider: Provider) -> None:
        if self.allow_unpriced:
            self.budgets.check()
            return
        install = "Install the list of prices (pip install 'ironclaw[prices]'), set" if self.prices.missing else "Set"
        raise BudgetSpent(
            f"There is a budget, but the price of {provider.model or 'the model'} ({provider.name}) is not known, so it was"
            f" not called. {install} BUDGET_UNKNOWN_PRICE=allow, or take the budget away with PUT /api/budget.",
            code="price_unknown",
        )

    def price(self, provider: Provider, usage: Usage) -> tuple[float | None, PricedBy | None]:
        """What a call has cost, and who knows it."""
        local = is_local(provider)
        if usage.cost_usd is not None and (usage.cost_usd > 0 or not local):
            return usage.cost_usd, "provider"
        if local:
            return 0.0, "local"
        cost = self.prices.cost_of(provider.name, provider.model, usage)
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
        call = _Call(self._provider, self._meter, self._scope, request, reservation)
        try:
            async with aclosing(self._provider.stream(request)) as deltas:
                async for delta in deltas:
                    yield call.take(delta)
        except Exception:
            call.fail()
            raise
        finally:
            call.end()
            self.model = self._provider.model  # some know it only after a call


@attrs.define
class _Call:
    """A call that runs. Everything here is done at once, so that a stop at any point leaves true sums."""

    provider: Provider
    meter: Meter
    scope: tuple[str, str | None]
    request: ModelRequest
    reservation: Reservation | None
    received: int = 0
    settled: bool = False

    def take(self, delta: Delta) -> Delta:
        """Count a piece of the reply; the piece as it goes on."""
        self.received += bytes_of_delta(delta)
        return attrs.evolve(delta, usage=self._count(delta.usage)) if isinstance(delta, Finished) else delta

    def fail(self) -> None:
        """The provider has failed: before its first token nothing is counted."""
        if not self.received and not self.settled:
            self._settle()

    def end(self) -> None:
        """A call that was stopped or broke off is counted by estimate: its tokens were used all the same."""
        if not self.settled:
            self._count(Usage(cost_usd=None))

    def _count(self, said: Usage) -> Usage:
        """Record the call and free what was reserved; the usage that was recorded."""
        usage, estimated = self._completed(said)
        cost, priced_by = self.meter.price(self.provider, usage)
        usage = attrs.evolve(usage, cost_usd=cost)
        scope, scope_id = self.scope
        self.meter.ledger.record(
            UsageRecord(
                scope=scope,
                scope_id=scope_id,
                provider=self.provider.name,
                model=self.provider.model,
                priced_by=priced_by,
                estimated=estimated,
                **attrs.asdict(usage),
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
            usage = Usage(likely_tokens(bytes_of_request(self.request)), likely_tokens(self.received), cost or None)
            return usage, True
        cached = min(said.cached_tokens, said.input_tokens) if _is_count(said.cached_tokens) else 0
        reasoning = min(said.reasoning_tokens, said.output_tokens) if _is_count(said.reasoning_tokens) else 0
        return Usage(said.input_tokens, said.output_tokens, cost, cached, reasoning), False


def _is_count(tokens: object) -> bool:
    return type(tokens) is int and 0 <= tokens <= _MOST_TOKENS


def _is_cost(cost: object) -> bool:
    return isinstance(cost, int | float) and math.isfinite(cost) and 0 <= cost <= _MOST_USD
