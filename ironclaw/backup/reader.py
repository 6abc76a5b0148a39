"""Reads a backup whoever wrote it: nothing in it is believed before it is looked at.

Only regular files and folders with plain relative names, each once, below the names that a home has; and in the end exactly
the files, sizes and hashes that the manifest says. What is done with the bytes, and how many may come, is the caller's.
"""

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ironclaw.backup.contents import (
    ABOUT,
    DATABASE,
    FOLDERS,
    FORMAT,
    MANIFEST,
    SECRET_FILES,
    About,
    BackupFailed,
    Progress,
    silent,
)
from ironclaw.redact import printable
from ironclaw.values import frozen

_PIECE = 1 << 20
_MOST_ENTRIES = 1_000_000
_MOST_JSON = 256 << 20  # a manifest of a million files
_NAMES = frozenset({DATABASE, *SECRET_FILES})


@frozen
class Entry:
    """A file or folder of a backup; *size* in bytes, *mode* its permissions, *modified* in seconds since 1970."""

    name: str
    is_folder: bool
    size: int
    mode: int
    modified: int


Sink = Callable[[Entry], IO[bytes] | None]
"""Gives the file that an entry's bytes are written to; None: they are only checked. What it raises ends the reading."""


def read_about(path: Path) -> About:
    """What a backup says of itself, from its first bytes. Raises *BackupFailed*."""
    with _opened(path) as tar:
        return _about(tar, tar.next())


def read_backup(path: Path, sink: Sink, progress: Progress = silent) -> About:
    """Read and check all of a backup.

    Raises *BackupFailed* at the first thing that is wrong. What was given to *sink* until then must not be used.
    """
    seen: dict[str, dict[str, Any] | None] = {}
    total = 0
    with _opened(path) as tar:
        about = _about(tar, tar.next())
        while (member := tar.next()) is not None and member.name != MANIFEST:
            _check(member, seen)
            if len(seen) >= _MOST_ENTRIES:
                raise BackupFailed(f"{path} has more than {_MOST_ENTRIES:,} entries; that is no backup of a home.")
            seen[member.name] = _take(tar, member, sink)
            total += member.size
            progress("files", total, about.bytes)
        if member is None:
            raise BackupFailed(f"{path} is cut off: it has no manifest. Use another backup.")
        _compare(seen, _json(tar, member).get("files"), path)
        _read_to_the_end(tar)
    return about


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The tar file inside, its reads bounded. What is wrong with the file becomes *BackupFailed*."""
    try:
        with (
            path.open("rb") as raw,
            gzip.GzipFile(fileobj=raw) as unpacked,
            tarfile.open(fileobj=_Bounded(unpacked), mode="r:", encoding="utf-8", errors="surrogateescape") as tar,
        ):
            yield tar
    except FileNotFoundError:
        raise BackupFailed(f"There is no {path}. `ironclaw backup list` names the backups.") from None
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile) or error.errno is None:
            raise _damaged(path, str(error)) from None
        raise BackupFailed(f"{path}: {error.strerror}.") from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, reason: str) -> BackupFailed:
    return BackupFailed(f"{path} is damaged or no backup ({printable(reason)}). Use another one.")


class _Bounded(io.RawIOBase):
    """A file of which nobody reads more than a piece at once: a header can name a length that no memory has."""

    def __init__(self, file: gzip.GzipFile) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if not 0 <= size <= _PIECE:
            raise ValueError("a header that is too large")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on at *offset*."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where the next read begins."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Forwards."""
        return True


def _about(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> About:
    if member is None or member.name != ABOUT:
        raise ValueError(f"it does not begin with {ABOUT}")
    said = _json(tar, member)
    if said["format"] > FORMAT:
        raise BackupFailed(
            f"The backup was made by a newer version ({printable(str(said['version']))}). Upgrade first."
        )
    return About(
        format=int(said["format"]),
        created_at=str(said["created_at"]),
        version=str(said["version"]),
        schema=tuple(map(int, said["schema"])),
        with_secrets=bool(said["with_secrets"]),
        files=int(said["files"]),
        bytes=int(said["bytes"]),
    )


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    if not member.isreg() or member.size > _MOST_JSON:
        raise ValueError(f"{member.name} is no plain file")
    data = bytearray()
    for piece in _pieces(tar, member):
        data += piece
    found = json.loads(bytes(data))
    if not isinstance(found, dict):
        raise ValueError(f"{member.name} is no object")  # noqa: TRY004 - it says that the file is damaged
    return found


def _pieces(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(member)
    assert file is not None
    left = member.size
    while left:
        piece = file.read(min(_PIECE, left))
        if not piece:
            raise EOFError(f"it ends within {member.name}")
        left -= len(piece)
        yield piece


def _read_to_the_end(tar: tarfile.TarFile) -> None:
    """The padding behind the manifest: gzip compares its checksum at the end only."""
    assert tar.fileobj is not None
    if tar.fileobj.read(_PIECE).strip(b"\0") or tar.fileobj.read(_PIECE):
        raise ValueError("it goes on behind its manifest")


def _check(member: tarfile.TarInfo, seen: dict[str, dict[str, Any] | None]) -> None:
    """Refuse what no backup of ours has. Raises *BackupFailed*."""
    name = member.name
    shown = printable(name)
    parts = name.split("/")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise BackupFailed(f"The backup holds {shown}, which is no plain file or folder. It is not used.")
    known = parts[0] in FOLDERS or (len(parts) == 1 and name in _NAMES)
    if not known or "\0" in name or any(part in {"", ".", ".."} for part in parts):
        raise BackupFailed(f"The backup holds {shown}, which is no name in a home. It is not used.")
    if member.isdir() and len(parts) == 1 and name not in FOLDERS:
        raise BackupFailed(f"In the backup {shown} is a folder. It is not used.")
    if name in seen:
        raise BackupFailed(f"The backup holds {shown} twice. It is not used.")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    if any(folder not in seen or seen[folder] is not None for folder in above):
        raise BackupFailed(f"The backup holds {shown} without its folder. It is not used.")


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, sink: Sink) -> dict[str, Any] | None:
    """Hand an entry on; what the manifest must say of it, None for a folder."""
    entry = Entry(member.name, member.isdir(), member.size, member.mode & 0o777, int(member.mtime))
    with contextlib.ExitStack() as stack:
        file = sink(entry)
        if file is not None:
            stack.enter_context(file)
        if entry.is_folder:
            return None
        digest = hashlib.sha256()
        for piece in _pieces(tar, member):
            digest.update(piece)
            if file is not None:
                file.write(piece)
    return {"size": member.size, "sha256": digest.hexdigest()}


def _compare(seen: dict[str, dict[str, Any] | None], said: object, path: Path) -> None:
    files = {name: facts for name, facts in seen.items() if facts is not None}
    if not isinstance(said, dict) or DATABASE not in files:
        raise _damaged(path, "its manifest is none")
    for name in sorted({*files, *said}, key=repr):
        if files.get(name) != said.get(name):
            raise BackupFailed(f"{path} is damaged: {printable(name)} is not what the manifest says. Use another one.")
