"""One SQLite file: how it is opened, migrated, written and read. Which tables there are is each noun's `store.py`.

Writes are whole functions that run in one writer thread. What waits is taken together as one group: one transaction, a
savepoint for each function, one fsync for all. A function is therefore never half done, whoever is cancelled meanwhile.
Reads run on a second connection in a thread of its own. Neither is ever touched on the event loop.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ironclaw.errors import ConfigError, Unavailable
from ironclaw.levels import TRACE
from ironclaw.snapshot import copy_connection
from ironclaw.values import define, frozen

log = logging.getLogger(__name__)
T = TypeVar("T")
Transaction = Callable[[sqlite3.Connection], T]
_GROUP = 256
_BEFORE = "before-upgrade-"
_COPIES = 3
_WAL_INDEX = 3_007_000  # the only version of the -shm file that there has been
_SMALL = 32 << 20  # a file of this size is checked in less than 0.1 s, so it is checked at every start


@frozen
class Migration:
    """One numbered step of the schema; *sql* runs whole or not at all."""

    number: int
    name: str
    sql: str


@define
class _Waiting:
    function: Transaction[Any]
    future: "asyncio.Future[Any]"


class Database:
    """The open file. Made by `open()`, ended by `aclose()`."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="ironclaw-write")
        self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="ironclaw-read")
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._write_groups(), name="database-writer")
        self.failure: str | None = None
        """Why the last commit failed, until one succeeds."""

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[Migration], *, start_empty: bool = False) -> "Database":
        """The database at *path*, made or brought up to date.

        A damaged file is kept aside, never replaced: *ConfigError*, unless *start_empty* says to go on without it.
        *ConfigError* too when a newer program wrote it, or when the disk does not do write-ahead logging.
        """
        writer, reader = await asyncio.to_thread(_open_connections, path, migrations, start_empty)
        return cls(path, writer, reader)

    @property
    def alive(self) -> bool:
        """Whether writes are still carried out."""
        return not self._task.done()

    @property
    def waiting(self) -> int:
        """Writes that wait for the next group."""
        return self._queue.qsize()

    def submit(self, function: Transaction[T]) -> "asyncio.Future[T]":
        """Queue *function* for the next group. The future is done once it is on disk, or has failed alone.

        Cancelling the future does not take the write back.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._task.done():
            future.set_exception(DatabaseFailed("The database is closed.", retry_after=5))
        else:
            self._queue.put_nowait(_Waiting(function, future))
        return future

    async def write(self, function: Transaction[T]) -> T:
        """Run *function* in the writer and wait until it is on disk; the caller's cancellation does not undo it."""
        return await asyncio.shield(self.submit(function))

    def read(self, function: Transaction[T]) -> Awaitable[T]:
        """Run *function* on the reading connection; it sees all that was committed before."""
        return asyncio.get_running_loop().run_in_executor(self._read_thread, function, self._reader)

    async def _write_groups(self) -> None:
        try:
            await self._write_until_closed()
        finally:
            while not self._queue.empty():  # nobody waits for a writer that is gone
                waiting = self._queue.get_nowait()
                if waiting is not None:
                    _settle(waiting.future, DatabaseFailed("The database is closed.", retry_after=5), None)

    async def _write_until_closed(self) -> None:
        loop = asyncio.get_running_loop()
        while (first := await self._queue.get()) is not None:
            group = [first]
            while len(group) < _GROUP and not self._queue.empty():
                waiting = self._queue.get_nowait()
                if waiting is None:
                    self._queue.put_nowait(None)
                    break
                group.append(waiting)
            began = loop.time()
            outcomes = await loop.run_in_executor(
                self._write_thread, _commit, self._writer, [one.function for one in group]
            )
            log.log(TRACE, "%d writes committed in %.1f ms", len(group), (loop.time() - began) * 1000)
            self.failure = next((str(error) for error, _ in outcomes if isinstance(error, sqlite3.Error)), None)
            for waiting, (error, value) in zip(group, outcomes, strict=True):
                _settle(waiting.future, error, value)

    async def aclose(self) -> None:
        """Finish what is queued, mark the end as clean, and close both connections."""
        if not self._task.done():
            with contextlib.suppress(Exception):
                await self.write(_mark_clean)
            self._queue.put_nowait(None)
            await self._task
        for thread, connection in ((self._read_thread, self._reader), (self._write_thread, self._writer)):
            await asyncio.get_running_loop().run_in_executor(thread, connection.close)
            thread.shutdown(wait=False)


