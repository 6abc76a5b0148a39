"""Jobs and the agent: its tools on jobs, the approval before one starts, and tasks of a model in the sandbox."""

import asyncio
import json
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from approval_calls import answer, pause, settled
from chat_calls import MakeClient, call, history, say, turn
from conftest import ScriptedModel

from ironclaw.llm.models import Usage
from ironclaw.settings import Settings


async def allowed(client: TestClient, message: str, action: str = "approve") -> dict[str, Any]:
    """The turn of a message, its one call that waits answered, once it has ended."""
    waiting = await pause(client, "t", message)
    place = len([one for one in await history(client, "t") if not one["command"]]) - 1
    assert (await answer(client, waiting["request_id"], action))[0] == 200
    async with asyncio.timeout(30):
        return await settled(client, place, "t")


async def task(client: TestClient, prompt: str, **more: Any) -> dict[str, Any]:
    reply = await client.post("/api/jobs?wait=40", json={"prompt": prompt, **more})
    job: dict[str, Any] = await reply.json()
    assert reply.status == 201, job
    return job


async def test_run_df_h_asks_first_and_answers_with_output_and_exit_code(client: TestClient) -> None:
    asked = await pause(client, "t", "run echo hello; exit 3")
    assert (asked["name"], asked["subject"]) == ("JobStart", "echo hello; exit 3")
    assert (await (await client.get("/api/jobs")).json())["jobs"] == []
    await answer(client, asked["request_id"], "approve")
    said = (await settled(client, 0, "t"))["response"]
    (job,) = (await (await client.get("/api/jobs")).json())["jobs"]
    assert (job["started_by"], job["thread_id"], job["exit_code"]) == ("agent", "t", 3)
    assert said == f"`echo hello; exit 3` ended with exit code 3 ({job['id']}).\n\n```\nhello\n```"
    listed = (await turn(client, "/jobs"))[-1]["content"]
    assert f"**failed** echo hello; exit 3 ({job['id']}" in listed


async def test_a_run_that_is_not_allowed_runs_nothing(client: TestClient) -> None:
    assert (await allowed(client, "run echo hello", "deny"))["response"] == "I have not run it."
    assert (await (await client.get("/api/jobs")).json())["jobs"] == []


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ({"command": "df -h"}, "df -h"),
        ({"command": "df -h", "network": True}, "with the network: df -h"),
        ({"command": "sh", "stdin": "rm -rf ."}, "sh\nwith the input:\nrm -rf ."),
        ({"prompt": "count the words"}, "task: count the words"),
    ],
)
async def test_what_is_asked_is_all_that_decides_what_runs(
    make_client: MakeClient, settings: Settings, arguments: dict[str, Any], subject: str
) -> None:
    model = ScriptedModel(call("JobStart", json.dumps(arguments)), say("done"))
    client = await make_client(settings, llm=model)
    assert (await pause(client, "t", "go"))["subject"] == subject


