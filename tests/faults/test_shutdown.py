"""The end: SIGTERM gives turns their grace and everybody a proper goodbye, under our own runner and under a host's."""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import WSMsgType, web
from conftest import TOKEN, ScriptedModel
from gateway_process import GatewayProcess

from ironclaw.gateway import Gateway
from ironclaw.llm.models import TextDelta
from ironclaw.settings import Settings

MakeProcess = Callable[..., GatewayProcess]
SLOW = "read long.md"
GOODBYE = b": the gateway is stopping\n\n"
# What may come on top of the grace: closing connections, the database, the interpreter, on a slow and shared machine.
SLACK = 1.5

# Someone else's program, with aiohttp's own settings for everything; argv is the port.
DEFAULT_HOST = """
import json, os, sys
from aiohttp import web
from ironclaw import Gateway, Settings

settings, port = Settings.load(), int(os.environ["HOST_PORT"])
settings.home.mkdir(exist_ok=True)
(settings.home / "gateway.json").write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}))
web.run_app(Gateway(settings).app(), host="127.0.0.1", port=port)
"""


def write_note(gateway: GatewayProcess) -> None:
    workspace = gateway.home / "workspace"
    workspace.mkdir(parents=True, exist_ok=True)
    (workspace / "long.md").write_text("\n".join("a word and some more of them in each line " * 4 for _ in range(100)))


@pytest.fixture(params=["ironclaw run", "web.run_app"])
def slow_gateway(
    request: pytest.FixtureRequest, gateway_process: MakeProcess, tmp_path: Path
) -> Callable[..., GatewayProcess]:
    """Starts a gateway whose turns take most of a minute, as our own program or in a host with aiohttp's defaults."""

    def start(grace: str) -> GatewayProcess:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        gateway = gateway_process(
            BUILTIN_WORD_DELAY="1", GATEWAY_SHUTDOWN_GRACE=grace, HOST_PORT=str(port), GATEWAY_AUTH_TOKEN=TOKEN
        )
        write_note(gateway)
        program = tmp_path / "host.py"
        program.write_text(DEFAULT_HOST)
        own = request.param == "ironclaw run"
        return gateway.start() if own else gateway.start(prefix=(sys.executable, str(program)))

    return start


class RawStream:
    """An SSE stream as bytes."""

    def __init__(self, gateway: GatewayProcess, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", gateway.port))
        head = f"GET /api/chat/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token}\r\n\r\n"
        self.socket.sendall(head.encode())
        self.received = b""
        while b": connected" not in self.received:
            self.received += self.socket.recv(65536)

    def rest(self) -> bytes:
        """All until the other side closes."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(65536):
                self.received += data
        self.socket.close()
        return self.received


def end(gateway: GatewayProcess, timeout: float = 20.0) -> tuple[int, float]:
    """Ask it to end: its exit code, and the seconds that it took."""
    started = time.monotonic()
    gateway.terminate()
    return gateway.wait(timeout), time.monotonic() - started


def run_forever(gateway: GatewayProcess, thread_id: str = "a") -> dict[str, Any]:
    """Send a message whose answer takes long, and wait until it is being written."""
    sent = gateway.send(SLOW, thread_id=thread_id)
    wait_for_words(gateway, thread_id)
    return sent


def wait_for_words(gateway: GatewayProcess, thread_id: str = "a") -> None:
    stream = gateway.open_events(f"?thread_id={thread_id}&last_event_id=0")
    stream.until("stream_chunk")
    stream.close()


@contextlib.contextmanager
def in_background(function: Callable[[], Any]) -> Iterator[list[Any]]:
    """Runs *function* in a thread meanwhile; the list gets what it returned."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    yield results
    thread.join(15)
    assert not thread.is_alive()


@pytest.mark.process
def test_r12_idle_it_ends_at_once_with_code_0(slow_gateway: Callable[..., GatewayProcess]) -> None:
    gateway = slow_gateway("5")
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(5)]
    idle[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")  # a head that never ends
    idle[1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")  # kept alive after its answer
    assert b"200 OK" in idle[1].recv(1000)
    code, seconds = end(gateway)
    assert code == 0
    assert seconds < SLACK
    assert "Traceback" not in gateway.log
    for connection in idle:
        connection.close()


@pytest.mark.process
async def test_r12_with_streams_sockets_and_an_endless_turn_it_ends_within_its_grace_and_says_goodbye_to_all(
    slow_gateway: Callable[..., GatewayProcess],
) -> None:
    gateway = await asyncio.to_thread(slow_gateway, "1")
    streams = await asyncio.to_thread(lambda: [RawStream(gateway) for _ in range(50)])
    url = f"ws://127.0.0.1:{gateway.port}/api/chat/ws?token={gateway.token}"
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url) for _ in range(10)]
        sent = await asyncio.to_thread(run_forever, gateway)
        ending = asyncio.create_task(asyncio.to_thread(end, gateway))
        codes = await asyncio.gather(*(close_code(socket) for socket in sockets))
        code, seconds = await ending
    bodies = await asyncio.to_thread(lambda: [stream.rest() for stream in streams])
    assert codes == [1001] * 10
    assert code == 0
    assert seconds < 1 + SLACK
    for body in bodies:
        assert body.endswith(b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOODBYE), GOODBYE))  # the body ends as HTTP wants it
        assert b"event: turn_failed" in body  # and nobody is left with an answer that just stops
    assert "Traceback" not in gateway.log
    await asyncio.to_thread(gateway.start)
    turn = gateway.request("GET", "/api/chat/history?thread_id=a")[2]["turns"][0]
    assert (turn["message_id"], turn["state"]) == (sent["message_id"], "interrupted")
    assert "a word and some more" in turn["response"]


