"""How important a line of the log is, by the names that people use. `TRACE` is a level of our own, below `DEBUG`."""

import functools
import logging
from types import MappingProxyType

TRACE = 5
LEVELS = MappingProxyType(
    {"trace": TRACE, "debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
)
"""Each level by its name, the least important first."""


@functools.lru_cache(maxsize=100)
def level_of(number: int) -> str:
    """The name of the level that a number of `logging` is at or above, as a setting takes it."""
    return next((name for name in reversed(LEVELS) if number >= LEVELS[name]), "trace")
