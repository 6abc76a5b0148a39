"""Checks a backup, and puts one back in place of a home. The old home is never deleted: it is kept within the new one.

A restore goes through three folders in the home, named by what is true while they are there: `.restore-part-*` is being
unpacked and worth nothing; `.restore-old-*` is whole, and all beside it is still old; `.restore-new-*` is what is left to
be moved to its place. A restore that was broken off goes on from there, at the next restore or start.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Set
from pathlib import Path
from typing import IO

from ironclaw import snapshot
from ironclaw.backup.contents import DATABASE, SECRET_FILES, About, BackupFailed, Progress, silent
from ironclaw.backup.reader import Entry, read_about, read_backup
from ironclaw.errors import ConfigError
from ironclaw.home import hold
from ironclaw.values import frozen

_RESERVE = 64 << 20  # of the disk, that is left free
_PART, _OLD, _NEW, _ASIDE = ".restore-part-", ".restore-old-", ".restore-new-", "before-restore-"
_STAY = frozenset({"lock", "backups"})


@frozen
class Restored:
    """What was put back; *aside* is where the old home is now, None when there was nothing to keep."""

    about: About
    aside: Path | None


def verify(path: Path, known: Set[int], progress: Progress = silent) -> About:
    """Read all of a backup, compare the hashes, and let SQLite check the database. Raises *BackupFailed*.

    *known* are the migrations of this program: a backup with others is of a newer one.
    """
    _refuse_newer(read_about(path), known)
    beside = path.parent if os.access(path.parent, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=".ironclaw-verify-", dir=beside) as folder:
        unpacked = _Unpacked(Path(folder))
        about = read_backup(path, lambda entry: unpacked.put(entry) if entry.name == DATABASE else None, progress)
        progress("check", 0, 0)
        _check_database(unpacked.root / DATABASE, path)
    return about


def restore(
    path: Path,
    home: Path,
    known: Set[int],
    *,
    force: bool = False,
    stay: Set[str] = frozenset(),
    progress: Progress = silent,
) -> Restored:
    """Put the backup at *path* in the place of *home*, whole or not at all.

    Over a home with something in it only with *force*. What *stay* names in it stays (the folder of the backups, say), and
    so do secrets that the backup does not bring. Raises *BackupFailed*, also while a gateway runs on the home.
    """
    _refuse_newer(read_about(path), known)
    was_there = home.exists()
    try:
        with _held(home):
            finish_broken_off(home, stay)
            if not force:
                _refuse_full(home, stay)
            about, staging = _unpack(path, home, progress)
            return Restored(about, _swap(home, staging, stay))
    except BaseException:
        if not was_there:
            _remove_home(home)
        raise


def finish_broken_off(home: Path, stay: Set[str] = frozenset()) -> None:
    """Go on with a restore that was broken off, on a home that is held. Nothing happens where there was none."""
    for found in home.glob(f"{_PART}*"):
        shutil.rmtree(found)
    for found in [*home.glob(f"{_OLD}*"), *home.glob(f"{_NEW}*")]:
        _swap(home, found, stay)


@contextlib.contextmanager
def _held(home: Path) -> Iterator[None]:
    try:
        with hold(home):
            yield
    except ConfigError as error:
        if error.code != "in_use":
            raise
        owner = error.message.partition(". ")[0]
        raise BackupFailed(f"{owner}. Stop it first: nothing is put back under a running gateway.") from None
    except OSError as error:
        raise BackupFailed(f"{home} can't be written: {error.strerror or error}. Nothing was put back.") from None


def _refuse_full(home: Path, stay: Set[str]) -> None:
    found = sorted(set(_names(home)) - _STAY - stay - set(SECRET_FILES))
    if found:
        raise BackupFailed(
            f"{home} is not empty: it has {', '.join(found[:5])}. With --force it is replaced; what is there now is kept "
            f"in {home / _ASIDE}..."
        )


def _refuse_newer(about: About, known: Set[int]) -> None:
    if unknown := set(about.schema) - known:
        raise BackupFailed(
            f"The backup was made by a newer version of this program ({about.version}, schema {max(unknown)}, known "
            f"{max(known)}). Upgrade this one first."
        )


def _check_database(database: Path, path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
            snapshot.check(db)
            schema = snapshot.schema_of(db)
    except sqlite3.DatabaseError as error:
        raise BackupFailed(f"The database in {path} is damaged: {error}. Use another backup.") from None
    if not schema:
        raise BackupFailed(f"The database in {path} is not one of this program.")


# Unpacking


class _Unpacked:
    """A folder into which a backup is unpacked, as long as its disk has space."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._left = shutil.disk_usage(root).free - _RESERVE
        self._modes: list[tuple[Path, Entry]] = []

    def put(self, entry: Entry) -> IO[bytes] | None:
        """The file for an entry, or the folder made."""
        self._left -= entry.size + 4096
        if self._left < 0:
            raise BackupFailed(f"The disk of {self.root.parent} has too little space. Free some, and try again.")
        path = self.root / entry.name
        self._modes.append((path, entry))
        if entry.is_folder:
            path.mkdir(mode=0o700)
            return None
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "wb")

    def finish(self, owner: os.stat_result) -> None:
        """Give all of it its times and permissions, and to *owner* where that is somebody else than root."""
        for path, entry in reversed(self._modes):
            private = "/" not in entry.name and not entry.is_folder
            path.chmod(0o600 if private else entry.mode | (0o700 if entry.is_folder else 0o600))
            os.utime(path, (entry.modified, entry.modified))
            if os.geteuid() == 0:
                os.chown(path, owner.st_uid, owner.st_gid)
        os.sync()


