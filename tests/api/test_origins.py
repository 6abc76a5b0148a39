"""The user's browser as somebody else's tool: Origin, Host, CORS, framing, redirects. Programs send no Origin."""

import http.client
import re
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from conftest import TOKEN
from gateway_process import GatewayProcess
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from test_auth import UPGRADE, Reply, exchange

from ironclaw.auth import Principal
from ironclaw.settings import Settings

pytestmark = pytest.mark.process
MakeClient = Callable[..., Awaitable[TestClient]]
Start = Callable[..., GatewayProcess]
SOCKET = dict(line.split(": ") for line in UPGRADE)
EVIL = "http://evil.test"
LISTED = "https://app.example.com"
HELLO = b'{"message": "/help", "thread_id": "made-by-a-page"}'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One process with one listed origin beside the loopback ones."""
    home = tmp_path_factory.mktemp("origins") / "home"
    process = GatewayProcess(home, {"GATEWAY_CORS_ORIGINS": LISTED, "GATEWAY_LOGIN_RATE": "0"})
    yield process.start()
    process.kill()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One process that lists no origin at all."""
    process = GatewayProcess(tmp_path_factory.mktemp("strict") / "home", {"GATEWAY_CORS_ORIGINS": "none"})
    yield process.start()
    process.kill()


def connect(process: GatewayProcess, *lines: str) -> int:
    """Open a WebSocket with the token in the query, as a page does: what it answers."""
    return exchange(process, "GET", f"/api/chat/ws?token={process.token}", *UPGRADE, *lines, token=None).status


def send(process: GatewayProcess, *lines: str, body: bytes = HELLO) -> Reply:
    return exchange(process, "POST", "/api/chat/send", *lines, body=body)


def threads(process: GatewayProcess) -> list[str]:
    return [one["id"] for one in process.request("GET", "/api/chat/threads")[2]["threads"]]


def allowed_origin(reply: Reply) -> str | None:
    assert "access-control-allow-credentials" not in reply.headers
    return reply.headers.get("access-control-allow-origin")


def test_s24_a_foreign_page_gets_no_websocket_although_it_has_the_token(gateway: GatewayProcess) -> None:
    refused = exchange(gateway, "GET", "/api/chat/ws", *UPGRADE, f"Origin: {EVIL}")
    assert (refused.status, refused.code) == (403, "foreign_origin")
    assert "sec-websocket-accept" not in refused.headers
    assert connect(gateway, f"Origin: {EVIL}") == 403
    assert gateway.request("GET", "/api/status")[2]["active_sessions"] == 0


def test_s26_without_an_origin_the_token_is_enough(gateway: GatewayProcess) -> None:
    assert connect(gateway) == 101
    assert send(gateway).status == 200


def foreign_looking(port: int) -> list[str]:
    """Origins that resemble the gateway's own, http://127.0.0.1:*port*, and are not."""
    return [
        "null", "", "*", "http://localhost.evil.com", f"http://127.0.0.1:{port}.evil", f"http://127.0.0.1.evil:{port}",
        f"http://127.0.0.1:{port + 1}", "http://127.0.0.1", f"http://localhost:{port}", f"http://user@127.0.0.1:{port}",
        f"http://127.0.0.1:{port}@evil.test", f"http://127.0.0.1.:{port}", f"HTTP://127.0.0.1:{port}",
        f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/x", f"http://127.0.0.1:0{port}", f"http://127.1:{port}",
        f"http://evil.test http://127.0.0.1:{port}", f"http://127.0.0.1:{port}, http://evil.test", f"127.0.0.1:{port}",
        f"file://127.0.0.1:{port}", f"ws://127.0.0.1:{port}", f"http://2130706433:{port}", f"http://[::1]:{port}",
        f"http://127.0.0.1:{port}\\evil", f"http://\xb9\xb2\xb7.0.0.1:{port}", f"chrome-extension://127.0.0.1:{port}",
    ]  # fmt: skip


