"""The log when its surroundings fail: a terminal that takes nothing, a full disk, floods of requests, storms of lines."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process
MakeProcess = Callable[..., GatewayProcess]


def stream(gateway: GatewayProcess, query: str = "") -> list[dict[str, Any]]:
    status, _, body = gateway.request(
        "GET", f"/api/logs/stream?follow=0&backlog=2000&{query}", headers={"Accept": "application/x-ndjson"}
    )
    assert status == 200
    return [json.loads(line) for line in body.splitlines()]


def until(true: Callable[[], bool], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_with(gateway: GatewayProcess, stderr: int) -> "subprocess.Popen[bytes]":
    """Start it with that stderr, and wait until it answers."""
    gateway.process = subprocess.Popen(
        [sys.executable, "-m", "ironclaw", "run"],
        env=gateway.env,
        cwd=gateway.home.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )
    until((gateway.home / "gateway.json").exists, 20)
    gateway.port = int(json.loads((gateway.home / "gateway.json").read_text())["url"].rpartition(":")[2])
    return gateway.process


def test_r07_a_terminal_that_takes_nothing_holds_up_neither_the_gateway_nor_the_log_stream(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN="a-token-of-the-test")
    process = start_with(gateway, subprocess.PIPE)  # and nobody reads, as when Ctrl-S was pressed
    paths = [f"/api/{'x' * 60}/{number}" for number in range(30)]
    deadline = time.monotonic() + 20
    while len(stream(gateway, "logger=ironclaw.requests")) < 1500:
        for path in paths:
            assert gateway.request("GET", path)[0] == 404
        assert time.monotonic() < deadline
    gateway.request("POST", "/api/logs/level", {"level": "debug"})
    assert gateway.send("help", wait=True)["state"] == "completed"
    until(lambda: bool(stream(gateway, "logger=ironclaw.chat&query=processing")))
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    said = b""

    def read_on() -> bool:
        nonlocal said
        said += process.stderr.read() or b""  # type: ignore[union-attr]
        gateway.request("GET", "/healthz")
        return b"lines are missing here" in said

    until(read_on)
    assert re.search(rb"\n\[WARN\] \S+ ironclaw\.logs: [1-9]\d* lines are missing here", said)
    process.stderr.close()
    assert all(line.startswith(b"[") for line in said[: said.rindex(b"\n")].splitlines())  # none is torn


def test_r07_a_stderr_on_a_full_disk_costs_lines_and_nothing_else(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN="a-token-of-the-test")
    with open("/dev/full", "wb") as full:
        start_with(gateway, full.fileno())
    assert gateway.send("help", wait=True)["state"] == "completed"
    until(lambda: bool(stream(gateway, "query=/api/chat/send")))
    gateway.terminate()
    assert gateway.wait() == 0


def test_a_log_file_that_cannot_be_written_is_the_one_part_that_is_degraded(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(LOG_FILE="/dev/full").start()

    def found() -> dict[str, Any]:
        parts = gateway.request("GET", "/api/status")[2]["parts"]
        return {name: part["reason"] for name, part in parts.items() if part["state"] != "ok"}

    until(lambda: bool(found()))
    assert list(found()) == ["log"]
    assert re.match(r"/dev/full can't be written: No space left on device\. \d+ lines are missing", found()["log"])
    status, _, health = gateway.request("GET", "/api/health", token=None)
    assert (status, health["status"], health["parts"]["log"]) == (200, "degraded", "degraded")
    assert gateway.request("GET", "/readyz", token=None)[0] == 200
    assert gateway.send("help", wait=True)["state"] == "completed"
    assert 'ironclaw_part_ok{part="log"} 0.0' in gateway.request("GET", "/metrics")[2].decode()


def test_a_log_file_that_cannot_be_opened_is_said_at_the_start(gateway_process: MakeProcess, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    gateway = gateway_process(LOG_FILE=str(tmp_path / "a-file" / "gateway.log"))
    gateway.spawn()
    assert gateway.wait(20) == 78
    assert re.search(r"ironclaw: LOG_FILE \S+ can't be written: .*Name another file", gateway.log)


def test_c4_the_token_is_said_on_the_terminal_and_nowhere_else(gateway_process: MakeProcess, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "gateway.log"
    gateway = gateway_process(LOG_FILE=str(file), LOG_LEVEL="trace").start()
    token = (gateway.home / "token").read_text().strip()
    assert gateway.log.count(token) == 2  # the line, and the link
    lines = stream(gateway)
    assert any(one["message"].startswith("Web Gateway started") for one in lines)
    assert token not in json.dumps(lines)
    gateway.terminate()
    assert gateway.wait() == 0
    kept = file.read_text()
    assert "Web Gateway started" in kept
    assert "Stopping" in kept  # up to the end
    assert token not in kept
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_s62_thousands_of_malformed_requests_are_a_few_lines_and_their_number(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(LOG_LEVEL="trace").start()
    many = 2000
    for number in range(many):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nBad\x01: %d\r\n\r\n" % number)
            assert connection.recv(100).startswith(b"HTTP/1.")
    assert gateway.request("GET", "/api/status")[0] == 200
    gateway.terminate()
    assert gateway.wait() == 0
    about = [line for line in gateway.log.splitlines() if "malformed request was refused" in line]
    told = sum(int(found[1]) for line in about if (found := re.search(r": (\d+) more times: A malformed", line)))
    assert 1 <= len(about) < 300
    assert len(about) - sum("more times" in line for line in about) + told == many
    assert gateway.log_path.stat().st_size < 100_000
    assert "Traceback" not in gateway.log


STORM = """
import asyncio, json, logging, resource, sys, threading, time
from pathlib import Path
from ironclaw import Gateway, Settings, logs

