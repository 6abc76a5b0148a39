"""Opens the files of a folder that others may write to: beneath its root, regular files only, never waiting.

Names, suffixes and what a note is stand in `memory/workspace.py`. All functions here block for the time of the disk;
callers on the event loop use a thread. What the system refuses becomes a domain error: *NotFound* for what is not there,
*Invalid* for what may not be asked, *TooLarge*, *Unavailable* when the disk takes no more. A file is only ever replaced
whole, and only where it is still the one that the caller has read (its *mark*), else *Changed*.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ironclaw import beneath
from ironclaw.errors import Conflict, Invalid, IronclawError, NotFound, TooLarge, Unavailable
from ironclaw.redact import printable
from ironclaw.values import frozen

Root = Path | int
"""A folder: its path, or an open descriptor of it that stays the caller's."""

Mark = tuple[int, int, int, int]
"""Tells whether a file is still the same, unchanged: inode, size, times of change."""

MISSING: Mark = (0, 0, 0, 0)
"""The mark of a file that is not there."""

_IN_MEMORY = 1 << 20
_TEMPORARY = re.compile(r"\.ironclaw-[0-9a-f]{16}\.tmp")

_MISSING = {errno.ENOENT, errno.ENOTDIR}
_OUTSIDE = {errno.EXDEV, errno.ELOOP}
_NO_FILE = {errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP}
_DENIED = {errno.EACCES, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@frozen
class Content:
    """The bytes of a file, when it was last changed (UTC), and its mark."""

    data: bytes
    modified: datetime
    mark: Mark = MISSING


@frozen
class Entry:
    """A regular file or a folder; *link*: reached through a symbolic link. *size* in bytes, *modified* in UTC."""

    name: str
    is_folder: bool
    link: bool
    size: int
    modified: datetime


def open_beneath(root: Root, path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of the regular file *path* beneath *root*; the caller closes it.

    Links are followed while they stay beneath the root. *flags* may not create: that is `atomic_write`.
    Raises *NotFound*, or *Invalid* for anything that leads out or is not a regular file.
    """
    if flags & os.O_CREAT:
        raise ValueError("open_beneath never creates a file")
    with _root(root) as top, _explained(path):
        descriptor = _open(top, path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _must_be_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_bytes(root: Root, path: str, *, limit: int) -> Content:
    """The whole file. Raises *TooLarge* beyond *limit* bytes, else as `open_beneath`."""
    with os.fdopen(open_beneath(root, path), "rb") as file, _explained(path):
        info = os.fstat(file.fileno())
        data = b"" if info.st_size > limit else file.read(limit + 1)
    if max(info.st_size, len(data)) > limit:
        raise TooLarge(f"{printable(path)} has more than {limit:,} bytes.", field="path")
    return Content(data, moment(info.st_mtime), mark_of(info))


def scan(root: Root, path: str = "") -> list[Entry]:
    """What is in the folder *path*, in no order; links that lead out and special files are left out.

    Raises as `open_beneath`.
    """
    with _root(root) as top:
        with _explained(path):
            folder = _open(top, path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(folder) as found:
                entries = [_entry(top, path, item) for item in found]
        finally:
            os.close(folder)
    return [entry for entry in entries if entry is not None]


class Changed(Conflict):
    """The file is not the one any more that the caller has read."""


def atomic_write(root: Root, path: str, data: bytes, mark: Mark | None = None) -> datetime:
    """Puts *data* in the file *path*, whole or not at all, on the disk before it returns; its time of change.

    Missing folders are made; mode and owner of an existing file are kept. With a *mark* only where that is the file's
    now, else *Changed*. Raises *Invalid* when *path* is a link or no regular file, *Unavailable* when the disk is full or
    read-only, else as `open_beneath`.
    """
    with _folder_of(root, path, make=True) as (folder, name), _explained(path):
        _check_mark(folder, name, path, mark)
        return _replace(folder, name, path, data, mark)


@contextlib.contextmanager
def spool(root: Path) -> Iterator[IO[bytes]]:
    """A file without a name for what is still coming in: in memory, beyond 1 MiB on the disk of *root*; gone at the end."""
    with _explained("upload"), tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(root)) as file:
        yield file


def remove(root: Root, path: str, mark: Mark) -> None:
    """Deletes the regular file *path* while *mark* is its mark, else *Changed*. Raises as `atomic_write`."""
    with _folder_of(root, path) as (folder, name), _explained(path):
        _check_mark(folder, name, path, mark)
        os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def move(root: Root, path: str, target: str, mark: Mark) -> None:
    """Gives the regular file *path* the name *target*, where nothing may be yet. Raises *Conflict*, else as `remove`."""
    with _folder_of(root, path) as (folder, name), _folder_of(root, target, make=True) as (into, new):
        with _explained(path):
            _check_mark(folder, name, path, mark)
        with _explained(target):
            _rename_new(folder, name, into, new, target)
            os.fsync(into)
            os.fsync(folder)


def tree(root: Path, unread: list[str] | None = None) -> Iterator[tuple[str, os.stat_result]]:
    """All that is beneath *root*, by name, a folder before what is in it; nothing where there is no root.

    Links are named, not followed. Folders that can't be read are added to *unread*; writes under way are left out.
    """
    top = root.resolve()  # the root itself may be a link
    if not top.is_dir():
        return

    def note(error: OSError) -> None:
        if unread is not None and error.filename and error.errno != errno.ENOENT:
            unread.append(os.path.relpath(error.filename, top))

    for place, folders, names, descriptor in os.fwalk(top, onerror=note):
        folders.sort()
        prefix = "" if place == str(top) else f"{os.path.relpath(place, top)}/"
        for name in sorted({*folders, *names}):
            with contextlib.suppress(FileNotFoundError):
                info = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not _TEMPORARY.fullmatch(name):
                    yield prefix + name, info


def sweep(root: Path) -> None:
    """Deletes what a killed process left of its writes beneath *root*. Links and hidden folders are not entered."""
    for _, folders, names, descriptor in os.fwalk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in filter(_TEMPORARY.fullmatch, names):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=descriptor)


def mark_of(info: os.stat_result) -> Mark:
    """The mark of the file that *info* is of."""
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


@contextlib.contextmanager
def _root(root: Root) -> Iterator[int]:
    if isinstance(root, int):
        yield root
        return
    try:
        descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"The folder {root} can't be opened: {error.strerror}.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turns what the system says into a domain error; what is nobody's fault (EIO, say) stays an OSError."""
    try:
        yield
    except OSError as error:
        if (explained := _explain(error.errno, printable(path))) is None:
            raise
        raise explained from None


def _explain(code: int | None, shown: str) -> IronclawError | None:
    if code in _MISSING:
        return NotFound(f"There is no {shown} in the workspace.", field="path")
    if code in _FULL:
        return Unavailable("The disk of the workspace is full or read-only; nothing was written.", code="disk_full")
    reasons = (
        (_OUTSIDE, "is a link that may not be followed"),
        (_NO_FILE, "is not a regular file"),
        (_DENIED, "may not be opened: the system denies it"),
        ({errno.EISDIR}, "is a folder"),
        ({errno.ENAMETOOLONG}, "has too long a name"),
    )
    for codes, reason in reasons:
        if code in codes:
            return Invalid(f"{shown} {reason}.", field="path")
    return None


def _parts(path: str) -> list[str]:
    """The components; none for the root itself. Raises *Invalid* for what no path beneath a root can be."""
    parts = path.split("/") if path else []
    if "\0" in path or any(part in {"", ".", ".."} for part in parts):
        raise Invalid("A path is relative, has no `..`, no NUL and no empty part.", field="path")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise Invalid("The path is not valid Unicode.", field="path") from None
    return parts


def _open(top: int, path: str, flags: int) -> int:
    _parts(path)
    return beneath.open_at(top, path, flags)


def _must_be_regular(info: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise Invalid(f"{printable(path)} is a folder.", field="path")
    if not stat.S_ISREG(info.st_mode):
        raise Invalid(f"{printable(path)} is not a regular file.", field="path")


def moment(seconds: float) -> datetime:
    """A file's time in UTC; the epoch for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _entry(top: int, folder: str, item: "os.DirEntry[str]") -> Entry | None:
    try:
        link = item.is_symlink()
        path = f"{folder}/{item.name}" if folder else item.name
        info = _stat_link(top, path) if link else item.stat(follow_symlinks=False)
    except (OSError, IronclawError):
        return None
    is_folder = stat.S_ISDIR(info.st_mode)
    if not is_folder and not stat.S_ISREG(info.st_mode):
        return None
    return Entry(item.name, is_folder, link, info.st_size, moment(info.st_mtime))


def _stat_link(top: int, path: str) -> os.stat_result:
    descriptor = _open(top, path, os.O_PATH)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _open_or_make_folder(top: int, folders: list[str]) -> int:
    for depth, name in enumerate(folders):
        parent = _open(top, "/".join(folders[:depth]), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.mkdir(name, dir_fd=parent)
            os.fsync(parent)
        except FileExistsError:
            pass
        finally:
            os.close(parent)
    return _open(top, "/".join(folders), os.O_RDONLY | os.O_DIRECTORY)


def _regular_or_missing(folder: int, name: str, path: str) -> os.stat_result | None:
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(info.st_mode):
        raise Invalid(f"{printable(path)} is a link; write to the file itself.", field="path")
    _must_be_regular(info, path)
    return info


def _replace(folder: int, name: str, path: str, data: bytes, mark: Mark | None) -> datetime:
    temporary = f".ironclaw-{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            old = _regular_or_missing(folder, name, path)
            if old is not None:
                _keep_owner_and_mode(descriptor, old)
            os.fsync(descriptor)
            _check_mark(folder, name, path, mark)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            modified = moment(os.fstat(descriptor).st_mtime)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)
    return modified


def _check_mark(folder: int, name: str, path: str, mark: Mark | None) -> None:
    info = _regular_or_missing(folder, name, path)
    if mark is not None and mark != (MISSING if info is None else mark_of(info)):
        raise Changed(f"{printable(path)} changes all the time. Try again.", field="path")


@contextlib.contextmanager
def _folder_of(root: Root, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    *folders, name = _parts(path) or [""]
    if not name:
        raise Invalid("A file needs a name.", field="path")
    with _root(root) as top, _explained(path):
        flags = os.O_RDONLY | os.O_DIRECTORY
        folder = _open_or_make_folder(top, folders) if make else _open(top, "/".join(folders), flags)
    try:
        yield folder, name
    finally:
        os.close(folder)


def _rename_new(folder: int, name: str, into: int, new: str, target: str) -> None:
    try:
        beneath.rename_new(folder, name, into, new)
    except FileExistsError:
        raise Conflict(f"There is a {printable(target)} already.", field="to") from None


def _keep_owner_and_mode(descriptor: int, old: os.stat_result) -> None:
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