async def test_the_agent_starts_looks_at_and_stops_a_job(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(call("JobStart", '{"command": "echo up; sleep 60", "wait": 1}'), say("started"))
    client = await make_client(settings, llm=model)
    await allowed(client, "go", "always")
    told = model.requests[-1].messages[-1].content
    job_id = next(word for word in told.split() if word.startswith("job-"))
    assert f"{job_id} running\nup\n" in told
    model.scripts[:] = [
        call("JobStatus", json.dumps({"job_id": job_id})), call("JobList", call_id="c2"), say("looked"),
    ]  # fmt: skip
    assert (await turn(client, "look", thread_id="t"))[-1]["content"] == "looked"
    results = [one.content for one in model.requests[-1].messages if one.role == "tool"]
    assert f"{job_id} running" in results[-2]
    assert f"{job_id}\trunning\t" in results[-1]
    model.scripts[:] = [call("JobStop", json.dumps({"job_id": job_id}), "c3"), say("ended")]
    await allowed(client, "stop it")
    assert f"{job_id} stopped: It was stopped by the agent." in model.requests[-1].messages[-1].content


async def test_a_task_works_in_its_folder_with_its_shell_and_is_metered_as_a_job(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(
        call("FileRead", '{"path": "in.txt"}'),
        call("Shell", '{"command": "wc -w < in.txt > count; cat count; exit 2"}', "c2"),
        call("FileWrite", '{"path": "sub/report.md", "content": "three words"}', "c3"),
        call("Shell", '{"command": "cat sub/report.md; echo more >> sub/report.md"}', "c4"),
        call("FileRead", '{"path": "../given.json"}', "c5"),
        call("FileList", "{}", "c6"),
        say("It has ", "three words.", usage=Usage(7, 3, 0.0)),
    )
    client = await make_client(settings, llm=model)
    job = await task(client, "count the words", files=[{"path": "in.txt", "content": "one two three"}])
    assert (job["status"], job["exit_code"], job["reason"], job["tokens"]) == ("completed", None, None, 22)
    assert "$ wc -w < in.txt > count; cat count; exit 2\n3\n" in job["logs"]
    assert job["logs"].rstrip().endswith("It has three words.")
    told = [one.content for one in model.requests[-1].messages if one.role == "tool"]
    assert "one two three" in told[0]
    assert "exit code 2\n3" in told[1]
    assert "three words" in told[3]
    assert "exit code 0" in told[3]
    assert "one two three" not in told[4]
    assert "count\t" in told[5]
    assert {tool.name for tool in model.requests[0].tools} == {"Shell", "FileRead", "FileWrite", "FileList"}
    listed = await (await client.get(f"/api/jobs/{job['id']}/files/read?path=sub/report.md")).text()
    assert listed == "three wordsmore\n"
    usage = await (await client.get("/api/usage")).json()
    assert [(one["scope"], one["total_tokens"]) for one in usage["by_scope"]] == [("job", 22)]


async def test_a_task_ends_at_its_tokens(make_client: MakeClient, settings: Settings) -> None:
    used = Usage(600, 10, 0.0)
    steps = [*call("Shell", '{"command": "echo x"}')[:-1], attrs.evolve(say("", usage=used)[-1], reason="tool_calls")]  # type: ignore[type-var]
    model = ScriptedModel(steps, [*steps], say("No more."))
    client = await make_client(attrs.evolve(settings, job_tokens=1000), llm=model)
    job = await task(client, "go on for ever")
    assert (job["status"], job["reason"]) == ("failed", "tokens"), job
    assert job["tokens"] >= 1000
    assert len(model.requests) <= 3


async def test_a_task_is_stopped_with_its_shell_and_its_model_call(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(call("Shell", '{"command": "echo in; sleep 60"}'), say("never"))
    client = await make_client(settings, llm=model)
    job = await (await client.post("/api/jobs", json={"prompt": "sleep"})).json()
    async with asyncio.timeout(20):
        while "in\n" not in (await (await client.get(f"/api/jobs/{job['id']}/logs")).text()):
            await asyncio.sleep(0.05)
    assert await (await client.post(f"/api/jobs/{job['id']}/stop")).json() == {"status": "stopped"}
    assert len(model.requests) == 1


async def test_a_limit_of_the_shell_ends_the_whole_task(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(call("Shell", '{"command": "head -c 100000000 /dev/zero | tail | sleep 60"}'), say("never"))
    client = await make_client(settings, llm=model)
    job = await task(client, "eat", memory_mb=32)
    assert (job["status"], job["reason"]) == ("failed", "memory")


async def test_a_failing_model_fails_the_task_with_the_reason(make_client: MakeClient, settings: Settings) -> None:
    from ironclaw.errors import ProviderError

    model = ScriptedModel([ProviderError("The key was refused.", code="key_refused", fix="Set another.")])
    client = await make_client(settings, llm=model)
    job = await task(client, "anything")
    assert (job["status"], job["reason"], job["detail"]) == ("failed", "model", "The key was refused. Set another.")
