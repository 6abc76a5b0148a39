"""Notes when things go wrong: the plug pulled during writes, a full disk; and curl as people call it."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
RAW = "/api/memory/raw?path="


def write(gateway: GatewayProcess, path: str, content: str) -> tuple[int, Any]:
    status, _, reply = gateway.request("POST", "/api/memory/write", {"path": path, "content": content})
    return status, reply


def temporary(root: Path) -> list[Path]:
    return list(root.rglob(".ironclaw-*"))


def test_r28_a_kill_during_writes_leaves_whole_files_and_every_acknowledged_text(gateway_process: MakeProcess) -> None:
    acknowledged: dict[str, set[str]] = {}
    texts = {f"{number}.md": [f"{number}-{step} " * 20_000 for step in range(4)] for number in range(4)}
    for round_ in range(4):
        gateway = gateway_process().start()
        root = gateway.home / "workspace"
        assert temporary(root) == []
        stop = threading.Event()

        def work(path: str, gateway: GatewayProcess = gateway, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                for text in texts[path]:
                    try:
                        if write(gateway, path, text)[0] == 200:
                            acknowledged.setdefault(path, set()).add(text)
                    except OSError:
                        return

        threads = [threading.Thread(target=work, args=(path,)) for path in texts]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 20
        while len(acknowledged) < len(texts) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.02 * round_)  # into another moment of a write each round
        gateway.kill()
        stop.set()
        for thread in threads:
            thread.join(15)
    gateway = gateway_process().start()
    assert temporary(gateway.home / "workspace") == []
    for path, known in texts.items():
        text = (gateway.home / "workspace" / path).read_text()
        assert text in known
        page = gateway.request("GET", f"/api/memory/versions?path={path}&limit=200")[2]
        ids = [one["id"] for one in page["versions"]][:60]
        kept = {gateway.request("GET", f"/api/memory/versions?path={path}&id={one}")[2]["content"] for one in ids}
        assert acknowledged[path] <= kept | {text}


def test_what_a_kill_left_in_the_folder_is_cleared_away_at_the_start(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    left = gateway.home / "workspace" / "daily" / ".ironclaw-00112233445566ff.tmp"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    gateway.start()
    assert not left.exists()


def on_a_small_disk(folder: Path, size: str) -> tuple[str, ...]:
    """A command that gives the process after it a disk of its own at *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(folder))


