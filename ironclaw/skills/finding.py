"""Search over skills by words: which fit, and in what order. Which version is the newer one."""

import re
from collections.abc import Iterable

from ironclaw.skills.models import SkillItem

_WORDS = re.compile(r"\w+")
_NUMBERS = re.compile(r"\d+")


def ranked(items: Iterable[SkillItem], query: str) -> list[SkillItem]:
    """The items that have all words of *query* (as beginnings of words), else those that have some; the best first.

    All of them, by name, for an empty query.
    """
    words = _WORDS.findall(query.casefold())
    known = sorted(items, key=lambda item: item.name)
    scored = [(scores, item) for item in known if any(scores := [_score(item, word) for word in words])]
    if not words:
        return known
    if any(all(scores) for scores, _ in scored):
        scored = [(scores, item) for scores, item in scored if all(scores)]
    scored.sort(key=lambda one: (-sum(map(bool, one[0])), -sum(one[0])))
    return [item for _, item in scored]


def _score(item: SkillItem, word: str) -> int:
    """How well one word fits: a whole name is best, a part of the description counts least; 0 for not at all."""
    name = item.name.split("-")
    if word in {item.name, item.name.replace("-", "")} or word in name:
        return 8
    if any(part.startswith(word) for part in name):
        return 6
    tags = [tag.casefold() for tag in item.tags]
    if word in tags:
        return 5
    if any(part.startswith(word) for tag in tags for part in _WORDS.findall(tag)):
        return 4
    described = _WORDS.findall(item.description.casefold())
    return 3 if word in described else 2 if any(part.startswith(word) for part in described) else 0


def is_older(version: str, than: str) -> bool:
    """Whether a version comes before another one: by its numbers, and `1.0-rc1` before `1.0`."""
    return _key(version) < _key(than)


def _key(version: str) -> tuple[list[int], bool, list[int], str]:
    main, _, rest = version.strip().lower().removeprefix("v").partition("+")[0].partition("-")
    numbers = [int(number[:18]) for number in _NUMBERS.findall(main)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers, not rest, [int(number[:18]) for number in _NUMBERS.findall(rest)], rest
