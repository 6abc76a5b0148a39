"""The folder of a program, from outside: how much is in it, whose it is, how it goes away. Never follows a link.

What is in it was made by the program: any names, rights and kinds of files, changing while we look. All functions block.
"""

import contextlib
import os
import stat
import subprocess
from pathlib import Path

_DEEPEST = 100
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def used_bytes(folder: Path) -> int:
    """Bytes on disk of all in *folder*. What lies deeper than 100 folders counts as more than any limit."""
    seen: set[tuple[int, int]] = set()
    try:
        top = os.open(folder, _FLAGS)
    except FileNotFoundError:
        return 0
    return _used(top, seen, 0)


def _used(descriptor: int, seen: set[tuple[int, int]], depth: int) -> int:
    """What is in the open folder *descriptor*, which is closed."""
    total = 0
    try:
        if depth > _DEEPEST:
            return 1 << 62
        with os.scandir(descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    info = entry.stat(follow_symlinks=False)
                    if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                        if (info.st_dev, info.st_ino) in seen:
                            continue
                        seen.add((info.st_dev, info.st_ino))
                    total += info.st_blocks << 9
                    if stat.S_ISDIR(info.st_mode) and (inner := _open_folder(descriptor, entry.name)) is not None:
                        total += _used(inner, seen, depth + 1)
    finally:
        os.close(descriptor)
    return total


def _open_folder(parent: int, name: str) -> int | None:
    try:
        return os.open(name, _FLAGS, dir_fd=parent)
    except PermissionError:
        return _open_forbidden(parent, name)
    except OSError:
        return None


def _open_forbidden(parent: int, name: str) -> int | None:
    """A folder that hides what is in it: its owner is who runs this, so its rights can be given back."""
    with contextlib.suppress(OSError):
        there = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{there}").chmod(0o700)
            return os.open(f"/proc/self/fd/{there}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finally:
            os.close(there)
    return None


def give(folder: Path, user: int) -> None:
    """Make *user* the owner of *folder* and all in it; for root."""
    os.chown(folder, user, user, follow_symlinks=False)
    for _, folders, files, descriptor in os.fwalk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):
                os.chown(name, user, user, dir_fd=descriptor, follow_symlinks=False)


def remove(folder: Path) -> None:
    """Delete *folder* and all in it, however deep. Raises *OSError* where something stays."""
    if not folder.exists():
        return
    path = {"PATH": "/usr/bin:/bin"}
    # Not in Python: its own way down ends at the recursion limit, which a program can nest folders beyond.
    subprocess.run(["chmod", "-R", "u+rwx", "--", str(folder)], env=path, capture_output=True, check=False)  # noqa: S603, S607
    done = subprocess.run(["rm", "-rf", "--", str(folder)], env=path, capture_output=True, check=False)  # noqa: S603, S607
    if done.returncode != 0:
        raise OSError(done.stderr.decode(errors="replace").strip() or f"{folder} could not be deleted")
