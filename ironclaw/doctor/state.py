"""Checks of what the program keeps: the home, the token, the database, the disk, the notes, the backups."""

import contextlib
import errno
import math
import os
import sqlite3
from collections.abc import Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ironclaw import snapshot
from ironclaw.backup.contents import BackupFailed, backups_in
from ironclaw.doctor.finding import Finding, Patient, failure, ok, warning
from ironclaw.errors import ConfigError
from ironclaw.home import read_token

_LITTLE_DISK = 200 << 20
_NO_DISK = 20 << 20
_OTHERS = 0o077
_PROBE = b"\0" * 65_536
_WEAK_BITS = 64
_LOOPBACK = ("127.", "localhost", "::1")
_BACKUP_IS_OLD = timedelta(days=2)
_PRIVATE = ("token", "secrets.key", "ironclaw.db", ".env")


def home(patient: Patient) -> list[Finding]:
    """The home is there, can be written, and is nobody else's to read."""
    path = patient.home
    if not path.exists():
        return _missing_home(path)
    if problem := _cannot_write(path):
        return failure("home", f"{path} can't be written: {problem}.", _write_fix(problem, "IRONCLAW_HOME"))
    info = path.stat()
    if info.st_uid != os.geteuid() and os.geteuid() != 0:
        return failure("home", f"{path} belongs to another user (uid {info.st_uid}).", "Run as that user, or chown it.")
    if info.st_mode & _OTHERS:
        return warning("home", f"Other users can look into {path}.", f"Close it: chmod 700 {path}")
    for name in _PRIVATE:
        with contextlib.suppress(FileNotFoundError):
            if (path / name).stat().st_mode & _OTHERS:
                return warning("home", f"Other users can read {path / name}.", f"Close it: chmod 600 {path / name}")
    return ok("home", f"{path} can be written, and is its owner's alone.")


def _missing_home(path: Path) -> list[Finding]:
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return failure(
            "home",
            f"{path} does not exist and can't be made.",
            f"Give this user the right to write in {above}, or set IRONCLAW_HOME to another folder.",
        )
    return ok("home", f"{path} will be made at the first start.")


def _cannot_write(folder: Path) -> str | None:
    """Why nothing can be written there; None where it can. Leaves nothing behind, also for those who watch the folder."""
    try:
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT}:
            return error.strerror
        return None if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    try:
        os.write(descriptor, _PROBE)
        os.fsync(descriptor)
    except OSError as error:
        return error.strerror
    finally:
        os.close(descriptor)
    return None


def _write_fix(problem: str, variable: str) -> str:
    if problem == os.strerror(errno.ENOSPC):
        return "Free space on that disk."
    if problem == os.strerror(errno.EROFS):
        return f"Mount that disk writable (ReadWritePaths= in a systemd unit), or set {variable} to another folder."
    if problem == os.strerror(errno.EIO):
        return f"The disk fails: look at `dmesg`, and set {variable} to a folder on a good one."
    return f"Give this user the right to write there, or set {variable} to another folder."


def disk(patient: Patient) -> list[Finding]:
    """There is room on the disk of the home."""
    place = patient.home if patient.home.exists() else next(one for one in patient.home.parents if one.exists())
    values = os.statvfs(place)
    free = values.f_bavail * values.f_frsize
    fix = "Free some; in the home backups/ and before-restore-* may be large."
    if values.f_files and values.f_favail < 1000:
        return failure("disk", f"Only {values.f_favail} more files fit on the disk of the home.", fix)
    if free < _NO_DISK:
        return failure("disk", f"The disk of the home is full ({free >> 20} MB free).", fix)
    if free < _LITTLE_DISK:
        return warning("disk", f"Only {free >> 20} MB are free on the disk of the home.", fix)
    return ok("disk", f"{free / 1e9:,.1f} GB are free.")


def token(patient: Patient) -> list[Finding]:
    """The token can't be guessed."""
    try:
        found = read_token(patient.settings, patient.home)
    except ConfigError as error:
        return failure("token", error.message, "`ironclaw token rotate` makes a new one.")
    if found is None:
        return ok("token", "One is made at the first start.")
    if strength(found) >= _WEAK_BITS:
        return ok("token", "It is too long to be guessed.")
    fix = "Take a long random one: `openssl rand -hex 16`. Unset GATEWAY_AUTH_TOKEN, and one is made."
    if patient.settings.host.startswith(_LOOPBACK):
        return warning("token", "It is short or simple enough to be guessed.", fix)
    return failure("token", "It can be guessed, and the gateway listens for other machines.", fix)