log = logging.getLogger("ironclaw.storm")
logging.getLogger("ironclaw").setLevel(logging.INFO)
logging.getLogger().addHandler(logging.NullHandler())
EACH, THREADS = int(sys.argv[1]), 4

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def storm(number):
    for line in range(EACH):
        log.info("thread %d says %d: %s", number, line, "x" * 200)

async def main():
    async with Gateway(Settings(home=None, word_delay=0.0, llm_discover=False)) as gateway:
        await gateway.ask("help")
        before, latest = resident(), 0.0
        threads = [threading.Thread(target=storm, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        said = []
        while any(thread.is_alive() for thread in threads):
            if len(said) < 300:
                said.append(f"error {len(said)}")
                log.error(said[-1])
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            latest = max(latest, time.monotonic() - due)
        answer = await gateway.ask("help")
        await asyncio.to_thread(logs.flush)
        kept = gateway.services.logs.last(5000, logs.Wanted())
        print(json.dumps({
            "late": latest, "grown": resident() - before, "kept": len(kept), "answered": bool(answer.content),
            "dropped": logs.state().dropped, "expected": said,
            "errors": [line.message for line in kept if line.number >= 40],
            "said": [line.message for line in kept if "dropped" in line.message],
        }))

asyncio.run(main())
"""


def test_a_storm_of_lines_from_many_threads_is_bounded_and_its_losses_are_said(tmp_path: Path) -> None:
    each = 40_000
    ended = subprocess.run(
        [sys.executable, "-c", STORM, str(each)],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    found = json.loads(ended.stdout)
    assert found["answered"]
    assert found["late"] < 2  # seconds; without a bound it grows with the storm
    assert found["grown"] < 60 << 20  # all of it would be more than 100 MB
    assert found["kept"] <= 2500
    assert found["errors"] == found["expected"]  # room for them was kept
    assert found["expected"]
    assert found["dropped"] > 0
    assert sum(int(text.split()[0]) for text in found["said"]) <= found["dropped"]
    assert found["said"]


HOST = """
import asyncio, logging, sys
from ironclaw import Gateway, Settings
own, root = logging.getLogger("ironclaw"), logging.getLogger()
if sys.argv[1] == "configured":
    logging.basicConfig(level=logging.ERROR, format="host says %(message)s", stream=sys.stderr)
before = own.level, list(own.handlers), own.propagate, root.level, list(root.handlers), logging.getLevelName(5)
async def main():
    async with Gateway(Settings(home=None, llm_discover=False)) as gateway:
        logging.getLogger("ironclaw.test").warning("a warning")
        logging.getLogger("ironclaw.test").error("an error")
        logging.getLogger("host").info("of the host")
        await gateway.ask("help")
asyncio.run(main())
assert before == (own.level, list(own.handlers), own.propagate, root.level, list(root.handlers), logging.getLevelName(5))
"""


@pytest.mark.parametrize(
    ("kind", "expected"), [("bare", ["a warning", "an error"]), ("configured", ["host says an error"])]
)
def test_a_host_programs_logging_is_as_it_would_be_without_the_gateway(
    kind: str, expected: list[str], tmp_path: Path
) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", HOST, kind], capture_output=True, text=True, timeout=30, env=env)
    assert (ended.returncode, ended.stdout) == (0, "")
    said = [line for line in ended.stderr.splitlines() if line.endswith((" warning", " error", " host"))]
    assert said == expected
