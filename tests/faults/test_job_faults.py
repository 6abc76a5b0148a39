"""Jobs when things go wrong around them: the gateway killed or ended, and the gateway busy with what they do."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confined import gone, marked
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process
Start = Callable[..., GatewayProcess]
MARK = f"mark-of-a-fault-b04e-{os.getpid()}."
STUBBORN = f"echo so far; setsid sh -c \"trap '' TERM; sleep 60; : {MARK}\" & trap '' TERM; sleep 60; : {MARK}"


def launch(gateway: GatewayProcess, command: str, **more: Any) -> str:
    status, _, job = gateway.request("POST", "/api/jobs", {"command": command, **more})
    assert status == 201, job
    return str(job["id"])


def job(gateway: GatewayProcess, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.request("GET", f"/api/jobs/{job_id}")[2]
    return found


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.03)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_r13_the_end_of_the_gateway_leaves_nothing_alive_and_the_job_interrupted_with_its_log(
    gateway_process: Start, how: signal.Signals
) -> None:
    gateway = gateway_process(JOBS_PARALLEL="1").start()
    running, waiting = launch(gateway, STUBBORN), launch(gateway, "echo its turn")
    until(lambda: job(gateway, running)["logs"] == "so far\n" and len(marked(MARK)) >= 3)
    assert gateway.process is not None
    began = time.monotonic()
    gateway.process.send_signal(how)
    gateway.wait(15)
    assert gone(MARK)
    assert time.monotonic() - began < 8
    again = gateway_process(gateway.home, JOBS_PARALLEL="1").start()
    found = job(again, running)
    assert (found["status"], found["reason"], found["logs"]) == ("interrupted", "gateway_ended", "so far\n")
    assert found["ended_at"] is not None
    assert found["output_bytes"] == 7
    until(lambda: job(again, waiting)["status"] == "completed")  # what was accepted is not lost
    assert job(again, waiting)["logs"] == "its turn\n"
    reader = again.open_events("?last_event_id=0&types=job_started,job_updated")
    events = [(one["event"], one["status"]) for one in reader.until_count(6) if one["job_id"] == running]
    reader.close()
    assert events == [("job_started", "pending"), ("job_updated", "running"), ("job_updated", "interrupted")]


BUSY = {
    "prints without end": "yes",
    "prints without a line": "cat /dev/zero",
    "forks": "while :; do (sleep 5 &) ; done",
    "fills the disk": "i=0; while :; do head -c 5000000 /dev/zero > $i; i=$((i+1)); done",
    "computes": "for i in 1 2 3 4; do (while :; do :; done) & done; wait",
}


def slowest(gateway: GatewayProcess, seconds: float) -> list[float]:
    """How long each call of the status takes meanwhile, sorted."""
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        assert gateway.request("GET", "/api/status")[0] == 200
        times.append(time.monotonic() - began)
    return sorted(times)


def test_r29_r30_the_gateway_answers_while_jobs_do_their_worst(gateway_process: Start) -> None:
    gateway = gateway_process(JOB_TIMEOUT="2", JOB_DISK_MB="200", JOB_OUTPUT_MB="32", JOBS_PARALLEL="5").start()
    slowest(gateway, 0.5)
    jobs = {what: launch(gateway, f": {MARK}; {command}") for what, command in BUSY.items()}
    times = slowest(gateway, 3.0)
    ended = {what: job(gateway, job_id) for what, job_id in jobs.items()}
    assert {what: one["status"] for what, one in ended.items() if one["status"] in {"running", "completed"}} == {}
    assert gone(MARK)
    # Not the latency itself, which a busy machine decides: that nothing has held the loop for long.
    assert times[len(times) // 2] < 0.25, times[-5:]
    assert times[-1] < 2.0, times[-5:]
    assert len(times) > 20


def test_old_jobs_go_by_age_and_by_size(gateway_process: Start, tmp_path: Path) -> None:
    gateway = gateway_process().start()
    ids = [launch(gateway, "head -c 3000000 /dev/zero > a; echo x") for _ in range(3)]
    until(lambda: all(job(gateway, one)["status"] == "completed" for one in ids))
    sizes = [job(gateway, one)["disk_bytes"] for one in ids]
    assert all(size > 2_900_000 for size in sizes), sizes
    gateway.terminate()
    gateway.wait()
    fewer = gateway_process(gateway.home, JOBS_KEEP_MB="7").start()
    until(lambda: len(fewer.request("GET", "/api/jobs")[2]["jobs"]) == 2)
    assert [one["id"] for one in fewer.request("GET", "/api/jobs")[2]["jobs"]] == [ids[2], ids[1]]
    until(lambda: {path.name for path in (fewer.home / "jobs").iterdir()} == {ids[1], ids[2]})
    fewer.terminate()
    fewer.wait()
    none = gateway_process(gateway.home, JOBS_KEEP_DAYS="0").start()
    until(lambda: none.request("GET", "/api/jobs")[2]["jobs"] == [])


def test_j9_a_system_that_forbids_namespaces_degrades_the_status_and_refuses_jobs(
    gateway_process: Start, tmp_path: Path
) -> None:
    gateway = gateway_process(SANDBOX_READ=str(tmp_path / "missing")).start()
    until(lambda: gateway.request("GET", "/api/status")[2]["status"] == "degraded")
    part = gateway.request("GET", "/api/status")[2]["parts"]["sandbox"]
    assert part["state"] == "degraded"
    assert "SANDBOX_READ" in part["reason"]
    status, _, error = gateway.request("POST", "/api/jobs", {"command": "true"})
    assert (status, error["error"]["code"]) == (503, "sandbox_unavailable")
    assert gateway.send("help", wait=True)["response"]["content"]
    assert json.loads((gateway.home / "gateway.json").read_text())["pid"] == gateway.process.pid  # type: ignore[union-attr]
