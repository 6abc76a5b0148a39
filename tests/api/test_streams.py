"""The long streams of HTTP from the outside: exact bytes, resume, slots, and clients that leave, stall or are cut."""

import asyncio
import json
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import pytest
from aiohttp import web
from conftest import TOKEN, ScriptedModel

from ironclaw.events import StreamChunk
from ironclaw.gateway import Gateway
from ironclaw.llm.models import Finished, TextDelta, ToolCallDelta
from ironclaw.settings import Settings

FRAME = re.compile(rb"id: (\d+)\nevent: (\w+)\ndata: (\{[^\r\n]*\})")
NO_EVENT = re.compile(rb"(retry: \d+\n)?: [a-z -]+")
SSE, NDJSON, TEXT = "text/event-stream", "application/x-ndjson", "text/plain"
KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
WEBSOCKET = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}"
# Everything that takes a slot: how it is asked for.
CHAT = {
    "events": f"GET /api/chat/events HTTP/1.1\r\nAccept: {SSE}",
    "events as lines": f"GET /api/chat/events HTTP/1.1\r\nAccept: {NDJSON}",
    "websocket": f"GET /api/chat/ws HTTP/1.1\r\n{WEBSOCKET}",
    "send as events": f"POST /api/chat/send HTTP/1.1\r\nAccept: {SSE}",
    "send as lines": f"POST /api/chat/send HTTP/1.1\r\nAccept: {NDJSON}",
    "send as text": f"POST /api/chat/send HTTP/1.1\r\nAccept: {TEXT}",
}
STREAMS = {
    **CHAT,
    "log": f"GET /api/logs/stream HTTP/1.1\r\nAccept: {SSE}",
    "log as lines": f"GET /api/logs/stream HTTP/1.1\r\nAccept: {NDJSON}",
    "log as text": f"GET /api/logs/stream HTTP/1.1\r\nAccept: {TEXT}",
}


@attrs.define
class Client:
    """A client on a bare socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str = ""

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1])

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}: (.*)\r$", self.head, re.M | re.I)
        return found[1] if found else None

    async def body(self, mark: bytes, *, chunked: bool = True) -> bytes:
        """The body up to where *mark* has come (b"": to its end), the chunked coding taken off and checked."""
        data = b""
        async with asyncio.timeout(10):
            while not mark or mark not in data:
                if not chunked:
                    part = await self.reader.read(1000)
                else:
                    size = int(await self.reader.readuntil(b"\r\n"), 16)
                    part = (await self.reader.readexactly(size + 2))[:-2]
                if not part:
                    break
                data += part
        return data

    def leave(self, *, rudely: bool = False) -> None:
        if rudely:
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@attrs.define
class Served:
    """A gateway behind aiohttp's default runner on a real socket, as a host program has it."""

    gateway: Gateway
    runner: web.AppRunner
    clients: list[Client] = attrs.Factory(list)

    async def ask(self, request: str, message: str = "", token: str = TOKEN, *, head: bool = True) -> Client:
        """Send a request line with headers; *message* becomes the body of a send. *head*: read that of the reply."""
        host, port = self.runner.addresses[0][:2]
        client = Client(*await asyncio.open_connection(host, port))
        self.clients.append(client)
        body = json.dumps({"message": message}).encode() if message else b""
        lines = [request, f"Host: {host}", f"Content-Length: {len(body)}", f"Authorization: Bearer {token}"]
        client.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(10):
            client.head = (await client.reader.readuntil(b"\r\n\r\n")).decode() if head else ""
        return client

    async def until_free(self) -> None:
        """Wait until no slot is held."""
        async with asyncio.timeout(5):
            while self.gateway.services.slots.taken:
                await asyncio.sleep(0.01)


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    made: list[Served] = []

    async def start(settings: Settings, **more: Any) -> Served:
        gateway = Gateway(settings, **more)
        runner = web.AppRunner(gateway.app(), shutdown_timeout=0.5)  # no handler_cancellation
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.append(Served(gateway, runner))
        return made[-1]

    yield start
    for served in made:
        for client in served.clients:
            client.leave()
        await served.runner.cleanup()


def events_in(body: bytes) -> list[dict[str, Any]]:
    """The events of all whole frames. Anything but frames, comments and one retry line is an error."""
    events = []
    for frame in body.split(b"\n\n")[:-1]:
        match = FRAME.fullmatch(frame)
        assert match or NO_EVENT.fullmatch(frame), frame
        if match:
            events.append({"id": int(match[1]), "event": match[2].decode(), **json.loads(match[3])})
    return events


