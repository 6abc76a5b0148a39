"""Who may come in: the token, where it is looked for, what a wrong one costs, and that nothing is open by mistake."""

import http.client
import json
import random
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from conftest import TOKEN
from every_request import every_request, page_paths
from gateway_process import GatewayProcess

from ironclaw.errors import RateLimited
from ironclaw.gateway import Gateway
from ironclaw.home import make_token
from ironclaw.ratelimit import RateLimits
from ironclaw.settings import Settings

Start = Callable[..., GatewayProcess]
MakeClient = Callable[..., Awaitable[TestClient]]
PROBES = {"/api/health", "/healthz", "/readyz"}
UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


class Reply(NamedTuple):
    """What came back over a raw socket; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json()["error"]["code"]


def exchange(
    gateway: GatewayProcess,
    method: str,
    target: str,
    *lines: str,
    body: bytes = b"",
    token: str | None = "",
    whole: bool = True,
) -> Reply:
    """One request of these bytes; *lines* are header lines (latin-1), *token* "" is the right one, None is none."""
    names = {line.partition(":")[0].lower() for line in lines}
    head = [f"{method} {target} HTTP/1.1", *lines]
    if "host" not in names:
        head.append(f"Host: 127.0.0.1:{gateway.port}")
    if "connection" not in names:
        head.append("Connection: close")
    if token is not None:
        head.append(f"Authorization: Bearer {token or gateway.token}")
    if body and not names & {"content-length", "transfer-encoding"}:
        head.append(f"Content-Length: {len(body)}")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return read_reply(connection, method, whole=whole)


def read_reply(connection: socket.socket, method: str = "GET", *, whole: bool = True) -> Reply:
    """The next reply of a raw socket, without *whole* its head only; a `100 Continue` is passed over."""
    with http.client.HTTPResponse(connection, method=method) as response:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, headers, response.read() if whole else b"")


def enter(gateway: GatewayProcess, *lines: str, query: str = "") -> int:
    """Ask for the status with nothing but these credentials: what it answers."""
    return exchange(gateway, "GET", f"/api/status?{query}", *lines, token=None).status


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One process for the tests that leave nothing behind; wrong tokens are not counted."""
    process = GatewayProcess(tmp_path_factory.mktemp("auth") / "home", {"GATEWAY_LOGIN_RATE": "0"})
    yield process.start()
    process.kill()


@pytest.mark.parametrize("prefix", ["", "/claw"])
async def test_s01_only_the_page_and_the_probes_are_open(settings: Settings, prefix: str) -> None:
    app = Gateway(settings).app()
    requests = every_request(app)
    assert len(requests) > 100
    host = web.Application()
    if prefix:
        host.add_subapp(prefix, app)
    async with TestClient(TestServer(host if prefix else app)) as client:
        let_in = set()
        for method, path in requests:
            reply = await client.request(method, prefix + path)
            unsigned = "/browse/" in path and reply.status == 403  # only a link of ours is the key to a job's files
            if reply.status != 401 and not unsigned:
                let_in.add((method, path))
                assert reply.status < 400, (method, path)
            elif method != "HEAD" and not unsigned:
                code = "invalid_api_key" if path.startswith("/v1") else "unauthorized"
                assert (await reply.json())["error"]["code"] == code, path
    assert let_in == {(method, path) for path in page_paths() | PROBES for method in ("GET", "HEAD")}


async def test_s01_a_route_that_the_table_does_not_know_is_closed(settings: Settings) -> None:
    async def anyone(_: web.Request) -> web.Response:
        return web.Response(text="inside")

    app = Gateway(settings).app()
    for path in ("/new", "/api/health/more", "/healthz/{tail:.*}", "/js/{tail:.*}"):
        app.router.add_route("*", path, anyone)
    async with TestClient(TestServer(app)) as client:
        for path in ("/new", "/api/health/more", "/healthz/x", "/js/x.js"):
            for method in ("GET", "POST", "OPTIONS"):
                assert (await client.request(method, path)).status == 401, path
            reply = await client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
            assert await reply.text() == "inside"


