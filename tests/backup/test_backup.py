"""Backups: what is in one, what is not, and that it is as it was at one moment."""

import asyncio
import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from backup_home import KNOWN, conversations, files_of, make_home, unpacked

from ironclaw.backup.contents import BackupFailed, backups_in
from ironclaw.backup.create import Source, create
from ironclaw.backup.reader import read_about
from ironclaw.backup.restore import restore, verify
from ironclaw.settings import Settings

CANARY = "sk-canary-0123456789abcdef0123"


async def test_a_backup_put_back_elsewhere_is_the_same_home(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home", "help", "note: buy milk", "status")
    (source.workspace / "deep" / "er").mkdir(parents=True)
    (source.workspace / "deep" / "er" / "photo.jpg").write_bytes(os.urandom(3_000_000))
    (source.workspace / ".obsidian").mkdir()
    (source.workspace / ".obsidian" / "app.json").write_text("{}")
    (source.home / "skills" / "mine").mkdir(parents=True)
    (source.home / "skills" / "mine" / "SKILL.md").write_text("# mine")
    script = source.workspace / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o750)
    os.utime(script, (1_700_000_000, 1_700_000_000))
    archive = tmp_path / "backups" / "one.tar.gz"
    made = create(source, archive)
    assert verify(archive, KNOWN).files == made.files
    restored = restore(archive, tmp_path / "new", KNOWN)
    assert restored.aside is None
    assert files_of(tmp_path / "new" / "workspace") == files_of(source.workspace)
    assert files_of(tmp_path / "new" / "skills") == files_of(source.home / "skills")
    assert conversations(tmp_path / "new" / "ironclaw.db") == conversations(source.home / "ironclaw.db")
    back = tmp_path / "new" / "workspace" / "run.sh"
    assert (stat.S_IMODE(back.stat().st_mode), back.stat().st_mtime) == (0o750, 1_700_000_000)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert list(archive.parent.iterdir()) == [archive]  # nothing of the work is left


