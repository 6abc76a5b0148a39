"""What is stopped stops where it runs: at the model's server, at the server of a web page, in a real llama.cpp."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import EventReader, GatewayProcess
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401
from process_turns import at_home, history, kinds, text_of, turn

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
SOON = 2.0  # seconds within which what was stopped must have ended
_LLAMA = Path(__file__).parents[1] / "llm" / "llama_server.py"


def start_counting(gateway: GatewayProcess, stream: EventReader) -> list[dict[str, Any]]:
    """Send a message whose answer takes long; its events up to some words."""
    gateway.send("count", thread_id="a")
    return [*stream.until("stream_chunk"), *(stream.until("stream_chunk")[-1] for _ in range(5))]


def stop(gateway: GatewayProcess) -> float:
    """Stop what runs in the thread; when that was asked, on the clock that the stand-in's log has too."""
    asked_at = time.monotonic()
    assert gateway.request("POST", "/api/chat/stop", {"thread_id": "a"})[2] == {"status": "stopped"}
    return asked_at


def only_request(stand_in: StandInProcess) -> int:
    [request] = stand_in.requests()
    return int(request["id"])


# At the model's server


def test_r25_a_stop_ends_the_reply_at_the_server_and_keeps_the_text_that_was_seen(
    gateway_process: MakeProcess, stand_in: StandInProcess
) -> None:
    gateway = gateway_process(**at_home(stand_in, "count-2000-0.02")).start()
    stream = gateway.open_events()
    events = start_counting(gateway, stream)
    asked_at = stop(gateway)
    gone = stand_in.wait_for("gone", within=SOON)
    assert gone["t"] - asked_at < SOON
    assert gone["id"] == only_request(stand_in)
    events += stream.until("stopped")
    stream.close()
    assert kinds(events) == ["user_message", "thinking", "stream_chunk", "stopped"]
    assert events[-1]["content"] == text_of(events)
    assert events[-1]["content"].startswith("1 2 3 4 5 6")
    [kept] = history(gateway)
    assert (kept["state"], kept["response"]) == ("stopped", text_of(events))
    assert gateway.request("GET", "/api/usage")[2]["totals"]["estimated_calls"] == 1  # nobody said how many there were
    assert gateway.request("POST", "/api/chat/stop", {"thread_id": "a"})[2] == {"status": "idle"}
    assert gateway.request("GET", "/api/model")[2]["state"] == "ready"


@pytest.mark.parametrize("model", ["silent", "headless"])
def test_r25_a_stop_before_the_first_word_ends_the_call_too(
    gateway_process: MakeProcess, stand_in: StandInProcess, model: str
) -> None:
    stand_in.script("headless", {"steps": [{"head": "wait"}]})
    gateway = gateway_process(**at_home(stand_in, model)).start()
    stream = gateway.open_events()
    gateway.send("hi", thread_id="a")
    stand_in.wait_for("request", where=lambda one: one["path"].endswith("/completions"))
    asked_at = stop(gateway)
    assert stand_in.wait_for("gone", within=SOON)["t"] - asked_at < SOON
    assert stream.until("stopped")[-1]["content"] == ""
    stream.close()
    assert [(one["state"], one["response"]) for one in history(gateway)] == [("stopped", None)]


def test_what_waits_behind_a_stopped_turn_runs_next(gateway_process: MakeProcess, stand_in: StandInProcess) -> None:
    gateway = gateway_process(**at_home(stand_in, "count-2000-0.02")).start()
    stream = gateway.open_events()
    start_counting(gateway, stream)
    waiting = gateway.send("and again", thread_id="a")["message_id"]
    stop(gateway)
    stream.until("stopped")
    assert stream.until("stream_chunk")[-1]["message_id"] == waiting
    stop(gateway)
    stand_in.wait_for("gone", 2, within=SOON)
    stream.close()


def post_message(gateway: GatewayProcess, **more: Any) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Send a message and read its events on the same connection, up to the first word."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    headers = {
        "Authorization": f"Bearer {gateway.token}",
        "Content-Type": "application/json",
        "Accept": "application/x-ndjson",
    }
    connection.request("POST", "/api/chat/send", json.dumps({"message": "count", **more}), headers)
    response = connection.getresponse()
    while json.loads(response.readline())["type"] != "stream_chunk":
        pass
    return connection, response


def test_a_client_that_goes_away_stops_nothing(gateway_process: MakeProcess, stand_in: StandInProcess) -> None:
    gateway = gateway_process(**at_home(stand_in, "count-40-0.02")).start()
    other = gateway.open_events("?types=response")
    connection, response = post_message(gateway, thread_id="a")
    response.close()
    connection.close()
    whole = " ".join(map(str, range(1, 41)))
    assert other.next()["content"].strip() == whole
    other.close()
    stand_in.wait_for("end", where=lambda one: one["id"] == only_request(stand_in))
    assert stand_in.events("gone") == []
    [kept] = history(gateway)
    assert (kept["state"], kept["response"].strip()) == ("completed", whole)


def test_a_client_that_goes_away_from_an_ephemeral_message_ends_it(
    gateway_process: MakeProcess, stand_in: StandInProcess
) -> None:
    """Nobody could ever read its answer."""
    gateway = gateway_process(**at_home(stand_in, "count-2000-0.02")).start()
    connection, response = post_message(gateway, ephemeral=True)
    response.close()
    connection.close()
    stand_in.wait_for("gone", within=SOON)


