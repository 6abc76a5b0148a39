"""Makes a backup of a home, running or not. Blocks for as long as the disk takes: the gateway does it in a thread."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import attrs

from ironclaw import codec, snapshot
from ironclaw.backup.contents import (
    ABOUT,
    DATABASE,
    ENVIRONMENTS,
    FOLDERS,
    FORMAT,
    MANIFEST,
    SECRET_FILES,
    WORKSPACE,
    About,
    BackupFailed,
    Progress,
    silent,
)
from ironclaw.errors import IronclawError
from ironclaw.files import open_beneath, tree
from ironclaw.secretbox import store as secrets_store
from ironclaw.values import frozen
from ironclaw.version import __version__

_LEVEL = 4  # of gzip: notes shrink to a third, at some 50 MB a second
_IN_MEMORY = 1 << 20
_PIECE = 1 << 20
_STEPS = 20_000  # of SQLite, between two looks whether to go on


@frozen
class Source:
    """The home that is copied, and where its notes are."""

    home: Path
    workspace: Path


@frozen
class _Item:
    """A file or folder to be copied: *path* beneath *root*, called *name* in the backup."""

    name: str
    root: Path
    path: str
    info: os.stat_result


def create(
    source: Source, target: Path, *, with_secrets: bool = False, reserve: int = 0, progress: Progress = silent
) -> About:
    """Write the backup *target* (0600), whole or not at all. Its folder is made where it is missing.

    *reserve* is how many bytes of the disk must be free beside what the database needs.
    Raises *BackupFailed*: there is no database, it is damaged, the disk is full, *target* exists. Nothing is left then.
    """
    if not (source.home / DATABASE).is_file():
        raise BackupFailed(
            f"There is nothing to back up: {source.home} has no {DATABASE}. IRONCLAW_HOME names the home."
        )
    part = target.with_name(f".{target.name}.part")
    with _explained(target), contextlib.ExitStack() as stack:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.exists():
            raise BackupFailed(f"{target} exists already. Name another file, or move it away.")
        _refuse_a_small_disk(source, target.parent, reserve)
        database = _copied_database(source, target, stack, with_secrets=with_secrets, progress=progress)
        stack.callback(part.unlink, missing_ok=True)
        about = _write(source, database, part, with_secrets=with_secrets, progress=progress)
        if os.geteuid() == 0:  # by hand as root, while the gateway has a user of its own
            owner = source.home.stat()
            os.chown(part, owner.st_uid, owner.st_gid)
        part.rename(target)
        _sync(target.parent)
    return about


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Turns what the system or SQLite says into *BackupFailed*."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "full" in str(error):
            raise BackupFailed(f"The disk of {target.parent} is full. Nothing was kept; free some space.") from None
        raise BackupFailed(
            f"The database can't be copied: {error}. `ironclaw doctor` says more; older backups were not touched."
        ) from None
    except OSError as error:
        raise BackupFailed(f"{target} can't be written: {error.strerror}. Nothing was kept.") from None


def _refuse_a_small_disk(source: Source, folder: Path, reserve: int) -> None:
    needed, free = (source.home / DATABASE).stat().st_size + reserve, shutil.disk_usage(folder).free
    if free < needed:
        raise BackupFailed(
            f"The disk of {folder} has {free >> 20} MB free, and {needed >> 20} MB are needed at least. "
            "Free some space, or set BACKUP_DIR to a folder on another disk."
        )


def _copied_database(
    source: Source, target: Path, stack: contextlib.ExitStack, *, with_secrets: bool, progress: Progress
) -> Path:
    """A copy of the database beside *target*, checked, and without secrets unless they are wanted; gone with *stack*."""
    copy = target.with_name(f".{target.name}.db")
    stack.callback(_forget, copy)
    copy.unlink(missing_ok=True)
    snapshot.copy_database(source.home / DATABASE, copy, lambda done, total: progress("database", done, total))
    if not with_secrets:
        copy = _without_secrets(copy, stack, progress)
    progress("check", 0, 0)
    with _interruptible(copy, progress) as db:
        snapshot.check(db)
    return copy


def _without_secrets(copy: Path, stack: contextlib.ExitStack, progress: Progress) -> Path:
    """The same without the secrets, and without the pages in which secrets stood before."""
    clean = copy.with_name(f"{copy.name}.clean")
    stack.callback(_forget, clean)
    clean.unlink(missing_ok=True)
    with _interruptible(copy, progress) as db:
        if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'secrets'").fetchone():
            secrets_store.delete_all(db)
        os.close(os.open(clean, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        db.execute("VACUUM INTO ?", (str(clean),))
    return clean


@contextlib.contextmanager
def _interruptible(path: Path, progress: Progress) -> Iterator[sqlite3.Connection]:
    """A connection whose work is broken off when *progress* raises, with what it raised."""
    raised: list[BaseException] = []

    def go_on() -> bool:
        try:
            progress("check", 0, 0)
        except BaseException as error:  # SQLite would swallow it
            raised.append(error)
        return bool(raised)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.set_progress_handler(go_on, _STEPS)
        try:
            yield db
        except sqlite3.OperationalError:
            if raised:
                raise raised[0] from None
            raise


def _forget(path: Path) -> None:
    for ending in ("", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _write(source: Source, database: Path, part: Path, *, with_secrets: bool, progress: Progress) -> About:
    left_out: list[str] = []
    items = list(_items(source, left_out, with_secrets=with_secrets))
    sizes = [one.info.st_size for one in items if stat.S_ISREG(one.info.st_mode)]
    with contextlib.closing(snapshot.open_readonly(database)) as db:
        schema = snapshot.schema_of(db)
    about = About(
        format=FORMAT,
        created_at=codec.format_time(codec.now()),
        version=__version__,
        schema=schema,
        with_secrets=with_secrets,
        files=1 + len(sizes),
        bytes=database.stat().st_size + sum(sizes),
    )
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
            archive = _Archive(packed, part.parent, about.bytes, progress)
            archive.add_json(ABOUT, attrs.asdict(about))
            archive.add_database(database)
            for item in items:
                archive.add(item, left_out)
            archive.add_json(MANIFEST, {"files": archive.hashes, "left_out": left_out})
            archive.close()
        file.flush()
        os.fsync(file.fileno())
    return attrs.evolve(about, files=len(archive.hashes), bytes=archive.done, left_out=tuple(left_out))


def _items(source: Source, left_out: list[str], *, with_secrets: bool) -> Iterator[_Item]:
    """What is copied beside the database; *left_out* gets what can't be."""
    if with_secrets:
        for name in SECRET_FILES:
            if (source.home / name).is_file():
                yield _Item(name, source.home, name, (source.home / name).stat())
    for folder in FOLDERS:
        root = source.workspace if folder == WORKSPACE else source.home / folder
        if root.is_dir():
            yield _Item(folder, root, "", root.stat())
        unread: list[str] = []
        for path, info in tree(root, unread):
            if folder == "extensions" and path.split("/")[1:2] and path.split("/")[1] in ENVIRONMENTS:
                continue
            if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode):
                yield _Item(f"{folder}/{path}", root, path, info)
            else:
                left_out.append(f"{folder}/{path}")
        left_out += [f"{folder}/{path}/" for path in unread]


