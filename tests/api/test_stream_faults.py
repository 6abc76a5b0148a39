"""Streams whose clients stall, break off at random places, or slam the door; also over a restart and a kill."""

import asyncio
import contextlib
import json
import random
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from aiohttp.test_utils import TestClient
from conftest import TOKEN, ScriptedModel
from gateway_process import GatewayProcess

from ironclaw.events import EVENTS, StreamChunk
from ironclaw.llm.models import Finished, TextDelta
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]
NDJSON = {"Accept": "application/x-ndjson"}
DURABLE = {event.kind for event in EVENTS if event.durable}
ENDS = {event.kind for event in EVENTS if event.ends_turn}
FRAME = re.compile(rb"id: (\d+)\nevent: (\w+)\ndata: (\{[^\r\n]*\})")
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
)


def request_bytes(line: str, *headers: str, body: bytes = b"", token: str = TOKEN) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", f"Authorization: Bearer {token}"]
    return "\r\n".join([*lines, *headers]).encode() + b"\r\n\r\n" + body


def notes(home: Path) -> None:
    """Something to read aloud: 200 words, and 600."""
    (home / "workspace").mkdir(parents=True)
    lines = [" ".join(f"word{line}.{word}" for word in range(10)) + "\n" for line in range(60)]
    (home / "workspace" / "long.md").write_text("".join(lines[:20]))
    (home / "workspace" / "longer.md").write_text("".join(lines))


# R15: clients that do not read

STALLED = {
    "events": request_bytes("GET /api/chat/events"),
    "lines": request_bytes("GET /api/chat/events", "Accept: application/x-ndjson"),
    "websocket": request_bytes("GET /api/chat/ws", *UPGRADE),
}


async def stalled_client(port: int, request: bytes) -> socket.socket:
    """A client that asks and then never reads, with next to no room in its kernel."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, request)
    return sock


class LineReader:
    """A client that reads; it keeps the ids it saw, and nothing else."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.ready = asyncio.Event()

    async def run(self, client: TestClient) -> None:
        response = await client.get("/api/chat/events", headers=NDJSON, read_bufsize=1 << 20)
        async for line in response.content:
            self.ready.set()
            if b'"id":' in line[:60]:
                self.ids.append(int(line[:60].split(b'"id":')[1].split(b",")[0]))


