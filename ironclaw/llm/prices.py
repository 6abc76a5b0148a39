"""What a hosted model's tokens cost, from the list that genai-prices brings along. Nothing is fetched, ever.

The library is an extra (`pip install 'ironclaw[prices]'`) and is loaded with the first call that needs a price.
"""

import asyncio
import logging
from collections.abc import Callable

from ironclaw.llm.models import Usage

log = logging.getLogger(__name__)

Calculate = Callable[[str, str, Usage], float | None]


class Prices:
    """The list of prices. Until `load()` has been awaited once, no price is known."""

    def __init__(self) -> None:
        self._calculate: Calculate | None = None
        self._loaded = False
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Read the list, in a thread; from the second time on this does nothing."""
        if self._loaded:
            return
        async with self._loading:
            if not self._loaded:
                self._calculate = await asyncio.to_thread(_load)
                self._loaded = True

    def cost_of(self, provider: str, model: str, usage: Usage) -> float | None:
        """US dollars for tokens of a provider's model, or None where the list does not know them."""
        # A host name is a server that nobody knows: what another one asks for a model of that name says nothing.
        if self._calculate is None or not model or "." in provider:
            return None
        return self._calculate(provider, model, usage)

    @property
    def missing(self) -> bool:
        """Whether the list was looked for and is not installed."""
        return self._loaded and self._calculate is None


def _load() -> Calculate | None:
    try:
        import genai_prices  # noqa: PLC0415 - costs 0.2 s and 16 MB
    except ImportError:
        log.warning(
            "The list of prices is not installed, so the cost of hosted models is known only where they say it."
            " To have it: pip install 'ironclaw[prices]'"
        )
        return None

    def calculate(provider: str, model: str, usage: Usage) -> float | None:
        tokens = genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_tokens,
        )
        try:
            cost = float(genai_prices.calc_price(tokens, model, provider_id=provider).total_price)
        except (LookupError, ValueError):
            return None
        # Models without a price per token (of speech, say) come out at 0 too.
        return cost if cost > 0 or not usage.total_tokens or model.endswith(":free") else None

    calculate("openai", "gpt-4o", Usage())  # the first call reads the list itself
    return calculate
