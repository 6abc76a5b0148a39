"""Token buckets: how often a principal may call. Which request costs what is said in the route table.

A bucket holds N requests and refills at N a minute. aiolimiter waits by itself; here nothing waits: `has_room` asks and
`spend` takes, and what has no room is refused by the caller.
"""

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Self

from ironclaw.errors import RateLimited, Unavailable

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

_MOST_BUCKETS = 4096


class Limit:
    """One rate, *per_minute* for each key; 0 is no limit. The number of buckets is bounded: the idlest go first."""

    def __init__(self, name: str, per_minute: int) -> None:
        self.name = name
        self.per_minute = per_minute
        self._buckets: OrderedDict[str, AsyncLimiter] = OrderedDict()

    @property
    def retry_after(self) -> int:
        """Whole seconds until there is room for one more."""
        return math.ceil(60 / self.per_minute) if self.per_minute else 1

    def has_room(self, key: str) -> bool:
        """Whether one more is allowed now; takes nothing."""
        return not self.per_minute or self._bucket(key).has_capacity()

    async def spend(self, key: str) -> None:
        """Take one. Ask `has_room` first, without awaiting in between: then this never waits."""
        if self.per_minute:
            await self._bucket(key).acquire()

    def check(self, key: str) -> None:
        """Raise *RateLimited* when there is no room."""
        if not self.has_room(key):
            raise self.refusal()

    def refusal(self) -> RateLimited:
        """The error for one too many."""
        return RateLimited(
            f"Too many requests: {self.per_minute} a minute are allowed ({self.name}). "
            f"Try again in {self.retry_after} s.",
            retry_after=self.retry_after,
            limit=self.per_minute,
        )

    def _bucket(self, key: str) -> "AsyncLimiter":
        bucket = self._buckets.get(key)
        if bucket is None:
            from aiolimiter import AsyncLimiter  # noqa: PLC0415 - costs 6 ms of the start, most of it for its version

            bucket = self._buckets[key] = AsyncLimiter(self.per_minute, 60)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket


class RateLimits:
    """The limits of the gateway: `api` and `chat` for each token, `login` for wrong tokens of one address."""

    def __init__(self, *, api: int, chat: int, login: int) -> None:
        self.api = Limit("API requests", api)
        self.chat = Limit("chat messages", chat)
        self.login = Limit("wrong tokens from this address", login)

    async def spend(self, key: str, *limits: Limit) -> None:
        """Take one from each of *limits*, or nothing from any: then *RateLimited*."""
        for limit in limits:
            limit.check(key)
        for limit in limits:
            await limit.spend(key)


class StreamSlots:
    """How many streams may be open at once, and how many are."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def take(self) -> Self:
        """Hold one slot, while in this context. Raises *Unavailable* when there is none."""
        if self.taken >= self.most:
            raise Unavailable(
                f"All {self.most} streams are in use. Close one, or set GATEWAY_MAX_STREAMS higher.",
                code="too_many_streams",
                retry_after=5,
            )
        self.taken += 1
        return self

    # A generator would be half a kilobyte for each stream, as long as that is open.

    def __enter__(self) -> None:
        """The slot is held."""

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.taken -= 1
