"""Putting a backup back: all or nothing, never over what is there, never under a running gateway, never what is forged."""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backup_home import KNOWN, conversations, files_of, forge, make_home, repacked
from gateway_process import GatewayProcess

from ironclaw.backup.contents import BackupFailed
from ironclaw.backup.create import create
from ironclaw.backup.restore import restore, verify


@pytest.fixture
async def archive(tmp_path: Path) -> Path:
    """A good backup of a home with a few messages and notes."""
    source = await make_home(tmp_path / "source", "help", "note: remember")
    create(source, tmp_path / "good.tar.gz")
    return tmp_path / "good.tar.gz"


def refused(archive: Path, home: Path, match: str) -> None:
    """Neither verified nor put back; the reason is *match*, and nothing is left of it."""
    before = files_of(home) if home.exists() else None
    with pytest.raises(BackupFailed, match=match):
        verify(archive, KNOWN)
    with pytest.raises(BackupFailed, match=match):
        restore(archive, home, KNOWN, force=True)
    assert (files_of(home) if home.exists() else None) == before


async def test_a_home_with_something_in_it_is_replaced_with_force_only_and_kept_aside(
    archive: Path, tmp_path: Path
) -> None:
    old = await make_home(tmp_path / "home", "status")
    (old.home / "token").write_text("my-token\n")
    (old.home / "jobs").mkdir()
    (old.home / "jobs" / "one.log").write_text("log")
    (old.home / "backups").mkdir()
    (old.home / "backups" / "b").write_text("b")
    before = files_of(old.home)
    said = conversations(old.home / "ironclaw.db")
    with pytest.raises(BackupFailed, match=r"is not empty: it has .*ironclaw\.db.*--force"):
        restore(archive, old.home, KNOWN)
    assert files_of(old.home) == before
    done = restore(archive, old.home, KNOWN, force=True)
    assert done.aside is not None
    assert done.aside.parent == old.home
    assert conversations(done.aside / "ironclaw.db") == said
    assert files_of(done.aside / "workspace") == {
        name.removeprefix("workspace/"): data for name, data in before.items() if name.startswith("workspace/")
    }
    assert (done.aside / "jobs" / "one.log").exists()
    assert conversations(old.home / "ironclaw.db") == conversations(tmp_path / "source" / "ironclaw.db")
    assert (old.home / "token").read_text() == "my-token\n"  # a backup without secrets does not log anybody out
    assert (old.home / "backups" / "b").exists()
    assert not list(old.home.glob(".restore-*"))


