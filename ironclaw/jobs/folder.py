"""Where a job has its things: its own folder `work`, and beside it, out of its reach, its output and what it was given.

All functions block for the time of the disk.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path

import attrs

from ironclaw import codec, files
from ironclaw.errors import Invalid, NotFound
from ironclaw.files import Entry
from ironclaw.jobs.models import JobFile
from ironclaw.jobs.output import Output
from ironclaw.redact import printable
from ironclaw.sandbox import folders
from ironclaw.values import frozen

MOST_FILES = 200


@frozen(kw_only=True)
class Given:
    """What a job gets at its start, kept so that it can be started again."""

    stdin: str | None = None
    files: list[JobFile] = attrs.Factory(list)


@frozen
class JobFolder:
    """The folder of one job."""

    path: Path

    @property
    def work(self) -> Path:
        """What the job sees as its home."""
        return self.path / "work"

    @property
    def output(self) -> Output:
        """What it has printed."""
        return Output.open(self.path / "output")

    def lay_out(self, given: Given) -> None:
        """Make it. Raises *Invalid* for a file that can't be, *Unavailable* when the disk takes no more."""
        self.work.mkdir(mode=0o700, parents=True)
        try:
            for file in given.files:
                files.atomic_write(self.work, file.path, content_of(file))
            files.atomic_write(self.path, "given.json", codec.dumps(given))
        except BaseException:
            self.remove()
            raise

    def given(self) -> Given:
        """What it got. Raises *NotFound* where that is gone."""
        data = files.read_bytes(self.path, "given.json", limit=1 << 30).data
        return codec.structure(codec.loads(data), Given)

    def scan(self, path: str) -> list[Entry]:
        """What is in the folder *path* of its files. Raises *NotFound*, *Invalid*."""
        try:
            return sorted(files.scan(self.work, path), key=lambda entry: (not entry.is_folder, entry.name))
        except NotFound:
            raise _missing(path) from None

    def open_file(self, path: str) -> int:
        """A descriptor of one of its files; the caller closes it. Raises *NotFound*, *Invalid*."""
        try:
            return files.open_beneath(self.work, path)
        except NotFound:
            raise _missing(path) from None

    def sizes(self) -> tuple[int, int]:
        """How much it has printed, and what its files take on the disk, both in bytes."""
        return self.output.total, folders.used_bytes(self.work)

    def remove(self) -> None:
        """Delete all of it. Raises *OSError* where something stays."""
        folders.remove(self.path)


def _missing(path: str) -> NotFound:
    return NotFound(f"There is no {printable(path) or 'folder'} among this job's files.", field="path")


def check_files(given: Sequence[JobFile]) -> None:
    """Raises *Invalid* for files that a job can't be given."""
    if len(given) > MOST_FILES:
        raise Invalid(f"A job can be given at most {MOST_FILES} files.", field="files")
    for number, file in enumerate(given):
        if not file.path or len(os.fsencode(file.path)) > 1000:
            raise Invalid("A file needs a path of at most 1000 bytes.", field=f"files.{number}.path")
        content_of(file, f"files.{number}.")


def content_of(file: JobFile, where: str = "") -> bytes:
    """The bytes of a given file. Raises *Invalid*."""
    if (file.content is None) is (file.data is None):
        raise Invalid("A file needs its `content`, or its `data` in base64.", field=f"{where}content")
    if file.content is not None:
        return file.content.encode()
    try:
        return base64.b64decode(file.data or "", validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("The `data` of a file must be base64.", field=f"{where}data") from None
