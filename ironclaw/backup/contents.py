"""What of a home is in a backup, and what a backup says of itself. How it is written and read: `create.py`, `reader.py`.

A backup is one gzipped tar file. First comes `backup.json` (when, by which version, with or without secrets), then the
database, the files, and last `manifest.json` with the size and hash of each of them.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ironclaw.codec import format_time
from ironclaw.errors import Unavailable
from ironclaw.values import frozen

FORMAT = 1
ABOUT = "backup.json"
MANIFEST = "manifest.json"
DATABASE = "ironclaw.db"
WORKSPACE = "workspace"
FOLDERS = (WORKSPACE, "skills", "extensions")
ENVIRONMENTS = ("python", "node")
"""Folders of an extension that its packages are installed in: large, and made anew by an installation."""

SECRET_FILES = ("token", "secrets.key", ".env")
"""Files of the home that hold secrets; in a backup only when they are asked for."""

Progress = Callable[[str, int, int], None]
"""Is told what is done, and how many of how many (0: not known) bytes or pages. What it raises breaks the work off."""

_NAME = re.compile(r"ironclaw(?P<nightly>-nightly)?-(?P<stamp>\d{8}T\d{6}Z)(?P<secrets>-with-secrets)?\.tar\.gz")
_STAMP = "%Y%m%dT%H%M%SZ"


class BackupFailed(Unavailable):
    """The backup could not be made, read or put back; the message says why, and that nothing was changed."""

    code = "backup_failed"


@frozen(kw_only=True)
class About:
    """What a backup says of itself. *schema* are the numbers of the migrations that its database has had.

    *left_out* names what was there but is not in it: links, special files, what could not be read.
    """

    format: int
    created_at: str
    version: str
    schema: tuple[int, ...]
    with_secrets: bool
    files: int
    bytes: int
    left_out: tuple[str, ...] = ()


@frozen(kw_only=True)
class Backup:
    """One backup in the folder of backups, as far as its name and size tell. *size* in bytes."""

    name: str
    created_at: str
    size: int
    nightly: bool
    with_secrets: bool


def name_for(moment: datetime, *, nightly: bool = False, with_secrets: bool = False) -> str:
    """The name of a backup of this moment."""
    kind = "-nightly" if nightly else ""
    secret = "-with-secrets" if with_secrets else ""
    return f"ironclaw{kind}-{moment.astimezone(UTC).strftime(_STAMP)}{secret}.tar.gz"


def backups_in(folder: Path) -> list[Backup]:
    """The backups in a folder, the newest first; none where there is no folder. Other files are not named."""
    try:
        found = [backup for path in folder.iterdir() if (backup := _backup(path)) is not None]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BackupFailed(f"{folder} can't be read: {error.strerror}. Look at its rights.") from None
    return sorted(found, key=lambda one: (one.created_at, one.name), reverse=True)


def _backup(path: Path) -> Backup | None:
    match = _NAME.fullmatch(path.name)
    if match is None or not path.is_file():
        return None
    try:
        made = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
        size = path.stat().st_size
    except (ValueError, OSError):
        return None
    return Backup(
        name=path.name,
        created_at=format_time(made),
        size=size,
        nightly=match["nightly"] is not None,
        with_secrets=match["secrets"] is not None,
    )


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody wants to see."""
