"""Each part of the status broken in a real process: exactly that part is degraded, the rest works, and it recovers."""

import re
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import on_a_small_disk
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401 - a fixture
from model_calls import closed_port

pytestmark = pytest.mark.process
MakeProcess = Callable[..., GatewayProcess]


def unwell(gateway: GatewayProcess) -> dict[str, str]:
    """The parts that are degraded, and why; status and health say the same in short."""
    status = gateway.request("GET", "/api/status")[2]
    found = {name: part["reason"] for name, part in status["parts"].items() if part["state"] != "ok"}
    assert status["status"] == ("degraded" if found else "healthy")
    return found


def wait_for(gateway: GatewayProcess, *parts: str, within: float = 15.0) -> dict[str, str]:
    """Wait until exactly these parts are degraded."""
    deadline = time.monotonic() + within
    while set(found := unwell(gateway)) != set(parts):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    health = gateway.request("GET", "/api/health", token=None)
    assert (health[0], health[2]["status"]) == (200, "degraded" if parts else "healthy")
    assert {name for name, state in health[2]["parts"].items() if state != "ok"} == set(parts)
    assert gateway.request("GET", "/healthz", token=None)[0] == 200
    metrics = gateway.request("GET", "/metrics")[2].decode()
    assert set(re.findall(r'ironclaw_part_ok{part="(\w+)"} 0\.0', metrics)) == set(parts)
    return found


@pytest.fixture
def gateway(gateway_process: MakeProcess) -> Iterator[GatewayProcess]:
    """One in which all is well."""
    started = gateway_process(BUILTIN_WORD_DELAY="0", GATEWAY_AUTH_TOKEN="a-token-of-the-test", SANDBOX="off").start()
    assert unwell(started) == {}
    yield started
    assert started.process is not None
    assert started.process.poll() is None


def test_a_database_that_cannot_be_written_makes_it_not_ready_until_it_can(gateway: GatewayProcess) -> None:
    assert gateway.process is not None
    process = psutil.Process(gateway.process.pid)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # no file can grow any more
    status, _, reply = gateway.request("POST", "/api/chat/send", {"message": "x"})
    assert (status, reply["error"]["code"]) == (503, "storage_failed")
    assert wait_for(gateway, "database")["database"].startswith("The last write failed: ")
    assert gateway.request("GET", "/readyz", token=None)[0] == 503
    assert gateway.request("GET", "/api/chat/threads")[0] == 200
    process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert gateway.send("help", wait=True)["state"] == "completed"
    wait_for(gateway)
    assert gateway.request("GET", "/readyz", token=None)[0] == 200


def test_notes_that_are_gone_are_the_workspace_and_nothing_else(gateway: GatewayProcess) -> None:
    notes = gateway.home / "workspace"
    notes.rename(gateway.home / "elsewhere")
    assert wait_for(gateway, "workspace")["workspace"] == (
        f"The folder of the notes, {notes}, is not there. Put it back or mount it."
    )
    assert gateway.request("GET", "/readyz", token=None)[0] == 200
    assert gateway.send("what time is it?", wait=True)["state"] == "completed"
    (gateway.home / "elsewhere").rename(notes)
    wait_for(gateway)


def test_an_index_that_cannot_be_made_is_the_search_and_searches_are_complete(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    notes = gateway.home / "workspace"
    notes.mkdir(parents=True)
    for number in range(2005):  # more than are read whole
        (notes / f"{number}.md").write_text(f"needle{number}\n")
    (gateway.home / "index.db").mkdir()
    gateway.start()
    assert "complete, but slow" in wait_for(gateway, "search")["search"]
    found = gateway.request("GET", "/api/memory/search?query=needle2004")[2]["results"]
    assert [one["path"] for one in found] == ["2004.md"]


def test_a_disk_with_little_room_is_the_disk(gateway_process: MakeProcess, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    gateway = gateway_process(IRONCLAW_WORKSPACE=str(notes), SANDBOX="off")
    gateway.start(prefix=on_a_small_disk(notes, "204m"))
    assert unwell(gateway) == {}
    inside = Path(f"/proc/{gateway.process.pid}/root{notes}")  # type: ignore[union-attr]
    (inside / "filler").write_bytes(b"x" * (6 << 20))
    reason = wait_for(gateway, "disk")["disk"]
    assert re.fullmatch(r"Only 19\d MB are free on the disk of the notes\. Free some\.", reason)
    (inside / "filler").unlink()
    wait_for(gateway)


def connect(gateway: GatewayProcess, address: str, model: str, key: str = "") -> None:
    body = {"address": address, "model": model, "api_key": key, "test": False}
    assert gateway.request("PUT", "/api/model", body)[0] == 200


def test_a_model_that_is_not_there_is_the_model_with_what_to_do(gateway: GatewayProcess) -> None:
    connect(gateway, f"http://127.0.0.1:{closed_port()}/v1", "llama3")
    reason = wait_for(gateway, "model")["model"]
    assert "127.0.0.1" in reason
    assert reason.count(". ") >= 1  # what is wrong, and what to do
    assert gateway.request("GET", "/readyz", token=None)[0] == 200
    assert gateway.request("DELETE", "/api/model")[0] == 200
    wait_for(gateway)


def test_a_key_that_is_refused_or_a_model_that_is_missing_is_the_model(
    gateway: GatewayProcess,
    stand_in: StandInProcess,
) -> None:
    key = "sk-canary-0123456789abcdef"
    stand_in.script("refusing", {"status": 401, "json": {"error": {"message": f"Incorrect API key provided: {key}"}}})
    stand_in.script("absent", {"status": 404, "json": {"error": {"code": "model_not_found", "message": "no"}}})
    reasons = {}
    for model in ("refusing", "absent"):
        connect(gateway, f"{stand_in.url}/v1", model, key)
        gateway.request("POST", "/api/chat/send?wait", {"message": "x"})
        reasons[model] = wait_for(gateway, "model")["model"]
    assert "key" in reasons["refusing"]
    assert "absent" in reasons["absent"]
    assert key not in str(reasons)
    log: list[Any] = [line for line in gateway.log.splitlines() if "[WARN]" in line]
    assert log, "a model that fails is said in the log"
    assert key not in gateway.log


def test_a_home_that_is_removed_below_it_degrades_and_answers(gateway: GatewayProcess) -> None:
    """The worst case of all: what is left says so, and the process lives."""
    shutil.rmtree(gateway.home)
    deadline = time.monotonic() + 10
    while "workspace" not in (found := unwell(gateway)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert gateway.request("GET", "/api/health", token=None)[0] == 200
