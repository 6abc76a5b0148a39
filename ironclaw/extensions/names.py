"""What an extension may be called. Loaded with the route table, so nothing more is in here."""

import re

from ironclaw.errors import Invalid

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){0,30}[a-z0-9]|[a-z0-9]")
RESERVED = frozenset({"list", "install", "registry", "search", "preview"})
"""Words that stand in paths where a name would."""


def check_name(name: str) -> str:
    """The name of an extension. Raises *Invalid* for anything but a short word of a-z, 0-9 and single dashes."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise Invalid(
            "An extension's name has 1 to 32 characters of a-z, 0-9 and single dashes between them.", field="name"
        )
    return name
