"""Reads the JSON of a model's server, which nobody promises to be right. Which fields there are, the protocols know."""

import json
import math
from typing import Any

import orjson

_MOST_TOKENS = 100_000_000  # in one call; more can't be true
_MOST_DOLLARS = 10_000.0


def parse(data: bytes | bytearray) -> Any:
    """Plain data from JSON bytes; NaN becomes None and half a surrogate pair `?`. Raises ValueError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _parse_leniently(data)


def _parse_leniently(data: bytes | bytearray) -> Any:
    """Servers in Python write NaN, those in JavaScript cut an emoji in two: Python's own parser takes both."""
    try:
        value = json.loads(data, parse_constant=lambda _: None)
        return orjson.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def text(value: Any) -> str:
    """The string, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    """The object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The list, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def count(value: Any) -> int | None:
    """A number of tokens; None for what can't be one: negative, not whole, absurdly large."""
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def dollars(value: Any) -> float | None:
    """A price; None for what can't be one: negative, not finite, absurdly high."""
    if type(value) not in {int, float} or not math.isfinite(value):
        return None
    return float(value) if 0 <= value <= _MOST_DOLLARS else None


def arguments(value: Any) -> str:
    """A call's arguments as JSON text; some servers send the object itself."""
    return orjson.dumps(value).decode() if isinstance(value, dict) else text(value)


def arguments_object(written: str) -> dict[str, Any]:
    """The arguments that a model wrote, as an object; an empty one if it wrote none. Servers refuse a history without."""
    try:
        return mapping(orjson.loads(written))
    except orjson.JSONDecodeError:
        return {}