def status_call() -> list[object]:
    return [ToolCallDelta(0, "{}", "c1", "Status"), Finished("tool_calls")]


def say(*words: object) -> list[object]:
    return [*(TextDelta(word) if isinstance(word, str) else word for word in words), Finished("stop")]


async def test_events_are_framed_as_the_contract_shows_them(serve: Serve, settings: Settings) -> None:
    hostile = "one\n\nevent: response\ndata: {}\r\r\ntwo\u2028three"
    served = await serve(settings, llm=ScriptedModel(status_call(), say(hostile)))
    client = await served.ask(STREAMS["events"])
    assert (client.status, client.header("content-type")) == (200, SSE)
    assert client.header("x-accel-buffering") == "no"
    assert client.header("cache-control") == "no-store"
    await served.ask("POST /api/chat/send HTTP/1.1", "hi")
    body = await client.body(b"event: response\n")
    assert body.startswith(b"retry: 2000\n: connected\n\n")
    events = events_in(body)
    kinds = [one["event"] for one in events if one["event"] != "thread_updated"]
    assert kinds == ["user_message", "thinking", "tool_started", "tool_completed", "stream_chunk", "response"]
    shown = {
        "thinking": {"message": "Processing your request..."},
        "tool_started": {"name": "Status"},
        "tool_completed": {"name": "Status", "success": True},
        "response": {"content": hostile},
    }
    thread = events[-1]["thread_id"]
    for event in events:
        assert event.items() >= {**shown.get(event["event"], {}), "thread_id": thread}.items()
    ids = [one["id"] for one in events]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_a_sent_messages_stream_ends_with_its_turn(serve: Serve, settings: Settings) -> None:
    served = await serve(settings, llm=ScriptedModel(say("one ", "two")))
    as_events = await served.ask(STREAMS["send as events"], "hi")
    kinds = [one["event"] for one in events_in(await as_events.body(b""))]
    assert kinds == ["user_message", "thinking", "stream_chunk", "stream_chunk", "response"]
    as_lines = await served.ask(STREAMS["send as lines"], "hi")
    assert as_lines.header("content-type") == NDJSON
    lines = [json.loads(line) for line in (await as_lines.body(b"")).splitlines()]
    assert [one["type"] for one in lines] == kinds
    assert all(isinstance(one["id"], int) for one in lines)
    as_text = await served.ask(STREAMS["send as text"], "hi")
    assert await as_text.body(b"") == b"one two\n"


async def test_lines_of_json_open_with_a_ping_and_carry_type_and_id(serve: Serve, settings: Settings) -> None:
    served = await serve(settings, llm=ScriptedModel())
    client = await served.ask(STREAMS["events as lines"])
    assert (client.status, client.header("content-type")) == (200, NDJSON)
    await served.ask("POST /api/chat/send HTTP/1.1", "hi")
    lines = (await client.body(b'"response"')).splitlines()
    assert json.loads(lines[0]) == {"type": "ping"}
    assert all({"type", "id", "thread_id"} <= json.loads(line).keys() for line in lines[1:])


@pytest.mark.parametrize(("kind", "beat"), [("events", b": keep-alive\n\n"), ("events as lines", b'{"type":"ping"}\n')])
async def test_first_bytes_come_at_once_and_an_idle_stream_is_kept_alive(
    serve: Serve, settings: Settings, kind: str, beat: bytes
) -> None:
    served = await serve(attrs.evolve(settings, heartbeat=0.05))
    client = await served.ask(STREAMS[kind])
    assert await client.body(b"\n")
    assert await client.body(beat * 3) == beat * 3


@pytest.mark.parametrize("kind", [kind for kind in CHAT if kind != "websocket"])
async def test_a_client_of_http_1_0_gets_a_stream_without_chunks(serve: Serve, settings: Settings, kind: str) -> None:
    served = await serve(settings, llm=ScriptedModel(say("one ", "two")))
    request = STREAMS[kind].replace("HTTP/1.1", "HTTP/1.0")
    client = await served.ask(request, "hi" if "send" in kind else "")
    assert (client.status, client.header("transfer-encoding")) == (200, None)
    if "send" not in kind:
        await served.ask("POST /api/chat/send HTTP/1.1", "hi")
    end = b'"two"' if kind == "events" else b'"response"' if kind == "events as lines" else b""
    body = await client.body(end, chunked=False)
    if "lines" in kind:
        assert all(json.loads(line)["type"] for line in body.splitlines())
    elif "events" in kind:
        assert any(one["event"] == "stream_chunk" for one in events_in(body))
    else:
        assert body == b"one two\n"


