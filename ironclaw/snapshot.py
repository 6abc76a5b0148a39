"""A copy of a SQLite file as it is at one moment, while others go on writing to it. Which tables it has is not known here.

The source is read within one transaction: writers are not held up, and what they write meanwhile is not in the copy.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

_PAGES = 512  # in one step; between two steps others get the disk, and the caller may break off

Progress = Callable[[int, int], None]
"""Is told how many of how many pages are copied. What it raises breaks the copy off."""


def copy_database(source: Path, target: Path, progress: Progress | None = None) -> None:
    """Make *target* (0600, must not exist) a copy of the database at *source*, which may be in use.

    Raises *sqlite3.Error* when the source is damaged, *OSError* or *sqlite3.OperationalError* when the disk is full. What
    there is of the copy then is the caller's to delete.
    """
    with contextlib.closing(open_readonly(source)) as db:
        copy_connection(db, target, progress)


def copy_connection(db: sqlite3.Connection, target: Path, progress: Progress | None = None) -> None:
    """The same from an open connection that is in no transaction."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
        db.execute("BEGIN")
        try:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the transaction begins with its first read
            db.backup(copy, pages=_PAGES, progress=_told(progress))
        finally:
            db.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE")  # the copy is one file, without a log beside it


def _told(progress: Progress | None) -> Callable[[int, int, int], None] | None:
    if progress is None:
        return None
    return lambda _, remaining, total: progress(total - remaining, total)


def open_readonly(path: Path, *, unchanging: bool = False) -> sqlite3.Connection:
    """A connection that changes nothing; what others commit can be read. Raises *sqlite3.OperationalError*.

    *unchanging*: nobody writes to it, so no lock is taken.
    """
    quoted = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    mode = "mode=ro&immutable=1" if unchanging else "mode=ro"
    connection = sqlite3.connect(f"file:{quoted}?{mode}", uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def check(db: sqlite3.Connection) -> None:
    """Read all of it. Raises *sqlite3.DatabaseError* that says what is damaged."""
    answer = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if answer != "ok":
        raise sqlite3.DatabaseError(answer)


def schema_of(db: sqlite3.Connection) -> tuple[int, ...]:
    """The numbers of the migrations that it has had."""
    return tuple(int(row[0]) for row in db.execute("SELECT number FROM migrations ORDER BY number"))