async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(15):
        async for message in socket:
            assert message.type is WSMsgType.TEXT
    return socket.close_code


@pytest.mark.process
def test_r12_a_request_that_waits_for_an_answer_gets_a_reply(slow_gateway: Callable[..., GatewayProcess]) -> None:
    gateway = slow_gateway("1")
    body = {"message": SLOW, "thread_id": "a"}
    with in_background(lambda: gateway.request("POST", "/api/chat/send?wait", body, timeout=15)) as replies:
        wait_for_words(gateway)
        code, seconds = end(gateway)
    assert code == 0
    assert seconds < 1 + SLACK
    status, _, reply = replies[0]
    assert (status, reply["status"], reply["state"]) == (202, "ok", "interrupted")


@pytest.mark.process
def test_r12_a_turn_that_ends_within_the_grace_is_answered_in_full(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0.02", GATEWAY_SHUTDOWN_GRACE="20")  # about 2 s for a long answer
    write_note(gateway)
    gateway.start()
    with in_background(
        lambda: gateway.request("POST", "/api/chat/send?wait", {"message": SLOW, "thread_id": "a"}, timeout=25)
    ) as replies:
        wait_for_words(gateway)
        code, _ = end(gateway, 30)
    assert code == 0
    status, _, reply = replies[0]
    assert (status, reply["state"]) == (200, "completed")


@pytest.mark.process
def test_r12_clients_that_do_not_read_and_bodies_that_do_not_come_hold_nothing_up(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0", GATEWAY_SHUTDOWN_GRACE="1").start()
    deaf = [RawStream(gateway, receive_buffer=4096) for _ in range(3)]
    for _ in range(30):  # 3 MB each: more than the kernel takes for them, and less than what they are cut for
        gateway.send("x" * 100_000, wait=True)
    assert "was cut" not in gateway.log
    half = socket.create_connection(("127.0.0.1", gateway.port))
    head = f"POST /api/chat/send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.token}\r\nContent-Length: 99\r\n\r\n"
    half.sendall(head.encode())
    gateway.request("GET", "/api/status")
    code, seconds = end(gateway)
    assert code == 0
    assert seconds < 1 + 2 + SLACK  # what is under way gets two seconds more
    for one in deaf:
        one.socket.close()
    half.close()


@pytest.mark.process
def test_r12_a_websocket_whose_other_side_is_asleep_holds_nothing_up(
    slow_gateway: Callable[..., GatewayProcess],
) -> None:
    gateway = slow_gateway("1")
    asleep = socket.create_connection(("127.0.0.1", gateway.port))
    head = (
        f"GET /api/chat/ws?token={gateway.token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    asleep.sendall(head.encode())
    assert b" 101 " in asleep.recv(4096)
    code, seconds = end(gateway)  # it never answers the close
    asleep.close()
    assert code == 0
    assert seconds < 1 + SLACK


@pytest.mark.process
def test_r14_a_second_signal_ends_it_at_once(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="1", GATEWAY_SHUTDOWN_GRACE="60")
    write_note(gateway)
    gateway.start()
    run_forever(gateway)
    gateway.terminate()
    deadline = time.monotonic() + 5
    while "Stopping" not in gateway.log:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert gateway.process is not None
    assert gateway.process.poll() is None
    code, seconds = end(gateway)
    assert code == 128 + 15
    assert seconds < 1.0
    assert "Traceback" not in gateway.log
    gateway.start()  # and leaves nothing that a next start stumbles over
    assert gateway.request("GET", "/api/chat/history?thread_id=a")[2]["turns"][0]["state"] == "interrupted"


@pytest.mark.process
def test_r12_a_signal_as_soon_as_it_says_that_it_has_started_ends_it_properly(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    for _ in range(3):
        begin = len(gateway.log)
        process = gateway.spawn()
        deadline = time.monotonic() + 10
        while "Web Gateway started" not in gateway.log[begin:]:
            assert process.poll() is None
            assert time.monotonic() < deadline
        assert end(gateway)[0] == 0
        assert not (gateway.home / "gateway.json").exists()


@pytest.mark.process
def test_s14_after_a_restart_with_another_token_the_old_one_is_refused(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN="the-first-token-1234").start()
    stream = gateway.open_events()
    assert end(gateway)[0] == 0
    with pytest.raises(EOFError):
        stream.until("never")  # no stream opened with the old token lives on
    stream.close()
    gateway.env["GATEWAY_AUTH_TOKEN"] = "the-second-token-5678"
    gateway.start()
    assert gateway.request("GET", "/api/status", token="the-first-token-1234")[0] == 401
    assert gateway.request("GET", "/api/status?token=the-first-token-1234", token=None)[0] == 401
    assert gateway.request("GET", "/api/status")[0] == 200


@pytest.mark.process
def test_r32_many_messages_that_wait_do_not_delay_the_end_and_are_answered_after_the_next_start(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="1", GATEWAY_SHUTDOWN_GRACE="0.5", AGENT_MAX_TURNS="2")
    write_note(gateway)
    gateway.start()
    run_forever(gateway, "a")
    sent = [gateway.send("help", thread_id=thread)["message_id"] for _ in range(20) for thread in ("a", "b", "c")]
    code, seconds = end(gateway)
    assert code == 0
    assert seconds < 0.5 + SLACK
    gateway.env["BUILTIN_WORD_DELAY"] = "0"
    gateway.start()
    deadline = time.monotonic() + 20
    while True:
        turns = {
            turn["message_id"]: turn["state"]
            for thread in ("a", "b", "c")
            for turn in gateway.request("GET", f"/api/chat/history?thread_id={thread}")[2]["turns"]
        }
        if not {"queued", "running"} & set(turns.values()):
            break
        assert time.monotonic() < deadline, turns
        time.sleep(0.05)
    states = sorted(turns[message_id] for message_id in sent)
    assert states[:59] == ["completed"] * 59  # one of b or c may have begun before the signal


async def test_r12_embedded_with_aiohttps_defaults_no_task_is_left_and_the_model_call_has_ended(
    settings: Settings,
) -> None:
    before = asyncio.all_tasks()
    model = ScriptedModel([TextDelta("half "), asyncio.Event()])
    runner = web.AppRunner(Gateway(attrs.evolve(settings, shutdown_grace=0.1), llm=model).app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/chat"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        stream = await session.get(f"{url}/events")
        ndjson = await session.get(f"{url}/events", headers={"Accept": "application/x-ndjson"})
        socket = await session.ws_connect(f"{url}/ws")
        waiting = asyncio.create_task(session.post(f"{url}/send?wait", json={"message": "x"}))
        async with asyncio.timeout(5):
            while b"stream_chunk" not in await stream.content.readline():
                pass
        closing = asyncio.create_task(close_code(socket))
        started = time.monotonic()
        await runner.cleanup()
        assert time.monotonic() - started < 3
        rest = await stream.content.read()
        assert rest.endswith(GOODBYE)
        assert b"turn_failed" in await ndjson.content.read()
        assert await closing == 1001
        assert (await waiting).status == 202
    assert model.closed == 1
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:
            await asyncio.sleep(0.01)