async def test_r15_clients_that_never_read_are_cut_and_cost_nobody_anything(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    services = client.gateway.services  # type: ignore[attr-defined]
    readers = [LineReader(), LineReader()]

    async def publish(number: int) -> int:
        last = 0
        for _ in range(number):
            last = services.hub.publish(StreamChunk(content="x" * 2000, thread_id="t", message_id="m")).id
            while last - min(services.hub.head, *(max([0, *reader.ids[-1:]]) for reader in readers)) > 100:
                await asyncio.sleep(0)
        return last

    with contextlib.ExitStack() as sockets:
        async with asyncio.timeout(50), asyncio.TaskGroup() as group:
            tasks = [group.create_task(reader.run(client)) for reader in readers]
            await asyncio.gather(*(reader.ready.wait() for reader in readers))
            await publish(6000)  # what is kept for those who come back is full now: 8 MiB
            process = psutil.Process()
            before = process.memory_info().rss
            port = client.server.port or 0
            stalled = [sockets.enter_context(await stalled_client(port, request)) for request in STALLED.values()]
            while services.slots.taken < 5:
                await asyncio.sleep(0.01)
            last = await publish(12_000)  # 24 MB for each of the three
            growth = process.memory_info().rss - before
            while services.slots.taken > 2 or min(reader.ids[-1] for reader in readers) < last:
                await asyncio.sleep(0.01)
            assert growth < 24 << 20
            for reader in readers:
                assert all(after - before == 1 for before, after in pairwise(reader.ids))
            for sock in stalled:
                sock.settimeout(5)
                await asyncio.to_thread(assert_cut_off, sock)
            for task in tasks:
                task.cancel()


def assert_cut_off(sock: socket.socket) -> None:
    """Read to the end: it must come, and must not look like a proper one."""
    tail = b""
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(1 << 16):
            tail = (tail + data)[-64:]
    assert not tail.endswith(b"0\r\n\r\n")


async def test_r15_who_was_cut_resumes_and_one_reset_says_what_is_gone(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    hub = client.gateway.services.hub  # type: ignore[attr-defined]
    first = hub.publish(StreamChunk(content="x", thread_id="t", message_id="m")).id
    for _ in range(6000):
        last = hub.publish(StreamChunk(content="x" * 2000, thread_id="t", message_id="m")).id
    response = await client.get(f"/api/chat/events?last_event_id={first}", headers=NDJSON)
    events = []
    while not events or events[-1]["id"] < last:
        line = json.loads(await asyncio.wait_for(response.content.readline(), 5))
        events += [line] if "id" in line else []
    assert [one["type"] for one in events].count("reset") == 1
    assert (events[0]["type"], events[0]["reason"]) == ("reset", "too_far_behind")
    kept = [one["id"] for one in events[1:]]
    assert kept == list(range(last - len(kept) + 1, last + 1))


async def read_until_response(client: TestClient, kind: str, query: str) -> str:
    """What one kind of client gets as the response. It reads, but no faster than it can."""
    if kind == "websocket":
        socket_: ClientWebSocketResponse = await client.ws_connect(f"/api/chat/ws{query}", max_msg_size=0)
        async for message in socket_:
            if message.type is WSMsgType.TEXT and '"type":"response"' in message.data[:40]:
                return str(json.loads(message.data)["content"])
        raise AssertionError("the socket was closed without a response")
    headers = NDJSON if kind == "lines" else {}
    response = await client.get(f"/api/chat/events{query}", headers=headers)
    data = b""
    mark = b'"type":"response"' if kind == "lines" else b"event: response\n"
    async for part in response.content.iter_any():
        data += part
        if mark in data and data.endswith(b"\n" if kind == "lines" else b"\n\n"):
            line = data[data.index(mark) :].splitlines()[0 if kind == "lines" else 1]
            return str(json.loads(line[line.index(b"{") :] if kind != "lines" else b'{"a":1,' + line)["content"])
    raise AssertionError("the stream ended without a response")


@pytest.mark.parametrize("kind", ["events", "lines", "websocket"])
async def test_one_event_larger_than_what_may_wait_unread_reaches_clients_that_read(
    make_client: MakeClient, settings: Settings, kind: str
) -> None:
    """8 MB in one piece: more than the kernel takes at once, and more than may wait for a client."""
    model = ScriptedModel([*([TextDelta("x" * 100_000), 0.005] * 80), Finished("stop")])
    client = await make_client(settings, llm=model)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        live = group.create_task(read_until_response(client, kind, ""))
        while client.gateway.services.slots.taken < 1:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        await client.post("/api/chat/send?wait", json={"message": "hi", "thread_id": "a"})
        assert len(await live) == 8_000_000
        assert len(await read_until_response(client, kind, "?last_event_id=0")) == 8_000_000


# R17: cuts at random places


class Follower:
    """One SSE client that is cut again and again, and always comes back with the id of its last whole event."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway
        self.last = 0
        self.events: list[dict[str, Any]] = []

    def read(self, most: int, timeout: float = 0.1) -> None:
        """Read up to *most* bytes of a new connection, for as long as some come, and break off."""
        reader = self.gateway.open_events(headers={"Last-Event-ID": str(self.last)}, timeout=5)
        reader.socket.settimeout(timeout)
        data = b""
        with contextlib.suppress(OSError):
            while len(data) < most and (part := reader.response.read1(most - len(data))):
                data += part
        reader.close()
        self.take(data)

    def take(self, data: bytes) -> None:
        for frame in data.split(b"\n\n")[:-1]:
            if match := FRAME.fullmatch(frame):
                event = {"id": int(match[1]), "event": match[2].decode(), **json.loads(match[3])}
                assert event["id"] > self.last or event["event"] == "reset", (self.last, event)
                self.last = event["id"]
                self.events.append(event)

    def of_turns(self) -> dict[str, list[dict[str, Any]]]:
        turns: dict[str, list[dict[str, Any]]] = {}
        for event in self.events:
            if event.get("message_id"):
                turns.setdefault(event["message_id"], []).append(event)
        return turns


@pytest.mark.process
@pytest.mark.timeout(120)
def test_r17_a_hundred_cuts_and_two_restarts_lose_and_double_no_durable_event_and_garble_no_text(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    dice = random.Random(17)
    notes(tmp_path / "home")
    env = {"BUILTIN_WORD_DELAY": "0.003", "GATEWAY_SHUTDOWN_GRACE": "0.1", "GATEWAY_AUTH_TOKEN": TOKEN}
    gateway = gateway_process(tmp_path / "home", **env).start()
    follower = Follower(gateway)
    sent: list[str] = []
    torn: list[
        tuple[str, int, int]
    ] = []  # a turn that a restart tore, the last id seen, and how many were sent by then

    def send(text: str, thread: str) -> str:
        sent.append(follower.gateway.send(text, thread_id=thread)["message_id"])
        return sent[-1]

    for cut in range(100):
        if cut % 4 == 0:
            send(dice.choice(("read long.md", "read long.md", "/status")), f"t{dice.randrange(3)}")
        follower.read(dice.randrange(1, 6000))
        if cut in {35, 70}:
            message_id = send("read longer.md", "torn")
            while "stream_chunk" not in [one["event"] for one in follower.of_turns().get(message_id, ())]:
                follower.read(4000)
            (gateway.terminate if cut == 35 else gateway.kill)()
            gateway.wait()
            torn.append((message_id, follower.last, len(sent)))
            gateway.start()
    deadline = time.monotonic() + 60
    while not all(any(one["event"] in ENDS for one in follower.of_turns().get(id_, ())) for id_ in sent):
        assert time.monotonic() < deadline
        follower.read(1 << 20, timeout=0.5)
    assert_nothing_lost_or_doubled(gateway, follower, sent)
    assert_only_restarts_made_gaps(follower, sent, torn)


def assert_nothing_lost_or_doubled(gateway: GatewayProcess, follower: Follower, sent: list[str]) -> None:
    kept = Follower(gateway)
    kept.read(1 << 30, timeout=0.5)
    durable = [one for one in follower.events if one["event"] in DURABLE]
    assert durable == [one for one in kept.events if one["event"] in DURABLE]
    turns = follower.of_turns()
    for message_id in sent:
        kinds = [one["event"] for one in turns[message_id] if one["event"] in DURABLE]
        assert kinds[0] == "user_message"
        assert [kind in ENDS for kind in kinds] == [False] * (len(kinds) - 1) + [True]
        assert kinds.count("user_message") == 1


def assert_only_restarts_made_gaps(follower: Follower, sent: list[str], torn: list[tuple[str, int, int]]) -> None:
    """Text is exact where no restart fell into the turn. A torn one is never doubled, and a reset comes before its end."""
    turns = follower.of_turns()
    exact = 0
    for place, message_id in enumerate(sent):
        end = turns[message_id][-1]
        text = "".join(one["content"] for one in turns[message_id] if one["event"] == "stream_chunk")
        if any(place < count and end["id"] > last for _, last, count in torn):
            assert end["content"].startswith(text) or text.startswith(end["content"])
        else:
            exact += 1
            assert (end["event"], text) == ("response", end["content"])
    assert exact >= 10
    resets = [(place, one["id"]) for place, one in enumerate(follower.events) if one["event"] == "reset"]
    for message_id, last, _ in torn:
        end = turns[message_id][-1]
        assert (end["event"], end["code"]) == ("turn_failed", "interrupted")
        assert any(id_ == last and follower.events.index(end) > place for place, id_ in resets)
    # Who is cut between a reset and the torn turn's end is told once more; nobody is told for nothing.
    for place, id_ in resets:
        assert id_ >= torn[0][1]
        assert "turn_failed" in [one["event"] for one in follower.events[place:]]


# S63: clients that go while they are written to


@pytest.mark.process
def test_s63_clients_that_close_while_they_are_written_to_leave_no_error_in_the_log(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    dice = random.Random(63)
    notes(tmp_path / "home")
    gateway = gateway_process(
        tmp_path / "home", BUILTIN_WORD_DELAY="0.002", LOG_LEVEL="debug", AGENT_MAX_TURNS="60"
    ).start()
    accepts = ("text/event-stream", "application/x-ndjson", "text/plain")

    def request(number: int) -> bytes:
        match number % 5:
            case 0:
                return request_bytes("GET /api/chat/events", token=gateway.token)
            case 1:
                return request_bytes("GET /api/chat/ws", *UPGRADE, token=gateway.token)
            case kind:
                body = json.dumps({"message": "read long.md", "thread_id": f"t{number}"}).encode()
                accept = f"Accept: {accepts[kind - 2]}"
                return request_bytes("POST /api/chat/send", accept, body=body, token=gateway.token)

    for number in range(60):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as sock:
            if dice.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(request(number))
            assert sock.recv(dice.randrange(100, 2000)).startswith(b"HTTP/1.1 ")
            time.sleep(dice.random() * 0.03)
    assert gateway.request("GET", "/api/status")[0] == 200
    gateway.terminate()
    assert gateway.wait() == 0
    assert "Traceback" not in gateway.log
    assert "[ERROR]" not in gateway.log
    assert "[WARN]" not in gateway.log