def test_r06_a_full_disk_under_the_notes_leaves_the_old_text_and_says_so(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    gateway = gateway_process(IRONCLAW_WORKSPACE=str(notes)).start(prefix=on_a_small_disk(notes, "2m"))
    assert write(gateway, "a.md", "old " * 1000)[0] == 200
    random = os.urandom(1_500_000)
    assert gateway.request("PUT", f"{RAW}fill.bin", random)[0] == 201
    for call in (
        lambda: gateway.request("POST", "/api/memory/write", {"path": "a.md", "content": "new " * 250_000}),
        lambda: gateway.request("PUT", f"{RAW}a.md", os.urandom(1_000_000)),
        lambda: gateway.request("PUT", f"{RAW}more.bin", os.urandom(4_000_000)),
        lambda: gateway.request("POST", "/api/memory/append", {"path": "a.md", "text": "x" * 900_000}),
    ):
        status, _, reply = call()
        assert (status, reply["error"]["code"]) == (503, "disk_full"), reply
        assert "full" in reply["error"]["message"]
        assert gateway.request("GET", "/api/memory/read?path=a.md")[2]["content"] == "old " * 1000
    names = [file["name"] for file in gateway.request("GET", "/api/memory/list")[2]["files"]]
    assert "more.bin" not in names
    assert temporary(Path(f"/proc/{gateway.process.pid}/root{notes}")) == []  # type: ignore[union-attr]
    versions = gateway.request("GET", "/api/memory/versions?path=a.md")[2]["versions"]
    assert [one["change"] for one in versions] == ["created"]
    assert gateway.request("DELETE", f"{RAW}fill.bin")[0] == 200
    assert write(gateway, "a.md", "new " * 250)[0] == 200


def test_r05_a_full_disk_under_the_home_refuses_changes_and_still_reads(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    home, notes = tmp_path / "small", tmp_path / "notes"
    notes.mkdir()
    gateway = gateway_process(home, IRONCLAW_WORKSPACE=str(notes), GATEWAY_AUTH_TOKEN="t" * 20)
    gateway.spawn(prefix=on_a_small_disk(home, "6m"))
    inside = Path(f"/proc/{gateway.process.pid}/root{home}")  # type: ignore[union-attr]
    wait_for_port(gateway, inside)
    assert write(gateway, "a.md", "old")[0] == 200
    filler = inside / "filler"
    fill(filler)
    written, refused = "old", 0
    for _ in range(40):  # what is left in the last pages of the database is used up first
        text = os.urandom(20_000).hex()
        status, reply = write(gateway, "a.md", text)
        if status == 200:
            written = text
            continue
        assert (status, reply["error"]["code"]) == (503, "storage_failed")
        refused += 1
        if refused == 3:
            break
    assert refused == 3
    assert (notes / "a.md").read_text() == written
    assert gateway.request("DELETE", f"{RAW}a.md")[0] == 503
    assert gateway.request("GET", "/api/memory/read?path=a.md")[2]["content"] == written
    assert gateway.request("GET", "/api/status")[0] == 200
    filler.unlink()
    assert write(gateway, "a.md", "new")[0] == 200


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(os.urandom(65_536))


def wait_for_port(gateway: GatewayProcess, home: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            gateway.port = int(json.loads((home / "gateway.json").read_text())["url"].rpartition(":")[2])
            gateway.request("GET", "/healthz", token=None)
        except (OSError, ValueError):
            time.sleep(0.02)
        else:
            return
    raise AssertionError(gateway.log)


def test_curl_uploads_downloads_and_is_told_when_it_is_stale(gateway_process: MakeProcess, tmp_path: Path) -> None:
    gateway = gateway_process().start()
    large = tmp_path / "photo.jpg"
    large.write_bytes(os.urandom(3_000_000))

    def curl(*arguments: str, stdin: bytes = b"") -> str:
        command = ["curl", "-sS", "-w", "%{http_code}", "-H", f"Authorization: Bearer {gateway.token}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=30, check=True).stdout.decode()

    url = f"{gateway.url}{RAW}pics/photo.jpg"
    assert curl("-T", str(large), url).endswith("201")
    assert curl("-T", str(large), url).endswith("200")
    assert curl("-T", "-", f"{gateway.url}{RAW}piped.bin", stdin=b"\x00\xff").endswith("201")
    back = tmp_path / "back.jpg"
    etags = tmp_path / "etags"
    assert curl("-o", str(back), "--etag-save", str(etags), url) == "200"
    assert back.read_bytes() == large.read_bytes()
    assert curl("-o", str(back), "--etag-compare", str(etags), url) == "304"
    part = tmp_path / "part.jpg"
    part.write_bytes(large.read_bytes()[:1_000_000])
    assert curl("-C", "-", "-o", str(part), url) == "206"
    assert part.read_bytes() == large.read_bytes()
    assert curl("-T", str(large), "-H", 'If-Match: "0"', url).endswith("412")
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate((16 << 20) + 1)
    assert curl("-T", str(huge), f"{gateway.url}{RAW}huge.bin").endswith("413")
    assert (gateway.home / "workspace" / "piped.bin").read_bytes() == b"\x00\xff"


def test_s55_an_upload_that_is_too_large_is_refused_before_a_byte_of_it(gateway_process: MakeProcess) -> None:
    gateway = gateway_process().start()
    status, _, reply = gateway.request("PUT", f"{RAW}a.bin", headers={"Content-Length": str((16 << 20) + 1)})
    assert (status, reply["error"]["code"]) == (413, "too_large")


def test_a_shutdown_ends_writes_whole_and_leaves_nothing_behind(gateway_process: MakeProcess) -> None:
    gateway = gateway_process().start()
    texts = ["a" * 900_000, "b" * 900_000]

    def work() -> None:
        for number in range(1000):
            try:
                write(gateway, "a.md", texts[number % 2])
            except OSError:
                return

    thread = threading.Thread(target=work)
    thread.start()
    while not (gateway.home / "workspace" / "a.md").exists():
        time.sleep(0.005)
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.wait(15) == 0
    thread.join(10)
    assert (gateway.home / "workspace" / "a.md").read_text() in texts
    assert temporary(gateway.home / "workspace") == []
