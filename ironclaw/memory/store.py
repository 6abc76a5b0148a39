"""The versions of notes on disk: the SQL of memory. What is kept when is decided in `versions.py`."""

import sqlite3
from collections.abc import Sequence

import attrs

from ironclaw.database import Migration
from ironclaw.errors import NotFound
from ironclaw.values import frozen

MIGRATIONS = (
    Migration(
        40,
        "memory",
        """
        CREATE TABLE versions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            path TEXT NOT NULL,
            change TEXT NOT NULL,
            author TEXT NOT NULL,
            thread_id TEXT,
            message_id TEXT,
            created_at TEXT NOT NULL,
            etag TEXT,
            size INTEGER NOT NULL,
            content BLOB,
            stored INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX versions_by_path ON versions (path, id);
        CREATE INDEX versions_by_message ON versions (message_id) WHERE message_id IS NOT NULL;
        CREATE TABLE version_bytes (total INTEGER NOT NULL) STRICT;
        INSERT INTO version_bytes VALUES (0);
        CREATE TRIGGER versions_added AFTER INSERT ON versions
            BEGIN UPDATE version_bytes SET total = total + new.stored; END;
        CREATE TRIGGER versions_filled AFTER UPDATE OF stored ON versions
            BEGIN UPDATE version_bytes SET total = total - old.stored + new.stored; END;
        CREATE TRIGGER versions_removed AFTER DELETE ON versions
            BEGIN UPDATE version_bytes SET total = total - old.stored; END
        """,
    ),
)
_SHOWN = "id, path, change, author, created_at, size, etag, content IS NOT NULL AS kept, thread_id, message_id"
_PRUNED_AT_ONCE = 16


@frozen(kw_only=True)
class Version:
    """A file as it was at some time: *change* says how it came to be so, and by whom.

    *change* is `created`, `written`, `deleted`, `moved` or `restored`; *author* is `person`, `agent` or `outside`.
    *etag* is null where the file was gone; *kept* says whether the content is there to be read and restored.
    """

    id: str
    path: str
    change: str
    author: str
    created_at: str
    size: int
    etag: str | None = attrs.field()
    kept: bool
    thread_id: str | None = None
    message_id: str | None = None


@frozen(kw_only=True)
class NewVersion:
    """A version to be kept; *content* is compressed, None where it is not kept."""

    path: str
    change: str
    author: str
    created_at: str
    size: int
    etag: str | None
    content: bytes | None
    thread_id: str | None = None
    message_id: str | None = None


@frozen
class Limits:
    """How much is kept: versions of one path, bytes in all, and from which moment on."""

    count: int
    total: int
    since: str


def last(db: sqlite3.Connection, path: str, before: int | None = None) -> Version | None:
    """The newest version of a path, or the newest before the id *before*."""
    row = db.execute(
        f"SELECT {_SHOWN} FROM versions WHERE path = ? AND id < ? ORDER BY id DESC LIMIT 1",  # noqa: S608
        (path, before if before is not None else 2**62),
    ).fetchone()
    return _version(row) if row else None


def add(db: sqlite3.Connection, new: Sequence[NewVersion], limits: Limits) -> list[int]:
    """Keep versions, and drop the oldest beyond *limits*; the ids of the new ones."""
    ids = [_insert(db, one) for one in new]
    for path in {one.path for one in new}:
        db.execute(
            "DELETE FROM versions WHERE path = ? AND id NOT IN"
            " (SELECT id FROM versions WHERE path = ? ORDER BY id DESC LIMIT ?)",
            (path, path, limits.count),
        )
    db.execute(
        "DELETE FROM versions WHERE id IN (SELECT id FROM versions ORDER BY id LIMIT ?) AND created_at < ?",
        (_PRUNED_AT_ONCE, limits.since),
    )
    _prune_bytes(db, limits.total, min(ids, default=0))
    return ids


def _insert(db: sqlite3.Connection, new: NewVersion) -> int:
    fields = attrs.asdict(new) | {"stored": len(new.content or b"")}
    marks = ", ".join(f":{name}" for name in fields)
    done = db.execute(f"INSERT INTO versions ({', '.join(fields)}) VALUES ({marks})", fields)  # noqa: S608
    assert done.lastrowid is not None
    return done.lastrowid


def _prune_bytes(db: sqlite3.Connection, total: int, keep_from: int) -> None:
    while db.execute("SELECT total FROM version_bytes").fetchone()[0] > total:
        dropped = db.execute(
            "DELETE FROM versions WHERE id IN (SELECT id FROM versions WHERE id < ? ORDER BY id LIMIT ?)",
            (keep_from, _PRUNED_AT_ONCE),
        )
        if not dropped.rowcount:
            return


def fill(db: sqlite3.Connection, version_id: str, content: bytes) -> None:
    """Give a version the content that was not kept at first."""
    db.execute("UPDATE versions SET content = ?, stored = ? WHERE id = ?", (content, len(content), int(version_id)))


def forget(db: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Drop versions of a change that was not carried out."""
    db.executemany("DELETE FROM versions WHERE id = ?", [(one,) for one in ids])


def rename(db: sqlite3.Connection, path: str, target: str) -> None:
    """Let the versions of *path* be those of *target*."""
    db.execute("UPDATE versions SET path = ? WHERE path = ?", (target, path))


def page(db: sqlite3.Connection, path: str | None, limit: int, before: int | None) -> tuple[list[Version], str | None]:
    """Versions of a path, or of all, the newest first, and where the next page begins."""
    where = "path = ? AND " if path is not None else ""
    arguments = ([path] if path is not None else []) + [before if before is not None else 2**62, limit + 1]
    rows = db.execute(
        f"SELECT {_SHOWN} FROM versions WHERE {where} id < ? ORDER BY id DESC LIMIT ?",  # noqa: S608
        arguments,
    ).fetchall()
    found = [_version(row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


def find(db: sqlite3.Connection, path: str, version_id: int) -> tuple[Version, bytes | None]:
    """A version of a path with its compressed content. Raises *NotFound*."""
    row = db.execute(
        f"SELECT {_SHOWN}, content FROM versions WHERE id = ? AND path = ?",  # noqa: S608
        (version_id, path),
    ).fetchone()
    if row is None:
        raise NotFound("There is no such version of this file.", field="id")
    return _version(row), row["content"]


def of_message(db: sqlite3.Connection, message_id: str) -> list[Version]:
    """The first version that a turn made of each path."""
    rows = db.execute(
        f"SELECT {_SHOWN} FROM versions WHERE id IN"  # noqa: S608
        " (SELECT min(id) FROM versions WHERE message_id = ? GROUP BY path) ORDER BY id",
        (message_id,),
    )
    return [_version(row) for row in rows]


def _version(row: sqlite3.Row) -> Version:
    fields = {field.name: row[field.name] for field in attrs.fields(Version)}
    return Version(**{**fields, "id": str(row["id"]), "kept": bool(row["kept"])})
