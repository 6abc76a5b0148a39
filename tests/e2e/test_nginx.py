"""Behind a real nginx with TLS, in the contract's own server block and in that of the README; and requests made to be
read differently by two servers, straight and through it."""

import asyncio
import contextlib
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from conftest import TOKEN
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process

NAME = "ironclaw.example.com"
ORIGIN = f"https://{NAME}"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
README = (Path(__file__).parents[2] / "README.md").read_text()
CONTRACT = """
server {
    listen 443 ssl;
    server_name ironclaw.example.com;

    ssl_certificate /path/to/cert.pem;
    ssl_certificate_key /path/to/key.pem;

    location / {
        proxy_pass http://localhost:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_set_header Host $host;
    }
}
"""
MAIN = """
daemon off; master_process off;
pid FOLDER/nginx.pid; error_log FOLDER/error.log;
events { worker_connections 256; }
http {
    access_log FOLDER/access.log;
    client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
    proxy_read_timeout 3s;
    BLOCKS
}
"""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cert.pem and key.pem, signed by themselves."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = [
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        f"/CN={NAME}",
        "-addext",
        f"subjectAltName=DNS:{NAME}",
    ]
    subprocess.run([*command.split(), *subject], cwd=folder, check=True, capture_output=True, timeout=30)
    return folder


