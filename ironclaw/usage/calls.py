"""Calls of models since this process began, summed by provider, model and scope, as plain numbers for the metrics."""

from ironclaw.redact import redact
from ironclaw.usage.store import UsageRecord
from ironclaw.values import define

_MOST_MODELS = 50
OTHER = "other"


@define
class CallSums:
    """Calls that were counted, those that failed before their first token, and what they used."""

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


class CallCounts:
    """The sums by (provider, model, scope). Beyond some models the rest are summed as `other`."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str, str], CallSums] = {}

    def record(self, record: UsageRecord) -> None:
        """Count one call."""
        sums = self._of(record.provider, record.model, record.scope)
        sums.calls += 1
        sums.input_tokens += record.input_tokens
        sums.output_tokens += record.output_tokens
        sums.cost_usd += record.cost_usd or 0.0

    def failed(self, provider: str, model: str, scope: str) -> None:
        """Count one that failed before its first token."""
        self._of(provider, model, scope).failed += 1

    def _of(self, provider: str, model: str, scope: str) -> CallSums:
        key = (redact(provider), redact(model), scope)  # somebody may have put a key where a name goes
        if key not in self.sums and len(self.sums) >= _MOST_MODELS:
            key = (OTHER, OTHER, scope)
        return self.sums.setdefault(key, CallSums())
