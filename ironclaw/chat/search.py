"""Finds what was said: the SQL of the full-text index over all turns, and the snippet to show.

The index holds folded text (no case, no accents, each CJK character a word), so that it compares as the search of notes
does. A turn is indexed when it ends.
"""

import re
import sqlite3

import attrs

from ironclaw.database import Migration
from ironclaw.errors import Invalid
from ironclaw.memory.query import fold
from ironclaw.values import frozen

MIGRATIONS = (
    Migration(
        31,
        "search of turns",
        "CREATE VIRTUAL TABLE turns_text USING fts5 (user_message, response, content = '', tokenize = 'unicode61')",
    ),
)
_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 16
_AROUND = 80


@frozen
class SearchHit:
    """Where something was said. *role* is `user`, `assistant`, or `title` (then there is no message)."""

    thread_id: str
    title: str
    message_id: str | None = attrs.field()
    role: str
    snippet: str
    created_at: str


def add(db: sqlite3.Connection, message_id: str) -> None:
    """Index a turn that has ended."""
    row = db.execute("SELECT seq, user_message, response FROM turns WHERE message_id = ?", (message_id,)).fetchone()
    if row is not None:
        values = (row[0], fold(row[1]), fold(row[2] or ""))
        db.execute("INSERT INTO turns_text (rowid, user_message, response) VALUES (?, ?, ?)", values)


def forget_thread(db: sqlite3.Connection, thread_id: str) -> None:
    """Take a thread's turns out of the index, before they are deleted."""
    rows = db.execute(
        "SELECT seq, user_message, response FROM turns WHERE thread_id = ?"
        " AND state NOT IN ('queued', 'running', 'waiting')",
        (thread_id,),
    ).fetchall()
    for seq, question, answer in rows:
        # An index without content must be told what to forget.
        values = (seq, fold(question), fold(answer or ""))
        db.execute(
            "INSERT INTO turns_text (turns_text, rowid, user_message, response) VALUES ('delete', ?, ?, ?)", values
        )


def search(db: sqlite3.Connection, query: str, limit: int) -> tuple[list[SearchHit], bool]:
    """The newest *limit* places that have all the words of *query*, and whether there are more.

    Words match by their beginning, quotes make a phrase. Raises *Invalid* when there is no word in it.
    """
    terms = _terms(query)
    titles = db.execute("SELECT id, title, created_at FROM threads ORDER BY rank DESC").fetchall()
    hits = [
        SearchHit(row[0], row[1], None, "title", row[1], row[2])
        for row in titles
        if all(pattern.search(fold(row[1])) for pattern in map(_pattern, terms))
    ]
    match = " AND ".join(f'"{" ".join(words)}"{"*" if prefix else ""}' for words, prefix in terms)
    rows = db.execute(
        "SELECT t.thread_id, h.title, t.message_id, t.user_message, t.response, t.created_at FROM turns_text"
        " JOIN turns t ON t.seq = turns_text.rowid JOIN threads h ON h.id = t.thread_id"
        " WHERE turns_text MATCH ? ORDER BY turns_text.rowid DESC LIMIT ?",
        (match, limit + 1),
    ).fetchall()
    hits += [_hit(row, terms) for row in rows]
    return hits[:limit], len(hits) > limit


def _hit(row: sqlite3.Row, terms: list[tuple[list[str], bool]]) -> SearchHit:
    first = _pattern(terms[0])
    role, text = ("user", row[3]) if first.search(fold(row[3])) else ("assistant", row[4] or "")
    return SearchHit(row[0], row[1], row[2], role, _snippet(text, first), row[5])


def _terms(query: str) -> list[tuple[list[str], bool]]:
    """(words in a row, whether the last one may go on), for each word and quoted phrase."""
    pieces = query.split('"')
    terms = [([word], True) for piece in pieces[::2] for word in _WORD.findall(fold(piece))]
    terms += [(words, False) for words in (_WORD.findall(fold(piece)) for piece in pieces[1::2]) if words]
    if not terms:
        raise Invalid("There is no word in the query. Write what to look for.", field="query")
    return terms[:_MOST_WORDS]


def _pattern(term: tuple[list[str], bool]) -> re.Pattern[str]:
    words, prefix = term
    return re.compile(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, words)) + ("" if prefix else r"(?![^\W_])"))


def _snippet(text: str, pattern: re.Pattern[str]) -> str:
    """The line that matches, cut around the match."""
    for line in text.splitlines():
        match = pattern.search(fold(line))
        if match is not None:
            # Folding may move places a little; the window is wide enough for that.
            start = max(0, min(match.start(), len(line)) - _AROUND)
            cut = line[start : start + 3 * _AROUND]
            return ("…" if start else "") + cut.strip() + ("…" if start + 3 * _AROUND < len(line) else "")
    return text[: 3 * _AROUND].strip()