def test_s25_with_no_origin_listed_only_the_gateways_own_page_may_act(strict: GatewayProcess) -> None:
    own = f"http://127.0.0.1:{strict.port}"
    assert connect(strict, f"Origin: {own}") == 101
    assert send(strict, f"Origin: {own}").status == 200
    for origin in foreign_looking(strict.port):
        assert connect(strict, f"Origin: {origin}") == 403, origin
        reply = send(strict, f"Origin: {origin}")
        assert (reply.status, allowed_origin(reply)) == (403, None), origin
    # The scheme is not compared: a proxy with TLS in front of it hides which one the page has.
    assert send(strict, f"Origin: https://127.0.0.1:{strict.port}").status == 200


def test_s25_by_default_loopback_pages_may_act_and_no_other(gateway: GatewayProcess) -> None:
    for origin in ("http://localhost:5173", "http://127.0.0.1:1", "http://localhost", LISTED):
        assert connect(gateway, f"Origin: {origin}") == 101, origin
        assert allowed_origin(send(gateway, f"Origin: {origin}")) == origin
    for origin in (
        EVIL, "null", "https://localhost:5173", "http://localhost.evil.com", "http://evil.localhost", "http://LOCALHOST",
        "http://127.0.0.2:3000", "http://localhost:5173/", "http://localhost:123456", "http://localhost:", "http://localhost:x",
        f"{LISTED}.evil.test", f"{LISTED}:8443", f"{LISTED}/", "http://app.example.com", "https://APP.example.com",
        "https://xapp.example.com", "https://appxexample.com",
    ):  # fmt: skip
        assert connect(gateway, f"Origin: {origin}") == 403, origin
        reply = send(gateway, f"Origin: {origin}")
        assert (reply.status, allowed_origin(reply)) == (403, None), origin


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("box.lan:3000", "http://box.lan:3000", 200),
        ("BOX.lan:3000", "http://box.lan:3000", 200),
        ("box.lan:3000", "http://box.lan:3001", 403),
        ("box.lan:3000", "http://box.lan", 403),
        ("box.lan:80", "http://box.lan", 200),
        ("box.lan:443", "https://box.lan", 200),
        ("box.lan:443", "http://box.lan", 403),
        ("box.lan:3000", "http://other.lan:3000", 403),
        ("box.lan:3000", "http://xbox.lan:3000", 403),
        ("box.lan", "https://box.lan", 200),  # the documented nginx block sends the name alone
        ("box.lan", "https://box.lan:8443", 200),
        ("box.lan", "http://box.lan.evil.test", 403),
        ("box.lan", "http://evil.test", 403),
        ("[fd00::1]:3000", "http://[fd00::1]:3000", 200),
        ("[fd00::1]:3000", "http://[fd00::2]:3000", 403),
    ],
)
def test_s25_s27_a_page_may_act_where_its_own_host_is_asked(
    strict: GatewayProcess, host: str, origin: str, status: int
) -> None:
    assert send(strict, f"Host: {host}", f"Origin: {origin}").status == status
    assert connect(strict, f"Host: {host}", f"Origin: {origin}") == (101 if status == 200 else 403)


def test_s27_behind_a_proxy_that_changes_the_host_the_public_address_is_the_own_one(gateway_process: Start) -> None:
    process = gateway_process(GATEWAY_PUBLIC_URL="https://ironclaw.example.com/claw/", GATEWAY_CORS_ORIGINS="none")
    process.start()
    own = "Origin: https://ironclaw.example.com"
    assert (send(process, own).status, connect(process, own)) == (200, 101)
    for origin in ("http://ironclaw.example.com", "https://ironclaw.example.com:8443", "https://example.com", EVIL):
        assert (send(process, f"Origin: {origin}").status, connect(process, f"Origin: {origin}")) == (403, 403), origin


def test_s27_without_a_public_address_a_name_that_is_not_the_host_is_foreign(strict: GatewayProcess) -> None:
    assert send(strict, "Host: localhost:3000", "Origin: https://ironclaw.example.com").status == 403