def test_r12_a_gateway_that_is_ended_ends_its_calls_and_the_turn_is_kept_as_interrupted(
    gateway_process: MakeProcess, stand_in: StandInProcess
) -> None:
    gateway = gateway_process(**at_home(stand_in, "count-2000-0.02"), GATEWAY_SHUTDOWN_GRACE="0.3").start()
    stream = gateway.open_events()
    events = start_counting(gateway, stream)
    gateway.terminate()
    stand_in.wait_for("gone", within=SOON)
    events += stream.until("turn_failed")
    assert (events[-1]["code"], events[-1]["content"]) == ("interrupted", text_of(events))
    assert "Send the message again" in events[-1]["message"]
    stream.close()
    assert gateway.wait() == 0
    assert "Traceback" not in gateway.log
    gateway.start()
    [kept] = history(gateway)
    assert (kept["state"], kept["response"]) == ("interrupted", text_of(events))
    assert kept["error"]["code"] == "interrupted"
    assert len(stand_in.requests()) == 1  # and it is not asked for again by itself


# A tool


class SlowServer:
    """A web server that sends the beginning of a page and no more: `asked` and `left` say what the client did."""

    def __init__(self) -> None:
        self.asked, self.left = threading.Event(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.settimeout(30)
            connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nThe beginning"
            )
            self.asked.set()
            try:
                if connection.recv(65536) == b"":
                    self.left.set()
            except ConnectionResetError:
                self.left.set()

    def close(self) -> None:
        self._listening.close()
        self._thread.join(5)


@pytest.fixture
def slow_server() -> Iterator[SlowServer]:
    server = SlowServer()
    yield server
    server.close()


def test_a_stop_ends_a_tool_in_the_middle_of_its_request_and_the_model_is_not_asked_again(
    gateway_process: MakeProcess, stand_in: StandInProcess, slow_server: SlowServer
) -> None:
    allowed = {"WEB_FETCH_ALLOW": slow_server.url.removeprefix("http://")}
    gateway = gateway_process(**at_home(stand_in, "obedient"), **allowed).start()
    stream = gateway.open_events()
    gateway.send(f'call WebFetch {{"url": "{slow_server.url}/slow"}}', thread_id="a")
    question = stream.until("approval_needed")[-1]
    assert question["subject"] == slow_server.url
    answer = {"request_id": question["request_id"], "action": "approve"}
    assert gateway.request("POST", "/api/chat/approval", answer)[0] == 200
    events = stream.until("tool_started")
    assert slow_server.asked.wait(10)
    stop(gateway)
    assert slow_server.left.wait(SOON)
    events += stream.until("stopped")
    stream.close()
    assert "tool_completed" not in kinds(events)
    [kept] = history(gateway)
    assert kept["state"] == "stopped"
    assert [(call["name"], call["success"]) for call in kept["tool_calls"]] == [("WebFetch", None)]
    assert len(stand_in.requests()) == 1
    assert turn(gateway, "Are you there?")[-1]["content"] == "Are you there?"


# A real server


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a llama.cpp server in a process of its own."""
    folder = tmp_path_factory.mktemp("llama")
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, str(_LLAMA), str(folder)], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while not (found := [line for line in log.read_text().splitlines() if line.startswith("listening at ")]):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield found[0].split()[-1]
    finally:
        process.kill()
        process.wait(10)


def slot(url: str) -> dict[str, Any]:
    """The only slot of the server: what works on a reply."""
    with urllib.request.urlopen(f"{url}/slots", timeout=5) as answer:
        [found] = json.load(answer)
    return found  # type: ignore[no-any-return]


def wait_until_free(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + SOON
    while (found := slot(url))["is_processing"]:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_r25_a_stop_frees_the_slot_of_a_real_llama_cpp(gateway_process: MakeProcess, llama: str) -> None:
    gateway = gateway_process(LLM_BASE_URL=f"{llama}/v1").start()
    stream = gateway.open_events()
    gateway.send("Tell me something.", thread_id="a")
    events = [*stream.until("stream_chunk"), *(stream.next() for _ in range(20))]
    assert kinds(events) == ["user_message", "thinking", "stream_chunk"]
    assert slot(llama)["is_processing"]
    stop(gateway)
    assert wait_until_free(llama)["n_prompt_tokens"] < 15_000  # else it would have filled its context
    events += stream.until("stopped")
    stream.close()
    assert events[-1]["content"] == text_of(events)
    [kept] = history(gateway)
    assert (kept["state"], kept["response"]) == ("stopped", text_of(events))


def test_the_tokens_of_a_real_llama_cpp_are_counted(gateway_process: MakeProcess, llama: str) -> None:
    """Asked over `/v1`, where a client says how long the reply may be: this model would fill its context."""
    gateway = gateway_process(LLM_BASE_URL=f"{llama}/v1").start()
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Tell me."}], "max_tokens": 40, "stream": True}
    status, _, text = gateway.request("POST", "/v1/chat/completions", body, timeout=30)
    assert status == 200, text
    lines = [line.removeprefix("data: ") for line in text.decode().splitlines() if line.startswith("data: ")]
    chunks = [json.loads(line) for line in lines[:-1]]
    assert lines[-1] == "[DONE]"
    assert len([one for one in chunks if one["choices"] and one["choices"][0]["delta"].get("content")]) > 10
    sums = gateway.request("GET", "/api/usage")[2]
    totals = sums["totals"]
    assert (totals["calls"], totals["output_tokens"], totals["estimated_calls"]) == (1, 40, 0)
    assert 8 <= totals["input_tokens"] <= 16
    [by_model] = sums["by_model"]
    assert (by_model["model"], by_model["priced_by"], by_model["cost_usd"]) == ("tiny", ["local"], 0.0)
