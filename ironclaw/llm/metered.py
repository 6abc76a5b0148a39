"""Wraps a provider so that every call is counted, once and whoever makes it. Nothing above ever sees an unmetered one."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ironclaw.llm.models import Delta, Finished, ModelRequest
from ironclaw.llm.provider import Provider
from ironclaw.usage.ledger import Ledger


class MeteredProvider:
    """A provider whose calls are recorded for one *scope* (`thread`, ...) and id."""

    def __init__(self, provider: Provider, ledger: Ledger, scope: str, scope_id: str | None) -> None:
        self.name = provider.name
        self.model = provider.model
        self._provider = provider
        self._ledger = ledger
        self._scope = (scope, scope_id)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The provider's reply; its usage is recorded when it comes."""
        async with aclosing(self._provider.stream(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, Finished):
                    usage = delta.usage
                    call = (self.name, self.model, usage.input_tokens, usage.output_tokens, usage.cost_usd)
                    self._ledger.record(*self._scope, call)
                yield delta