def test_s28_names_that_are_not_allowed_are_not_answered_whatever_is_asked(gateway_process: Start) -> None:
    process = gateway_process(GATEWAY_ALLOWED_HOSTS="ironclaw.lan, Box.lan:8443")
    process.start()
    for host in (
        "evil.test:3000",
        "evil.test",
        "ironclaw.lan.evil.test",
        "127.0.0.1.evil.test",
        "box.lan",
        "box.lan:1",
    ):
        for path in ("/", "/js/main.js", "/healthz", "/api/status", "/api/chat/events", "/nope"):
            reply = exchange(process, "GET", path, f"Host: {host}")
            assert (reply.status, reply.code) == (421, "unknown_host"), (host, path)
        assert connect(process, f"Host: {host}") == 421
        assert connect(process, f"Host: {host}", f"Origin: http://{host}") == 421
        assert send(process, f"Host: {host}").status == 421
        preflight = ("Origin: http://localhost:5173", "Access-Control-Request-Method: POST")
        assert exchange(process, "OPTIONS", "/api/chat/send", f"Host: {host}", *preflight, token=None).status == 421
    for host in ("ironclaw.lan", "ironclaw.lan:3000", "IRONCLAW.LAN", "box.lan:8443", "localhost:3000", "127.0.0.1:3000",
                 "192.168.1.2", "[::1]:3000", "[fd00::7]"):  # fmt: skip
        assert exchange(process, "GET", "/api/status", f"Host: {host}").status == 200, host
        assert exchange(process, "GET", "/", f"Host: {host}", token=None).status == 200, host


BAD_HOSTS = [
    "x/api/health?",
    "a b",
    "h" * 5000,
    "",
    "x@y",
    "x#",
    "x:port",
    "x:123456",
    "[::1",
    "\xff",
    "x,y",
    "x\\y",
    "http://x",
]


@pytest.mark.parametrize("host", BAD_HOSTS, ids=lambda host: ascii(host)[:20])
def test_s29_what_is_no_host_is_a_bad_request_on_every_path(gateway: GatewayProcess, host: str) -> None:
    for path in ("/", "/healthz", "/api", "/nope"):
        assert exchange(gateway, "GET", path, f"Host: {host}").status == 400, path


def test_s29_nothing_is_built_from_an_address_that_the_request_line_names(gateway: GatewayProcess) -> None:
    reply = exchange(gateway, "GET", "http://evil.test/api")
    assert reply.status in {200, 400, 421}
    assert b"evil.test" not in reply.body
    assert exchange(gateway, "GET", "http://evil.test/api/status", token=None).status in {400, 401, 421}
    # Nor does it make the page of that address the gateway's own.
    reply = exchange(gateway, "POST", f"{EVIL}/api/chat/send", f"Origin: {EVIL}", body=HELLO)
    assert (reply.status, reply.code) == (403, "foreign_origin")
    # The greeting names the host that was asked, whose form was checked.
    assert b"http://box.lan:8443/api/status" in exchange(gateway, "GET", "/api", "Host: box.lan:8443").body


def test_s30_cors_answers_listed_origins_exactly_and_no_other_on_any_status(gateway: GatewayProcess) -> None:
    for path, token, status in (
        ("/api/status", "", 200), ("/api/status", None, 401), ("/api/nope", "", 404), ("/api/chat/send", "", 405),
        ("/api/chat/history?limit=x", "", 400), ("/", None, 200), ("/healthz", None, 200),
    ):  # fmt: skip
        for origin, expected in (
            ("http://localhost:5173", "http://localhost:5173"),
            (LISTED, LISTED),
            (EVIL, None),
            ("null", None),
        ):
            reply = exchange(gateway, "GET", path, f"Origin: {origin}", token=token)
            assert (reply.status, allowed_origin(reply)) == (status, expected), (path, origin)
            assert "Origin" in reply.headers["vary"]
        assert allowed_origin(exchange(gateway, "GET", path, token=token)) is None