async def test_s20_without_secrets_no_secret_and_no_trace_of_one_is_in_it(
    make_client: Callable[..., Awaitable[TestClient]], settings: Settings, tmp_path: Path
) -> None:
    assert settings.home is not None
    settings.home.mkdir()
    (settings.home / ".env").write_text(f"LLM_API_KEY={CANARY}-env\n")
    (settings.home / "token").write_text("a-token-in-a-file-0123\n")
    client = await make_client(settings)
    sealed = []
    for key in (f"{CANARY}-first", f"{CANARY}-second"):  # what the first has left in free pages must be gone too
        body = {"address": "http://127.0.0.1:9/v1", "model": "m", "api_key": key, "test": False}
        assert (await client.put("/api/model", json=body)).status == 200
        rows = await client.gateway.services.database.read(
            lambda db: db.execute("SELECT sealed FROM secrets").fetchall()
        )
        sealed.append(bytes(rows[0][0]))
    freed = os.urandom(6000)
    with contextlib.closing(sqlite3.connect(settings.home / "ironclaw.db", isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = OFF")  # some builds of SQLite overwrite what is deleted, others do not
        db.execute("CREATE TABLE gone (x BLOB)")
        db.execute("INSERT INTO gone VALUES (?)", (freed,))
        db.execute("DROP TABLE gone")
    source = Source(settings.home, settings.home / "workspace")
    await asyncio.to_thread(create, source, tmp_path / "plain.tar.gz")
    await asyncio.to_thread(create, source, tmp_path / "secret.tar.gz", with_secrets=True)
    plain, secret = unpacked(tmp_path / "plain.tar.gz"), unpacked(tmp_path / "secret.tar.gz")
    whole = b"".join(plain.values())
    assert not {"token", "secrets.key", ".env"} & set(plain)
    for trace in (
        CANARY.encode(),
        freed[1000:1200],
        *sealed,
        b"a-token-in-a-file",
        (settings.home / "secrets.key").read_bytes().strip(),
    ):
        assert trace not in whole
    assert {"token", "secrets.key", ".env"} < set(secret)
    assert sealed[1] in secret["ironclaw.db"]
    assert freed[1000:1200] in secret["ironclaw.db"]  # else the check above would prove nothing
    assert not read_about(tmp_path / "plain.tar.gz").with_secrets
    restore(tmp_path / "secret.tar.gz", tmp_path / "new", KNOWN)
    back = await make_client(Settings(home=tmp_path / "new", auth_token=settings.auth_token, llm_discover=False))
    assert (await (await back.get("/api/model")).json())["has_key"] is True


async def test_of_extensions_the_data_is_copied_and_the_installed_packages_are_not(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home")
    for name in ("python/bin/server", "node/server.js", "data/notes.json", "data/python/x"):
        path = source.home / "extensions" / "clock" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (source.home / "extensions" / "clock" / "python" / "lib").symlink_to("/usr/lib")
    about = create(source, tmp_path / "b.tar.gz")
    found = {name for name in unpacked(tmp_path / "b.tar.gz") if name.startswith("extensions/")}
    assert (found, about.left_out) == ({"extensions/clock/data/notes.json", "extensions/clock/data/python/x"}, ())
    restore(tmp_path / "b.tar.gz", tmp_path / "new", KNOWN)
    assert (tmp_path / "new" / "extensions" / "clock" / "data" / "notes.json").exists()


async def test_links_and_special_files_are_left_out_and_named_and_never_followed(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home")
    (tmp_path / "outside.md").write_text("not mine to copy")
    (source.workspace / "link.md").symlink_to(tmp_path / "outside.md")
    (source.workspace / "folder").symlink_to(tmp_path)
    os.mkfifo(source.workspace / "pipe")
    about = create(source, tmp_path / "b.tar.gz")
    assert set(about.left_out) == {"workspace/link.md", "workspace/folder", "workspace/pipe"}
    assert b"not mine to copy" not in b"".join(unpacked(tmp_path / "b.tar.gz").values())
    verify(tmp_path / "b.tar.gz", KNOWN)


async def test_a_workspace_that_is_a_link_elsewhere_and_names_that_are_no_text_are_copied(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home")
    vault = tmp_path / "vault"
    source.workspace.rename(vault)
    source.workspace.symlink_to(vault)
    name = os.fsdecode(b"caf\xe9 \n.md")
    (vault / name).write_text("latin")
    create(source, tmp_path / "b.tar.gz")
    verify(tmp_path / "b.tar.gz", KNOWN)
    restore(tmp_path / "b.tar.gz", tmp_path / "new", KNOWN)
    assert (tmp_path / "new" / "workspace" / name).read_text() == "latin"
    assert files_of(tmp_path / "new" / "workspace") == files_of(vault)


async def test_files_that_grow_and_shrink_while_they_are_read_do_not_spoil_it(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home")
    done = threading.Event()

    def write_on() -> None:
        while not done.is_set():
            for number in range(20):
                path = source.workspace / f"{number}.md"
                path.write_bytes(b"x" * (number * 50_000 + 1))
                with path.open("ab") as file:
                    file.write(b"y" * 10_000)
                path.unlink()

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        for number in range(5):
            create(source, tmp_path / f"{number}.tar.gz")
            verify(tmp_path / f"{number}.tar.gz", KNOWN)
    finally:
        done.set()
        thread.join()


async def test_a_copy_is_of_one_moment_though_others_write_all_the_time(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home")
    writer = sqlite3.connect(source.home / "ironclaw.db", isolation_level=None)
    writer.execute("CREATE TABLE pairs (n INTEGER, filler TEXT)")
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO pairs VALUES (?, ?)", [(0, "x" * 4000) for _ in range(4000)])
    writer.execute("COMMIT")
    steps: list[int] = []

    def write_between(step: str, done: int, total: int) -> None:
        if step == "database":
            steps.append(done)
            writer.execute("BEGIN")
            writer.executemany("INSERT INTO pairs VALUES (?, '')", [(len(steps),)] * 2)
            writer.execute("COMMIT")

    create(source, tmp_path / "b.tar.gz", progress=write_between)
    assert len(steps) > 5
    (tmp_path / "copy.db").write_bytes(unpacked(tmp_path / "b.tar.gz")["ironclaw.db"])
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT count(*), max(n) FROM pairs").fetchone() == (4000, 0)
    assert writer.execute("SELECT count(*) FROM pairs").fetchone()[0] == 4000 + 2 * len(steps)
    copy.close()
    writer.close()


async def test_what_breaks_off_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home", "help")

    class EnoughError(Exception):
        pass

    for last in ("database", "check", "files"):

        def stop(step: str, done: int, total: int, last: str = last) -> None:
            if step == last:
                raise EnoughError

        with pytest.raises(EnoughError):
            create(source, tmp_path / "b" / "b.tar.gz", progress=stop)
        assert list((tmp_path / "b").iterdir()) == []


async def test_a_damaged_database_is_not_backed_up_in_place_of_good_ones(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home", *("help",) * 5)
    path = source.home / "ironclaw.db"
    data = bytearray(path.read_bytes())
    data[20_000:60_000] = os.urandom(40_000)
    path.write_bytes(data)
    with pytest.raises(BackupFailed, match="ironclaw doctor"):
        create(source, tmp_path / "b" / "b.tar.gz")
    assert list((tmp_path / "b").iterdir()) == []


async def test_nothing_is_written_over_and_a_home_without_a_database_is_said(tmp_path: Path) -> None:
    source = await make_home(tmp_path / "home")
    (tmp_path / "mine.tar.gz").write_text("mine")
    with pytest.raises(BackupFailed, match="exists already"):
        create(source, tmp_path / "mine.tar.gz")
    assert (tmp_path / "mine.tar.gz").read_text() == "mine"
    with pytest.raises(BackupFailed, match="nothing to back up"):
        create(Source(tmp_path / "none", tmp_path / "none" / "workspace"), tmp_path / "b.tar.gz")


def test_only_backups_are_listed_the_newest_first(tmp_path: Path) -> None:
    assert backups_in(tmp_path / "none") == []
    for name in (
        "ironclaw-20261101T030000Z.tar.gz",
        "ironclaw-nightly-20261103T030000Z.tar.gz",
        "ironclaw-20261102T030000Z-with-secrets.tar.gz",
        "ironclaw-20269902T030000Z.tar.gz",
        ".ironclaw-20261102T030000Z.tar.gz.part",
        "photos.tar.gz",
    ):
        (tmp_path / name).write_bytes(b"12345")
    found = backups_in(tmp_path)
    assert [(one.created_at, one.nightly, one.with_secrets, one.size) for one in found] == [
        ("2026-11-03T03:00:00Z", True, False, 5),
        ("2026-11-02T03:00:00Z", False, True, 5),
        ("2026-11-01T03:00:00Z", False, False, 5),
    ]
