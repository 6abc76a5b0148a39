"""The plug is pulled while a call waits, or just after the answer: the call runs once or not at all, never twice."""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
ENDS = {"completed", "interrupted", "failed", "stopped"}

# A program of someone else's around the gateway: a model that calls what it is told to, and a tool that leaves a mark.
HOST = """
import asyncio, json, os
from pathlib import Path
from aiohttp import web
from ironclaw import Gateway, Settings, Tool, ToolResult
from ironclaw.llm.models import Finished, TextDelta, ToolCallDelta, Usage
from ironclaw.tools import Risk

marks = Path(os.environ["MARKS"])

async def launch(context, arguments):
    with marks.open("a") as file:
        file.write(arguments["what"] + "\\n")
        file.flush()
        os.fsync(file.fileno())
    return ToolResult("launched")

class Model:
    name = model = "scripted"
    async def stream(self, request):
        last = request.messages[-1]
        if last.role == "user" and last.content.startswith("launch"):
            yield TextDelta("I launch it. ")
            arguments = json.dumps({"what": last.content.split()[1]})
            yield ToolCallDelta(0, arguments, "call-1", "Launch")
            yield Finished("tool_calls", Usage(5, 2, 0.5))
        else:
            yield TextDelta("Launched." if last.role == "tool" and "launched" in last.content else "Fine.")
            yield Finished("stop", Usage(10, 3, 0.25))

async def main():
    settings = Settings.load()
    tool = Tool("Launch", "", {"type": "object"}, launch, Risk.ACT, subject=lambda arguments: arguments["what"])
    runner = web.AppRunner(Gateway(settings, llm=Model(), tools=[tool]).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (settings.home / "gateway.json").write_text(json.dumps({"url": url, "pid": os.getpid()}))
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Host:
    """The host program as a process that can be killed, and what its tool has left behind."""

    def __init__(self, make: MakeProcess, folder: Path) -> None:
        program = folder / "host.py"
        program.write_text(HOST)
        self._marks = folder / "marks"
        self._prefix = (sys.executable, str(program))
        self.gateway = make(MARKS=str(self._marks))
        self.gateway.start(prefix=self._prefix)

    @property
    def marks(self) -> list[str]:
        return self._marks.read_text().split() if self._marks.exists() else []

    def restart(self) -> None:
        """Pull the plug and start again."""
        self.gateway.kill()
        self.gateway.start(prefix=self._prefix)

    def pause(self, thread_id: str, what: str) -> dict[str, Any]:
        """Send a message whose turn comes to wait; the request."""
        body = {"message": f"launch {what}", "thread_id": thread_id}
        status, _, reply = self.gateway.request("POST", "/api/chat/send?wait=20", body, timeout=25)
        assert (status, reply["state"]) == (202, "waiting"), reply
        return reply["pending_approval"]  # type: ignore[no-any-return]

    def approvals(self) -> list[dict[str, Any]]:
        return self.gateway.request("GET", "/api/chat/approvals")[2]["approvals"]  # type: ignore[no-any-return]

    def answer(self, request_id: str, action: str = "approve") -> int:
        return self.gateway.request("POST", "/api/chat/approval", {"request_id": request_id, "action": action})[0]

    def ended(self, thread_id: str) -> list[dict[str, Any]]:
        """All turns of a thread, once each has ended."""
        deadline = time.monotonic() + 15
        while True:
            turns = self.gateway.request("GET", f"/api/chat/history?thread_id={thread_id}&limit=200")[2]["turns"]
            if all(one["state"] in ENDS for one in turns):
                return turns  # type: ignore[no-any-return]
            assert time.monotonic() < deadline, turns
            time.sleep(0.02)


@pytest.fixture
def host(gateway_process: MakeProcess, tmp_path: Path) -> Host:
    return Host(gateway_process, tmp_path)


def test_a_call_that_waits_survives_a_kill_and_runs_once_when_it_is_answered_afterwards(host: Host) -> None:
    pending = host.pause("a", "x")
    behind = host.gateway.send("and then?", thread_id="a")
    host.restart()
    host.restart()
    assert host.approvals() == [pending]
    page = host.gateway.request("GET", "/api/chat/history?thread_id=a")[2]
    assert [one["state"] for one in page["turns"]] == ["waiting", "queued"]
    assert page["turns"][0]["response"] == "I launch it. "
    assert host.marks == []
    assert host.answer(pending["request_id"]) == 200
    first, second = host.ended("a")
    assert (first["state"], first["response"]) == ("completed", "I launch it. \n\nLaunched.")
    assert first["usage"]["total_tokens"] == 20
    assert [(one["name"], one["success"]) for one in first["tool_calls"]] == [("Launch", True)]
    assert (second["message_id"], second["response"]) == (behind["message_id"], "Fine.")
    assert host.marks == ["x"]
    assert host.answer(pending["request_id"]) == 409
    host.restart()
    assert host.approvals() == []
    assert host.marks == ["x"]


@pytest.mark.timeout(180)
def test_a_kill_just_after_an_answer_was_acknowledged_never_makes_the_call_run_twice(host: Host) -> None:
    chance = random.Random(7)
    outcomes = []
    for round_ in range(14):
        thread, what = f"t{round_}", f"w{round_}"
        pending = host.pause(thread, what)
        assert host.answer(pending["request_id"]) == 200
        time.sleep(chance.choice([0, 0, chance.random() * 0.004, chance.random() * 0.03]))  # where it is cut off
        host.restart()
        (turn,) = host.ended(thread)
        times = host.marks.count(what)
        outcomes.append((turn["state"], times))
        assert host.answer(pending["request_id"]) == 409  # the answer was kept
        if turn["state"] == "completed":
            assert times == 1
            assert turn["response"] == "I launch it. \n\nLaunched."
            assert [one["success"] for one in turn["tool_calls"]] == [True]
        else:
            assert turn["state"] == "interrupted"
            assert times <= 1
            assert turn["response"].startswith("I launch it. ")
    assert len(host.marks) == len(set(host.marks))
    assert host.approvals() == []
    assert any(times for _, times in outcomes), outcomes


def test_always_and_a_denial_survive_a_kill(host: Host) -> None:
    assert host.answer(host.pause("a", "x")["request_id"], "deny") == 200
    host.restart()
    (denied,) = host.ended("a")
    assert denied["state"] in {"completed", "interrupted"}
    assert host.marks == []
    assert host.answer(host.pause("b", "x")["request_id"], "always") == 200
    host.restart()
    before = len([one for one in host.ended("b") if one["state"] == "completed"])
    assert host.marks.count("x") >= before
    count = host.marks.count("x")
    assert host.gateway.send("launch x", thread_id="c", wait=True)["state"] == "completed"  # nobody is asked
    assert host.marks.count("x") == count + 1
    assert host.pause("d", "y")["subject"] == "y"