def _unpack(path: Path, home: Path, progress: Progress) -> tuple[About, Path]:
    """The backup unpacked in the home, whole and checked, as the folder that `_swap` begins with."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    part = home / f"{_PART}{stamp}"
    part.mkdir(mode=0o700)
    try:
        unpacked = _Unpacked(part)
        about = read_backup(path, unpacked.put, progress)
        progress("check", 0, 0)
        _check_database(part / DATABASE, path)
        unpacked.finish(home.stat())
        return about, part.rename(home / f"{_OLD}{stamp}")
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


# Changing places. Each step can be broken off and done again.


def _swap(home: Path, staging: Path, stay: Set[str]) -> Path | None:
    """Move what is in the home aside, and what is in *staging* to its place; where the old home is now."""
    stamp = staging.name.removeprefix(_OLD).removeprefix(_NEW)
    aside = home / f"{_ASIDE}{stamp}"
    if staging.name.startswith(_OLD):
        for name in _leaving(home, staging, stay):
            aside.mkdir(mode=0o700, exist_ok=True)
            (home / name).rename(aside / name)
        staging = staging.rename(home / f"{_NEW}{stamp}")
    for name in _names(staging):
        (staging / name).rename(home / name)
    staging.rmdir()
    os.sync()
    return aside if aside.exists() else None


def _leaving(home: Path, staging: Path, stay: Set[str]) -> list[str]:
    """What of the old home is moved aside: all but what stays, and secrets for which there are no new ones."""
    new = set(_names(staging))
    kept = _STAY | stay | {name for name in SECRET_FILES if name not in new}
    return [name for name in _names(home) if name not in kept]


def _names(home: Path) -> list[str]:
    """What is in a home, or in what is to become one; not what a restore itself makes there."""
    ours = (_PART, _OLD, _NEW, _ASIDE)
    return sorted(path.name for path in home.iterdir() if not path.name.startswith(ours))


def _remove_home(home: Path) -> None:
    """Take back a home that was made for nothing."""
    with contextlib.suppress(OSError):
        (home / "lock").unlink(missing_ok=True)
        home.rmdir()
