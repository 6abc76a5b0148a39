"""Whole turns with models that speak the real protocol, well and badly: what clients see, and what is kept of it."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, byte_by_byte, chunk, reply, run_stand_in, sse  # noqa: F401
from model_calls import closed_port
from process_turns import ENDS, KEY, at_home, calls, history, hosted, kinds, says, serve_at, text_of, turn

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
JSON = {"Content_Type": "application/json"}
NOTE = "log.md"


@attrs.frozen
class World:
    """A gateway and the hosted model `m` that it has; it waits a second for a token. All cases of this file share it."""

    gateway: GatewayProcess
    stand_in: StandInProcess

    def script(self, *replies: dict[str, Any]) -> None:
        """What the next requests get, and from then on always the last of these."""
        self.stand_in.script("m", *replies)

    def usage(self) -> dict[str, Any]:
        """The sums of all calls."""
        return self.gateway.request("GET", "/api/usage")[2]["totals"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    stand_in = StandInProcess(folder / "stand-in.log")
    limits = {"LLM_FIRST_TOKEN_TIMEOUT": "1", "LLM_TOKEN_TIMEOUT": "1", "LOG_LEVEL": "trace"}
    gateway = GatewayProcess(folder / "home", {**hosted(stand_in, "m"), **limits})
    try:
        stand_in.script("m", says("ready"))
        yield World(gateway.start(), stand_in)
    finally:
        gateway.kill()
        stand_in.close()


@pytest.fixture
def thread(request: pytest.FixtureRequest) -> str:
    """A thread of the test's own."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[:128]


# Upstreams that fail


@attrs.frozen
class Failure:
    """A reply that fails: the *code* of the turn's end, the *text* that had come, and what the sentence says to do."""

    reply: dict[str, Any]
    code: str
    fix: str
    text: str = ""


def error(message: str, status: int, **headers: str) -> dict[str, Any]:
    return reply(json.dumps({"error": {"message": message}}), status=status, **JSON, **headers)


HALF = sse(chunk("Half of "), chunk("it"), done=False)
LONG_LINE = (
    'data: {"choices": [{"index": 0, "delta": {"content": "',
    {"send": "x" * 1024, "times": 10 * 1024},
    '"}, "finish_reason": "stop"}]}\n\n',
)
FAILURES = {
    "s21_a_refused_key_that_is_said_back": Failure(
        error(f"Incorrect API key provided: {KEY}.", 401), "key_refused", "Set a valid key for it."
    ),
    "a_model_that_is_not_there": Failure(
        error("The model `m` does not exist.", 404), "model_missing", "Check the model's name"
    ),
    "too_many_requests_for_an_hour": Failure(
        error("Slow down", 429, Retry_After="3600"), "rate_limited", "Try again in 3600 seconds."
    ),
    "a_server_that_fails": Failure(error("out of memory", 500), "provider_failed", "Try again in a moment."),
    "silence_from_the_start": Failure(reply({"hang": True}), "timeout", "Try again, or choose a smaller model."),
    "silence_without_a_head": Failure({"steps": [{"head": "wait"}]}, "timeout", "choose a smaller model."),
    "silence_in_the_middle": Failure(reply(HALF, {"hang": True}), "timeout", "Try again.", "Half of it"),
    "a_reset_in_the_middle": Failure(reply(HALF, {"wait": 0.1}, {"reset": True}), "cut_off", "Try again.", "Half of it"),
    "a_body_without_its_end": Failure(reply(HALF, {"drop": True}), "cut_off", "Try again.", "Half of it"),
    "r23_a_clean_end_without_a_finish": Failure(reply(HALF), "cut_off", "Try again.", "Half of it"),
    "r23_a_clean_end_without_anything": Failure(reply(), "cut_off", "Try again."),
    "an_error_in_the_stream": Failure(
        reply(HALF, sse({"error": {"message": "overloaded", "code": 503}})), "provider_failed", "Try again", "Half of it"
    ),
    "a_line_of_10_mb": Failure(reply(HALF, *LONG_LINE), "bad_reply", "Try again", "Half of it"),
    "a_page": Failure(reply("<!doctype html><html><body>Welcome</body></html>"), "bad_reply", "Check the address"),
    "a_chunk_that_is_no_json": Failure(reply(HALF, "data: {nonsense\n\n"), "bad_reply", "Try again", "Half of it"),
    "something_that_is_no_http": Failure({"steps": [{"raw": "SSH-2.0-OpenSSH_9.6\r\n"}]}, "bad_reply", "Check the address"),
}  # fmt: skip