async def test_s01_unknown_paths_and_methods_look_alike_without_a_token(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings)
    for path in ("/nope", "/api/nope", "/healthz/", "/api/chat/threads/", "/js/nope.js", "/..%2f", "/healthz%2f"):
        assert (await client.get(path, headers={"Authorization": ""})).status == 401, path
        assert (await client.get(path)).status == 404, path
    assert (await client.put("/api/status", headers={"Authorization": ""})).status == 401
    assert (await client.put("/api/status")).status == 405


@pytest.mark.process
def test_s02_an_upgrade_without_the_token_is_refused_before_it_and_takes_no_slot(gateway: GatewayProcess) -> None:
    for target in ("/api/chat/ws", "/api/chat/ws?token=wrong", "/api/chat/ws?token="):
        assert exchange(gateway, "GET", target, *UPGRADE, token=None).status == 401
    assert exchange(gateway, "GET", "/api/chat/ws", *UPGRADE, token="wrong").status == 401
    assert gateway.request("GET", "/api/status")[2]["active_sessions"] == 0
    assert exchange(gateway, "GET", f"/api/chat/ws?token={gateway.token}", *UPGRADE, token=None).status == 101


ODD = ["é", "\xff\xfe", "", " ", "x" * 8000, "' OR '1'='1", "$(id)", "{{7*7}}", "%s%n", "null", "undefined", "***"]
ODD_QUERIES = [
    "%C3%A9", "%FF", "%FF%FE", "%00", "%ED%A0%80", "%", "+", "", "x" * 8000, "%27%20OR%201%3D1", "[]", "a&token",
]  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize("given", ODD, ids=lambda text: ascii(text)[:20])
def test_s03_s10_a_strange_token_in_the_header_is_just_wrong(gateway: GatewayProcess, given: str) -> None:
    plain = exchange(gateway, "GET", "/api/status", token=None)
    reply = exchange(gateway, "GET", "/api/status", f"Authorization: Bearer {given}", token=None)
    assert (reply.status, reply.body) == (401, plain.body)
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "ironclaw token show" in reply.json()["error"]["message"]


@pytest.mark.process
@pytest.mark.parametrize("given", ODD_QUERIES, ids=lambda text: ascii(text)[:20])
def test_s03_a_strange_token_in_the_query_is_just_wrong(gateway: GatewayProcess, given: str) -> None:
    plain = exchange(gateway, "GET", "/api/status", token=None)
    reply = exchange(gateway, "GET", f"/api/status?token={given}", token=None)
    assert (reply.status, reply.body) == (401, plain.body)


@pytest.mark.process
def test_s03_tokens_that_no_parser_takes_are_a_bad_request_and_not_a_failure(gateway: GatewayProcess) -> None:
    too_long = "x" * 8192
    assert enter(gateway, f"Authorization: Bearer {too_long}") == 400
    assert enter(gateway, query=f"token={too_long}") == 400
    assert enter(gateway, query="token=\xff\xfe") == 400


@pytest.mark.process
@pytest.mark.parametrize("unset", ["", "   "])
def test_s04_an_empty_token_is_replaced_and_never_lets_anyone_in(gateway_process: Start, unset: str) -> None:
    process = gateway_process(GATEWAY_AUTH_TOKEN=unset)
    process.start()
    token = (process.home / "token").read_text().strip()
    assert len(token) == 32
    assert f"Auth token: {token}" in process.log
    for header in ("Bearer ", "Bearer", "Bearer   ", ""):
        assert enter(process, f"Authorization: {header}") == 401
    assert enter(process, query="token=") == 401
    assert enter(process, query=f"token={token}") == 200


@pytest.mark.process
def test_s05_two_homes_have_two_tokens_and_one_home_keeps_its_own(gateway_process: Start, tmp_path: Path) -> None:
    first, other = gateway_process(tmp_path / "a").start(), gateway_process(tmp_path / "b").start()
    token = first.token
    assert token != other.token
    assert all(len(one) == 32 and one.isascii() and one.isalnum() for one in (token, other.token))
    assert (first.home / "token").stat().st_mode & 0o777 == 0o600
    first.terminate()
    assert first.wait() == 0
    assert gateway_process(tmp_path / "a").start().token == token


def test_s05_a_new_token_does_not_come_from_the_seeded_generator(tmp_path: Path) -> None:
    made = set()
    for _ in range(20):
        random.seed(1)
        made.add(make_token(tmp_path))
    assert len(made) == 20
    assert len(set("".join(made))) > 50


