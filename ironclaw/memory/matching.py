"""Which lines of one note answer a query: their rank, their text and the heading above. No file is opened here."""

import re
from collections.abc import Sequence

from ironclaw.memory.edits import split_lines
from ironclaw.memory.query import Query, fold
from ironclaw.values import frozen

MAX_SNIPPET = 300
MAX_PER_NOTE = 5
MAX_CONTEXT = 10

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MARK = re.compile(r"\n {0,3}(?:(?P<fence>```|~~~)|#{1,6}[ \t]+(?P<heading>[^\n]*?)[ \t]*#*[ \t]*\r?(?=\n|\Z))")
_TODO = re.compile(r"\s*[-*+] \[ \]|(?!\s*[-*+] \[[xX]\]).*\bTODO\b")


@frozen
class Hit:
    """A matching line: 1-based *line*, its text as *snippet*, the heading above it, and the lines around it."""

    path: str
    line: int
    snippet: str
    heading: str | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


Ranked = tuple[int, int, str, int, Hit]
"""A hit in its place: these sort as results are shown, the best first."""


def headings(text: str) -> list[tuple[int, str]]:
    """Each heading with its line; what looks like one inside a code block is none."""
    if "#" not in text:
        return []
    found: list[tuple[int, str]] = []
    text = f"\n{text}"
    fenced, line, at = False, 0, 0
    for mark in _MARK.finditer(text):
        if mark["fence"]:
            fenced = not fenced
        elif not fenced:
            line, at = line + text.count("\n", at, mark.start() + 1), mark.start() + 1
            found.append((line, mark["heading"]))
    return found


def may_have_todo(text: str) -> bool:
    """Whether one of its lines can be an open to-do."""
    return "[ ]" in text or "TODO" in text


def find(query: Query, path: str, text: str, modified: int, context: int = 0) -> tuple[list[Ranked], bool]:
    """The best lines of a note, at most 5, and whether there are more.

    Sorted by: the exact phrase before all words; a note whose name or one of whose headings has all words before others;
    the newest note (by *modified*, then by name); the line.
    """
    ranks = _ranked_lines(query, fold(text))
    if not ranks:
        return [], False
    marks = headings(text)
    titled = not query.terms or any(map(query.holds, map(fold, [path, *(heading for _, heading in marks)])))
    best = sorted(ranks)[:MAX_PER_NOTE]
    hits = _hits(path, text, sorted(line for _, line in best), marks, context)
    places = {line: 2 * rank + (not titled) for rank, line in best}
    return [(places[hit.line], -modified, path, hit.line, hit) for hit in hits], len(ranks) > len(best)


def find_todos(path: str, text: str, modified: int) -> list[Ranked]:
    """The open to-dos of a note, as `find`: one rank for all."""
    lines = [number for number, line in enumerate(split_lines(text), 1) if _TODO.match(line)]
    return [(0, -modified, path, hit.line, hit) for hit in _hits(path, text, lines, headings(text), 0)]


def _ranked_lines(query: Query, folded: str) -> list[tuple[int, int]]:
    """(rank, line number) of each line that matches. Lines without the longest word are not looked at."""
    if not query.words or not all(word in folded for word in query.words):
        return []
    found: list[tuple[int, int]] = []
    number, counted = 1, 0
    at = folded.find(query.longest)
    while at >= 0:
        start = folded.rfind("\n", 0, at) + 1
        end = folded.find("\n", at)
        number, counted = number + folded.count("\n", counted, start), start
        rank = query.rank(folded[start : end if end >= 0 else None])
        if rank is not None:
            found.append((rank, number))
        at = folded.find(query.longest, end + 1) if end >= 0 else -1
    return found


def _hits(path: str, text: str, lines: Sequence[int], marks: list[tuple[int, str]], context: int) -> list[Hit]:
    """The hits of these *lines*, which are in order, with the nearest heading above each."""
    if not lines:
        return []
    all_lines = split_lines(text)
    return [
        _hit(path, all_lines, number, _above(marks, number), context) for number in lines if number <= len(all_lines)
    ]


def _hit(path: str, lines: list[str], number: int, heading: str | None, context: int) -> Hit:
    before = tuple(map(_snippet, lines[max(0, number - 1 - context) : number - 1]))
    after = tuple(map(_snippet, lines[number : number + context]))
    return Hit(path, number, _snippet(lines[number - 1]), heading, before, after)


def _above(marks: list[tuple[int, str]], number: int) -> str | None:
    heading = next((heading for line, heading in reversed(marks) if line < number), "")
    return _snippet(heading) or None


def _snippet(line: str) -> str:
    text = _CONTROL.sub(" ", line).strip()
    return text if len(text) <= MAX_SNIPPET else text[: MAX_SNIPPET - 1] + "…"