def strength(text: str) -> float:
    """How many bits it takes at most to guess *text*: its different characters, as often as it is long."""
    return len(text) * math.log2(max(1, len(set(text))))


def database(patient: Patient, known: Set[int]) -> list[Finding]:
    """The database is whole, and of no newer version than this program."""
    path = patient.database
    if not path.exists():
        aside = sorted(path.parent.glob(f"{path.name}.corrupt-*"))
        if aside:
            return failure("database", f"It was damaged and is kept as {aside[-1].name}.", _repair(patient))
        return ok("database", "It is made at the first start.")
    try:
        with contextlib.closing(_open(path)) as db:
            snapshot.check(db)
            schema = snapshot.schema_of(db)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            return failure(
                "database", f"{path} can't be read: {error}.", "Look at the rights of the home and its files."
            )
        return failure("database", f"{path} is damaged: {error}.", _repair(patient))
    if unknown := set(schema) - known:
        return failure(
            "database",
            f"{path} was written by a newer version (schema {max(unknown)}, known {max(known)}).",
            f"Upgrade this program, or put back the copy from before the upgrade ({path.name}.before-upgrade-*).",
        )
    return ok("database", f"{path.stat().st_size / 1e6:,.1f} MB, whole.")


def _open(path: Path) -> sqlite3.Connection:
    db = snapshot.open_readonly(path)
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        db.close()
        if os.access(path.parent, os.W_OK) and not _cannot_write(path.parent):
            raise
        return snapshot.open_readonly(path, unchanging=True)  # where nobody can write, it needs no lock
    return db


def _repair(patient: Patient) -> str:
    with contextlib.suppress(BackupFailed):
        found = backups_in(patient.settings.backup_dir or patient.home / "backups")
        if found:
            return f"Stop the gateway, then: ironclaw backup restore --force {found[0].name}"
    return "There is no backup. Put a copy of yours back, or go on without it: ironclaw run --start-empty"


def workspace(patient: Patient) -> list[Finding]:
    """The notes can be read and written."""
    path = patient.workspace
    if not path.exists():
        return ok("workspace", f"{path} will be made at the first start.")
    if not path.is_dir():
        return failure("workspace", f"{path} is no folder.", "Move it away, or set IRONCLAW_WORKSPACE to a folder.")
    if not os.access(path, os.R_OK | os.X_OK):
        return failure("workspace", f"{path} can't be read.", "Give this user the right to read and write there.")
    if problem := _cannot_write(path):
        fix = _write_fix(problem, "IRONCLAW_WORKSPACE")
        return failure("workspace", f"{path} can't be written: {problem}.", fix)
    return ok("workspace", f"{path} can be read and written.")


def backups(patient: Patient) -> list[Finding]:
    """There is a backup of the last two days."""
    settings = patient.settings
    folder = settings.backup_dir or patient.home / "backups"
    try:
        found = backups_in(folder)
    except BackupFailed as error:
        return failure("backups", error.message, "Or set BACKUP_DIR to another folder.")
    if not patient.database.exists():
        return ok("backups", "There is nothing to back up yet.")
    age = datetime.now(UTC) - datetime.fromisoformat(found[0].created_at) if found else None
    if age is not None and age < _BACKUP_IS_OLD:
        return ok("backups", f"The newest is {found[0].name}.")
    what = "There is none." if age is None else f"The newest is {age.days} days old."
    if settings.backup_keep == 0:
        return warning("backups", f"{what} Nightly ones are off (BACKUP_KEEP=0).", "Make one: ironclaw backup create")
    if age is None and _is_new(patient.database):
        return ok("backups", "The first one is made soon.")
    fix = "Make one: ironclaw backup create. Is the gateway off at night? It makes up for that when it runs."
    return warning("backups", what, fix)


def _is_new(database: Path) -> bool:
    """Whether the first migration was applied within a day."""
    with contextlib.suppress(sqlite3.Error, TypeError, ValueError), contextlib.closing(_open(database)) as db:
        first = db.execute("SELECT min(applied_at) FROM migrations").fetchone()[0]
        return datetime.now(UTC) - datetime.fromisoformat(first).replace(tzinfo=UTC) < timedelta(days=1)
    return False
