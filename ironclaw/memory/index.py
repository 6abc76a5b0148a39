"""The index of large workspaces: an SQLite file that says which notes may hold a query, and nothing else.

It is disposable: rebuilt from the notes when it is missing, damaged, of another version or was not closed in peace, and
never in a backup. What it proposes is read and matched by `search.py`; when it is kept fresh is `keeper.py`.

Rows are numbered by the notes' order when it was built, the oldest first, so that the newest come first by going
backwards. A note that changes later gets a new row behind these (a `late` row, sorted when it is asked for) and its old
row a tombstone: it is no longer in `docs`. A contentless table can't delete before SQLite 3.43.

The words are found by `query.py`, as for the matching, and FTS5 gets them apart by spaces: its `ascii` tokenizer then
cuts nowhere else, whatever Unicode it knows. Each other sign of a note is a word of its own, such as `u5b` for `[`;
`todo` and `long` say what else is in it.
"""

import contextlib
import heapq
import sqlite3
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from ironclaw.home import write_private
from ironclaw.memory import catalogue
from ironclaw.memory.matching import headings, may_have_todo
from ironclaw.memory.query import Query, Term, fold, signs_of, words_of
from ironclaw.values import frozen

TODO = 'signs : "todo"'
"""What finds the notes that may have an open to-do."""

_VERSION = 1
_LOOK_FIRST = 300
_LONG = 24  # words
_MANY = 1000
_MOST_TERMS = 8  # each costs time of its own; the lines are matched with all of them
_SCHEMA = """
CREATE TABLE docs (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, modified INTEGER NOT NULL, stamp INTEGER NOT NULL,
    readable INTEGER NOT NULL);
CREATE TABLE facts (base INTEGER NOT NULL, next INTEGER NOT NULL, readable INTEGER NOT NULL);
CREATE VIRTUAL TABLE titles USING fts5 (title, content = '', columnsize = 0, tokenize = 'ascii', prefix = '1 2');
CREATE VIRTUAL TABLE text USING fts5 (body, signs, content = '', columnsize = 0, tokenize = 'ascii');
INSERT INTO text (text, rank) VALUES ('hashsize', 16777216);
"""

Row = tuple[int, str, int]
"""A note that may match: its row, its path, and when it was changed (nanoseconds)."""


@frozen
class Document:
    """A note to be indexed; *text* is None where it can't be read."""

    path: str
    modified: int
    stamp: int
    text: str | None


def documents(root: Path, path: str) -> Iterator[Document]:
    """Each note at or beneath *path* as it is now."""
    for found, info in catalogue.notes(root, path):
        note = catalogue.read(root, found)
        if note is None:
            yield Document(found, info.st_mtime_ns, catalogue.stamp(info), None)
        else:
            yield Document(found, note.modified, note.stamp, note.text)


