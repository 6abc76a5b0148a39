"""Requests on kept connections, against servers of a few bytes: what is written, what is kept, and what is cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from llm.provider_calls import endpoint, open_http  # noqa: F401
from llm.stand_in_process import StandInProcess, reply, run_stand_in  # noqa: F401

from ironclaw.errors import ProviderError
from ironclaw.llm.endpoint import Timeouts
from ironclaw.llm.transport import ModelHTTP
from ironclaw.llm.wire import Wire

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
PATIENT = aiohttp.ClientTimeout(total=None, connect=5)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    connector = aiohttp.TCPConnector(limit=0)
    yield Wire(connector)
    await connector.close()


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A server that treats each connection so; its address."""
    connections: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in connections:
        writer.close()


async def post(wire: Wire, url: str, body: bytes = b"{}", silence: float = 5.0) -> tuple[int, bytes]:
    """Status and body of a POST."""
    answer = await wire.send("POST", url, {"X-A": "b"}, body, timeout=PATIENT, silence=silence)
    try:
        read = b""
        while more := await answer.content.readany():
            read += more
        return answer.status, read
    finally:
        answer.release()


async def test_the_request_is_plain_http_with_all_that_was_given(wire: Wire) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2))
        writer.write(OK)

    async with serving(serve) as url:
        assert await post(wire, f"{url}/a%20b/ü?c=d") == (200, b"hi")
        lines = seen[0].split(b"\r\n")
        assert lines[0] == b"POST /a%20b/%C3%BC?c=d HTTP/1.1"
        assert sorted(lines[1:4]) == sorted([f"Host: {url[7:]}".encode(), b"X-A: b", b"Content-Length: 2"])
        assert lines[4:] == [b"", b"{}"]


async def test_a_connection_is_used_again_once_its_answer_was_read_and_only_then(wire: Wire) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"{}"):
            writer.write(OK)

    async with serving(serve) as url:
        for _ in range(3):
            assert await post(wire, url) == (200, b"hi")
        assert connections == 1
        answer = await wire.send("POST", url, {}, b"{}", timeout=PATIENT, silence=5.0)
        answer.release()  # unread: the rest of it would be taken for the next answer
        await post(wire, url)
    assert connections <= 2


async def test_an_answer_that_only_says_that_one_comes_is_passed_over(wire: Wire) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)

    async with serving(serve) as url:
        assert await post(wire, url) == (200, b"hi")


async def test_a_body_of_many_megabytes_arrives_whole(wire: Wire) -> None:
    body = bytes(range(256)) * 40_000
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        seen.append(await reader.readexactly(len(body)))
        writer.write(OK)

    async with serving(serve) as url:
        assert await post(wire, url, body) == (200, b"hi")
    assert seen == [body]


async def test_silence_is_a_timeout_and_ends_the_connection(wire: Wire) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        assert await reader.read() == b""
        ended.set()

    async with serving(serve) as url:
        with pytest.raises(TimeoutError):
            await post(wire, url, silence=0.05)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_caller_that_is_cancelled_ends_the_connection(wire: Wire) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        asked.set()
        assert await reader.read() == b""
        ended.set()

    async with serving(serve) as url:
        call = asyncio.create_task(post(wire, url))
        await asked.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await ended.wait()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", aiohttp.ServerDisconnectedError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", aiohttp.ClientResponseError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", aiohttp.ServerDisconnectedError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", aiohttp.ClientPayloadError),
    ],
)
async def test_what_is_no_answer_is_the_error_of_a_session(wire: Wire, answer: bytes, error: type) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(answer)

    async with serving(serve) as url:
        with pytest.raises(error):
            await post(wire, url)


async def test_a_connection_that_the_server_has_closed_is_not_used_again(wire: Wire) -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(OK)
        await writer.drain()
        writer.close()
        closed.set()

    async with serving(serve) as url:
        for _ in range(3):
            assert await post(wire, url) == (200, b"hi")
            await closed.wait()
            await asyncio.sleep(0.01)  # the end of the connection has to reach us


async def test_many_urls_are_not_all_kept(wire: Wire) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"{}"):
            writer.write(OK)

    async with serving(serve) as url:
        for number in range(200):
            await post(wire, f"{url}/{number}")
    assert len(wire._places) <= 64


async def test_each_wait_within_an_answer_has_its_own_time(http: ModelHTTP, stand_in: StandInProcess) -> None:
    stand_in.script("m", reply("a", {"wait": 0.3}, "b", {"hang": True}))
    where = endpoint(f"{stand_in.url}/v1")
    stream = await http.open(where, "/chat/completions", b'{"model": "m"}', model="m", timeouts=Timeouts())
    assert [await stream.read(0.5, began=True) for _ in range(2)] == [b"a", b"b"]
    with pytest.raises(ProviderError, match="nothing for"):
        await stream.read(0.5, began=True)
    stream.close()
