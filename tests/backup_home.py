"""Homes to be backed up, and archives as somebody else may have written them."""

import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ironclaw.backup.create import Source
from ironclaw.gateway import Gateway
from ironclaw.services import known_migrations
from ironclaw.settings import Settings

KNOWN = known_migrations()


async def make_home(home: Path, *messages: str) -> Source:
    """A home as a gateway leaves it, with these messages answered by the built-in assistant."""
    settings = Settings(home=home, auth_token="test-token-0123456789abcdef", word_delay=0.0, llm_discover=False)
    async with Gateway(settings) as gateway:
        for message in messages:
            await gateway.ask(message, thread_id="a")
    return Source(home, home / "workspace")


def files_of(folder: Path) -> dict[str, bytes]:
    """All regular files below a folder, by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def conversations(database: Path) -> list[tuple[Any, ...]]:
    """What was said, as it is stored."""
    db = sqlite3.connect(database)
    try:
        return db.execute(
            "SELECT message_id, thread_id, state, user_message, response FROM turns ORDER BY seq"
        ).fetchall()
    finally:
        db.close()


def unpacked(archive: Path) -> dict[str, bytes]:
    """The files in a backup, read by Python's own tar."""
    with tarfile.open(archive) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isreg()}  # type: ignore[union-attr]


def forge(
    target: Path,
    source: Path,
    entries: Sequence[tarfile.TarInfo] = (),
    contents: Mapping[str, bytes] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """A backup like *source* with more *entries* in it, its manifest in order: only the entries are wrong."""
    contents = contents or {}
    with tarfile.open(source) as old, tarfile.open(target, "w:gz", errors="surrogateescape") as new:
        for member in old:
            data = old.extractfile(member).read() if member.isreg() else b""  # type: ignore[union-attr]
            if member.name == "manifest.json":
                break
            if member.name == "backup.json" and about:
                data = json.dumps({**json.loads(data), **about}).encode()
                member.size = len(data)
            new.addfile(member, io.BytesIO(data))
        manifest = json.loads(data)
        for entry in entries:
            data = contents.get(entry.name, b"x" * entry.size)
            new.addfile(entry, io.BytesIO(data))
            manifest["files"][entry.name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        text = json.dumps(manifest).encode()
        last = tarfile.TarInfo("manifest.json")
        last.size = len(text)
        new.addfile(last, io.BytesIO(text))
    return target


def repacked(archive: Path, change: bytes, at: int) -> None:
    """Write *change* over the bytes within the archive, under gzip's own check."""
    data = bytearray(gzip.decompress(archive.read_bytes()))
    data[at : at + len(change)] = change
    archive.write_bytes(gzip.compress(bytes(data), 1))
