"""Reads a skill out of an archive (zip, tar, tar.gz), in memory: nothing is written before all of it was checked.

Bytes are counted while they unfold, whatever the archive says of its sizes. Anything but plain files and folders, two
names that one disk could take for the same, and every path that could lead out refuse the whole archive.
"""

import io
import re
import stat
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ironclaw.errors import Invalid
from ironclaw.redact import printable
from ironclaw.skills import document
from ironclaw.skills.folder import limits
from ironclaw.skills.models import MAIN, MOST_ARCHIVE, MOST_BYTES, MOST_DEPTH, MOST_FILE, MOST_FILES, Package

if TYPE_CHECKING:
    from zipfile import ZipInfo

_MOST_ENTRIES = 1000  # of a whole repository around the skill
_MOST_UNFOLDED = 4 * MOST_BYTES
_MOST_DIRECTORY = 256 * 1024
_MOST_PATH = 200
_NEVER_IN_A_PATH = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_LEFT_OUT = re.compile(r"(?:^|/)(?:\.[^/]*|__MACOSX)(?:/|$)")


def unpack(data: bytes, *, name: str | None = None) -> Package:
    """The skill in *data*, which is an archive or a SKILL.md; of several skills in an archive the one called *name*.

    Raises *Invalid* that says what is wrong with it.
    """
    if len(data) > MOST_ARCHIVE:
        raise _refused(f"is larger than {MOST_ARCHIVE >> 20} MiB")
    if (entries := _entries_of(data)) is None:
        return Package(document.parse(data, name=name), {MAIN: data})
    return _package(_checked(entries), name)


def _refused(reason: str) -> Invalid:
    return Invalid(f"The archive {reason}. Nothing of it was kept.", field="archive", code="bad_archive")


