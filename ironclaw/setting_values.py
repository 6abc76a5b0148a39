"""How the text of a setting becomes its value.

Each parser takes a text and raises *NotAllowedError*, which says what is allowed. Which settings there are stands in
`settings.py`.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotAllowedError(ValueError):
    """A value that can't be taken; the text says what is allowed."""


def integer(lowest: int, highest: int, allowed: str) -> Callable[[str], int]:
    """A whole number within these bounds; *allowed* says them."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 16 and lowest <= int(text) <= highest):
            raise NotAllowedError(allowed)
        return int(text)

    return parse


def seconds(text: str, lowest: float = 0.0) -> float:
    """A span in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not lowest <= value <= 86_400:
        raise NotAllowedError(f"seconds, from {lowest:g} to 86400")
    return value


def choice(*allowed: str) -> Callable[[str], str]:
    """One of these words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise NotAllowedError(", ".join(allowed))
        return text.lower()

    return parse


def switch(text: str) -> bool:
    """On or off, in the usual words."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise NotAllowedError("on or off")
    return known[text.lower()]


def path(text: str) -> Path:
    """An absolute path; `~` is a home."""
    try:
        found = Path(text).expanduser().absolute()
        too_long = any(len(os.fsencode(part)) > 255 for part in found.parts)
    except (RuntimeError, UnicodeEncodeError):
        raise NotAllowedError("a path; ~name must be a user of this machine") from None
    if too_long or "\0" in text or len(os.fsencode(found)) > 4000:
        raise NotAllowedError("a path that this system can have")
    return found


def paths(text: str) -> tuple[Path, ...]:
    """Paths separated by colons."""
    return tuple(path(part) for part in text.split(":") if part.strip())


def words(text: str) -> tuple[str, ...]:
    """Words separated by commas or spaces."""
    return tuple(part for part in text.replace(",", " ").split() if part)


def aliases(text: str) -> Mapping[str, str]:
    """Pairs of a name and what stands for it."""
    pairs = [part.partition("=") for part in words(text)]
    if not all(name and model for name, _, model in pairs):
        raise NotAllowedError("pairs such as gpt-4=llama3, separated by commas")
    return {name: model for name, _, model in pairs}


def origins(text: str) -> tuple[str, ...] | None:
    """Web origins; None for `none`."""
    if text.strip().lower() == "none":
        return None
    found = words(text)
    for origin in found:
        if not _is_web_address(origin) or urlsplit(origin).path:
            raise NotAllowedError("origins such as https://app.example.com, separated by commas, or none")
    return found


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks."""
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in words(text))
    except ValueError:
        raise NotAllowedError("addresses or networks such as 127.0.0.1, 10.0.0.0/8, separated by commas") from None


def url(text: str) -> str:
    """A web address, without the slash at its end."""
    if not _is_web_address(text):
        raise NotAllowedError("a URL such as https://ironclaw.example.com")
    return text.rstrip("/")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        port_is_fine and parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query + parts.fragment
    )