@pytest.mark.process
def test_s06_of_several_credentials_all_must_be_right(gateway: GatewayProcess) -> None:
    good, bad = f"Authorization: Bearer {gateway.token}", "Authorization: Bearer wrong"
    for lines, expected in (
        ((good, good), 200), ((good, bad), 401), ((bad, good), 401), ((good, "Authorization: Basic eDp5"), 401),
        ((f"{good}, Bearer wrong",), 401),
    ):  # fmt: skip
        assert enter(gateway, *lines) == expected, lines
    assert enter(gateway, query=f"token={gateway.token}&token={gateway.token}") == 200
    for query in ("token=wrong&token={}", "token={}&token=wrong", "token={}&token="):
        assert enter(gateway, query=query.format(gateway.token)) == 401, query


@pytest.mark.process
def test_s07_the_scheme_is_bearer_in_any_case_with_one_space(gateway: GatewayProcess) -> None:
    # The white space around a field's value is not part of it (RFC 9110).
    for header in ("Authorization: Bearer {}", "authorization: bearer {}", "AUTHORIZATION: BEARER {}  "):
        assert enter(gateway, header.format(gateway.token)) == 200, header
    for value in ("Bearer   {}", "Bearer\t{}", "Bearer{}", "Bearer {} x", "Basic {}", "Token {}", "{}", 'Bearer "{}"'):
        assert enter(gateway, f"Authorization: {value.format(gateway.token)}") == 401, value


@pytest.mark.process
def test_s08_one_credential_decides_and_the_header_beats_the_query(gateway_process: Start) -> None:
    process = gateway_process(GATEWAY_LOGIN_RATE="3")
    process.start()
    right = f"token={process.token}"
    assert enter(process, f"Authorization: Bearer {process.token}", query="token=wrong") == 200
    for header in ("Bearer wrong", "Basic eDp5", "Bearer"):
        assert enter(process, f"Authorization: {header}", query=right) == 401
    assert enter(process, "Authorization: Bearer wrong", query=right) == 429  # each of them was counted
    assert enter(process, query=right) == 200


@pytest.mark.process
def test_a_token_in_the_query_counts_on_get_and_head_only(gateway: GatewayProcess) -> None:
    query = f"?token={gateway.token}"
    assert exchange(gateway, "GET", f"/api/status{query}", token=None).status == 200
    assert exchange(gateway, "HEAD", f"/api/status{query}", token=None).status == 200
    for method, path in (
        ("POST", "/api/chat/send"), ("POST", "/api/chat/stop"), ("PATCH", "/api/chat/threads/x"),
        ("DELETE", "/api/chat/threads/x"), ("OPTIONS", "/api/status"), ("PUT", "/api/status"),
    ):  # fmt: skip
        assert exchange(gateway, method, path + query, token=None).status == 401, method


@pytest.mark.process
def test_s09_a_token_is_taken_from_nowhere_else(gateway: GatewayProcess) -> None:
    for line in (
        "X-Api-Key: {}", "X-Auth-Token: {}", "Cookie: token={}; Authorization={}", "Proxy-Authorization: Bearer {}",
        "X-Forwarded-Authorization: Bearer {}", "Referer: http://127.0.0.1/?token={}", "X-Forwarded-User: owner",
    ):  # fmt: skip
        assert enter(gateway, line.format(*[gateway.token] * 2)) == 401, line
    protocol = f"Sec-WebSocket-Protocol: {gateway.token}, bearer.{gateway.token}"
    assert exchange(gateway, "GET", "/api/chat/ws", *UPGRADE, protocol, token=None).status == 401
    for query in (f"TOKEN={gateway.token}", f"access_token={gateway.token}", f"api_key={gateway.token}", gateway.token):
        assert enter(gateway, query=query) == 401, query
    form, body = "Content-Type: application/x-www-form-urlencoded", f"message=x&token={gateway.token}".encode()
    assert exchange(gateway, "POST", "/api/chat/send", form, body=body, token=None).status == 401
    body = json.dumps({"message": "x", "token": gateway.token}).encode()
    assert exchange(gateway, "POST", "/api/chat/send", body=body, token=None).status == 401