def test_s30_a_preflight_needs_no_token_and_is_answered_to_listed_origins_only(gateway: GatewayProcess) -> None:
    ask = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type")
    for origin in ("http://localhost:5173", LISTED):
        reply = exchange(gateway, "OPTIONS", "/api/chat/send", f"Origin: {origin}", *ask, token=None)
        assert (reply.status, allowed_origin(reply)) == (204, origin)
        for name in ("Authorization", "Content-Type", "Last-Event-ID", "Idempotency-Key"):
            assert name in reply.headers["access-control-allow-headers"]
        for method in ("GET", "POST", "PATCH", "DELETE"):
            assert method in reply.headers["access-control-allow-methods"]
    for origin in (EVIL, "null", "http://localhost.evil.test"):
        reply = exchange(gateway, "OPTIONS", "/api/chat/send", f"Origin: {origin}", *ask)
        assert (reply.status, allowed_origin(reply)) == (403, None)
        assert "access-control-allow-methods" not in reply.headers


def test_s30_cors_can_be_turned_off(strict: GatewayProcess) -> None:
    for origin in ("http://localhost:5173", f"http://127.0.0.1:{strict.port}", LISTED, EVIL):
        reply = exchange(strict, "GET", "/api/status", f"Origin: {origin}")
        assert (reply.status, allowed_origin(reply)) == (200, None)
        preflight = ("Access-Control-Request-Method: POST", f"Origin: {origin}")
        refused = exchange(strict, "OPTIONS", "/api/chat/send", *preflight, token=None)
        assert (refused.status, allowed_origin(refused)) == (403, None)


def test_a_page_of_another_origin_may_read_the_headers_that_it_needs(gateway: GatewayProcess) -> None:
    reply = exchange(gateway, "GET", "/api/status", "Origin: http://localhost:5173")
    assert {"Retry-After", "X-Request-Id"} <= set(reply.headers["access-control-expose-headers"].split(", "))


