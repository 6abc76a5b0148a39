"""What a skill may be called, and which names are so near another one that people could take them for it."""

import re

from ironclaw.errors import Invalid

MOST_CHARACTERS = 64
RESERVED = frozenset({"list", "install", "registry", "search", "preview"})
"""Parts of the routes, so no skill can have such a name."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SPACES = re.compile(r"[\s_.-]+")
_LOOKS_LIKE = str.maketrans("0135", "oles")
_SHORTEST = 5  # of names this short a neighbour is most likely just another word


def problem_of(name: str) -> str | None:
    """What is wrong with a name, in words that follow "The name"; None for a good one."""
    if not _NAME.fullmatch(name):
        return "has small letters a to z, digits, and single hyphens between them"
    if len(name) > MOST_CHARACTERS:
        return f"has at most {MOST_CHARACTERS} characters"
    return "is a part of the API's addresses; choose another one" if name in RESERVED else None


def check_name(name: str) -> str:
    """The name as it is. Raises *Invalid*."""
    if problem := problem_of(name):
        raise Invalid(f"The name of a skill {problem}.", field="name")
    return name


def name_of(text: str) -> str:
    """The name that a title such as `PDF Processing` stands for; what has other letters stays as it is."""
    return _SPACES.sub("-", text.strip()).strip("-").lower() if text.isascii() else text


def lookalike(name: str, known: str) -> bool:
    """Whether *name* could be taken for *known*, which it is not."""
    one, other = _folded(name), _folded(known)
    if name == known or len(known) < _SHORTEST:
        return False
    return one == other or _one_slip_apart(one, other)


def _folded(name: str) -> str:
    return name.replace("-", "").translate(_LOOKS_LIKE).replace("rn", "m").replace("vv", "w")


def _one_slip_apart(one: str, other: str) -> bool:
    """Whether one letter more, less or changed, or two neighbours exchanged, make one out of the other."""
    if abs(len(one) - len(other)) > 1:
        return False
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, others = one[same:], other[same:]
    if len(rest) == len(others):
        return rest[1:] == others[1:] or (rest[:2] == others[1::-1] and rest[2:] == others[2:])
    return rest[1:] == others or rest == others[1:]
