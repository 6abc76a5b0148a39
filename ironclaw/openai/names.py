"""Which model a name means: the agent, a model of the connected server, or the one that stands in for a missing one."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import quote

AGENT = "ironclaw"
"""The name under which the agent is a model."""

ANSWERED_BY = "X-IronClaw-Model"
"""The header that says which model has answered."""

_REMEMBERED = 60.0  # seconds: a model may be pulled meanwhile
_MOST_REMEMBERED = 256


class Names:
    """The *aliases* that the settings give, and the names that the server has said it does not know."""

    def __init__(self, aliases: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._aliases = aliases
        self._clock = clock
        self._missing: OrderedDict[tuple[str, str], float] = OrderedDict()

    def meant(self, server: str, name: str) -> str | None:
        """The model to ask a server for; None: its default one. An alias goes before the server's own names."""
        name = self._aliases.get(name, name)
        known_until = self._missing.get((server, name))
        return None if known_until is not None and known_until > self._clock() else name

    def is_missing(self, server: str, name: str) -> None:
        """The server has no model of that name: for a while it is not asked for it again."""
        self._missing[server, name] = self._clock() + _REMEMBERED
        self._missing.move_to_end((server, name))
        if len(self._missing) > _MOST_REMEMBERED:
            self._missing.popitem(last=False)


def answered_by(model: str) -> dict[str, str]:
    """The header for a model's name; what no header can hold is escaped as in a URL."""
    return {ANSWERED_BY: model if model.isascii() and model.isprintable() else quote(model, safe="/:")}
