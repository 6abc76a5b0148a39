"""The connection that a person made in the page, on disk: the SQL of `llm/`. Its key is in the secret box."""

import sqlite3

import attrs

from ironclaw.database import Migration
from ironclaw.llm.endpoint import Endpoint, Kind
from ironclaw.values import frozen

SECRET = "model"  # noqa: S105 - the name under which the secret box has the key

MIGRATIONS = (
    Migration(
        25,
        "llm",
        """
        CREATE TABLE llm_connection (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            base_url TEXT NOT NULL,
            local INTEGER NOT NULL,
            model TEXT
        ) STRICT
        """,
    ),
)


@frozen
class StoredConnection:
    """Where the model is, without its key. *model* None: the server's first."""

    kind: Kind
    name: str
    base_url: str
    local: bool
    model: str | None

    def endpoint(self, api_key: str | None) -> Endpoint:
        """The same as what calls are made to."""
        return Endpoint(kind=self.kind, name=self.name, base_url=self.base_url, api_key=api_key, local=self.local)


def read(db: sqlite3.Connection) -> StoredConnection | None:
    """The connection, or None."""
    row = db.execute("SELECT kind, name, base_url, local, model FROM llm_connection").fetchone()
    return (
        StoredConnection(row["kind"], row["name"], row["base_url"], bool(row["local"]), row["model"]) if row else None
    )


def write(db: sqlite3.Connection, stored: StoredConnection) -> None:
    """Keep a connection in place of the one before."""
    db.execute("INSERT OR REPLACE INTO llm_connection VALUES (1, ?, ?, ?, ?, ?)", attrs.astuple(stored))


def delete(db: sqlite3.Connection) -> None:
    """Forget the connection."""
    db.execute("DELETE FROM llm_connection")
