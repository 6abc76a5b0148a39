"""Backups under load and on bad disks: of the running program, by its command line, and started again from the copy."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import ironclaw, on_a_small_disk, read_only
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
TOKEN = "a-token-of-the-test-0123456789"


def exported(gateway: GatewayProcess, thread_id: str) -> dict[str, Any]:
    status, _, body = gateway.request("GET", f"/api/chat/threads/{thread_id}/export")
    assert status == 200, body
    return body  # type: ignore[no-any-return]


def wait_until_idle(gateway: GatewayProcess) -> None:
    deadline = time.monotonic() + 30
    while any(
        one["state"] in {"queued", "running"} for one in gateway.request("GET", "/api/chat/threads")[2]["threads"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Writer:
    """Some 50 writes a second from another thread: messages and notes. `acknowledged` are those that got their 200."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.acknowledged: list[str] = []
        self._gateway = gateway
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _write(self) -> None:
        while not self._stop.wait(0.02):
            number = len(self.acknowledged)
            sent = self._gateway.send(f"message {number}", thread_id=f"t{number % 3}")
            self.acknowledged.append(sent["message_id"])
            if number % 5 == 0:
                self._gateway.request("POST", "/api/memory/append", {"path": "log.md", "text": f"line {number}"})


def test_r33_a_backup_during_50_writes_a_second_verifies_and_restores_to_an_equal_export(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0", GATEWAY_AUTH_TOKEN=TOKEN).start()
    busy, quiet = tmp_path / "busy.tar.gz", tmp_path / "quiet.tar.gz"
    with Writer(gateway) as writer:
        while len(writer.acknowledged) < 30:
            time.sleep(0.01)
        before = list(writer.acknowledged)
        made = ironclaw(gateway.home, "backup", "create", str(busy))
        assert (made.returncode, made.stdout) == (0, f"{busy}\n"), made.stderr
        after = len(writer.acknowledged)
    assert after > len(before), "nothing was written meanwhile"
    wait_until_idle(gateway)
    assert ironclaw(gateway.home, "backup", "create", str(quiet)).returncode == 0
    live = {thread: exported(gateway, thread) for thread in ("t0", "t1", "t2")}
    for archive in (busy, quiet):
        verified = ironclaw(gateway.home, "backup", "verify", str(archive))
        assert verified.returncode == 0, verified.stderr
        home = tmp_path / archive.name.partition(".")[0]
        assert ironclaw(home, "backup", "restore", str(archive)).returncode == 0
        again = gateway_process(home, BUILTIN_WORD_DELAY="0", GATEWAY_AUTH_TOKEN=TOKEN).start()
        wait_until_idle(again)
        kept = {thread: exported(again, thread) for thread in live}
        if archive == quiet:
            assert kept == live
        found = []
        for thread, whole in live.items():
            turns = kept[thread]["turns"]
            ids = [turn["message_id"] for turn in turns]
            assert (
                ids == [turn["message_id"] for turn in whole["turns"]][: len(ids)]
            )  # no hole: a moment, not a mixture
            # What was under way is answered again, or marked interrupted; all else is as it was.
            for turn, original in zip(turns, whole["turns"], strict=False):
                assert turn == original or turn["message_id"] not in before[:-5], (turn, original)
            found += ids
        assert set(before) <= set(found)
        text = (home / "workspace" / "log.md").read_text()
        assert (gateway.home / "workspace" / "log.md").read_text().startswith(text)
        assert again.send("help", thread_id="t0", wait=True)["state"] == "completed"
        again.terminate()
        assert again.wait() == 0


def test_r33_a_writer_that_locks_the_database_is_waited_for(gateway_process: MakeProcess, tmp_path: Path) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    gateway.send("help", wait=True)
    other = sqlite3.connect(gateway.home / "ironclaw.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    done = []
    thread = threading.Thread(
        target=lambda: done.append(ironclaw(gateway.home, "backup", "create", str(tmp_path / "b.tar.gz")))
    )
    thread.start()
    time.sleep(1.0)
    other.execute("ROLLBACK")
    other.close()
    thread.join(30)
    assert done[0].returncode == 0, done[0].stderr
    assert ironclaw(gateway.home, "backup", "verify", str(tmp_path / "b.tar.gz")).returncode == 0


def test_r05_a_backup_that_does_not_fit_says_so_and_leaves_nothing(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    gateway.request("PUT", "/api/memory/raw?path=photo.jpg", bytes(range(256)) * 12_000)
    gateway.terminate()
    gateway.wait()
    target = tmp_path / "small"
    target.mkdir()
    script = ("sh", "-c", '"$@"; code=$?; ls -A "$0"; exit $code', str(target))
    for size in ("100k", "1m"):  # too small for the database, and for the rest
        done = ironclaw(
            gateway.home, "backup", "create", str(target / "b.tar.gz"), prefix=(*on_a_small_disk(target, size), *script)
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "full" in done.stderr or "MB free" in done.stderr or "No space left" in done.stderr, done.stderr
        assert done.stdout == ""  # what there is in the folder
    done = ironclaw(gateway.home, "backup", "create", str(target / "b.tar.gz"), prefix=read_only(target))
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr


def test_a_restore_onto_a_disk_that_is_too_small_or_read_only_changes_nothing(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    gateway.send("help", wait=True)
    gateway.terminate()
    gateway.wait()
    archive = tmp_path / "b.tar.gz"
    assert ironclaw(gateway.home, "backup", "create", str(archive)).returncode == 0
    for prefix, reason in (
        (on_a_small_disk(gateway.home, "8m"), "too little space"),
        (read_only(gateway.home), "can't be written: Read-only file system"),
    ):
        done = ironclaw(gateway.home, "backup", "restore", "--force", str(archive), prefix=prefix)
        assert done.returncode == 1
        assert reason in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert not list(gateway.home.glob("*restore*"))
    assert gateway.start().request("GET", "/api/chat/history")[2]["turns"]
