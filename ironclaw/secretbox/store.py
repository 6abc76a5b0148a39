"""The sealed secrets on disk: the SQL of the secret box. What is sealed here was encrypted above."""

import sqlite3

from ironclaw.database import Migration
from ironclaw.values import frozen

MIGRATIONS = (
    Migration(
        15,
        "secretbox",
        """
        CREATE TABLE secrets (
            name TEXT PRIMARY KEY,
            origin TEXT NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT
        """,
    ),
)


@frozen
class SealedSecret:
    """One encrypted secret and the origin that it was put for."""

    origin: str
    sealed: bytes


def read(db: sqlite3.Connection, name: str) -> SealedSecret | None:
    """The secret of this name, or None."""
    row = db.execute("SELECT origin, sealed FROM secrets WHERE name = ?", (name,)).fetchone()
    return SealedSecret(*row) if row else None


def write(db: sqlite3.Connection, name: str, secret: SealedSecret) -> None:
    """Keep a secret in place of the one before."""
    db.execute(
        "INSERT INTO secrets VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET origin = excluded.origin, sealed = excluded.sealed",
        (name, secret.origin, secret.sealed),
    )


def delete(db: sqlite3.Connection, name: str) -> None:
    """Forget a secret; nothing happens where there is none."""
    db.execute("DELETE FROM secrets WHERE name = ?", (name,))


def delete_all(db: sqlite3.Connection) -> None:
    """Forget all of them, in a copy of the database that is to leave this machine."""
    db.execute("DELETE FROM secrets")