class _Archive:
    """The tar file that is written, with the size and hash of each file that went in."""

    def __init__(self, packed: gzip.GzipFile, folder: Path, total: int, progress: Progress) -> None:
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `close`, which writes its end
            fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
        )
        self._folder = folder
        self._total = total
        self._progress = progress
        self.hashes: dict[str, dict[str, object]] = {}
        self.done = 0

    def add(self, item: _Item, left_out: list[str]) -> None:
        """A file or folder; a file that is gone meanwhile is let be, one that can't be read is named in *left_out*."""
        if stat.S_ISDIR(item.info.st_mode):
            self._tar.addfile(_entry(item, tarfile.DIRTYPE))
            return
        try:
            descriptor = open_beneath(item.root, item.path)
        except IronclawError as error:
            if error.code != "not_found":
                left_out.append(item.name)
            return
        with (
            os.fdopen(descriptor, "rb") as file,
            tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder)) as copy,
        ):
            # A copy first: somebody may be writing to the file, and its size must be known beforehand.
            size = os.fstat(descriptor).st_size
            while piece := file.read(min(_PIECE, size - copy.tell())):
                copy.write(piece)
                self._look()
            self._add_content(item, copy, copy.tell())

    def add_database(self, path: Path) -> None:
        """The copy of the database, which nobody else writes to."""
        item = _Item(DATABASE, path.parent, path.name, path.stat())
        with path.open("rb") as file:
            self._add_content(item, file, item.info.st_size)

    def _add_content(self, item: _Item, content: IO[bytes], size: int) -> None:
        content.seek(0)
        entry = _entry(item, tarfile.REGTYPE)
        entry.size = size
        hashed = _Hashed(content, self._look)
        self._tar.addfile(entry, hashed)  # type: ignore[arg-type]
        self.hashes[item.name] = {"size": size, "sha256": hashed.digest.hexdigest()}
        self.done += size
        self._look()

    def _look(self) -> None:
        self._progress("files", self.done, self._total)

    def add_json(self, name: str, value: object) -> None:
        """What the backup says of itself. The stdlib's json also writes names of files that are not UTF-8."""
        data = json.dumps(value, indent=1).encode()
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
        self._tar.addfile(entry, io.BytesIO(data))

    def close(self) -> None:
        """Write the end of the tar file."""
        self._tar.close()


class _Hashed:
    """Hashes what is read through it, and calls *look* for each piece."""

    def __init__(self, file: IO[bytes], look: Callable[[], None]) -> None:
        self._file = file
        self._look = look
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self.digest.update(data)
        self._look()
        return data


def _entry(item: _Item, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(item.name)
    entry.type = kind
    entry.mode = stat.S_IMODE(item.info.st_mode) & 0o777
    entry.mtime = int(item.info.st_mtime)
    return entry


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
