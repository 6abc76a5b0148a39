"""Who may come in: the token, and who a request then speaks for. What a request looks like is known to `api/`."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from ironclaw.values import frozen


@frozen
class Principal:
    """Whoever a request speaks for; *name* keys the rate limits and never reaches a log."""

    name: str


OWNER = Principal("owner")

Authenticate = Callable[[Any], "Principal | Awaitable[Principal | None] | None"]
"""A host program's own login: gets the aiohttp request, gives who it speaks for, or None to refuse it. Replaces tokens."""


class TokenAuthority:
    """Knows the one token of this gateway."""

    def __init__(self, token: str) -> None:
        self._token = token.encode("utf-8", "surrogateescape")

    def identify(self, given: list[str]) -> Principal | None:
        """The owner when every given token is the right one; None when one is wrong or there is none.

        Compared as bytes in constant time: text that is no UTF-8 is simply wrong.
        """
        if not given or not self._token:
            return None
        return OWNER if min(map(self._matches, given)) else None

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)