@pytest.mark.process
def test_s11_s12_wrong_tokens_are_slowed_down_by_address_and_the_owner_is_not(gateway_process: Start) -> None:
    process = gateway_process()  # the default rate, 10 a minute; loopback is no exception
    process.start()
    replies = []
    for number in range(10):
        replies.append(exchange(process, "GET", "/api/status", token=f"wrong{number}"))
        replies.append(exchange(process, "GET", f"/api/chat/history?token=wrong{number}", token=None))
        replies.append(exchange(process, "GET", f"/api/chat/ws?token=wrong{number}", *UPGRADE, token=None))
        assert exchange(process, "GET", "/api/status").status == 200
    assert [reply.status for reply in replies] == [401] * 10 + [429] * 20
    assert (replies[-1].code, replies[-1].headers["retry-after"]) == ("rate_limited", "6")
    assert exchange(process, "GET", "/healthz", token=None).status == 200
    assert exchange(process, "POST", "/api/chat/send", body=b'{"message": "/help"}').status == 200


async def test_s13_many_addresses_take_no_more_memory_than_a_few_thousand() -> None:
    limits = RateLimits(api=0, chat=0, login=1)

    async def knock(addresses: range) -> None:
        for number in addresses:
            await limits.spend(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", limits.login)

    await knock(range(5_000))
    tracemalloc.start()
    try:
        await knock(range(5_000, 35_000))
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 4 << 20
    await limits.spend("192.168.0.1", limits.login)
    with pytest.raises(RateLimited):
        await limits.spend("192.168.0.1", limits.login)


@pytest.mark.process
def test_s13_many_paths_and_queries_leave_nothing_behind(gateway: GatewayProcess) -> None:
    process = psutil.Process(gateway.process.pid if gateway.process else 0)

    def ask(first: int, count: int) -> None:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
            for number in range(first, first + count):
                target = f"/api/{number}x{number * 7}?q{number}={number}&token=wrong{number}"
                connection.sendall(f"GET {target} HTTP/1.1\r\nHost: h{number}.test\r\n\r\n".encode())
                assert read_reply(connection).status == 401

    ask(0, 4000)
    before = process.memory_info().rss
    ask(4000, 5000)
    assert process.memory_info().rss - before < 4 << 20


@pytest.mark.process
def test_s14_after_a_rotation_the_old_token_and_its_streams_are_gone(gateway_process: Start) -> None:
    process = gateway_process().start()
    old = process.token
    stream = process.open_events()
    rotated = subprocess.run(
        [sys.executable, "-m", "ironclaw", "token", "rotate"], env=process.env, cwd=process.home, capture_output=True
    )
    new = rotated.stdout.decode().strip()
    assert (len(new), new == old) == (32, False)
    process.terminate()
    with pytest.raises(EOFError):
        stream.until("never")
    stream.close()
    assert process.wait() == 0
    process.start()
    assert process.request("GET", "/api/status", token=old)[0] == 401
    assert exchange(process, "GET", f"/api/chat/events?token={old}", token=None).status == 401
    assert process.request("GET", "/api/status", token=new)[0] == 200
    assert new not in process.log


@pytest.mark.process
def test_s15_a_stranger_is_refused_before_the_body_and_bodies_of_strangers_are_not_kept(
    gateway: GatewayProcess,
) -> None:
    head = f"POST /api/chat/send HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 20}\r\n\r\n".encode()

    def post(_: int) -> int:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
            connection.sendall(head)  # not one byte of the body
            status = read_reply(connection).status
            connection.sendall(b"x" * (1 << 20))
            return status

    process = psutil.Process(gateway.process.pid if gateway.process else 0)
    before = process.memory_info().rss
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(post, range(100))) == {401}
    assert process.memory_info().rss - before < 32 << 20
    assert gateway.request("GET", "/api/status")[0] == 200


async def test_the_token_may_come_from_a_file_and_hold_any_text(make_client: MakeClient, settings: Settings) -> None:
    assert settings.home is not None
    path = settings.home.parent / "given"
    path.write_text("päss-wörd-with-umlauts\n", encoding="utf-8")
    client = await make_client(attrs.evolve(settings, auth_token=None, auth_token_file=path), auth=False)
    assert (await client.get("/api/status", params={"token": "päss-wörd-with-umlauts"})).status == 200
    assert (await client.get("/api/status", params={"token": "pass-word-with-umlauts"})).status == 401