class Index:
    """One open index. Written by one thread, read by one other, with a connection each. Raises *sqlite3.Error*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = _connect(path)
        try:
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._reader = _connect(path)
            self._base: int = self._writer.execute("SELECT base FROM facts").fetchone()[0]
        except BaseException:
            self._writer.close()
            raise

    def close(self, root: Path | None = None) -> None:
        """Close it; with *root*, the folder that it is of, it may be opened again by `open_index`."""
        for connection in (self._reader, self._writer):
            connection.close()
        if root is not None:
            write_private(_seal_of(self.path), _seal(self.path, root))

    # The writing thread

    def stamps(self) -> Iterator[tuple[str, int]]:
        """Each indexed note and the stamp that it had."""
        return self._writer.execute("SELECT path, stamp FROM docs")

    def update(self, paths: Iterable[str], new: Iterable[Document]) -> None:
        """Forget *paths* and index *new*, together."""
        with _transaction(self._writer) as db:
            db.executemany("DELETE FROM docs WHERE path = ?", ((path,) for path in paths))
            (number,) = db.execute("SELECT next FROM facts").fetchone()
            for number, document in enumerate(new, number):  # noqa: B020 - goes on from there
                _insert(db, number, document)
            db.execute(
                "UPDATE facts SET next = ?, readable = (SELECT count(*) FROM docs WHERE readable)", (number + 1,)
            )

    def is_worn(self) -> bool:
        """Whether so much has changed since it was built that it should be built anew."""
        (late,) = self._writer.execute("SELECT count(*) FROM docs WHERE id > ?", (self._base,)).fetchone()
        (kept,) = self._writer.execute("SELECT count(*) FROM docs WHERE id <= ?", (self._base,)).fetchone()
        return bool(late + self._base - kept > max(_MANY, self._base // 4))

    # The reading thread

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read in it belongs to one moment."""
        self._reader.execute("BEGIN")
        try:
            yield
        finally:
            self._reader.execute("ROLLBACK")

    def count(self, folder: str = "") -> int:
        """How many readable notes are indexed in *folder*."""
        if not folder:
            return int(self._reader.execute("SELECT readable FROM facts").fetchone()[0])
        sql = f"SELECT count(*) FROM docs d WHERE readable AND {_INSIDE}"  # noqa: S608
        return int(self._reader.execute(sql, _inside(folder)).fetchone()[0])

    def passes(self, query: Query, folder: str = "") -> list[Iterable[Row]]:
        """For each rank of `matching.find`, the best first: all notes that may have such a line, the newest first.

        A note may come again in a later one. Nothing is read before it is asked for.
        """
        if not query.words:
            return []
        if not query.terms:
            return [self.having(_signs(query.signs), folder)]
        titles = _Kept(self._rows("titles", _titles(query.terms), folder))
        found: list[Iterable[Row]] = []
        for terms in ((query.phrase,), query.terms) if query.has_ranks else (query.terms,):
            selective, exact = _all_of(terms), _all_of(terms, exact=True)
            if selective is None and not query.has_ranks:
                found += [titles, self._look_first(exact, folder)]
            else:
                rows = _Kept(self.having(selective or exact, folder))
                found += [_both(titles, rows), rows]
        return found

    def having(self, expression: str | None, folder: str = "") -> Iterator[Row]:
        """The notes that match the FTS5 *expression*, or all notes, the newest first."""
        return self._rows("text", expression, folder) if expression else self._all_rows(folder)

    def _look_first(self, expression: str | None, folder: str) -> Iterator[Row]:
        """For words so short that FTS5 has much to merge: what so many notes have, the newest have too."""
        return chain(islice(self._all_rows(folder), _LOOK_FIRST), self.having(expression, folder))

    def _rows(self, table: str, expression: str, folder: str) -> Iterator[Row]:
        inside = f" AND {_INSIDE}" if folder else ""
        sql = (
            f"SELECT d.id, d.path, d.modified FROM {table} t CROSS JOIN docs d ON d.id = t.rowid"  # noqa: S608
            f" WHERE {table} MATCH :match{inside} ORDER BY t.rowid DESC"
        )
        return self._in_order(sql, {"match": expression, **_inside(folder)})

    def _all_rows(self, folder: str) -> Iterator[Row]:
        inside = f" AND {_INSIDE}" if folder else ""
        sql = f"SELECT id, path, modified FROM docs d WHERE readable{inside} ORDER BY id DESC"  # noqa: S608
        return self._in_order(sql, _inside(folder))

    def _in_order(self, sql: str, values: dict[str, str]) -> Iterator[Row]:
        """The rows of a query, the newest note first; it is carried out when the first is asked for."""
        rows = iter(self._reader.execute(sql, values))
        late: list[Row] = []
        first: list[Row] = []
        for row in rows:
            if row[0] <= self._base:
                first.append(row)
                break
            late.append(row)
        yield from heapq.merge(chain(first, rows), sorted(late, key=_order), key=_order) if late else chain(first, rows)


def open_index(path: Path, root: Path) -> Index | None:
    """The index at *path* of the folder *root*, if it is exactly what was closed in peace by this version."""
    seal = _seal_of(path)
    try:
        sealed = seal.read_text(encoding="utf-8")
        seal.unlink()
        return Index(path) if sealed == _seal(path, root) else None
    except (OSError, UnicodeDecodeError, sqlite3.Error):
        return None