def test_a_static_file_varies_by_origin_beside_encoding(gateway: GatewayProcess) -> None:
    reply = exchange(gateway, "GET", "/", "Origin: http://localhost:5173", "Accept-Encoding: gzip", token=None)
    assert reply.headers["content-encoding"] == "gzip"
    assert {part.strip() for part in reply.headers["vary"].split(",")} == {"Origin", "Accept-Encoding"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_s31_a_simple_post_of_a_foreign_page_does_nothing(gateway: GatewayProcess, kind: str | None) -> None:
    before = threads(gateway)
    types = [] if kind is None else [f"Content-Type: {kind}"]
    body = b'{"message": "/help", "thread_id": "from-evil"}'
    for target in ("/api/chat/send", f"/api/chat/send?token={gateway.token}"):
        assert exchange(gateway, "POST", target, f"Origin: {EVIL}", *types, body=body).status == 403
    assert threads(gateway) == before


def test_s32_a_post_without_a_body_and_with_a_token_in_its_query_does_nothing(gateway: GatewayProcess) -> None:
    send(gateway, body=b'{"message": "/help", "thread_id": "kept"}')
    for method, path in (
        ("POST", "/api/chat/threads"), ("DELETE", "/api/chat/threads/kept"), ("POST", "/api/chat/threads/kept/fork"),
    ):  # fmt: skip
        target = f"{path}?token={gateway.token}"
        assert exchange(gateway, method, target, f"Origin: {EVIL}", token=None).status == 403
        assert exchange(gateway, method, target, f"Origin: {EVIL}").status == 403
        assert exchange(gateway, method, target, token=None).status == 401
    assert "kept" in threads(gateway)


async def test_s31_where_the_hosts_own_login_decides_writes_must_be_json_of_the_own_page(
    make_client: MakeClient, settings: Settings
) -> None:
    def login(request: web.Request) -> Principal | None:
        return Principal("alice") if request.cookies.get("session") == "alice" else None

    client = await make_client(settings, auth=False, authenticate=login)
    cookie, own = {"Cookie": "session=alice"}, {"Origin": str(client.make_url("/"))[:-1]}
    assert (await client.get("/api/status")).status == 401
    assert (await client.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"})).status == 401
    assert (await client.get("/api/status", headers=cookie)).status == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/octet-stream"):
        reply = await client.post("/api/chat/send", data=HELLO, headers={**cookie, **own, "Content-Type": kind})
        assert reply.status == 415, kind
    for origin in ({}, {"Origin": "null"}, {"Origin": EVIL}, {"Origin": own["Origin"] + "0"}):
        assert (await client.post("/api/chat/send", json={"message": "x"}, headers={**cookie, **origin})).status == 403
        assert (await client.delete("/api/chat/threads/x", headers={**cookie, **origin})).status == 403
        assert (await client.get("/api/chat/ws", headers={**cookie, **origin, **SOCKET})).status == 403
    assert (await client.post("/api/chat/send", json={"message": "/help"}, headers={**cookie, **own})).status == 200
    assert (await client.get("/api/chat/threads", headers=cookie)).status == 200


async def test_s31_where_the_hosts_own_login_decides_a_page_of_another_port_is_not_the_own_one(
    make_client: MakeClient, settings: Settings
) -> None:
    # A cookie knows no port: any page that this machine serves would send it along.
    client = await make_client(settings, auth=False, authenticate=lambda _: Principal("alice"))
    for other in ({"Origin": "http://localhost:5173"}, {"Origin": "http://127.0.0.1:1"}):
        assert (await client.post("/api/chat/send", json={"message": "x"}, headers=other)).status == 403
        assert (await client.get("/api/chat/ws", headers={**other, **SOCKET})).status == 403


def test_s35_nothing_may_be_framed(gateway: GatewayProcess) -> None:
    for path, status in (
        ("/", 200),
        ("/js/main.js", 200),
        ("/api/status", 200),
        ("/api/nope", 404),
        ("/api/chat/send", 405),
    ):
        reply = exchange(gateway, "GET", path)
        assert reply.status == status
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["content-security-policy"].endswith("frame-ancestors 'none'")


def test_s35_only_named_pages_may_frame_it_when_that_is_set(gateway_process: Start) -> None:
    process = gateway_process(GATEWAY_FRAME_ANCESTORS="https://home.example.com https://ha.lan:8123")
    process.start()
    reply = exchange(process, "GET", "/", token=None)
    assert "x-frame-options" not in reply.headers
    policy = reply.headers["content-security-policy"]
    assert policy.endswith("frame-ancestors https://home.example.com https://ha.lan:8123")


@pytest.mark.parametrize(
    "target",
    [
        "//evil.com/%2e%2e", "/\\evil.com", "//evil.com", "///evil.com//", "/%2f%2fevil.com", "/%5cevil.com", "/api/",
        "/api/status/", "//api/status", "/api//status", "/js/", "/js", "/index.html", "/.", "/..", "/%0d%0aLocation:%20x",
        "http://evil.com", "http://evil.com/", "/@evil.com", "/api/../", "/;//evil.com",
    ],
)  # fmt: skip
def test_s36_nobody_is_sent_anywhere_else(gateway: GatewayProcess, target: str) -> None:
    for token in ("", None):
        reply = exchange(gateway, "GET", target, token=token)
        assert not 300 <= reply.status < 400
        assert "location" not in reply.headers
        assert "refresh" not in reply.headers


ATOMS = st.sampled_from(
    ["http", "https", "://", "localhost", "127.0.0.1", "app.example.com", ":", "3000", ".", "/", "@", "evil", " "]
)
NEAR = st.lists(ATOMS, max_size=9).map("".join)
ANY = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)
LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?")


@examples(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(origin=st.one_of(NEAR, ANY, st.tuples(st.sampled_from([LISTED, "http://localhost:3000"]), ANY).map("".join)))
def test_s30_no_origin_that_is_not_listed_is_ever_reflected(gateway: GatewayProcess, origin: str) -> None:
    listed = origin.strip(" \t") == LISTED or LOOPBACK.fullmatch(origin.strip(" \t")) is not None
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    try:
        for method, path in (("GET", "/healthz"), ("GET", "/api/status"), ("OPTIONS", "/api/chat/send")):
            connection.putrequest(method, path)
            connection.putheader("Origin", origin.encode("latin-1"))
            connection.putheader("Access-Control-Request-Method", "POST")
            connection.endheaders()
            reply = connection.getresponse()
            reply.read()
            found = reply.getheader("Access-Control-Allow-Origin")
            assert found == (origin.strip(" \t") if listed else None)
            assert reply.status in {200, 204, 401, 403}
    finally:
        connection.close()
