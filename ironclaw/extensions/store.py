"""The installed extensions on disk: the SQL of this package. Their secrets are in the secret box."""

import sqlite3
from datetime import datetime

import attrs

from ironclaw import codec
from ironclaw.database import Migration
from ironclaw.extensions.manifest import Manifest
from ironclaw.extensions.registry import Source
from ironclaw.extensions.schema import FoundTool
from ironclaw.values import frozen

MIGRATIONS = (
    Migration(
        70,
        "extensions",
        """
        CREATE TABLE extensions (
            name TEXT PRIMARY KEY,
            source TEXT NOT NULL,
            manifest TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            confirmed TEXT,
            prepared INTEGER NOT NULL,
            settings TEXT NOT NULL,
            secrets TEXT NOT NULL,
            checked TEXT,
            tools TEXT,
            installed_at TEXT NOT NULL
        ) STRICT
        """,
    ),
)


@frozen(kw_only=True)
class Record:
    """One installed extension, as it is kept.

    *confirmed*: the hash that a person confirmed, for one that brings its own command. *prepared*: its environment is made.
    *secrets*: the names of those that are kept. *checked*: what they were checked for, None after a refusal. *tools*: the
    last list that the server gave, None before the first.
    """

    source: Source
    manifest: Manifest
    enabled: bool
    installed_at: str
    confirmed: str | None = None
    prepared: bool = False
    settings: dict[str, str] = attrs.Factory(dict)
    secrets: frozenset[str] = frozenset()
    checked: str | None = None
    tools: tuple[FoundTool, ...] | None = None

    @property
    def name(self) -> str:
        """The extension's name."""
        return self.manifest.name

    @property
    def confirmation_needed(self) -> bool:
        """Whether a person must still confirm the command or the address that came with it."""
        return self.source == "pasted" and self.confirmed != self.manifest.confirmation()


@frozen
class _ToolList:
    tools: list[FoundTool]


def read_all(db: sqlite3.Connection) -> list[Record]:
    """All installed extensions, by name."""
    return [_record(row) for row in db.execute("SELECT * FROM extensions ORDER BY name")]


def write(db: sqlite3.Connection, record: Record) -> None:
    """Keep a record in place of the one before."""
    db.execute(
        "INSERT OR REPLACE INTO extensions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.name,
            record.source,
            codec.dumps(record.manifest).decode(),
            record.enabled,
            record.confirmed,
            record.prepared,
            codec.dumps(record.settings).decode(),
            codec.dumps(sorted(record.secrets)).decode(),
            record.checked,
            None if record.tools is None else codec.dumps(_ToolList(list(record.tools))).decode(),
            record.installed_at,
        ),
    )


def delete(db: sqlite3.Connection, name: str) -> None:
    """Forget an extension."""
    db.execute("DELETE FROM extensions WHERE name = ?", (name,))


def now() -> str:
    """The present moment, as it is kept."""
    return codec.format_time(datetime.now().astimezone())


def _record(row: sqlite3.Row) -> Record:
    return Record(
        source=row["source"],
        manifest=codec.structure(codec.loads(row["manifest"]), Manifest),
        enabled=bool(row["enabled"]),
        confirmed=row["confirmed"],
        prepared=bool(row["prepared"]),
        settings=codec.loads(row["settings"]),
        secrets=frozenset(codec.loads(row["secrets"])),
        checked=row["checked"],
        tools=None if row["tools"] is None else tuple(codec.structure(codec.loads(row["tools"]), _ToolList).tools),
        installed_at=row["installed_at"],
    )