async def test_a_stream_goes_on_where_it_broke_off_and_the_header_beats_the_query(
    serve: Serve, settings: Settings
) -> None:
    served = await serve(settings, llm=ScriptedModel(say("a", "b", "c")))
    first = await served.ask(STREAMS["events"])
    await served.ask("POST /api/chat/send HTTP/1.1", "hi")
    all_events = events_in(await first.body(b"event: response\n"))

    async def resumed(query: str, header: str = "") -> list[dict[str, Any]]:
        client = await served.ask(f"GET /api/chat/events{query} HTTP/1.1{header}")
        return events_in(await client.body(b"event: response\n"))

    for place in range(len(all_events) - 1):
        id_ = all_events[place]["id"]
        expected = all_events[place + 1 :]
        assert await resumed(f"?last_event_id={id_}") == expected
        assert await resumed("", f"\r\nLast-Event-ID: {id_}") == expected
        assert await resumed("?last_event_id=0", f"\r\nLast-Event-ID: {id_}") == expected
    assert await resumed("?last_event_id=0") == all_events


async def test_r17_who_joins_in_the_middle_of_a_burst_gets_every_event_once(serve: Serve, settings: Settings) -> None:
    served = await serve(settings)
    hub = served.gateway.services.hub
    chunk = StreamChunk(content="x", thread_id="a", message_id="m")
    others = [await served.ask(STREAMS["events"]), await served.ask("GET /api/chat/events?thread_id=a HTTP/1.1")]
    first = hub.publish(chunk).id

    async def burst() -> None:
        for _ in range(400):
            for _ in range(3):
                hub.publish(chunk)
            await asyncio.sleep(0)

    async def join(number: int) -> None:
        thread = "&thread_id=a" if number % 2 else ""
        client = await served.ask(f"GET /api/chat/events?last_event_id={first}{thread} HTTP/1.1")
        ids = [one["id"] for one in events_in(await client.body(b"id: %d\n" % (first + 1200)))]
        assert ids == list(range(first + 1, first + 1201))

    await asyncio.gather(burst(), *(join(number) for number in range(30)))
    for client in others:
        ids = [one["id"] for one in events_in(await client.body(b"id: %d\n" % (first + 1200)))]
        assert ids == list(range(first, first + 1201))


@pytest.mark.parametrize("bad", ["x", "-1", "1.5", "0x10", "1 2", "9" * 19, "٣"])
async def test_a_bad_last_event_id_is_a_bad_request(serve: Serve, settings: Settings, bad: str) -> None:
    served = await serve(settings)
    for kind in ("events", "events as lines", "websocket"):
        by_header = await served.ask(f"{STREAMS[kind]}\r\nLast-Event-ID: {bad}")
        assert by_header.status == 400
        error = json.loads(await by_header.reader.readexactly(int(by_header.header("content-length") or 0)))["error"]
        assert error["field"] == "last_event_id"
    quoted = bad.replace(" ", "%20").replace("٣", "%D9%A3")
    assert (await served.ask(f"GET /api/chat/events?last_event_id={quoted} HTTP/1.1")).status == 400
    assert served.gateway.services.slots.taken == 0


async def test_thread_id_and_types_choose_what_comes(serve: Serve, settings: Settings) -> None:
    served = await serve(settings, llm=ScriptedModel(say("x")))
    one = await served.ask("GET /api/chat/events?thread_id=a HTTP/1.1")
    some = await served.ask("GET /api/chat/events?types=response,user_message HTTP/1.1")
    lines = await served.ask(f"GET /api/chat/events?thread_id=b&types=response HTTP/1.1\r\nAccept: {NDJSON}")
    for thread in ("b", "a"):
        await served.gateway.ask("hi", thread_id=thread)
    assert {event["thread_id"] for event in events_in(await one.body(b"event: response\n"))} == {"a"}
    kinds = [event["event"] for event in events_in(await some.body(b"event: response\n"))]
    assert kinds == ["user_message", "response"]
    chosen = [json.loads(line) for line in (await lines.body(b'"response"')).splitlines()]
    assert [(event["type"], event.get("thread_id")) for event in chosen] == [("ping", None), ("response", "b")]
    again = await served.ask("GET /api/chat/events?types=response&last_event_id=0 HTTP/1.1")
    assert [event["event"] for event in events_in(await again.body(b'"a"'))] == ["response"] * 2