@pytest.fixture(params=FAILURES.values(), ids=list(FAILURES))
def failure(request: pytest.FixtureRequest) -> Failure:
    return request.param  # type: ignore[no-any-return]


def check_failed(events: list[dict[str, Any]], failure: Failure, before: list[str]) -> dict[str, Any]:
    """The end of a turn, once it is sure that it failed as it should."""
    end = events[-1]
    assert kinds(events) == [*before, *(["stream_chunk"] if failure.text else []), "turn_failed"]
    assert [event["type"] for event in events if event["type"] in ENDS] == ["turn_failed"]
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids))
    assert (end["code"], end["content"]) == (failure.code, failure.text)
    assert failure.fix in end["message"]
    assert end["message"].endswith(".")
    assert text_of(events) == failure.text
    return end


def test_r22_a_reply_that_fails_ends_its_turn_once_with_what_to_do_and_the_next_message_works(
    world: World, thread: str, failure: Failure
) -> None:
    seen = len(world.stand_in.requests())
    world.script(failure.reply, says("All is well."))
    end = check_failed(turn(world.gateway, "hi", thread), failure, ["user_message", "thinking"])
    assert len(world.stand_in.requests()) == seen + 1  # what failed so is not asked for again
    again = turn(world.gateway, "and now?", thread)
    assert kinds(again) == ["user_message", "thinking", "stream_chunk", "response"]
    assert again[-1]["content"] == "All is well."
    assert len(world.stand_in.requests()) == seen + 2
    stream = world.gateway.open_events(f"?thread_id={thread}&last_event_id=0&types={','.join(ENDS)}")
    told = [stream.next(), stream.next()]  # the stream of all: a turn's own would end with its first end
    stream.close()
    assert [(one["event"], one["message_id"]) for one in told] == [
        ("turn_failed", end["message_id"]), ("response", again[-1]["message_id"]),
    ]  # fmt: skip
    failed, fine = history(world.gateway, thread)
    assert (failed["state"], failed["response"]) == ("failed", failure.text or None)
    assert failed["error"] == {"code": end["code"], "message": end["message"]}
    assert (fine["state"], fine["response"], "error" in fine) == ("completed", "All is well.", False)
    assert world.gateway.request("GET", "/api/model")[2]["state"] == "ready"


def test_r22_a_reply_that_fails_after_a_tool_has_run_does_not_run_it_again(
    world: World, thread: str, failure: Failure
) -> None:
    line = f"- {thread}"
    append = calls(("FileAppend", {"path": NOTE, "text": line}))
    world.script(append, failure.reply, says("All is well."))
    begun = ["user_message", "thinking", "tool_started", "tool_completed"]
    check_failed(turn(world.gateway, "write it down", thread), failure, begun)
    assert turn(world.gateway, "and now?", thread)[-1]["content"] == "All is well."
    note = world.gateway.request("GET", f"/api/memory/read?path={NOTE}")[2]["content"]
    assert note.splitlines().count(line) == 1
    [call] = history(world.gateway, thread)[0]["tool_calls"]
    assert (call["name"], call["success"]) == ("FileAppend", True)


