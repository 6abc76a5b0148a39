"""Plain numbers that the application keeps of its requests, and of how late the event loop is. `metrics.py` shows them."""

from bisect import bisect_left

import attrs

from ironclaw.values import define

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class Histogram:
    """How many values were at most as large as each of *bounds*, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def copied(self) -> "Histogram":
        """As it is now."""
        copy = Histogram(self.bounds)
        copy.counts, copy.total = list(self.counts), self.total
        return copy


def known_method(method: str) -> str:
    """The method, or `?`: a caller may send any word."""
    return method if method in METHODS else "?"


@define
class RequestCounts:
    """Requests by (method, route pattern, status), and how long they took by (method, route pattern).

    The patterns are those of the route table, so there are as many as routes, whatever callers ask for. What lasts as
    long as its client stays is counted, but has no time.
    """

    ended: dict[tuple[str, str, int], int] = attrs.Factory(dict)
    seconds: dict[tuple[str, str], Histogram] = attrs.Factory(dict)

    def add(self, method: str, pattern: str, status: int, seconds: float | None) -> None:
        """Count one finished request."""
        method = known_method(method)
        key = (method, pattern, status)
        self.ended[key] = self.ended.get(key, 0) + 1
        if seconds is None:
            return
        taken = self.seconds.get((method, pattern))
        if taken is None:
            taken = self.seconds[method, pattern] = Histogram(_REQUEST_SECONDS)
        taken.observe(seconds)


def lag_histogram() -> Histogram:
    """For how late the event loop was, in seconds."""
    return Histogram(_LAG_SECONDS)