async def test_an_unknown_type_is_a_bad_request_that_names_the_known_ones(serve: Serve, settings: Settings) -> None:
    client = await (await serve(settings)).ask("GET /api/chat/events?types=response,nonsense HTTP/1.1")
    error = json.loads(await client.reader.readexactly(int(client.header("content-length") or 0)))["error"]
    assert (client.status, error["field"]) == (400, "types")
    assert "nonsense" in error["message"]
    assert "stream_chunk" in error["message"]


@pytest.mark.parametrize("kind", STREAMS)
async def test_s59_one_stream_too_many_is_told_to_come_back_and_has_done_nothing(
    serve: Serve, settings: Settings, kind: str
) -> None:
    served = await serve(attrs.evolve(settings, max_streams=1), llm=ScriptedModel())
    held = await served.ask(STREAMS["events"])
    client = await served.ask(STREAMS[kind], "hi" if "send" in kind else "")
    assert client.status == 503
    assert int(client.header("retry-after") or 0) >= 1
    error = json.loads(await client.reader.readexactly(int(client.header("content-length") or 0)))["error"]
    assert error["code"] == "too_many_streams"
    threads, _ = await served.gateway.services.chat.threads(10, None)
    assert threads == []  # who is told to come back will send it again
    held.leave()
    await served.until_free()
    assert (await served.ask(STREAMS[kind], "hi" if "send" in kind else "")).status in {101, 200}


@pytest.mark.parametrize("rudely", [False, True])
@pytest.mark.parametrize("kind", STREAMS)
async def test_s59_a_slot_comes_back_when_its_client_leaves_even_while_nothing_is_written(
    serve: Serve, settings: Settings, kind: str, rudely: bool
) -> None:
    silent = ScriptedModel([TextDelta("x"), asyncio.Event()])
    served = await serve(attrs.evolve(settings, heartbeat=0.1), llm=silent)
    client = await served.ask(STREAMS[kind], "hi" if "send" in kind else "")
    if "send" in kind:
        await client.body(b"x" if "text" in kind else b"stream_chunk")
    assert served.gateway.services.slots.taken == 1
    client.leave(rudely=rudely)
    await served.until_free()
    if "send" in kind:
        assert silent.closed == 0  # the turn goes on without its reader


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind != "websocket"])
async def test_s59_a_peer_that_acknowledges_nothing_is_dropped_by_the_kernel_within_30_seconds(
    serve: Serve, settings: Settings, kind: str
) -> None:
    served = await serve(settings, llm=ScriptedModel([TextDelta("x"), asyncio.Event()]))
    await served.ask(STREAMS[kind], "hi" if "send" in kind else "")
    assert served.runner.server is not None
    (connection,) = served.runner.server.connections
    sock = connection.transport.get_extra_info("socket")
    assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000


@pytest.mark.parametrize("kind", CHAT)
async def test_s63_a_client_that_leaves_while_it_is_written_to_is_no_error(
    serve: Serve, settings: Settings, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(settings, llm=(model := ScriptedModel(say(*["x", 0.002] * 100))))
    clients = [await served.ask(STREAMS[kind], "hi" if "send" in kind else "") for _ in range(4)]
    if "send" not in kind:
        await served.ask("POST /api/chat/send HTTP/1.1", "hi")
    for number, client in enumerate(clients):
        await client.reader.readuntil(b"stream_chunk" if "text" not in kind else b"x")
        client.leave(rudely=number % 2 == 0)
    for steps in range(30):  # and before anything was written, at every step of the way
        client = await served.ask(STREAMS[kind], "/help" if "send" in kind else "", head=False)
        for _ in range(steps):
            await asyncio.sleep(0)
        client.leave(rudely=True)
    await served.until_free()
    async with asyncio.timeout(10):
        while model.closed < len(model.requests) or not model.requests:
            await asyncio.sleep(0.01)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_s59_who_has_no_right_token_holds_nothing(serve: Serve, settings: Settings) -> None:
    served = await serve(attrs.evolve(settings, max_streams=1))
    for _ in range(20):
        for kind, request in STREAMS.items():
            assert (await served.ask(request, "hi" if "send" in kind else "", token="wrong")).status == 401
    assert served.gateway.services.slots.taken == 0
    assert (await served.ask(STREAMS["events"])).status == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/chat/events", "/api/chat/ws", "/api/chat/send"])
async def test_s60_head_and_options_on_a_stream_return_at_once_and_hold_no_slot(
    serve: Serve, settings: Settings, method: str, path: str
) -> None:
    served = await serve(settings)
    client = await served.ask(f"{method} {path} HTTP/1.1\r\nAccept: {SSE}")
    assert client.status == 405
    assert client.header("allow") == ("POST" if path.endswith("send") else "GET")
    assert served.gateway.services.slots.taken == 0