def test_s21_a_key_that_the_provider_says_back_is_nowhere_to_be_read(world: World, thread: str) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    said = [
        error(f"Incorrect API key provided: {KEY}", 401),
        reply(f'{{"error": {{"message": "no: {escaped}"}}}}', status=401, **JSON),
        reply(sse({"error": {"message": f"bad key Bearer {KEY}", "code": "invalid_api_key"}})),
        reply(sse({"error": f"{KEY}: upstream said no"})),
    ]
    stream = world.gateway.open_events(f"?thread_id={thread}")
    for one in said:
        world.script(one)
        end = turn(world.gateway, "hi", thread)[-1]
        assert end["type"] == "turn_failed"
        assert "canary" not in json.dumps(end)
        assert KEY not in json.dumps(stream.until("turn_failed"))
    stream.close()
    asked = world.stand_in.requests()[-1]["headers"]
    assert asked["Authorization"] == f"Bearer {KEY}"  # it was sent where it belongs
    for path in (f"/api/chat/history?thread_id={thread}", "/api/model", "/api/status", "/api/usage"):
        assert KEY not in json.dumps(world.gateway.request("GET", path)[2])
    assert KEY not in world.gateway.log
    kept = [path for path in world.gateway.home.rglob("*") if path.is_file()]
    assert [path.name for path in kept if KEY.encode() in path.read_bytes()] == []
    assert "ironclaw.db" in {path.name for path in kept}


# Upstreams that are odd


def test_chunk_borders_in_the_middle_of_anything_change_nothing(world: World, thread: str) -> None:
    whole = sse(chunk("Grüße, "), chunk("世界 🦀"), chunk(finish="stop")).replace("\n", "\r\n")
    world.script(reply(*byte_by_byte(whole.encode())))
    events = turn(world.gateway, "hi", thread)
    assert kinds(events) == ["user_message", "thinking", "stream_chunk", "response"]
    assert text_of(events) == events[-1]["content"] == "Grüße, 世界 🦀"
    assert history(world.gateway, thread)[0]["response"] == "Grüße, 世界 🦀"


def test_pieces_of_two_calls_that_come_interleaved_make_two_calls(world: World, thread: str) -> None:
    def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        function = {"arguments": arguments, **({"name": more.pop("name")} if more else {})}
        return chunk(tool_calls=[{"index": index, **more, "function": function}])

    for name in ("one", "two"):
        body = {"path": f"{name}.md", "content": f"This is {name}."}
        assert world.gateway.request("POST", "/api/memory/write", body)[0] == 200
    pieces = [
        piece(0, "", name="FileRead", id="a"),
        piece(1, '{"pa', name="FileRead", id="b"),
        piece(0, '{"path": "o'),
        piece(1, 'th": "two.md"'),
        piece(0, 'ne.md"}'),
        piece(1, "}"),
    ]
    world.script(reply(sse(*pieces, chunk(finish="tool_calls"))), says("Both read."))
    events = turn(world.gateway, "read both", thread)
    started = {event["call_id"]: event["parameters"] for event in events if event["type"] == "tool_started"}
    assert started == {"a": {"path": "one.md"}, "b": {"path": "two.md"}}
    assert [event["success"] for event in events if event["type"] == "tool_completed"] == [True, True]
    told = world.stand_in.requests()[-1]["body"]["messages"]
    results = {one["tool_call_id"]: one["content"] for one in told if one["role"] == "tool"}
    assert "This is one." in results["a"]
    assert "This is two." in results["b"]
    assert events[-1]["content"] == "Both read."


def test_the_tokens_that_the_server_counts_are_the_turns_and_the_ledgers(world: World, thread: str) -> None:
    before = world.usage()
    world.script(
        reply(sse(chunk("Hm."), chunk(finish="stop"), {"choices": [], "usage": {
            "prompt_tokens": 1000, "completion_tokens": 70, "total_tokens": 1070, "cost": 0.25,
            "prompt_tokens_details": {"cached_tokens": 900}, "completion_tokens_details": {"reasoning_tokens": 60},
        }}))
    )  # fmt: skip
    end = turn(world.gateway, "hi", thread)[-1]
    assert end["usage"] == {"input_tokens": 1000, "output_tokens": 70, "total_tokens": 1070}
    assert end["cost_usd"] == 0.25
    after = world.usage()
    grown = {name: after[name] - before[name] for name in ("calls", "input_tokens", "cached_tokens", "total_tokens")}
    assert grown == {"calls": 1, "input_tokens": 1000, "cached_tokens": 900, "total_tokens": 1070}
    assert (after["cost_usd"] or 0) - (before["cost_usd"] or 0) == pytest.approx(0.25)
    [kept] = history(world.gateway, thread)
    assert (kept["usage"], kept["cost_usd"]) == (end["usage"], 0.25)


