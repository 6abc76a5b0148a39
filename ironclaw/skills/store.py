"""What is kept of skills beside their files: which are installed, enabled, and what was looked at. The SQL of skills."""

import sqlite3
from collections.abc import Callable

import attrs

from ironclaw.database import Migration
from ironclaw.skills.models import Source, Tools
from ironclaw.values import frozen

MIGRATIONS = (
    Migration(
        80,
        "skills",
        """
        CREATE TABLE skills (
            name TEXT PRIMARY KEY,
            source TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            tools TEXT NOT NULL,
            hash TEXT,
            changed INTEGER NOT NULL DEFAULT 0,
            version TEXT NOT NULL,
            origin TEXT,
            installed_at TEXT NOT NULL
        ) STRICT
        """,
    ),
)


@frozen(kw_only=True)
class Record:
    """What is kept of a skill. *hash* is that of what was looked at; *changed*: something else was found since."""

    name: str
    source: Source
    enabled: bool
    tools: Tools = "read"
    hash: str | None = None
    changed: bool = False
    version: str
    origin: str | None = None
    installed_at: str


def read_all(db: sqlite3.Connection) -> dict[str, Record]:
    """All records by name."""
    rows = db.execute("SELECT * FROM skills")
    return {
        row["name"]: Record(
            name=row["name"],
            source=row["source"],
            enabled=bool(row["enabled"]),
            tools=row["tools"],
            hash=row["hash"],
            changed=bool(row["changed"]),
            version=row["version"],
            origin=row["origin"],
            installed_at=row["installed_at"],
        )
        for row in rows
    }


def write(record: Record) -> Callable[[sqlite3.Connection], None]:
    """Keep a record in place of the one of its name."""
    values = attrs.astuple(record)

    def store(db: sqlite3.Connection) -> None:
        columns = ", ".join(field.name for field in attrs.fields(Record))
        marks = ", ".join("?" * len(values))
        db.execute(f"INSERT OR REPLACE INTO skills ({columns}) VALUES ({marks})", values)  # noqa: S608

    return store


def delete(name: str) -> Callable[[sqlite3.Connection], None]:
    """Forget a record."""

    def store(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM skills WHERE name = ?", (name,))

    return store
