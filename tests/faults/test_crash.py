"""The plug is pulled: what was acknowledged is there afterwards, once and in order, and nothing is done twice."""

import contextlib
import re
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
PASSING = {"thinking", "queued", "stream_chunk", "reasoning_chunk"}
TOOLS = {"tool_started", "tool_completed"}
ENDS = {"completed", "interrupted", "failed", "stopped"}
SLOW = "read long.md"  # most of a minute of words at the pace `1`, which the assistant shares out over a long answer

# A program of someone else's around the gateway: a model that calls one tool, and a tool that is seen from outside.
HOST = """
import asyncio, json, os, sys
from pathlib import Path
from aiohttp import web
from ironclaw import Gateway, Settings, Tool, ToolResult
from ironclaw.llm.models import Finished, TextDelta, ToolCallDelta, Usage

marks = Path(os.environ["MARKS"])

async def launch(context, arguments):
    with marks.open("a") as file:
        file.write(context.call_id + "\\n")
    await asyncio.sleep(50)
    return ToolResult("launched")

class Model:
    name = model = "scripted"
    async def stream(self, request):
        if "launch" in request.messages[-1].content:
            yield TextDelta("I launch it. ")
            yield ToolCallDelta(0, "{}", "call-1", "Launch")
            yield Finished("tool_calls", Usage(5, 2, 0.5))
        else:
            yield TextDelta("fine")
            yield Finished("stop", Usage(10, 3, 0.25))

async def main():
    settings = Settings.load()
    runner = web.AppRunner(Gateway(settings, llm=Model(), tools=[Tool("Launch", "", {"type": "object"}, launch)]).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (settings.home / "gateway.json").write_text(json.dumps({"url": url, "pid": os.getpid()}))
    await asyncio.Event().wait()

asyncio.run(main())
"""


def write_note(gateway: GatewayProcess, *, lines: int = 200, words: int = 50) -> None:
    workspace = gateway.home / "workspace"
    workspace.mkdir(parents=True, exist_ok=True)
    text = [" ".join(f"word{line}-{number}" for number in range(words)) for line in range(lines)]
    (workspace / "long.md").write_text("\n".join(text))


def history(gateway: GatewayProcess, thread_id: str) -> list[dict[str, Any]]:
    status, _, body = gateway.request("GET", f"/api/chat/history?thread_id={thread_id}&limit=200")
    assert status == 200, body
    return body["turns"]  # type: ignore[no-any-return]


def wait_until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)
    return found


def stop_start(gateway: GatewayProcess, **start: Any) -> int:
    """Pull the plug and start again; where in its log the new process begins."""
    gateway.kill()
    begin = len(gateway.log)
    gateway.start(**start)
    return begin


class Sender(threading.Thread):
    """Sends as fast as it can until the gateway is gone; keeps what was acknowledged, and the last try that was not."""

    def __init__(self, gateway: GatewayProcess, thread_id: str, prefix: str) -> None:
        super().__init__(daemon=True)
        self.gateway, self.thread_id, self.prefix = gateway, thread_id, prefix
        self.acknowledged: list[tuple[str, str]] = []
        self.first = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError, EOFError):
            for number in range(1000):
                text = f"{self.prefix} {number}"
                reply = self.gateway.send(text, thread_id=self.thread_id)
                self.acknowledged.append((reply["message_id"], text))
                self.first.set()


