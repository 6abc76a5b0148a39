"""Which notes there are on the disk, in which state, and their text. Quicker than `Workspace.scan`, for the search only.

Everything here blocks. Links are not followed; what can't be opened is left out. What a note's path may be is
`workspace.py`.
"""

import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ironclaw import beneath, files
from ironclaw.errors import Invalid, IronclawError, Unavailable
from ironclaw.memory.notes import MAX_NOTE
from ironclaw.memory.paths import checked_path, is_note, join
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_RACY = 100_000_000  # nanoseconds in which a file may change twice and keep its times


@frozen
class NoteText:
    """A note as it was read: *modified* in nanoseconds, and its `stamp` then."""

    path: str
    text: str
    modified: int
    stamp: int


def stamp(info: os.stat_result) -> int:
    """A number that is another one after the file was changed in any way."""
    return (info.st_mtime_ns * 3 + info.st_ctime_ns * 5 + info.st_size * 7 + info.st_ino * 11) & 0x7FFF_FFFF_FFFF_FFFF


def read(root: Path, path: str) -> NoteText | None:
    """The note *path*, or None where there is no readable one: no regular file, too large, not UTF-8."""
    try:
        with os.fdopen(files.open_beneath(root, path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as file:
            info = os.fstat(file.fileno())
            data = file.read(info.st_size + 1) if info.st_size <= MAX_NOTE else None
        if data is None or len(data) > MAX_NOTE:
            return None
        # What was written a moment ago may change again within the same tick of the clock: then it is read once more.
        settled = abs(time.time_ns() - info.st_ctime_ns) > _RACY
        return NoteText(path, data.decode(), info.st_mtime_ns, stamp(info) if settled else 0)
    except (IronclawError, OSError, UnicodeDecodeError) as error:
        log.debug("a note is left out of the search: %s", error)
        return None


def notes(root: Path, path: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Each note beneath the folder *path*, or *path* itself where it is a note; none where a link leads there."""
    try:
        if path and stat.S_ISREG((info := _own_state(root, path)).st_mode):
            if is_note(path):
                yield path, info
            return
    except (IronclawError, OSError):
        return
    folders = [path]
    while folders:
        folder = folders.pop()
        for name, info in _states(root, folder):
            if stat.S_ISDIR(info.st_mode):
                folders += _valid(folder, name)
            elif stat.S_ISREG(info.st_mode) and is_note(name):
                for found in _valid(folder, name):
                    yield found, info


def _own_state(root: Path, path: str) -> os.stat_result:
    """What the system knows of *path* itself. Raises *Invalid* or *OSError*, also where a link leads there."""
    parts = checked_path(path).split("/")
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for depth in range(1, len(parts)):
            os.close(beneath.open_at(top, "/".join(parts[:depth]), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW))
        own = beneath.open_at(top, path, os.O_PATH | os.O_NOFOLLOW)
    finally:
        os.close(top)
    try:
        return os.fstat(own)
    finally:
        os.close(own)


def _states(root: Path, folder: str) -> list[tuple[str, os.stat_result]]:
    """Each name in a folder and its own state; nothing for a folder that went away or is closed to us.

    Raises *Unavailable* where that is the workspace itself.
    """
    try:
        here = _open_folder(root, folder)
        try:
            with os.scandir(here) as items:
                return [found for item in items for found in _state(item)]
        finally:
            os.close(here)
    except OSError as error:
        if not folder:
            raise Unavailable(f"The folder {root} can't be read: {error.strerror}.") from None
        log.debug("a folder is left out of the search: %s", error)
        return []


def _open_folder(root: Path, folder: str) -> int:
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return beneath.open_at(top, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    finally:
        os.close(top)


def _state(item: "os.DirEntry[str]") -> list[tuple[str, os.stat_result]]:
    try:
        return [(item.name, item.stat(follow_symlinks=False))]
    except OSError:  # it went away meanwhile
        return []


def _valid(folder: str, name: str) -> list[str]:
    """The path of what is called *name*, as one element, or nothing where no note may be called so."""
    try:
        return [checked_path(join(folder, name))]
    except Invalid:
        return []


class Catalogue:
    """The state in which each note was indexed, to be compared with the disk."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, int]] = {}

    def put(self, path: str, seen: int) -> None:
        """The note *path* is indexed as it was at the stamp *seen*."""
        folder, _, name = path.rpartition("/")
        self._folders.setdefault(folder, {})[name] = seen

    def drop(self, path: str) -> None:
        """The note *path* is not indexed any more."""
        folder, _, name = path.rpartition("/")
        self._folders.get(folder, {}).pop(name, None)

    def below(self, path: str) -> list[str]:
        """What is indexed as *path*, or beneath it."""
        folder, _, name = path.rpartition("/")
        own = [path] if name in self._folders.get(folder, {}) else []
        inside = [one for one in self._folders if one == path or one.startswith(f"{path}/")]
        return own + [f"{one}/{name}" for one in inside for name in self._folders[one]]

    def changed(self, root: Path) -> set[str]:
        """The notes whose state on the disk is not the one indexed: new, changed and gone ones."""
        changed: set[str] = set()
        folders, gone = [""], set(self._folders)
        while folders:
            folder = folders.pop()
            gone.discard(folder)
            folders += self._compare(folder, _states(root, folder), changed)
        changed.update(f"{folder}/{name}" for folder in gone for name in self._folders[folder])
        return changed

    def _compare(self, folder: str, found: list[tuple[str, os.stat_result]], changed: set[str]) -> list[str]:
        """Adds the changed notes of one folder to *changed*; the folders in it."""
        known, folders, seen = self._folders.get(folder, {}), [], 0
        prefix = f"{folder}/" if folder else ""
        for name, info in found:
            if (kind := info.st_mode & 0o170000) == stat.S_IFREG and name in known:
                seen += 1
                if known[name] != stamp(info):
                    changed.add(prefix + name)
            elif kind == stat.S_IFDIR:
                folders += _valid(folder, name)
            elif kind == stat.S_IFREG and is_note(name):
                changed.update(_valid(folder, name))
        if seen < len(known):
            left = {name for name, info in found if stat.S_ISREG(info.st_mode)}
            changed.update(prefix + name for name in known.keys() - left)
        return folders
