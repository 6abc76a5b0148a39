"""`add milk to the shopping list`: which note is meant, from what searches found, and what is said where it isn't clear."""

import re
from collections.abc import Sequence

from ironclaw.llm.builtin import answers
from ironclaw.llm.builtin.phrases import Plan
from ironclaw.values import frozen

Call = tuple[str, dict[str, object]]
_PATH = re.compile(r"\S+\.(?:md|markdown|txt)", re.I)
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*")
_LOOKS = 2  # how many tools look before one writes


@frozen
class _Place:
    """A note, or a section of it."""

    path: str
    heading: str = ""


def calls(plan: Plan, results: Sequence[str]) -> list[Call]:
    """The tools to call next: first those that look for the list, then, where it is one, the one that adds."""
    if _PATH.fullmatch(plan.place):
        return [] if results else [_adding(plan, _Place(plan.place))]
    if not results:
        return [
            ("FileList", {"name": plan.place}),
            ("MemorySearch", {"query": plan.place, "limit": 100}),
        ]
    places = _places(plan, results)
    return [_adding(plan, places[0])] if len(results) == _LOOKS and len(places) == 1 else []


def answer(plan: Plan, results: Sequence[str]) -> str:
    """What was added where, or which lists there are."""
    if _PATH.fullmatch(plan.place) or len(results) > _LOOKS:
        return results[-1]
    places = _places(plan, results)
    if not places:
        name = re.sub(r"\W+", "-", plan.place.lower()).strip("-") or "list"
        return f"No note has *{plan.place}* in its name or in a heading. `add {plan.text} to {name}.md` makes one."
    shown = [f"- `{one.path}`{f' (under “{one.heading}”)' if one.heading else ''}" for one in places]
    return "\n".join([f"Which one? Say it with its path, such as `add {plan.text} to {places[0].path}`:", *shown])


def _adding(plan: Plan, place: _Place) -> Call:
    text = plan.text if re.match(r"[-*+] ", plan.text) else f"- {plan.text}"
    heading = {"heading": place.heading} if place.heading else {}
    return "FileAppend", {"text": text, "path": place.path, **heading}


def _places(plan: Plan, results: Sequence[str]) -> list[_Place]:
    """The notes that are called so; where none is, the headings."""
    named = [_Place(path) for line in results[0].splitlines() if (path := line.partition("\t")[0]) != line]
    if named:
        return named
    _, hits = answers.hits(results[1])
    found = [(hit.path, _HEADING.fullmatch(hit.text)) for hit in hits]
    return [_Place(path, match[1]) for path, match in found if match]