def _entries_of(data: bytes) -> Iterator[tuple[str, bytes]] | None:
    """Path and content of the files in an archive; None for what is none."""
    if data.startswith(b"PK"):
        return _zip_entries(data)
    if data.startswith(b"\x1f\x8b"):
        return _tar_entries(_gunzip(data))
    if data[257:262] == b"ustar":
        return _tar_entries(data)
    if data.startswith((b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")):
        raise _refused("is of a kind that is not read; pack it as zip or tar.gz")
    return None


# Zip


def _zip_entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    import zipfile  # noqa: PLC0415 - only where an archive is read

    end = data.rfind(b"PK\5\6")
    # The list of contents is made into objects before anything of it can be looked at, so its size is checked first.
    if end < 0 or b"PK\6\7" in data[max(0, end - 20) : end]:
        raise _refused("is not a whole zip file, or one of a size that is not read")
    if int.from_bytes(data[end + 12 : end + 16], "little") > _MOST_DIRECTORY:
        raise _refused(f"has more than {_MOST_ENTRIES} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for number, info in enumerate(archive.infolist()):
                _check_count(number)
                _check_zip_entry(info)
                if not info.is_dir():
                    with archive.open(info) as file:
                        # `filename` is not what the archive says: zipfile cuts and changes it.
                        yield info.orig_filename, file.read(MOST_FILE + 1)
                else:
                    yield info.orig_filename, b""
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise _refused(f"can't be read: {printable(str(error))}") from None


def _check_zip_entry(info: "ZipInfo") -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG}:
        raise _refused(f"has {printable(info.orig_filename)}, which is no plain file")
    if info.flag_bits & 0x1:
        raise _refused("is encrypted")
    if info.compress_type not in {0, 8}:
        raise _refused("uses a compression that is not read; pack it as an ordinary zip")


# Tar


def _gunzip(data: bytes) -> bytes:
    unfold = zlib.decompressobj(wbits=31)
    try:
        plain = unfold.decompress(data, _MOST_UNFOLDED)
    except zlib.error as error:
        raise _refused(f"can't be read: {error}") from None
    if unfold.unconsumed_tail or unfold.unused_data.startswith(b"\x1f\x8b"):
        raise _refused(f"unfolds to more than {_MOST_UNFOLDED >> 20} MiB")
    if not unfold.eof:
        raise _refused("is cut off")
    return plain


def _tar_entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    import tarfile  # noqa: PLC0415 - only where an archive is read

    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for number, member in enumerate(archive):
                _check_count(number)
                if member.isdir():
                    yield f"{member.name}/", b""
                    continue
                if not member.isreg() or member.issparse():
                    raise _refused(f"has {printable(member.name)}, which is a link or no plain file")
                file = archive.extractfile(member)
                assert file is not None
                yield member.name, file.read(MOST_FILE + 1)
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError) as error:
        raise _refused(f"can't be read: {printable(str(error))}") from None


def _check_count(number: int) -> None:
    if number >= _MOST_ENTRIES:
        raise _refused(f"has more than {_MOST_ENTRIES} entries")


# What is in it


def _checked(entries: Iterator[tuple[str, bytes]]) -> dict[str, bytes]:
    """The files by path, hidden ones left out."""
    found: dict[str, bytes] = {}
    known: dict[str, bool] = {}
    size = 0
    for raw, data in entries:
        is_folder = raw.endswith("/")
        path = _checked_path(raw)
        if not path:
            continue
        _check_collisions(path, known, is_folder=is_folder)
        size += len(data)
        if size > _MOST_UNFOLDED:
            raise _refused(f"unfolds to more than {_MOST_UNFOLDED >> 20} MiB")
        if not is_folder and not _LEFT_OUT.search(path):
            found[path] = data
    return found


def _checked_path(raw: str) -> str:
    """The path without `./` and the slash of a folder. Raises for one that could lead out, or that a disk can't have."""
    path = raw.removesuffix("/")
    while path.startswith("./"):
        path = path[2:]
    if path in {"", "."} and not raw.startswith("/"):
        return ""
    parts = path.split("/")
    if path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise _refused(f"has the path {printable(raw)[:_MOST_PATH]}, which leads out of it or nowhere")
    if _NEVER_IN_A_PATH.search(path) or not path.isprintable() or any(part.endswith((" ", ".")) for part in parts):
        raise _refused(f"has the path {printable(raw)[:_MOST_PATH]}, with signs that not every disk can have")
    if len(path.encode()) > _MOST_PATH or len(parts) > 2 * MOST_DEPTH:
        raise _refused(f"has a path of more than {_MOST_PATH} bytes, or too deep a one")
    return path


def _check_collisions(path: str, known: dict[str, bool], *, is_folder: bool) -> None:
    """No two entries may be the same file on a disk that folds names, nor a file be a folder, too."""
    parts = _folded(path).split("/")
    for depth in range(1, len(parts)):
        if known.setdefault("/".join(parts[:depth]), True) is False:
            raise _refused(f"has {printable(path)} in what is a file")
    key = "/".join(parts)
    if key in known and not (known[key] and is_folder):
        raise _refused(f"has {printable(path)} twice, if only in other letters")
    known[key] = is_folder


def _folded(path: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def _package(found: Mapping[str, bytes], name: str | None) -> Package:
    folder = _folder_of_skill(found, name)
    prefix = "" if folder == PurePosixPath() else f"{folder}/"
    contents = {path.removeprefix(prefix): data for path, data in found.items() if path.startswith(prefix)}
    size = sum(map(len, contents.values()))
    deepest = max(path.count("/") for path in contents)
    too_large = any(len(data) > MOST_FILE for data in contents.values())
    if len(contents) > MOST_FILES or too_large or size > MOST_BYTES or deepest > MOST_DEPTH:
        raise Invalid(limits(), field="archive", code="bad_archive")
    return Package(document.parse(contents[MAIN], name=folder.name or name), contents)


def _folder_of_skill(found: Mapping[str, bytes], name: str | None) -> PurePosixPath:
    folders = [PurePosixPath(path).parent for path in found if PurePosixPath(path).name == MAIN]
    outermost = [one for one in folders if not any(other in one.parents for other in folders)]
    if not outermost:
        wrong = next((path for path in found if path.lower().endswith(MAIN.lower())), None)
        hint = f"; {printable(wrong)} must be called so" if wrong else ""
        raise _refused(f"has no {MAIN}{hint}")
    if len(outermost) > 1:
        chosen = [one for one in outermost if name is not None and one.name == name]
        if len(chosen) != 1:
            listed = ", ".join(sorted(printable(one.name) for one in outermost)[:20])
            raise _refused(f"has {len(outermost)} skills; say which by `name`: {listed}")
        return chosen[0]
    return outermost[0]
