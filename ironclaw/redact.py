"""Masks secrets in text that leaves the program: logs, previews, errors. It knows patterns and the program's own tokens.

It is applied to finished text (arguments and tracebacks already in it), because a secret that is split over a template
and its arguments can't be seen before.
"""

import json
import re

MASK = "***"
KEY_REMOVED = "[key removed]"

_KEYS = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{12,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"
    r"|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|xox[abprs]-[A-Za-z0-9-]{10,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|(?i:bearer)\s+[\w.~+/=-]{16,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.S,
)

# Each pattern keeps its first group and masks the rest.
_PATTERNS = (
    re.compile(r"((?:[?&]|\b)(?:token|api_key|key|code|state)=)[^&\s\"']+", re.I),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
    re.compile(r"(\bbearer\s+)[^\s\"'\\,]+", re.I),
    re.compile(r"(\bauthorization[\"']?\s*[:=]\s*[\"']?)(?!bearer\b)[^\s\"'\\,]+(?:\s+[^\s\"'\\,]+)?", re.I),
)
_SHORTEST_SECRET = 6
_SURELY_SECRET = 16  # shorter ones may be words of a message


class Redactor:
    """Masks known patterns and the exact secrets it was given."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Mask *secret* from now on. Very short ones are left alone: they would mask ordinary words."""
        if len(secret) >= _SHORTEST_SECRET and secret not in self._secrets:
            # The same secret as it looks inside a repr and inside JSON.
            forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
            self._secrets = tuple(sorted({*self._secrets, *forms}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """The text with every secret replaced by `***`."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return _KEYS.sub(MASK, text)

    def remove_keys(self, text: str) -> str:
        """What somebody wrote, without keys pasted into it: those are neither stored, shown nor sent to a model."""
        for secret in self._secrets:
            if len(secret) >= _SURELY_SECRET:
                text = text.replace(secret, KEY_REMOVED)
        return _KEYS.sub(KEY_REMOVED, text)


redact = Redactor()
"""The process's own: secrets are added as they become known, and every log formatter uses it."""


def printable(text: str) -> str:
    """The text with control characters shown as escapes, so that no line can be forged and no terminal driven."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
