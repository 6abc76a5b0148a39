"""Jobs over HTTP: the contract's calls on real jobs, live logs, limits, events, and what is refused."""

import asyncio
import base64
import io
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from confined import PYTHON_FILES, gone, marked
from gateway_process import GatewayProcess
from job_calls import MARK, get, launch, refusal, stop, until_running

from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]
JSON = {"Content-Type": "application/json"}


async def test_the_contracts_three_calls_on_a_real_test_run(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(attrs.evolve(settings, sandbox_read=PYTHON_FILES))
    command = f"{sys.executable} -m pytest -q -p no:cacheprovider -o asyncio_default_fixture_loop_scope=function"
    files = [{"path": "test_a.py", "content": "def test_it():\n    assert 1 + 1 == 2\n"}]
    job = await launch(client, command, title="Run tests", files=files)
    shown = await get(client, f"/api/jobs/{job['id']}")
    assert list(shown)[:3] == ["id", "title", "status"]
    assert (shown["title"], shown["status"], shown["exit_code"]) == ("Run tests", "completed", 0), shown["logs"]
    assert "1 passed" in shown["logs"]
    assert shown["created_at"] <= shown["started_at"] <= shown["ended_at"]
    listed = await get(client, "/api/jobs/list")
    assert [(one["id"], one["browse_url"]) for one in listed["jobs"]] == [(job["id"], shown["browse_url"])]
    assert "logs" not in listed["jobs"][0]
    assert await get(client, "/api/jobs") == listed
    assert await stop(client, job["id"]) == {"status": "completed"}
    running = await launch(client, "sleep 60", wait=False)
    assert await stop(client, running["id"]) == {"status": "stopped"}
    assert await stop(client, running["id"]) == {"status": "stopped"}


@pytest.mark.process
def test_logs_grow_live_over_http_and_status_counts_the_job(gateway_process: type[GatewayProcess]) -> None:
    gateway = gateway_process().start()
    script = "echo line 1; while [ ! -e go ]; do sleep 0.05; done; echo line 2"
    _, _, job = gateway.request("POST", "/api/jobs", {"command": f"{script}; sleep 60", "title": "live"})
    deadline = time.monotonic() + 20
    while gateway.request("GET", f"/api/jobs/{job['id']}")[2]["logs"] != "line 1\n":
        assert time.monotonic() < deadline
    status = gateway.request("GET", "/api/status")[2]
    assert status["active_jobs"] >= 1
    assert status["parts"]["sandbox"] == {"state": "ok", "reason": "Jobs run in bubblewrap."}
    (gateway.home / "jobs" / job["id"] / "work" / "go").touch()
    while "line 2" not in gateway.request("GET", f"/api/jobs/{job['id']}/logs")[2].decode():
        assert time.monotonic() < deadline
    began = time.monotonic()
    assert gateway.request("POST", f"/api/jobs/{job['id']}/stop")[2] == {"status": "stopped"}
    assert time.monotonic() - began < 2.5


async def test_a_live_log_as_events_resumes_at_its_byte_and_says_the_end(client: TestClient) -> None:
    job = await launch(
        client, "printf 'one\\n'; sleep 0.6; printf 'tw\\303'; sleep 0.6; printf '\\266\\n'; exit 5", wait=False
    )
    path = f"/api/jobs/{job['id']}/logs"
    events, cursor = [], 0
    async with client.get(path, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        async for raw in stream.content:
            name, _, value = raw.decode().strip().partition(": ")
            if name in {"id", "event", "data"}:
                events.append((name, value))
    ids = [int(value) for name, value in events if name == "id"]
    assert ids == sorted(ids)
    texts = [json.loads(value) for name, value in events if name == "data"]
    assert "".join(one.get("text", "") for one in texts) == "one\ntwö\n"
    assert all("\ufffd" not in one.get("text", "") for one in texts)  # a sign that came in two halves is whole
    assert texts[-1]["status"] == "failed"
    assert (texts[-1]["exit_code"], texts[-1]["reason"]) == (5, "exit_code")
    cursor = ids[0]
    for headers, query in (({"Last-Event-ID": str(cursor)}, ""), ({}, f"?last_event_id={cursor}")):
        again = await client.get(path + query, headers={"Accept": "text/event-stream", **headers})
        assert "one" not in (rest := await again.text())
        assert "twö" in rest
    assert await (await client.get(path)).text() == "one\ntwö\n"
    lines = [
        json.loads(line)
        for line in (await (await client.get(path, headers={"Accept": "application/x-ndjson"})).text()).splitlines()
    ]
    assert [line["type"] for line in lines] == ["log", "end"]
    raw = await client.get(f"{path}?raw=1")
    assert await raw.read() == "one\ntwö\n".encode()
    assert raw.headers["Content-Disposition"].startswith("attachment")


async def test_a_live_log_as_text_ends_with_the_job(client: TestClient) -> None:
    job = await launch(client, "echo a; sleep 0.3; echo b", wait=False)
    response = await client.get(f"/api/jobs/{job['id']}/logs?follow=1")
    assert response.content_type == "text/plain"
    assert await response.text() == "a\nb\n"


async def test_terminal_codes_and_bad_utf8_are_harmless(client: TestClient) -> None:
    job = await launch(
        client, r"printf '\033[31mred\033[0m \033]0;title\007 \377 \033[2J a\rb\010 \342\200\256x\000y\n'"
    )
    assert job["logs"] == "red  \ufffd  a\nb\\x08 \\u202ex\\x00y\n"


async def test_r29_a_flood_keeps_its_beginning_and_its_end_and_says_what_is_cut(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, job_output_mb=4))
    job = await launch(client, "echo first; head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo last")
    assert job["status"] == "completed"
    assert job["output_bytes"] == 3_000_012
    assert job["logs"].startswith("first\nxxx")
    assert job["logs"].endswith("xxx\nlast\n")
    assert "bytes of output are not kept" in job["logs"]
    assert len(job["logs"]) < 1_200_000
    flood = await launch(client, "yes")
    assert (flood["status"], flood["reason"], flood["output_bytes"]) == ("failed", "output", 4 << 20)


LIMITED = {
    "wall_time": ("timed_out", "sleep 60", {"timeout_seconds": 1}),
    "memory": ("failed", "head -c 100000000 /dev/zero | tail | sleep 60", {"memory_mb": 32}),
    "disk": ("failed", "for i in 1 2 3 4; do head -c 15000000 /dev/zero > $i; done; sleep 60", {}),
    "processes": ("failed", "for i in $(seq 40); do sleep 60 & done; sleep 60", {}),
    "cpu_time": ("failed", "while :; do :; done", {}),
    "file_size": ("failed", "exec head -c 30000000 /dev/zero > big", {}),
    "output": ("failed", "yes", {}),
}


@pytest.mark.parametrize("reason", LIMITED)
async def test_r30_each_limit_ends_the_job_with_its_own_reason(
    make_client: MakeClient, settings: Settings, reason: str
) -> None:
    client = await make_client(
        attrs.evolve(
            settings,
            job_disk_mb=40,
            job_file_mb=20,
            job_processes=24,
            job_cpu_seconds=1,
            job_output_mb=1,
            jobs_parallel=1,
        )
    )
    status, command, more = LIMITED[reason]
    job = await launch(client, f": {MARK}; {command}", **more)
    if reason == "file_size" and job["reason"] == "exit_code":  # a program may live on with the error
        assert "File too large" in job["logs"]
    else:
        assert (job["status"], job["reason"]) == (status, reason), job
        assert job["detail"].startswith(("It ", "Its "))
    assert (await get(client, "/api/status"))["active_jobs"] == 0
    assert gone(MARK)


async def test_jobs_wait_for_their_turn_and_say_so(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(attrs.evolve(settings, jobs_parallel=1))
    first = await launch(client, "sleep 60", wait=False)
    second, third = [await launch(client, "echo ran", wait=False) for _ in range(2)]
    jobs = {one["id"]: one for one in (await get(client, "/api/jobs"))["jobs"]}
    assert [jobs[one["id"]]["queue_position"] for one in (first, second, third)] == [None, 1, 2]
    assert jobs[second["id"]]["status"] == "pending"
    assert (await get(client, "/api/status"))["active_jobs"] == 3
    assert await stop(client, third["id"]) == {"status": "stopped"}
    assert (await get(client, f"/api/jobs/{third['id']}"))["started_at"] is None
    await stop(client, first["id"])
    async with asyncio.timeout(20):
        while (await get(client, f"/api/jobs/{second['id']}"))["status"] != "completed":
            await asyncio.sleep(0.05)
    waiting = (await get(client, "/api/jobs?status=pending,running"))["jobs"]
    assert waiting == []


async def test_pages_of_jobs_and_their_filters(client: TestClient) -> None:
    ids = [(await launch(client, f"exit {number}"))["id"] for number in (0, 1, 0)]
    first = await get(client, "/api/jobs?limit=2")
    assert [one["id"] for one in first["jobs"]] == [ids[2], ids[1]]
    second = await get(client, f"/api/jobs?limit=2&cursor={first['next_cursor']}")
    assert ([one["id"] for one in second["jobs"]], second["next_cursor"]) == ([ids[0]], None)
    assert [one["id"] for one in (await get(client, "/api/jobs?status=failed"))["jobs"]] == [ids[1]]
    assert (await refusal(await client.get("/api/jobs?status=bad")))[:2] == (400, "bad_request")


async def test_stdin_files_and_the_folder_are_what_was_given(client: TestClient) -> None:
    job = await launch(
        client,
        "cat; cat in/a.txt; od -An -tx1 b.bin; pwd; ls -a /home; whoami",
        stdin="from stdin\n",
        files=[
            {"path": "in/a.txt", "content": "from a file\n"},
            {"path": "b.bin", "data": base64.b64encode(b"\x00\xff").decode()},
        ],
    )
    assert job["logs"] == "from stdin\nfrom a file\n 00 ff\n/home/job\n.\n..\njob\njob\n"


async def test_a_restart_does_the_same_as_a_new_job(client: TestClient) -> None:
    old = await launch(
        client, "cat; ls; touch made", stdin="again\n", files=[{"path": "given", "content": ""}], title="T"
    )
    response = await client.post(f"/api/jobs/{old['id']}/restart?wait=40")
    new = await response.json()
    assert response.status == 201
    assert (new["logs"], new["title"], new["restart_of"]) == ("again\ngiven\n", "T", old["id"])
    assert new["id"] != old["id"]
    running = await launch(client, "sleep 60", wait=False)
    await until_running(client, running["id"])
    for method, path in (("POST", "/restart"), ("DELETE", "")):
        refused = await refusal(await client.request(method, f"/api/jobs/{running['id']}{path}"))
        assert refused[:2] == (409, "conflict")
        assert "running" in refused[2]
    await stop(client, running["id"])


async def test_a_deleted_job_leaves_nothing(client: TestClient, settings: Settings) -> None:
    job = await launch(client, "echo x; mkdir -p a/b; chmod 000 a")
    assert settings.home is not None
    assert (settings.home / "jobs" / job["id"]).is_dir()
    assert await (await client.delete(f"/api/jobs/{job['id']}")).json() == {"status": "deleted"}
    assert not (settings.home / "jobs" / job["id"]).exists()
    for path in ("", "/logs", "/files/list", "/files/read?path=a"):
        assert (await refusal(await client.get(f"/api/jobs/{job['id']}{path}")))[0] == 404


BAD = [
    ({}, "command"),
    ({"command": " "}, "command"),
    ({"command": "a", "prompt": "b"}, "command"),
    ({"command": "a\0b"}, "command"),
    ({"command": "a", "timeout_seconds": 0}, "timeout_seconds"),
    ({"command": "a", "timeout_seconds": 4000}, "timeout_seconds"),
    ({"command": "a", "memory_mb": 5000}, "memory_mb"),
    ({"command": "a", "network": "yes"}, "network"),
    ({"command": "a", "comand": "b"}, "comand"),
    ({"command": "a", "files": [{"path": "x"}]}, "files.0.content"),
    ({"command": "a", "files": [{"path": "x", "data": "%"}]}, "files.0.data"),
    ({"command": "a", "files": [{"path": "../x", "content": ""}]}, "path"),
    ({"command": "a", "files": [{"path": "/etc/x", "content": ""}]}, "path"),
]


async def test_what_can_t_be_a_job_is_refused_by_field_and_leaves_nothing(
    client: TestClient, settings: Settings
) -> None:
    for body, field in BAD:
        response = await client.post("/api/jobs", json=body)
        error = (await response.json())["error"]
        assert (response.status, error["field"]) == (422, field), body
    assert (await get(client, "/api/jobs"))["jobs"] == []
    assert settings.home is not None
    assert list((settings.home / "jobs").glob("*")) == []


async def test_j9_without_a_sandbox_launching_is_503_and_all_else_works(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, sandbox="off"))
    status, code, message = await refusal(await client.post("/api/jobs", json={"command": "touch /tmp/ran"}))
    assert (status, code) == (503, "sandbox_unavailable")
    assert "SANDBOX" in message
    assert (await get(client, "/api/jobs"))["jobs"] == []
    assert (await get(client, "/api/status"))["parts"]["sandbox"]["reason"] == message
    assert (await get(client, "/api/status"))["status"] == "healthy"


async def test_a_task_without_a_model_says_what_to_do(client: TestClient) -> None:
    status, code, message = await refusal(await client.post("/api/jobs", json={"prompt": "do something"}))
    assert (status, code) == (503, "unavailable")
    assert "language model" in message


# Events


async def test_events_tell_of_each_step_and_of_progress(client: TestClient) -> None:
    hub = client.gateway.services.hub  # type: ignore[attr-defined]
    seen: list[dict[str, Any]] = []
    with hub.subscribe() as subscription:
        job = await launch(client, "echo a; sleep 1.3; echo b; sleep 1.2", title="Two steps")
        async with asyncio.timeout(20):
            async for released in subscription:
                if released.kind.startswith("job_"):
                    seen.append({"kind": released.kind, **json.loads(released.body)})
                if seen and seen[-1].get("status") == "completed":
                    break
    assert [(one["kind"], one["status"]) for one in seen[:2]] == [
        ("job_started", "pending"),
        ("job_updated", "running"),
    ]
    assert seen[-1] == {
        "kind": "job_updated", "job_id": job["id"], "title": "Two steps", "status": "completed", "exit_code": 0,
        "reason": None, "output_bytes": 4, "browse_path": seen[-1]["browse_path"], "thread_id": None,
    }  # fmt: skip
    assert job["browse_url"].endswith(f"/{seen[-1]['browse_path']}")
    assert {one["last_line"] for one in seen if "last_line" in one} <= {"a", "b"}
    assert "last_line" in seen[2]


async def test_secrets_in_a_command_are_not_in_titles_and_events(client: TestClient) -> None:
    job = await launch(client, "true 'Authorization: Bearer abcdef0123456789abcdef' \x1b[2J")
    assert "abcdef0123456789" not in job["title"]
    assert "\x1b" not in job["title"]


async def test_nothing_of_a_job_is_left_running_after_a_stop(client: TestClient) -> None:
    job = await launch(
        client, f"setsid sh -c \"trap '' TERM; sleep 60; : {MARK}\" & trap '' TERM; sleep 60; : {MARK}", wait=False
    )
    async with asyncio.timeout(20):
        while len(marked(MARK)) < 3:
            await asyncio.sleep(0.02)
    began = time.monotonic()
    assert await stop(client, job["id"]) == {"status": "stopped"}
    assert time.monotonic() - began < 2.0
    assert gone(MARK, within=0.1)


async def test_files_of_several_megabytes_can_be_given(client: TestClient) -> None:
    body = {"command": "wc -c < big", "files": [{"path": "big", "content": "x" * 3_000_000}]}
    reply = await client.post("/api/jobs?wait=40", data=io.BytesIO(json.dumps(body).encode()), headers=JSON)
    assert (await reply.json())["logs"].strip() == "3000000"