def build(path: Path, root: Path, progress: Callable[[int, int], None]) -> None:
    """Make a file at *path* from the notes of *root*, but for those that change meanwhile.

    *progress* is told how many notes of how many are done, and may raise to end it. Raises *sqlite3.Error* and *OSError*.
    """
    remove(path)
    with contextlib.closing(_connect(path)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.executescript(_SCHEMA)
        with _transaction(db):
            _fill(db, root, progress)


def adopt(made: Path, path: Path) -> Index:
    """Put what `build` has made in the place of the index at *path*, which is closed, and open it."""
    remove(path)
    made.rename(path)
    return Index(path)


def remove(path: Path) -> None:
    """Delete an index that is closed, or that nobody has."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    _seal_of(path).unlink(missing_ok=True)


def _fill(db: sqlite3.Connection, root: Path, progress: Callable[[int, int], None]) -> None:
    # SQLite sorts, as Python would hold all other threads up for as long as it sorts.
    db.execute("CREATE TEMP TABLE found (path TEXT, modified INTEGER, stamp INTEGER)")
    found = ((path, info.st_mtime_ns, catalogue.stamp(info)) for path, info in catalogue.notes(root))
    total = db.executemany("INSERT INTO found VALUES (?, ?, ?)", found).rowcount
    number = 0
    for done, (path, modified, stamp) in enumerate(db.execute("SELECT * FROM found ORDER BY modified, path DESC")):
        progress(done, total)
        note = catalogue.read(root, path)
        if note is not None and note.modified != modified:
            continue  # it would be out of order
        number += 1
        _insert(db, number, Document(path, modified, note.stamp if note else stamp, note.text if note else None))
    db.execute("INSERT INTO facts SELECT ?, ?, count(*) FROM docs WHERE readable", (number, number + 1))
    db.execute("DROP TABLE found")


def _insert(db: sqlite3.Connection, number: int, document: Document) -> None:
    path, text = document.path, document.text
    values = (number, path, document.modified, document.stamp, text is not None)
    db.execute("INSERT INTO docs VALUES (?, ?, ?, ?, ?)", values)
    if text is None:
        return
    folded = fold(text)
    title = words_of(fold("\n".join([path, *(heading for _, heading in headings(text))])))
    marks = [_sign(sign) for sign in signs_of(folded)]
    marks += ["todo"] * may_have_todo(text) + ["long"] * _has_long_line(folded)
    db.execute("INSERT INTO titles (rowid, title) VALUES (?, ?)", (number, " ".join(title)))
    body = folded if folded.isascii() else " ".join(words_of(folded))
    db.execute("INSERT INTO text (rowid, body, signs) VALUES (?, ?, ?)", (number, body, " ".join(marks)))


def _has_long_line(folded: str) -> bool:
    return any(len(line) >= 2 * _LONG and len(words_of(line)) > _LONG for line in folded.split("\n"))


# What FTS5 is asked. Its words are in quotes, always, and hold none: `query.py` finds letters and digits only.


def _titles(terms: Iterable[Term]) -> str:
    return " AND ".join(_phrase(term.words, whole=term.whole) for term in islice(terms, _MOST_TERMS))


def _all_of(terms: Iterable[Term], *, exact: bool = False) -> str | None:
    """What finds all notes that have the terms. Without *exact* it does without short words, and is None without others.

    Words of one line are near each other, unless the note has long lines: that saves reading most notes which have all of
    them somewhere.
    """
    each = (_phrase(term.words, whole=term.whole) if exact else _selective(term) for term in terms)
    phrases = list(islice(filter(None, each), _MOST_TERMS))
    together = f"body : ({' AND '.join(phrases)})"
    if len(phrases) < 2:
        return together if phrases else None
    return f'body : NEAR({" ".join(phrases)}, {_LONG}) OR (signs : "long" AND {together})'


def _selective(term: Term) -> str | None:
    """The term without a last word that many words begin with; None where nothing much is left."""
    *before, last = term.words
    if term.whole or len(last) > 2 or not last.isascii():
        return _phrase(term.words, whole=term.whole)
    return _phrase(before, whole=True) if any(len(word) > 2 for word in before) else None


def _phrase(words: Iterable[str], *, whole: bool) -> str:
    quoted = '"' + " ".join(words).replace('"', '""') + '"'
    return quoted if whole else f"{quoted} *"


def _signs(text: str) -> str | None:
    found = " AND ".join(f'"{_sign(sign)}"' for sign in islice(signs_of(text), _MOST_TERMS))
    return f"signs : ({found})" if found else None


def _sign(sign: str) -> str:
    return f"u{ord(sign):x}"


# Rows, the newest first


class _Kept:
    """Rows that can be gone through again; they are fetched when they are first asked for."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._kept: list[Row] = []

    def __iter__(self) -> Iterator[Row]:
        yield from self._kept
        for row in self._rows:
            self._kept.append(row)
            yield row


def _order(row: Row) -> tuple[int, str]:
    return (-row[2], row[1])


def _both(first: Iterable[Row], second: Iterable[Row]) -> Iterator[Row]:
    """The rows that are in both."""
    others = iter(second)
    other = next(others, None)
    for row in first:
        while other is not None and _order(other) < _order(row):
            other = next(others, None)
        if other is None:
            return
        if other == row:
            yield row


_INSIDE = "(d.path = :folder OR d.path > :folder || '/' AND d.path < :folder || '0')"


def _inside(folder: str) -> dict[str, str]:
    return {"folder": folder} if folder else {}


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("synchronous = OFF", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # the file is not used any more after an error
            db.execute("ROLLBACK")
        raise


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.seal")


def _seal(path: Path, root: Path) -> str:
    """What a file that was closed in peace is known by: all of its bytes, and what its rows depend on."""
    size = checksum = 0
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            size, checksum = size + len(data), zlib.crc32(data, checksum)
    return f"{_VERSION} {unicodedata.unidata_version} {size} {checksum:08x} {str(root)!a}\n"