def _settle(future: "asyncio.Future[Any]", error: Exception | None, value: Any) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(value)
        return
    future.set_exception(error)
    future.exception()  # whoever does not wait for a write is not told of it here; `failure` and the log say it


def _commit(db: sqlite3.Connection, functions: list[Transaction[Any]]) -> list[tuple[Exception | None, Any]]:
    """Run the functions as one transaction; for each its error or its value. One that fails takes only itself back."""
    outcomes: list[tuple[Exception | None, Any]] = []
    try:
        db.execute("BEGIN IMMEDIATE")
        for function in functions:
            outcomes.append(_run_in_savepoint(db, function))
        db.execute("COMMIT")
    except sqlite3.Error as error:
        log.error("The database could not be written: %s", error)  # noqa: TRY400 - the trace says nothing more
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        return [(_as_unavailable(error), None)] * len(functions)
    return outcomes


def _run_in_savepoint(db: sqlite3.Connection, function: Transaction[Any]) -> tuple[Exception | None, Any]:
    db.execute("SAVEPOINT one")
    try:
        value = function(db)
    except sqlite3.OperationalError as error:
        if not db.in_transaction:  # SQLite itself has rolled the whole transaction back (disk full, I/O error)
            raise
        db.execute("ROLLBACK TO one")
        return _as_unavailable(error), None
    except Exception as error:
        db.execute("ROLLBACK TO one")
        return error, None
    db.execute("RELEASE one")
    return None, value


class DatabaseFailed(Unavailable, sqlite3.Error):
    """The database could not be written now; nothing of the call was kept."""


def _as_unavailable(error: sqlite3.Error) -> DatabaseFailed:
    return DatabaseFailed(
        f"The database could not be written ({error}). Nothing of this request was kept; "
        "free some disk space or look at the disk, then try again.",
        code="storage_failed",
        retry_after=5,
    )


def _open_connections(
    path: Path, migrations: Sequence[Migration], start_empty: bool
) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    _refuse_a_lost_database(path, start_empty)
    try:
        writer = _open_writer(path, migrations)
    except OSError as error:
        raise ConfigError(f"{path} can't be opened: {error.strerror}. Look at what stands there.") from None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            raise ConfigError(f"{path} can't be opened: {error}. Look at the disk and its rights.") from None
        kept = _set_aside(path)
        log.error("%s is damaged (%s); it is kept as %s", path, error, kept.name)  # noqa: TRY400
        if not start_empty:
            raise _damaged(path, kept, str(error)) from None
        writer = _open_writer(path, migrations)
    reader = _connect(path)
    reader.execute("PRAGMA query_only = ON")
    return writer, reader