@pytest.mark.timeout(180)
def test_r01_what_was_acknowledged_before_a_kill_is_in_history_exactly_once_and_in_order(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0.001").start()
    acknowledged: dict[str, list[tuple[str, str]]] = {"a": [], "b": []}
    for round_ in range(25):
        senders = [Sender(gateway, thread, f"{round_}") for thread in acknowledged]
        for sender in senders:
            sender.start()
        assert all(sender.first.wait(10) for sender in senders)
        time.sleep(round_ * 0.002)  # the moment of the kill is what this test is about: 0 to 48 ms after a 200
        gateway.kill()
        for sender in senders:
            sender.join(10)
            acknowledged[sender.thread_id] += sender.acknowledged
        begin = len(gateway.log)
        gateway.start()
        assert "Traceback" not in gateway.log[begin:]
    for thread, messages in acknowledged.items():
        turns = wait_until(lambda thread=thread: all_ended(gateway, thread), 60)
        counts = Counter(turn["message_id"] for turn in turns)
        assert [counts[message_id] for message_id, _ in messages] == [1] * len(messages)
        known = dict(messages)
        kept = [(one["message_id"], one["user_message"]) for one in turns if one["message_id"] in known]
        assert kept == messages
        # Beyond those at most the one of each round whose 200 was on its way.
        assert len(turns) - len(messages) <= 25
        assert {turn["state"] for turn in turns} <= {"completed", "interrupted"}
        assert len({turn["user_message"] for turn in turns}) == len(turns)
    assert sum(map(len, acknowledged.values())) >= 50


def all_ended(gateway: GatewayProcess, thread_id: str) -> list[dict[str, Any]] | None:
    """All turns of a thread once none of them waits or runs."""
    turns: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = gateway.request("GET", f"/api/chat/history?thread_id={thread_id}&limit=200{cursor}")[2]
        turns = page["turns"] + turns
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    return turns if all(turn["state"] in ENDS for turn in turns) else None


def read_some(gateway: GatewayProcess, thread_id: str, seconds: float) -> list[dict[str, Any]]:
    """The events of a turn that runs, from its message on, until words have come for *seconds*."""
    stream = gateway.open_events()
    gateway.send(SLOW, thread_id=thread_id)
    events = stream.until("stream_chunk")
    enough = time.monotonic() + seconds
    while time.monotonic() < enough:
        events.append(stream.next())
    stream.close()
    return events


def test_r02_a_turn_cut_off_in_the_middle_is_marked_keeps_its_text_and_its_thread_goes_on(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="1")
    write_note(gateway)
    gateway.start()
    seen = read_some(gateway, "a", 1.3)
    text = "".join(event["content"] for event in seen if event["event"] == "stream_chunk")
    queued = [gateway.send(text, thread_id="a")["message_id"] for text in ("help", "time", "help")]
    gateway.env["BUILTIN_WORD_DELAY"] = "0"
    stop_start(gateway)
    turns = wait_until(lambda: all_ended(gateway, "a"))
    assert [turn["state"] for turn in turns] == ["interrupted", *["completed"] * 3]
    cut = turns[0]
    assert cut["error"]["code"] == "interrupted"
    words = cut["response"]
    # Of what a client saw, at most the last half second may be missing; nothing is made up.
    assert len(words) > len(text) / 4
    shorter, longer = sorted((words, text), key=len)
    assert longer.startswith(shorter)
    stream = gateway.open_events("?last_event_id=0&types=response")
    answered = [stream.next()["message_id"] for _ in queued]
    stream.close()
    assert answered == queued  # what waited behind it is answered after the restart, in its order
    assert [turn["message_id"] for turn in turns[1:]] == queued
    assert all(turn["response"] for turn in turns[1:])
    assert gateway.send("help", thread_id="a", wait=True)["state"] == "completed"
    assert gateway.request("GET", "/api/status")[2]["status"] == "healthy"


def test_r02_a_client_that_comes_back_gets_one_reset_then_every_durable_event_once_and_only_new_ids(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="1")
    write_note(gateway)
    gateway.start()
    seen = read_some(gateway, "a", 0.8)
    last = seen[-1]["id"]
    gateway.env["BUILTIN_WORD_DELAY"] = "0"
    stop_start(gateway)
    after = gateway.send("help", thread_id="a", wait=True)
    stream = gateway.open_events(headers={"Last-Event-ID": str(last)})
    events = stream.until("response")
    stream.close()
    assert [event["event"] for event in events].count("reset") == 1
    assert (events[0]["event"], events[0]["reason"], events[0]["last_id"]) == ("reset", "interrupted", last)
    ids = [event["id"] for event in events[1:]]
    assert ids == sorted(set(ids))
    assert ids[0] > last  # an id that a client has seen never stands for anything else
    cut = next(event["message_id"] for event in seen if event["event"] == "user_message")
    kinds = [(event["event"], event["message_id"]) for event in events[1:] if event["event"] not in {*PASSING, *TOOLS}]
    new = after["message_id"]
    assert kinds == [("turn_failed", cut), ("user_message", new), ("response", new)]


def test_r02_over_many_kills_every_durable_event_comes_exactly_once_to_a_client_that_resumes(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0.001").start()
    sent: list[str] = []
    seen: list[dict[str, Any]] = []
    last = 0
    for round_ in range(5):
        stream = gateway.open_events(f"?last_event_id={last}")
        sent += [gateway.send(f"{round_} {number}", thread_id=f"t{number}")["message_id"] for number in range(3)]
        for _ in range(4 + 5 * round_):  # each round is cut at another place
            seen.append(stream.next())
            last = max(last, seen[-1]["id"])
        stop_start(gateway)
        stream.close()
    stream = gateway.open_events(f"?last_event_id={last}")
    ended = {event["message_id"] for event in seen if event["event"] in {"response", "turn_failed"}}
    while not ended.issuperset(sent):
        seen.append(stream.next())
        if seen[-1]["event"] in {"response", "turn_failed"}:
            ended.add(seen[-1]["message_id"])
    stream.close()
    durable = [event for event in seen if event["event"] not in {*PASSING, "reset"}]
    assert [event["id"] for event in durable] == sorted({event["id"] for event in durable})
    by_kind = Counter((event["event"], event["message_id"]) for event in durable if "message_id" in event)
    ends = Counter(event["message_id"] for event in durable if event["event"] in {"response", "turn_failed"})
    assert [by_kind["user_message", message_id] for message_id in sent] == [1] * len(sent)
    assert [ends[message_id] for message_id in sent] == [1] * len(sent)
    known = {event["id"]: event["event"] for event in seen if event["event"] != "reset"}
    assert len(known) == sum(event["event"] != "reset" for event in seen)  # passing ones have ids of their own, too


def test_r03_each_acknowledged_send_was_synced_to_the_disk_before_its_reply_left(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="20")
    write_note(gateway, lines=1, words=9)
    trace = tmp_path / "trace"
    calls = "trace=fdatasync,fsync,recvfrom,sendto"
    gateway.start(prefix=("strace", "-f", "-qq", "-s", "64", "-e", calls, "-o", str(trace)))
    gateway.send(SLOW, thread_id="a")  # it runs all the time, so that what follows only waits: nothing else is written
    wait_until(lambda: history(gateway, "a")[0]["state"] == "running")
    mark = wait_until(lambda: quiet_end_of(trace))
    for number in range(20):
        gateway.send(f"waits {number}", thread_id="a")
    gateway.kill()
    synced, replies, counts = 0, 0, []
    for line in trace.read_text().splitlines()[mark:]:
        if re.search(r'recvfrom\(.*"POST /api/chat/send', line):
            synced = 0
        elif re.search(r"(fdatasync|fsync)(\(\d+\)| resumed>\)?).*= 0", line):
            synced += 1
        elif re.search(r'sendto\(.*"HTTP/1\.1 200 OK', line):
            replies += 1
            counts.append(synced)
    assert replies == 20
    assert min(counts) >= 1, counts


def quiet_end_of(trace: Path) -> int:
    """The number of lines of a trace in which nothing was synced for a while; 0 when something was."""
    before = trace.read_text()
    time.sleep(0.8)
    after = trace.read_text()
    return 0 if "sync" in after[len(before) :] else len(after.splitlines())


def test_a_tool_call_that_had_begun_is_not_run_again_and_is_shown_as_cut_off(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    program = tmp_path / "host.py"
    program.write_text(HOST)
    marks = tmp_path / "marks"
    prefix = (sys.executable, str(program))
    gateway = gateway_process(MARKS=str(marks))
    gateway.start(prefix=prefix)
    sent = gateway.send("launch it", thread_id="a")
    waiting = gateway.send("and then?", thread_id="a")
    wait_until(lambda: marks.exists() and marks.read_text())
    stop_start(gateway, prefix=prefix)
    turns = wait_until(lambda: all_ended(gateway, "a"))
    assert [(turn["message_id"], turn["state"]) for turn in turns] == [
        (sent["message_id"], "interrupted"),
        (waiting["message_id"], "completed"),
    ]
    assert [(call["name"], call["success"]) for call in turns[0]["tool_calls"]] == [("Launch", None)]
    assert turns[0]["response"] == "I launch it. "
    assert marks.read_text() == "call-1\n"


def test_sums_of_usage_survive_a_kill(gateway_process: MakeProcess, tmp_path: Path) -> None:
    program = tmp_path / "host.py"
    program.write_text(HOST)
    prefix = (sys.executable, str(program))
    gateway = gateway_process(MARKS=str(tmp_path / "marks"))
    gateway.start(prefix=prefix)
    for _ in range(3):
        gateway.send("hi", wait=True)
    expected = {"total_tokens": 39, "estimated_cost_usd": 0.75, "unpriced_tokens": 0}
    assert gateway.request("GET", "/api/status")[2]["token_usage"] == expected
    wait_until(lambda: stored_tokens(gateway.home / "ironclaw.db") == 39, 3.0)  # a moment later it is on disk
    stop_start(gateway, prefix=prefix)
    assert gateway.request("GET", "/api/status")[2]["token_usage"] == expected


def stored_tokens(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT total(input_tokens + output_tokens) FROM usage").fetchone()[0])


def test_the_sums_of_usage_are_exact_after_a_normal_end(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    usage = gateway.send("help", wait=True)["response"]["usage"]["total_tokens"]
    before = gateway.request("GET", "/api/status")[2]["token_usage"]["total_tokens"]
    gateway.terminate()  # at once: the last half second must be written on the way out
    assert gateway.wait() == 0
    gateway.start()
    assert gateway.request("GET", "/api/status")[2]["token_usage"]["total_tokens"] == before == usage