def test_r22_a_server_that_asks_for_a_moment_gets_it_and_the_turn_succeeds(world: World, thread: str) -> None:
    seen = len(world.stand_in.requests())
    world.script(error("Slow down", 429, Retry_After="1"), says("Now I can."))
    events = turn(world.gateway, "hi", thread)
    assert kinds(events) == ["user_message", "thinking", "stream_chunk", "response"]
    assert events[-1]["content"] == "Now I can."
    first, second = world.stand_in.requests()[seen:]
    assert second["t"] - first["t"] >= 1.0
    assert first["body"] == second["body"]


def test_a_finish_without_the_last_line_is_a_whole_reply(world: World, thread: str) -> None:
    world.script(reply(sse(chunk("All of it."), chunk(finish="stop"), done=False)))
    end = turn(world.gateway, "hi", thread)[-1]
    assert (end["type"], end["content"]) == ("response", "All of it.")


# A model that is away


def test_a_model_that_is_away_is_said_and_not_replaced_and_is_used_again_once_it_is_back(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    port = closed_port()
    gateway = gateway_process(LLM_BASE_URL=f"http://127.0.0.1:{port}/v1", LLM_MODEL="hello").start()
    events = turn(gateway, "Hello, agent!")
    assert kinds(events) == ["user_message", "thinking", "turn_failed"]
    assert events[-1]["code"] == "unreachable"
    assert f"127.0.0.1:{port}: the connection is refused. Start the server" in events[-1]["message"]
    state = gateway.request("GET", "/api/model")[2]
    assert state["state"] == "unreachable"
    assert state["error"]["fix"] in events[-1]["message"]
    assert gateway.request("POST", "/api/memory/append", {"text": "the blue bicycle"})[0] == 200
    assert "blue bicycle" in turn(gateway, "/find bicycle")[-1]["content"]  # this needs no model
    assert turn(gateway, "/status")[-1]["type"] == "response"
    stand_in = serve_at(port, tmp_path / "late.log")
    try:
        assert turn(gateway, "Hello again")[-1]["content"] == "Hello from the model."
        assert gateway.request("GET", "/api/model")[2]["state"] == "ready"
    finally:
        stand_in.kill()
        stand_in.wait(10)
    assert turn(gateway, "Still there?")[-1]["code"] == "unreachable"
    assert [one["state"] for one in history(gateway) if not one["command"]] == ["failed", "completed", "failed"]


# A model that is changed


def test_a_model_that_is_connected_answers_the_next_turn_and_a_running_one_ends_with_the_old(
    gateway_process: MakeProcess, stand_in: StandInProcess
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    ending = sse(chunk("one."), chunk(finish="stop"))
    stand_in.script("old", says("here"), reply(sse(chunk("The old "), done=False), {"hold": "switch"}, ending))
    body = {"address": stand_in.url, "model": "old", "api_key": KEY}
    assert gateway.request("PUT", "/api/model", body)[2]["state"] == "ready"
    stream = gateway.open_events("?types=stream_chunk,response")
    gateway.send("hi", thread_id="a")
    assert stream.next()["content"] == "The old "
    gateway.send("behind it", thread_id="a")
    assert gateway.request("PUT", "/api/model", {"model": "hello"})[2]["model"] == "hello"
    assert turn(gateway, "meanwhile", "b")[-1]["content"] == "Hello from the model."
    stand_in.release("switch")
    ends = [event for event in (*stream.until("response"), *stream.until("response"), *stream.until("response"))
            if event["event"] == "response"]  # fmt: skip
    assert [(end["thread_id"], end["content"]) for end in ends] == [
        ("b", "Hello from the model."), ("a", "The old one."), ("a", "Hello from the model."),
    ]  # fmt: skip
    stream.close()
    assert gateway.request("DELETE", "/api/model")[2]["state"] == "none"
    asked = len(stand_in.requests())
    assert turn(gateway, "help", "c")[-1]["type"] == "response"
    assert len(stand_in.requests()) == asked


# Many at once

THREADS = [f"t{number}" for number in range(10)]
ROUNDS = 3


def test_r18_of_ten_threads_with_tools_each_has_its_own_events_results_and_order(
    gateway_process: MakeProcess, stand_in: StandInProcess
) -> None:
    gateway = gateway_process(**at_home(stand_in, "obedient")).start()
    for thread in THREADS:
        for part in "ab":
            note = {"path": f"{thread}{part}.md", "content": f"word-{thread}{part}"}
            assert gateway.request("POST", "/api/memory/write", note)[0] == 200
    stream = gateway.open_events()
    with ThreadPoolExecutor(len(THREADS)) as pool:
        sent = dict(zip(THREADS, pool.map(lambda thread: send_all(gateway, thread), THREADS), strict=True))
        events: list[dict[str, Any]] = []
        while sum(event["event"] in ENDS for event in events) < len(THREADS) * ROUNDS:
            events.append(stream.next())
    stream.close()
    events = [event for event in events if event.get("message_id")]
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    for thread, message_ids in sent.items():
        turns = history(gateway, thread)
        mine = [event for event in events if event["thread_id"] == thread]
        assert [one["message_id"] for one in turns] == message_ids
        assert [event["message_id"] for event in mine if event["event"] == "response"] == message_ids
        assert {event["message_id"] for event in mine} == set(message_ids)
        for kept in turns:
            check_own_results(kept, thread, [event for event in mine if event["message_id"] == kept["message_id"]])
    for asked in stand_in.requests():
        check_own_messages(asked["body"]["messages"])


def send_all(gateway: GatewayProcess, thread: str) -> list[str]:
    """Three messages one after the other, none waited for; each has the model read both notes of its thread."""
    lines = "\n".join(f'call FileRead {{"path": "{thread}{part}.md"}}' for part in "ab")
    return [gateway.send(f"{thread} round {n}\n{lines}", thread_id=thread)["message_id"] for n in range(ROUNDS)]


def check_own_results(kept: dict[str, Any], thread: str, events: list[dict[str, Any]]) -> None:
    """A turn has read both notes of its thread, each call its own, and says so."""
    order = [kind for kind in kinds(events) if kind != "queued"]
    assert order == ["user_message", "thinking", "tool_started", "tool_completed", "stream_chunk", "response"]
    paths = {event["call_id"]: event["parameters"]["path"] for event in events if event["event"] == "tool_started"}
    assert sorted(paths.values()) == [f"{thread}a.md", f"{thread}b.md"]
    previews = {event["call_id"]: event["preview"] for event in events if event["event"] == "tool_completed"}
    assert previews.keys() == paths.keys()
    assert {one["call_id"]: one["parameters"]["path"] for one in kept["tool_calls"]} == paths
    assert {one["call_id"]: one["preview"] for one in kept["tool_calls"]} == previews
    assert kept["response"] == text_of(events) == events[-1]["content"]
    assert kept["response"].index(f"word-{thread}a") < kept["response"].index(f"word-{thread}b")
    assert kept["response"].count("word-") == 2


def check_own_messages(messages: list[dict[str, Any]]) -> None:
    """What a model is told holds one thread's words only, and each result under the call that asked for it."""
    asked = [call for one in messages for call in one.get("tool_calls") or ()]
    results = {one["tool_call_id"]: one["content"] for one in messages if one["role"] == "tool"}
    assert len(results) in {len(asked), 0}
    threads = {one["content"].split()[0] for one in messages if one["role"] == "user" and "round" in one["content"]}
    assert len(threads) == 1
    for call in asked:
        name = json.loads(call["function"]["arguments"])["path"].removesuffix(".md")
        assert name[:-1] in threads
        assert f"word-{name}" in results[call["id"]]