@pytest.mark.process
def test_r09_nothing_is_put_back_under_a_running_gateway(
    archive: Path, gateway_process: Callable[..., GatewayProcess]
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    gateway.send("help", wait=True)
    with pytest.raises(BackupFailed, match=r"in use .* Stop it first"):
        restore(archive, gateway.home, KNOWN, force=True)
    assert gateway.send("still there?", wait=True)["state"] == "completed"
    assert not list(gateway.home.glob("*restore*"))


@pytest.mark.process
@pytest.mark.parametrize("number", [1, 2, 3, 5, 6])
async def test_a_restore_that_is_killed_at_any_rename_is_finished_later(
    archive: Path, tmp_path: Path, number: int
) -> None:
    old = await make_home(tmp_path / "home", "status")
    said = conversations(old.home / "ironclaw.db")
    trace = (
        "strace",
        "-f",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        "trace=rename",
        "-e",
        f"inject=rename:signal=KILL:when={number}",
    )
    command = (sys.executable, "-m", "ironclaw", "backup", "restore", "--force", str(archive))
    env = {**os.environ, "IRONCLAW_HOME": str(old.home), "PYTHONDONTWRITEBYTECODE": "1"}
    killed = subprocess.run((*trace, *command), env=env, capture_output=True, text=True, timeout=50)
    assert killed.returncode != 0, "there were fewer renames than this"
    # The next start goes on with it before it opens anything.
    await make_home(old.home)
    new = conversations(tmp_path / "source" / "ironclaw.db")
    kept = list(old.home.glob("before-restore-*/ironclaw.db"))
    if number == 1:  # it was whole, but nothing had been moved
        assert (conversations(old.home / "ironclaw.db"), kept) == (said, [])
    else:
        assert conversations(old.home / "ironclaw.db") == new
        assert [conversations(path) for path in kept] == [said]
    assert not list(old.home.glob(".restore-*"))


# What is wrong with an archive


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_flipped_byte_anywhere_is_found_and_nothing_is_changed(archive: Path, tmp_path: Path, share: float) -> None:
    data = bytearray(archive.read_bytes())
    data[int(share * (len(data) - 1))] ^= 0x55
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(data)
    if share == 0.0:
        assert data[:1] != b"\x1f"
    refused(bad, tmp_path / "home", "damaged|not what the manifest says|no backup|cut off")


def test_a_changed_note_under_right_checksums_of_gzip_is_found_by_its_hash(archive: Path, tmp_path: Path) -> None:
    at = gzip.decompress(archive.read_bytes()).index(b"\nremember")
    repacked(archive, b"\nforget!!", at)
    refused(archive, tmp_path / "home", r"workspace/daily/.* is not what the manifest says")


@pytest.mark.parametrize("size", [0, 10, 500, -200])
def test_a_cut_archive_is_refused(archive: Path, tmp_path: Path, size: int) -> None:
    data = archive.read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(data[:size])
    refused(tmp_path / "cut.tar.gz", tmp_path / "home", "damaged|cut off")


def test_a_damaged_database_under_a_right_manifest_is_refused(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "open", filter="data")
    database = tmp_path / "open" / "ironclaw.db"
    data = bytearray(database.read_bytes())
    data[20_000:60_000] = os.urandom(40_000)
    bad = tmp_path / "bad.tar.gz"
    entry = tarfile.TarInfo("ironclaw.db")
    entry.size = len(data)
    with tarfile.open(archive) as old, tarfile.open(tmp_path / "head.tar.gz", "w:gz") as new:
        for member in old:
            if member.name != "ironclaw.db":
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
    forge(bad, tmp_path / "head.tar.gz", [entry], {"ironclaw.db": bytes(data)})
    refused(bad, tmp_path / "home", "database in .* is damaged")


def entry_of(name: str, kind: bytes = tarfile.REGTYPE, size: int = 1, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, size if kind == tarfile.REGTYPE else 0, link
    return entry


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ([entry_of("../outside")], "no name in a home"),
        ([entry_of("workspace/../../outside")], "no name in a home"),
        ([entry_of("/tmp/ironclaw-outside")], "no name in a home"),
        ([entry_of("workspace//x")], "no name in a home"),
        ([entry_of("lock")], "no name in a home"),
        ([entry_of("jobs/x")], "no name in a home"),
        ([entry_of("token/x")], "no name in a home"),
        ([entry_of("token", tarfile.DIRTYPE)], "is a folder"),
        ([entry_of("workspace/l", tarfile.SYMTYPE, link="/etc")], "no plain file"),
        ([entry_of("workspace/l", tarfile.LNKTYPE, link="ironclaw.db")], "no plain file"),
        ([entry_of("workspace/tty", tarfile.CHRTYPE)], "no plain file"),
        ([entry_of("workspace/pipe", tarfile.FIFOTYPE)], "no plain file"),
        ([entry_of("workspace/README.md")], "twice"),
        ([entry_of("workspace/README.md/x")], "without its folder"),
        ([entry_of("workspace/nowhere/x")], "without its folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0].name}-{value[0].type.decode()}",
)
def test_s77_what_no_backup_of_ours_holds_is_refused_and_nothing_is_left(
    archive: Path, tmp_path: Path, entries: list[tarfile.TarInfo], match: str
) -> None:
    refused(forge(tmp_path / "forged.tar.gz", archive, entries), tmp_path / "new", match)
    assert not Path("/tmp/ironclaw-outside").exists()
    assert not (tmp_path / "outside").exists()


def test_s77_a_bomb_is_refused_before_the_disk_is_full(archive: Path, tmp_path: Path) -> None:
    huge = 4 * shutil.disk_usage(tmp_path).free
    bomb = tmp_path / "bomb.tar.gz"
    with tarfile.open(archive) as old, gzip.open(bomb, "wb", 1) as packed:
        for member in (one for one in old if one.name != "manifest.json"):
            data = old.extractfile(member).read() if member.isreg() else b""  # type: ignore[union-attr]
            packed.write(member.tobuf(tarfile.PAX_FORMAT) + data + b"\0" * (-len(data) % 512))
        entry = entry_of("workspace/bomb", size=huge)
        packed.write(entry.tobuf(tarfile.PAX_FORMAT) + b"\0" * 1_000_000)
    with pytest.raises(BackupFailed, match="too little space"):
        restore(bomb, tmp_path / "new", KNOWN)
    assert not (tmp_path / "new").exists()


def test_s77_a_header_that_names_more_than_memory_has_is_refused(archive: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tar.gz"
    entry = entry_of("x", size=64 << 30)
    entry.type = tarfile.XHDTYPE
    entry.size = 64 << 30
    bomb.write_bytes(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + b"\0" * 100_000))
    refused(bomb, tmp_path / "new", "damaged or no backup")


def test_a_backup_of_a_newer_program_is_refused(archive: Path, tmp_path: Path) -> None:
    refused(
        forge(tmp_path / "newer.tar.gz", archive, about={"schema": [*sorted(KNOWN), 9001], "version": "9.0"}),
        tmp_path / "new",
        r"newer version of this program \(9\.0, schema 9001",
    )
    refused(forge(tmp_path / "format.tar.gz", archive, about={"format": 2}), tmp_path / "new", "newer version")


def test_what_is_no_archive_at_all_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(os.urandom(10_000))
    refused(tmp_path / "photo.jpg", tmp_path / "new", "damaged or no backup")
    refused(tmp_path / "none.tar.gz", tmp_path / "new", "There is no")
    refused(tmp_path, tmp_path / "new", "Is a directory")
