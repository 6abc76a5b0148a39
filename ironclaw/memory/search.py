"""Plain search, line by line, over the notes as they are on the disk now. What a model reads of it: `tools.py`."""

import asyncio
import re
import unicodedata
from collections.abc import Callable

import attrs

from ironclaw.errors import Invalid
from ironclaw.memory.workspace import NoteInfo, Workspace, split_lines

MAX_QUERY = 1000
MAX_SNIPPET = 300
MAX_PER_NOTE = 5

# Ideographs and kana, which are written without spaces between words.
_CJK = re.compile(
    r"([\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
_WORD = re.compile(r"[^\W_]+")
_GAP = r"[\W_]+"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_TODO = re.compile(r"\s*[-*+] \[ \]|(?!\s*[-*+] \[[xX]\]).*\bTODO\b")


@attrs.frozen
class Hit:
    """A matching line: 1-based *line*, its text as *snippet*, and the heading above it."""

    path: str
    line: int
    snippet: str
    heading: str | None = None


@attrs.frozen
class Results:
    """The best hits first; *notes* is how many notes were searched, *truncated* whether more lines match."""

    hits: tuple[Hit, ...]
    notes: int
    truncated: bool


@attrs.frozen
class Query:
    """What a line must hold: all *terms*; *phrase* is all of it in one piece. Both are for folded text."""

    terms: tuple[re.Pattern[str], ...]
    phrase: re.Pattern[str]

    def rank(self, line: str) -> int | None:
        """0 for the exact phrase, 1 for all words, None for no match."""
        if not all(term.search(line) for term in self.terms):
            return None
        return 0 if self.phrase.search(line) else 1


def fold(text: str) -> str:
    """The form in which texts are compared: no marks, no case, a space around each CJK character."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _CJK.sub(r" \1 ", bare.casefold())


def parse(query: str) -> Query:
    """The query in *query*: words are prefixes, a "quoted phrase" stands for itself.

    Raises *Invalid* for an empty or overlong one, and for nothing else.
    """
    if not query.strip():
        raise Invalid("The query is empty.", field="query")
    if len(query) > MAX_QUERY:
        raise Invalid(f"The query is longer than {MAX_QUERY} characters.", field="query")
    pieces = query.split('"')
    plain = [word for piece in pieces[::2] for word in piece.split()]
    terms = [_pattern(_words(word)) for word in plain if _words(word)]
    terms += [_pattern(_words(piece), whole=True) for piece in pieces[1::2] if _words(piece)]
    if not terms:
        # Nothing but signs, such as "- [ ]": then just these signs.
        literal = re.compile(re.escape(fold(query).strip()))
        return Query((literal,), literal)
    return Query(tuple(terms), _pattern(_words(query)))


async def search(workspace: Workspace, query: str, *, limit: int = 50) -> Results:
    """The lines that match: the exact phrase first, then the newest note; at most 5 a note and *limit* in all.

    Raises *Invalid* as `parse`.
    """
    return await asyncio.to_thread(_search, workspace, parse(query), limit)


async def todos(workspace: Workspace, *, limit: int = 200) -> Results:
    """Every open `- [ ]` and every TODO, note by note, the newest note first; at most *limit*."""
    return await asyncio.to_thread(_todos, workspace, limit)


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text))


def _pattern(words: list[str], *, whole: bool = False) -> re.Pattern[str]:
    """The words next to each other; the last one may go on, unless *whole*."""
    end = r"(?![^\W_])" if whole else ""
    return re.compile(r"(?<![^\W_])" + _GAP.join(map(re.escape, words)) + end)


def _search(workspace: Workspace, query: Query, limit: int) -> Results:
    ranked: list[tuple[int, Hit]] = []
    notes, truncated = 0, False
    for note, text in workspace.texts():
        notes += 1
        best = sorted(_ranked_lines(text, query))
        truncated |= len(best) > MAX_PER_NOTE
        kept = {number: rank for rank, number in best[:MAX_PER_NOTE]}
        ranked += [(kept[hit.line], hit) for hit in _hits(note, text, kept.__contains__)] if kept else []
    # Notes come newest first, and sorting keeps the order of equals.
    ranked.sort(key=lambda one: one[0])
    hits = tuple(hit for _, hit in ranked[:limit])
    return Results(hits, notes, truncated or len(ranked) > limit)


def _ranked_lines(text: str, query: Query) -> list[tuple[int, int]]:
    """(rank, line number) of each line that matches."""
    folded = fold(text)
    if not all(term.search(folded) for term in query.terms):
        return []
    ranks = ((query.rank(line), number) for number, line in enumerate(folded.split("\n"), 1))
    return [(rank, number) for rank, number in ranks if rank is not None]


def _todos(workspace: Workspace, limit: int) -> Results:
    hits: list[Hit] = []
    notes = 0
    for note, text in workspace.texts():
        notes += 1
        numbers = {number for number, line in enumerate(split_lines(text), 1) if _TODO.match(line)}
        hits += _hits(note, text, numbers.__contains__) if numbers else []
    return Results(tuple(hits[:limit]), notes, len(hits) > limit)


def _hits(note: NoteInfo, text: str, wanted: Callable[[int], bool]) -> list[Hit]:
    """The wanted lines with the heading above each; what looks like a heading inside a code block is none."""
    hits: list[Hit] = []
    heading: str | None = None
    fenced = False
    for number, line in enumerate(split_lines(text), 1):
        if wanted(number):
            hits.append(Hit(note.path, number, _snippet(line), heading))
        fenced ^= _FENCE.match(line) is not None
        if not fenced and (match := _HEADING.match(line)):
            heading = _snippet(match[1]) or None
    return hits


def _snippet(line: str) -> str:
    text = _CONTROL.sub(" ", line).strip()
    return text if len(text) <= MAX_SNIPPET else text[: MAX_SNIPPET - 1] + "…"
