"""The jobs on disk: their SQL. A job's status only moves forward, whoever writes it."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import attrs

from ironclaw.database import Migration, get_meta, set_meta
from ironclaw.jobs.models import ENDED, Job, missing

MIGRATIONS = (
    Migration(
        60,
        "jobs",
        """
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            status TEXT NOT NULL,
            created_at TEXT NOT NULL,
            started_at TEXT,
            ended_at TEXT,
            command TEXT,
            prompt TEXT,
            exit_code INTEGER,
            reason TEXT,
            detail TEXT,
            sandbox TEXT,
            started_by TEXT NOT NULL,
            thread_id TEXT,
            restart_of TEXT,
            network INTEGER NOT NULL,
            timeout_seconds INTEGER NOT NULL,
            memory_mb INTEGER NOT NULL,
            output_bytes INTEGER NOT NULL DEFAULT 0,
            disk_bytes INTEGER NOT NULL DEFAULT 0,
            tokens INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX jobs_by_status ON jobs (status, number)
        """,
    ),
)
_FIELDS = tuple(field.name for field in attrs.fields(Job))
_COLUMNS = ", ".join(_FIELDS)
_ENDED = ", ".join(f"'{status}'" for status in ENDED)
_LINK_KEY = "jobs_link_key"


def add(db: sqlite3.Connection, job: Job) -> None:
    """Keep a new job."""
    marks = ", ".join(f":{name}" for name in _FIELDS)
    db.execute(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({marks})", attrs.asdict(job))  # noqa: S608


def begin(db: sqlite3.Connection, job_id: str, now: str, sandbox: str) -> None:
    """A job that waited runs."""
    db.execute(
        "UPDATE jobs SET status = 'running', started_at = ?, sandbox = ? WHERE id = ? AND status = 'pending'",
        (now, sandbox, job_id),
    )


def end(db: sqlite3.Connection, job: Job) -> None:
    """*job* has ended so; one that had ended already stays as it is."""
    db.execute(
        "UPDATE jobs SET status = :status, exit_code = :exit_code, reason = :reason, detail = :detail, tokens = :tokens,"  # noqa: S608
        " ended_at = :ended_at, output_bytes = :output_bytes, disk_bytes = :disk_bytes"
        f" WHERE id = :id AND status NOT IN ({_ENDED})",
        attrs.asdict(job),
    )


def interrupt(db: sqlite3.Connection, now: str, detail: str) -> list[str]:
    """What a process that is gone had left running is interrupted; the ids."""
    rows = db.execute(
        "UPDATE jobs SET status = 'interrupted', ended_at = ?, reason = 'gateway_ended', detail = ?"
        " WHERE status = 'running' RETURNING id",
        (now, detail),
    )
    return [row["id"] for row in rows]


def set_output(db: sqlite3.Connection, *, job_id: str, output: int, disk: int) -> None:
    """How much an interrupted job has left."""
    db.execute("UPDATE jobs SET output_bytes = ?, disk_bytes = ? WHERE id = ?", (output, disk, job_id))


def find(db: sqlite3.Connection, job_id: str) -> Job:
    """The job. Raises *NotFound*."""
    row = db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()  # noqa: S608
    if row is None:
        raise missing(job_id)
    return _job(row)


def page(
    db: sqlite3.Connection, statuses: Sequence[str], limit: int, before: int | None
) -> tuple[list[Job], int | None]:
    """Jobs, the newest first, with any of *statuses* (all without), and where the next page begins."""
    where = f"AND status IN ({', '.join('?' * len(statuses))})" if statuses else ""
    rows = db.execute(
        f"SELECT number, {_COLUMNS} FROM jobs WHERE number < ? {where} ORDER BY number DESC LIMIT ?",  # noqa: S608
        (before if before is not None else 2**62, *statuses, limit + 1),
    ).fetchall()
    return [_job(row) for row in rows[:limit]], rows[limit - 1]["number"] if len(rows) > limit else None


def waiting(db: sqlite3.Connection) -> list[Job]:
    """The jobs that wait, the oldest first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE status = 'pending' ORDER BY number")  # noqa: S608
    return [_job(row) for row in rows]


def remove(db: sqlite3.Connection, job_id: str) -> None:
    """Forget a job that has ended."""
    db.execute(f"DELETE FROM jobs WHERE id = ? AND status IN ({_ENDED})", (job_id,))  # noqa: S608


def worn_out(db: sqlite3.Connection, since: str, most_bytes: int) -> list[str]:
    """The ended jobs that are not kept any longer: ended before *since*, or beyond *most_bytes* of the newest ones."""
    rows = db.execute(
        f"SELECT id, ended_at, output_bytes + disk_bytes AS size FROM jobs WHERE status IN ({_ENDED})"  # noqa: S608
        " ORDER BY number DESC"
    )
    total, found = 0, []
    for row in rows:
        total += row["size"]
        if row["ended_at"] < since or total > most_bytes:
            found.append(row["id"])
    return found


def names(db: sqlite3.Connection) -> set[str]:
    """The ids of all jobs."""
    return {row["id"] for row in db.execute("SELECT id FROM jobs")}


def link_key(db: sqlite3.Connection, new: str) -> str:
    """The key that signs links to jobs' files: *new* where there is none yet."""
    key = get_meta(db, _LINK_KEY)
    if key is None:
        set_meta(db, _LINK_KEY, new)
    return key or new


def _job(row: sqlite3.Row) -> Job:
    fields: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return Job(**{**fields, "network": bool(row["network"])})