class Front:
    """A gateway, and an nginx before it. *block* is a server block as people paste it; only port and paths are ours."""

    def __init__(self, gateway: GatewayProcess, block: str, folder: Path, certificate: Path) -> None:
        self.gateway = gateway
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        pem = f"ssl_certificate {certificate}/cert.pem;\n    ssl_certificate_key {certificate}/key.pem;\n"
        block = re.sub(r"ssl_certificate.*;\n", "", block).replace("location", pem + "\n    location", 1)
        block = block.replace("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl")
        block = block.replace("http://localhost:3000", f"http://localhost:{gateway.port}")
        config = folder / "nginx.conf"
        config.write_text(MAIN.replace("BLOCKS", block).replace("FOLDER", str(folder)))
        self.tls = ssl.create_default_context(cafile=certificate / "cert.pem")
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.errors = folder / "error.log"
        self.process = subprocess.Popen(
            [program, "-c", config, "-p", folder, "-e", self.errors],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), self.connect():
                return
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def connect(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(source, 0))
        return self.tls.wrap_socket(raw, server_hostname=NAME)

    @contextlib.contextmanager
    def open(
        self, method: str, path: str, body: Any = None, source: str = "127.0.0.1", **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request as https://ironclaw.example.com; its response, the head read."""
        connection = http.client.HTTPConnection(NAME)
        connection.sock = self.connect(source)
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        sent = {**BEARER, "Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        with contextlib.closing(connection):
            connection.request(method, path, data, {name: value for name, value in sent.items() if value})
            with connection.getresponse() as response:
                yield response

    def status(self, method: str, path: str, body: Any = None, source: str = "127.0.0.1", **headers: str) -> int:
        with self.open(method, path, body, source, **headers) as response:
            response.read()
            return response.status

    @contextlib.asynccontextmanager
    async def websocket(
        self, origin: str | None = None, host: str = NAME
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        headers = {"Host": host, **({"Origin": origin} if origin else {})}
        url = f"wss://127.0.0.1:{self.port}/api/chat/ws?token={TOKEN}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, headers=headers, ssl=self.tls, server_hostname=NAME) as ws,
        ):
            yield ws

    async def upgrade(self, origin: str | None, host: str = NAME) -> int:
        """The status of a WebSocket's upgrade."""
        try:
            async with self.websocket(origin, host):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def front(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path, certificate: Path
) -> Iterator[Callable[..., Front]]:
    made: list[Front] = []

    def make(block: str = CONTRACT, **env: str) -> Front:
        folder = tmp_path / f"nginx{len(made)}"
        folder.mkdir()
        env = {"GATEWAY_AUTH_TOKEN": TOKEN, "GATEWAY_CORS_ORIGINS": "none", **env}
        gateway = gateway_process(tmp_path / f"home{len(made)}", **env).start()
        made.append(Front(gateway, block, folder, certificate))
        return made[-1]

    yield make
    for one in made:
        one.close()


def readme_block() -> str:
    """The server block of the README."""
    (block,) = re.findall(r"^```nginx\n(.*?)^```", README, re.M | re.S)
    return str(block)


# Use


def test_page_api_and_a_large_message_pass_through(front: Callable[..., Front]) -> None:
    proxy = front()
    with proxy.open("GET", "/") as page:
        assert page.status == 200
        assert b"<html" in page.read()
    message = "é" * 400_000  # 800 kB: nginx puts it into a file first
    assert proxy.status("POST", "/api/chat/send", {"message": message, "thread_id": "a"}) == 200
    with proxy.open("GET", "/api/chat/history?thread_id=a") as history:
        assert json.loads(history.read())["turns"][0]["user_message"] == message
    assert proxy.status("GET", "/api/status", Authorization="") == 401


def state_of(proxy: Front, thread: str) -> str:
    """The state of a thread's only turn, asked past nginx."""
    history = proxy.gateway.request("GET", f"/api/chat/history?thread_id={thread}")[2]
    return str(history["turns"][0]["state"])


def test_r21_the_first_byte_and_each_event_arrive_at_once(front: Callable[..., Front]) -> None:
    proxy = front(BUILTIN_WORD_DELAY="0.05")
    for thread, accept in (("a", "text/event-stream"), ("b", "application/x-ndjson")):
        with proxy.open("GET", f"/api/chat/events?thread_id={thread}", Accept=accept) as stream:
            assert stream.readline()  # nothing has happened yet, and the next heartbeat is 15 s away
            proxy.gateway.send("help", thread_id=thread)
            line = b""
            while b"stream_chunk" not in line:
                line = stream.readline()
            assert state_of(proxy, thread) == "running"  # the first word is here before the last one is written
    with proxy.open("POST", "/api/chat/send", {"message": "help", "thread_id": "c"}, Accept="text/plain") as answer:
        assert answer.read(1)
        assert state_of(proxy, "c") == "running"


async def test_r20_idle_streams_live_longer_than_nginx_waits_for_a_silent_server(front: Callable[..., Front]) -> None:
    proxy = front(GATEWAY_HEARTBEAT="1")

    def idle(accept: str) -> bytes:
        """All that comes in 4.5 s; nginx waits for 3. Empty when the stream ended."""
        with proxy.open("GET", "/api/chat/events", Accept=accept) as stream:
            deadline, received = time.monotonic() + 4.5, b""
            while time.monotonic() < deadline:
                if not (line := stream.readline()):
                    return b""
                received += line
        return received

    async with proxy.websocket() as ws:
        received = asyncio.create_task(ws.receive())
        events = asyncio.create_task(asyncio.to_thread(idle, "text/event-stream"))
        lines = asyncio.create_task(asyncio.to_thread(idle, "application/x-ndjson"))
        assert (await events).count(b": keep-alive\n") >= 3
        assert (await lines).count(b'{"type":"ping"}\n') >= 3
        assert not received.done(), received.result()
        await ws.send_str("help")
        assert (await asyncio.wait_for(received, 5)).type is aiohttp.WSMsgType.TEXT


async def test_a_websocket_talks_through_it(front: Callable[..., Front]) -> None:
    proxy = front()
    async with proxy.websocket() as ws:
        await ws.send_json({"message": "help", "thread_id": "a"})
        kinds = [(await ws.receive_json(timeout=5))["type"]]
        while kinds[-1] != "response":
            kinds.append((await ws.receive_json(timeout=5))["type"])
        assert {"accepted", "user_message", "stream_chunk"} <= set(kinds)


# Who may


async def test_s27_the_pages_own_origin_passes_and_foreign_ones_do_not(front: Callable[..., Front]) -> None:
    proxy = front()
    named = front(GATEWAY_PUBLIC_URL=f"{ORIGIN}/")
    send = ("POST", "/api/chat/send", {"message": "/help"})
    for one in (proxy, named):
        assert await one.upgrade(ORIGIN) == 101
        assert one.status(*send, Origin=ORIGIN) == 200
        assert await one.upgrade(None) == 101
        foreign = (
            "https://evil.example",
            f"{ORIGIN}.evil.example",
            f"{ORIGIN}@evil.example",
            "null",
            "http://localhost",
        )
        for origin in foreign:
            assert await one.upgrade(origin) == 403
            assert one.status(*send, Origin=origin) == 403
            with one.open("GET", "/api/status", Origin=origin) as reply:
                assert reply.getheader("Access-Control-Allow-Origin") is None
    # Under another name it is the page's own origin only where that is set.
    assert await proxy.upgrade(ORIGIN, "other.example") == 403
    assert await named.upgrade(ORIGIN, "other.example") == 101
    assert await named.upgrade("https://other.example:8443", "gateway.example") == 403


def test_s66_s67_addresses_that_a_client_makes_up_are_nothing_in_the_contracts_block(
    front: Callable[..., Front],
) -> None:
    proxy = front(GATEWAY_LOGIN_RATE="3")  # no proxy is trusted: nginx hands on what clients send
    local = {"X_Forwarded_For": "127.0.0.1", "X_Real_IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    assert proxy.status("GET", "/api/status", Authorization="", **local) == 401
    statuses = [
        proxy.status("GET", "/api/status", Authorization="Bearer wrong", X_Forwarded_For=f"203.0.113.{number}")
        for number in range(5)
    ]
    assert statuses == [401] * 3 + [429] * 2
    assert proxy.status("GET", "/api/status") == 200  # the owner comes from the same address


def test_s66_in_the_readmes_block_each_address_has_its_own_bucket_and_none_can_be_made_up(
    front: Callable[..., Front],
) -> None:
    assert "GATEWAY_TRUSTED_PROXIES=127.0.0.1" in README
    proxy = front(readme_block(), GATEWAY_LOGIN_RATE="3", GATEWAY_TRUSTED_PROXIES="127.0.0.1")

    def wrong(source: str, forwarded: str) -> int:
        return proxy.status(
            "GET", "/api/status", source=source, Authorization="Bearer wrong", X_Forwarded_For=forwarded
        )

    assert [wrong("127.0.0.2", f"203.0.113.{number}") for number in range(5)] == [401] * 3 + [429] * 2
    assert wrong("127.0.0.3", "127.0.0.2") == 401
    assert proxy.status("GET", "/api/status", source="127.0.0.2") == 200


# S61: one server must not see two requests where another sees one

CHUNKED = "Transfer-Encoding: chunked"


def request_of(headers: list[str], body: bytes, *, first: str = "Host: localhost", end: str = "\r\n") -> bytes:
    lines = ["POST /api/chat/send HTTP/1.1", first, f"Authorization: Bearer {TOKEN}", *headers]
    return (end.join(lines) + end * 2).encode() + body


HIDDEN = request_of(["Content-Length: 22", "Connection: close"], b'{"message":"smuggled"}')
EMPTY = b"0\r\n\r\n"


def with_head(*headers: str, body: bytes = b"{}", **more: str) -> bytes:
    return request_of(list(headers), body + HIDDEN, **more)


def with_chunks(body: bytes) -> bytes:
    return with_head(CHUNKED, body=body)


AMBIGUOUS = {
    "length, then chunked": with_head("Content-Length: 5", CHUNKED, body=EMPTY),
    "chunked, then length": with_head(CHUNKED, "Content-Length: 5", body=EMPTY),
    "two lengths": with_head("Content-Length: 2", "Content-Length: 200"),
    "the same length twice": with_head("Content-Length: 2", "Content-Length: 2"),
    "a list of lengths": with_head("Content-Length: 2, 2"),
    **{f"length {text!r}": with_head(f"Content-Length: {text}") for text in ("+2", "-2", "0x2", "2_0", "2 2", "")},
    "another coding": with_head("Transfer-Encoding: xchunked", body=EMPTY),
    "a coding behind chunked": with_head("Transfer-Encoding: chunked, identity", body=EMPTY),
    "chunked twice": with_head(CHUNKED, CHUNKED, body=EMPTY),
    "a space before the colon": with_head("Transfer-Encoding : chunked", body=EMPTY),
    "a folded line": with_head("Transfer-Encoding:\r\n chunked", body=EMPTY),
    "a vertical tab": with_head("Transfer-Encoding: \x0bchunked", body=EMPTY),
    "two hosts": with_head("Host: other", "Content-Length: 2"),
    "the same host twice": with_head("Host: localhost", "Content-Length: 2"),
    "no host": with_head("Content-Length: 2", first="X: y"),
    "bare LF": with_head("Content-Length: 2", end="\n"),
    "one bare LF": with_head("A: b\nContent-Length: 2"),
    "a bare CR": with_head("A: b\rContent-Length: 2"),
    "a NUL": with_head("A: b\0", "Content-Length: 2"),
    "a space in a name": with_head("Content Length: 2"),
    **{
        f"chunk size {text!r}": with_chunks(text + b"\r\n{}\r\n" + EMPTY)
        for text in (b"-1", b"+2", b"0x2", b"2_0", b" 2", b"2 ", b"", b"xyz", b"2;a\nb")
    },
    "chunks with bare LF": with_chunks(b"2\n{}\n0\n\n"),
    "a chunk without its end": with_chunks(b"2\r\n{}xx" + EMPTY),
    "a chunk longer than it says": with_chunks(b"2\r\n{}abc\r\n" + EMPTY),
}


def exchange(sock: socket.socket, data: bytes) -> list[int]:
    """Send *data*, read until the server closes (it must): the statuses of all replies."""
    with sock:
        sock.settimeout(5)
        received = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            sock.sendall(data)
            while part := sock.recv(1 << 16):
                received += part
    return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", received, re.M)]


def turns(gateway: GatewayProcess) -> int:
    return sum(one["turn_count"] for one in gateway.request("GET", "/api/chat/threads")[2]["threads"])


@pytest.mark.parametrize("parser", ["", "1"], ids=["parser of C", "parser of Python"])
def test_s61_an_ambiguous_request_is_refused_and_its_connection_closed(
    gateway_process: Callable[..., GatewayProcess], parser: str
) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN=TOKEN, AIOHTTP_NO_EXTENSIONS=parser).start()
    assert exchange(socket.create_connection(("127.0.0.1", gateway.port)), HIDDEN) == [200]
    for name, data in AMBIGUOUS.items():
        assert (name, exchange(socket.create_connection(("127.0.0.1", gateway.port)), data)) == (name, [400])
    stranger = AMBIGUOUS["chunk size b'-1'"].replace(TOKEN.encode(), b"wrong", 1)
    assert exchange(socket.create_connection(("127.0.0.1", gateway.port)), stranger) in ([400], [401], [401, 400])
    assert turns(gateway) == 1


def test_s61_through_nginx_nothing_happens_that_the_client_gets_no_reply_for(front: Callable[..., Front]) -> None:
    proxy = front()
    for name, data in AMBIGUOUS.items():
        before = turns(proxy.gateway)
        statuses = exchange(proxy.connect(), data)
        assert (name, turns(proxy.gateway) - before) == (name, statuses.count(200))
        assert (name, statuses[0] // 100) == (name, 4) or statuses[0] == 501