def _open_writer(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    expected = _committed_frames(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # 0600 whatever the umask; -wal follows it
    connection = _connect(path)
    try:
        if expected:
            _check_log(connection, expected)
        _prepare(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_log(db: sqlite3.Connection, expected: int) -> None:
    found = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    if found < expected:
        raise sqlite3.DatabaseError(f"its write-ahead log has {found} of {expected} committed pages")


def _committed_frames(path: Path) -> int:
    """How many pages a process that was killed had committed to the write-ahead log and not moved on yet.

    SQLite reads a damaged log up to the damage and says nothing. The index of the log (its `-shm` file, whose form is
    in SQLite's walformat document) outlives a killed process and knows how long the log was.
    """
    try:
        with path.with_name(f"{path.name}-shm").open("rb") as file:
            head = file.read(136)
    except OSError:
        return 0
    if len(head) < 136 or head[:48] != head[48:96] or struct.unpack_from("=I", head)[0] != _WAL_INDEX or not head[12]:
        return 0
    with contextlib.suppress(OSError), path.with_name(f"{path.name}-wal").open("rb") as file:
        start = file.read(32)
        if start[:3] == b"\x37\x7f\x06" and start[16:24] != head[32:40]:
            return 0  # the index is older than the log: the power went before it was synced
    frames, moved_on = struct.unpack_from("=I", head, 16)[0], struct.unpack_from("=I", head, 96)[0]
    return int(frames) if frames > moved_on else 0


# From its first connection on nothing but SQLite may open the file in this process: to close it there, by whatever
# descriptor, ends the locks of all (fcntl(2)), and the next program that looks into it would take the log away as the last.
def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.row_factory = sqlite3.Row
    for pragma in ("busy_timeout = 5000", "foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _prepare(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise ConfigError(
            f"{path} is on a disk that can't do write-ahead logging (SQLite answered {mode!r}). "
            "Set IRONCLAW_HOME to a folder on a local disk."
        )
    db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")
    db.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at TEXT) STRICT")
    if get_meta(db, "clean") == "no" or path.stat().st_size < _SMALL:
        _check(db)
    _migrate(db, path, migrations)
    set_meta(db, "clean", "no")


def _check(db: sqlite3.Connection) -> None:
    answer = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise sqlite3.DatabaseError(answer)


def _migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    done = {row[0] for row in db.execute("SELECT number FROM migrations")}
    known = {migration.number for migration in migrations}
    if unknown := done - known:
        copies = _copies(path)
        back = f", which is {copies[-1].name}" if copies else ""
        raise ConfigError(
            f"{path} was written by a newer version of this program (schema {max(unknown)}, known {max(known)}). "
            f"Upgrade this one, or put back a copy from before the upgrade{back}."
        )
    pending = [one for one in sorted(migrations, key=lambda one: one.number) if one.number not in done]
    if not pending:
        return
    if done:
        _keep_copy(db, path)
    steps = "".join(
        f"{one.sql};\nINSERT INTO migrations VALUES ({one.number}, '{one.name}', datetime('now'));\n" for one in pending
    )
    # executescript commits what is open first, so the transaction is part of the script.
    try:
        db.executescript(f"BEGIN IMMEDIATE;\n{steps}COMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _keep_copy(db: sqlite3.Connection, path: Path) -> None:
    """A copy of the database as the older version left it: what can be gone back to when the new one is a mistake."""
    copy = path.with_name(f"{path.name}.{_BEFORE}{time.strftime('%Y%m%dT%H%M%S')}")
    copy.unlink(missing_ok=True)
    try:
        copy_connection(db, copy)
    except (sqlite3.Error, OSError) as error:
        copy.unlink(missing_ok=True)
        raise ConfigError(
            f"{path} must be brought up to date, but there is no copy of it from before: {error}. Nothing was changed; "
            f"free {(path.stat().st_size >> 20) + 1} MB on its disk and start again."
        ) from None
    log.info("The database is brought up to date; a copy from before is kept as %s", copy.name)
    for old in _copies(path)[:-_COPIES]:
        old.unlink(missing_ok=True)


def _copies(path: Path) -> list[Path]:
    """The copies from before upgrades, the oldest first."""
    return sorted(one for one in path.parent.glob(f"{path.name}.{_BEFORE}*") if not one.name.endswith("-journal"))


def get_meta(db: sqlite3.Connection, key: str) -> str | None:
    """One small value that is kept for the whole program, or None."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    """Keep one small value."""
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def _mark_clean(db: sqlite3.Connection) -> None:
    set_meta(db, "clean", "yes")


def _set_aside(path: Path) -> Path:
    kept = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    return kept


def _refuse_a_lost_database(path: Path, start_empty: bool) -> None:
    """A home whose damaged database was set aside does not begin anew by itself."""
    kept = sorted(path.parent.glob(f"{path.name}.corrupt-*"))
    kept = [one for one in kept if not one.name.endswith(("-wal", "-shm"))]
    if kept and not path.exists() and not start_empty:
        raise _damaged(path, kept[-1], "found at an earlier start")


def _damaged(path: Path, kept: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"The database is damaged ({reason}). It is kept as {kept}; nothing was deleted.\n"
        "  To put a backup back:           ironclaw backup list, then ironclaw backup restore --force NAME\n"
        f"  To put a copy of yours back:    cp YOUR-COPY {path} && ironclaw run\n"
        "  To go on without its history:   ironclaw run --start-empty",
        code="damaged",
    )
