"""What a query means: the folded form in which texts are compared, and what a line must hold. Texts are not read here."""

import re
import unicodedata

import attrs

from ironclaw.errors import Invalid
from ironclaw.values import frozen

MAX_QUERY = 1000

# Ideographs and kana, which are written without spaces between words.
_CJK = re.compile(
    r"([\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
_WORD = re.compile(r"[^\W_]+")
_NO_SIGNS = bytes(code for code in range(128) if chr(code).isalnum() or chr(code).isspace())
_GAP = r"[^\w\n]"  # between the words of a phrase; a phrase never goes over the end of a line


@frozen
class Term:
    """Words that stand next to each other; the last may go on, unless *whole*."""

    words: tuple[str, ...]
    whole: bool = False
    pattern: re.Pattern[str] = attrs.field(init=False, eq=False)

    @pattern.default
    def _pattern(self) -> re.Pattern[str]:
        end = r"(?![^\W_])" if self.whole else ""
        return re.compile(r"(?<![^\W_])" + f"(?:{_GAP}|_)+".join(map(re.escape, self.words)) + end)


@frozen
class Query:
    """What a line must hold: all *terms*; *phrase* is all of it in one piece.

    A query of signs alone, such as `- [ ]`, has no terms: a line must then hold just these *signs*.
    """

    terms: tuple[Term, ...] = ()
    phrase: Term = Term(())
    signs: str = ""

    words: tuple[str, ...] = attrs.field(init=False)
    """All that must be in the text somewhere: words, or the signs; empty for a query that finds nothing."""

    @words.default
    def _words(self) -> tuple[str, ...]:
        return tuple(word for term in self.terms for word in term.words) or ((self.signs,) if self.signs else ())

    @property
    def longest(self) -> str:
        """The longest of the words, which few lines have."""
        return max(self.words, key=len)

    @property
    def has_ranks(self) -> bool:
        """Whether a line can match without holding the phrase."""
        return len(self.terms) > 1

    def rank(self, line: str) -> int | None:
        """0 where the folded *line* holds the exact phrase, 1 for all words, None for no match."""
        if not self.words or not self.holds(line):
            return None
        return 0 if not self.has_ranks or self.phrase.pattern.search(line) else 1

    def holds(self, text: str) -> bool:
        """Whether all terms are in the folded *text*."""
        return self.signs in text and all(term.pattern.search(text) for term in self.terms)


def fold(text: str) -> str:
    """The form in which texts are compared: no marks, no case, a space around each CJK character."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _CJK.sub(r" \1 ", bare.casefold())


def words_of(folded: str) -> list[str]:
    """The words of a folded text."""
    return _WORD.findall(folded)


def signs_of(folded: str) -> list[str]:
    """Each character of a folded text that is neither in a word nor space, once."""
    if folded.isascii():
        return list(set(folded.encode().translate(None, _NO_SIGNS).decode()))
    return [sign for sign in set(folded) if not sign.isspace() and not _WORD.match(sign)]


def parse(query: str) -> Query:
    """The query in *query*: words are prefixes, a "quoted phrase" stands for itself.

    Raises *Invalid* for an empty or overlong one, and for nothing else.
    """
    if not query.strip():
        raise Invalid("The query is empty.", field="query")
    if len(query) > MAX_QUERY:
        raise Invalid(f"The query is longer than {MAX_QUERY} characters.", field="query")
    pieces = query.split('"')
    terms = [_term(word) for piece in pieces[::2] for word in piece.split()]
    terms += [_term(piece, whole=True) for piece in pieces[1::2]]
    terms = [term for term in terms if term.words]
    if not terms:
        return Query(signs=fold(query).strip())
    return Query(tuple(terms), _term(query))


def _term(text: str, *, whole: bool = False) -> Term:
    return Term(tuple(words_of(fold(text))), whole)
