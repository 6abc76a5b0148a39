"""Skill folders on disk: read whole and bounded, written whole or not at all. Functions here block for the disk.

Hidden files are left out everywhere. No file gets the right to be run, and nothing here runs one.
"""

import contextlib
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from ironclaw import files
from ironclaw.errors import Invalid, NotFound, Unavailable
from ironclaw.redact import printable
from ironclaw.skills import document
from ironclaw.skills.models import MAIN, MOST_BYTES, MOST_DEPTH, MOST_FILE, MOST_FILES, Package

log = logging.getLogger(__name__)

Signature = tuple[tuple[str, files.Mark], ...]
"""Tells whether a folder is still the same, without reading its files."""

_NEW = ".new-"
_OLD = ".old-"


def names_in(parent: Path) -> list[str]:
    """The folders in *parent* that are not hidden, sorted; none where there is no such folder that can be read."""
    try:
        with os.scandir(parent) as found:
            return sorted(
                one.name for one in found if not one.name.startswith(".") and (one.is_dir() or one.is_symlink())
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("The folder of skills, %s, can't be read: %s", parent, error.strerror)
        return []


def signature_of(root: Path) -> Signature:
    """The signature of the skill in *root*. Raises *NotFound*, or *Invalid* for what no skill may hold."""
    if root.is_symlink():
        raise Invalid("It is a link; links are not followed.", code="bad_skill")
    if not root.is_dir():
        raise NotFound("Its folder is gone.")
    marks: dict[str, files.Mark] = {}
    size = 0
    for path, info in _walk(root, ""):
        size += info.st_size
        if info.st_size > MOST_FILE or size > MOST_BYTES or len(marks) >= MOST_FILES:
            raise Invalid(limits(), code="bad_skill")
        marks[path] = files.mark_of(info)
    return tuple(sorted(marks.items()))


def limits() -> str:
    """How much a skill may hold, as a sentence."""
    size = f"{MOST_FILE >> 20} MiB each and {MOST_BYTES >> 20} MiB together"
    return f"A skill has at most {MOST_FILES} files, {size}, in folders at most {MOST_DEPTH} deep."


def _walk(root: Path, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    if folder.count("/") >= MOST_DEPTH:
        raise Invalid(limits(), code="bad_skill")
    with os.scandir(root / folder) as found:
        entries = [one for one in found if not one.name.startswith(".")]
    for entry in entries:
        path = f"{folder}{entry.name}"
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            yield from _walk(root, f"{path}/")
        elif stat.S_ISREG(info.st_mode):
            yield path, info
        else:
            raise Invalid(f"{printable(path)} is a link or no regular file; a skill has files only.", code="bad_skill")


def read(root: Path) -> Package:
    """The skill in *root*; its folder's name is what it is called where it does not say so. Raises as `signature_of`."""
    paths = [path for path, _ in signature_of(root)]
    if MAIN not in paths:
        raise Invalid(f"There is no {MAIN} in it.", code="bad_skill")
    found = {path: files.read_bytes(root, path, limit=MOST_FILE).data for path in paths}
    return Package(document.parse(found[MAIN], name=root.name), found)


def put(parent: Path, name: str, contents: Mapping[str, bytes]) -> None:
    """Make these files the folder *name* in *parent*, in place of the one that is there.

    Raises *Unavailable* when the disk takes no more; then all is as it was.
    """
    with _explained():
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new, old, target = parent / f"{_NEW}{secrets.token_hex(8)}", parent / f"{_OLD}{name}", parent / name
        try:
            new.mkdir(mode=0o700)
            for path, data in contents.items():
                files.atomic_write(new, path, data)
            remove(old)
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:
            remove(new)
            if old.exists() and not target.exists():
                old.rename(target)
            raise
        _sync(parent)
        remove(old)


def put_main(parent: Path, name: str, data: bytes) -> None:
    """Make *data* the SKILL.md of the folder *name* in *parent*, which is made if need be. Raises as `put`."""
    with _explained():
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = not (parent / name).exists()
        try:
            files.atomic_write(parent, f"{name}/{MAIN}", data)
        except BaseException:
            if made:
                remove(parent / name)
            raise


def set_aside(parent: Path, name: str, kept: Path) -> None:
    """Move the folder *name* to *kept*. Raises *NotFound*, *Unavailable*."""
    with _explained():
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            (parent / name).rename(kept)
        except FileNotFoundError:
            raise NotFound("Its folder is gone already.") from None


def remove(root: Path) -> None:
    """Delete a folder, where there is one."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(root)


def sweep(parent: Path) -> None:
    """Clear away what a killed process left of its writes; a folder that it was about to replace comes back."""
    if not parent.is_dir():
        return
    for left in parent.iterdir():
        if left.name.startswith(_NEW):
            remove(left)
        elif left.name.startswith(_OLD):
            target = parent / left.name.removeprefix(_OLD)
            if target.exists():
                remove(left)
            else:
                left.rename(target)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What the system says of the folder of skills, as a domain error."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The folder of skills can't be written ({error.strerror}); nothing was changed.", code="storage_failed"
        ) from None
    except Unavailable as error:
        if error.code != "disk_full":
            raise
        raise Unavailable("The disk is full or read-only; the skill was not written.", code="disk_full") from None
