"""Secrets that come in with a request come out nowhere: not in a log, a file or a reply; and what every reply carries.

A canary is put wherever a token may stand, in requests of every status and in requests that no parser takes. Then all
that the program has written is searched for it.
"""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from test_auth import UPGRADE, Reply, exchange, read_reply

pytestmark = pytest.mark.process
Start = Callable[..., GatewayProcess]
REAL = "canary-real-0123456789abcdef"
WRONG = "canary-wrong-fedcba9876543210"

# `ironclaw run` with one more route, whose handler fails with the request in its error.
BROKEN = """
import asyncio
from ironclaw import logs
from ironclaw.cli import serve
from ironclaw.gateway import Gateway
from ironclaw.settings import Settings

async def broken(request):
    shown = {name: request.headers.get(name) for name in ("Referer", "Authorization")}
    raise RuntimeError(f'inside: {request.path_qs} "{request.url}" {shown}')

class Broken(Gateway):
    def app(self):
        app = super().app()
        app.router.add_get("/api/broken", broken)
        return app

settings = Settings.load()
logs.install(settings.log_level, settings.log_format, logs.file_of(settings))
raise SystemExit(asyncio.run(serve.serve(Broken(settings))))
"""
STREAM = "/api/logs/stream?follow=0&backlog=2000"
SETTINGS = {
    "GATEWAY_AUTH_TOKEN": REAL,
    "GATEWAY_ALLOWED_HOSTS": "named.test",
    "GATEWAY_BODY_TIMEOUT": "0.2",
    "GATEWAY_LOGIN_RATE": "1",
    "GATEWAY_MAX_STREAMS": "1",
    "GATEWAY_API_RATE": "1000",
    "LOG_LEVEL": "trace",
}
STATUSES = {101, 200, 201, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 421, 422, 429, 500, 503}


def start_broken(home: Path, **env: str) -> GatewayProcess:
    more = {**SETTINGS, "LOG_FILE": str(home / "kept.log"), **env}
    return GatewayProcess(home, more).start(prefix=(sys.executable, "-c", BROKEN))


@pytest.fixture(scope="module", params=["text", "json"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One process for each form of the log."""
    process = start_broken(tmp_path_factory.mktemp("leaks") / "home", LOG_FORMAT=request.param)
    yield process
    process.kill()


def provoke(gateway: GatewayProcess, canary: str) -> list[tuple[str, str, Reply]]:
    """Requests that are answered with every status, each with *canary* in its query and in all kinds of headers."""
    dirty = (
        f"Referer: http://127.0.0.1/?token={canary}", f"Cookie: token={canary}; session={canary}", f"X-Api-Key: {canary}",
        f"User-Agent: {canary}", f"X-Forwarded-For: {canary}", f"Proxy-Authorization: Bearer {canary}",
    )  # fmt: skip
    replies: list[tuple[str, str, Reply]] = []

    def ask(method: str, path: str, *lines: str, body: bytes = b"", token: str | None = "") -> Reply:
        target = f"{path}{'&' if '?' in path else '?'}token={canary}&key={canary}"
        reply = exchange(gateway, method, target, *lines, *dirty, body=body, token=token)
        replies.append((method, path, reply))
        return reply

    etag = ask("GET", "/").headers["etag"]
    ask("GET", "/", f"If-None-Match: {etag}")
    ask("HEAD", "/api/status")
    ask("GET", "/healthz", token=None)
    ask("POST", "/api/chat/send", body=b'{"message": "/status", "thread_id": "talk"}')
    ask("GET", "/api/chat/history?thread_id=talk&pretty")
    ask("OPTIONS", "/api/status", "Origin: http://localhost:1", "Access-Control-Request-Method: GET", token=None)
    for body in (b'{"thread_id": "one"}', b'{"thread_id": "one"}', b"{", b'{"titel": 1}', b"x" * ((1 << 20) + 1)):
        ask("POST", "/api/chat/threads", body=body)
    ask("POST", "/api/chat/threads", "Content-Type: multipart/form-data", body=b"x")
    ask("POST", "/api/chat/threads", "Content-Length: 10")
    ask("POST", "/api/chat/threads", "Expect: the-unexpected", body=b"{}")
    ask("POST", "/api/chat/threads", "Origin: http://evil.test", body=b"{}")
    ask("GET", "/api/status", "Host: evil.test")
    ask("GET", "/api/nope")
    ask("GET", "/api/chat/stop")
    ask("GET", "/api/chat/history?limit=x")
    ask("GET", "/api/broken")
    for _ in range(3):
        ask("GET", "/api/status", token="guess")
    ask("GET", "/api/chat/ws", *UPGRADE)
    wait_for_no_stream(gateway)
    stream = gateway.open_events()
    ask("GET", "/api/chat/events")
    stream.close()
    wait_for_no_stream(gateway)
    assert gateway.request("DELETE", "/api/chat/threads/one")[0] == 200
    return replies


def wait_for_no_stream(gateway: GatewayProcess) -> None:
    deadline = time.monotonic() + 10
    while gateway.request("GET", "/api/status")[2]["active_sessions"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def in_files(gateway: GatewayProcess, canary: str) -> list[str]:
    """The files, the log among them, that hold *canary*."""
    files = [path for path in gateway.home.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"ironclaw.db", "ironclaw.db-wal", "gateway.json"}
    return [path.name for path in [gateway.log_path, *files] if canary.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def provoked(gateway: GatewayProcess) -> dict[str, list[tuple[str, str, Reply]]]:
    """The replies to both canaries: the token itself, and one that looks like another service's."""
    return {canary: provoke(gateway, canary) for canary in (REAL, WRONG)}


def test_the_requests_of_these_tests_are_answered_with_every_status(
    provoked: dict[str, list[tuple[str, str, Reply]]],
) -> None:
    assert {reply.status for _, _, reply in provoked[REAL]} >= STATUSES - {401}  # the one wrong token is spent
    assert {reply.status for replies in provoked.values() for _, _, reply in replies} == STATUSES


@pytest.mark.parametrize("canary", [REAL, WRONG])
def test_s16_a_token_in_a_request_of_any_status_comes_out_nowhere(
    gateway: GatewayProcess, provoked: dict[str, list[tuple[str, str, Reply]]], canary: str
) -> None:
    for method, path, reply in provoked[canary]:
        shown = reply.body + json.dumps(reply.headers).encode()
        assert canary.encode() not in shown, (method, path, reply.status)
    assert in_files(gateway, canary) == []
    assert "/api/chat/threads 413" in gateway.log  # the requests are in the log, by their pattern


def in_views(gateway: GatewayProcess, canary: str) -> list[str]:
    """The views of the log and of the numbers that hold *canary*."""
    lines = {"Accept": "application/x-ndjson"}
    views = {path: gateway.request("GET", path, headers=lines)[2] for path in ("/metrics", STREAM)}
    assert all(views.values())
    return [path for path, shown in views.items() if canary.encode() in shown]


@pytest.mark.parametrize("canary", [REAL, WRONG])
def test_s16_s18_s22_a_token_comes_out_in_no_view_of_the_log_at_trace(
    gateway: GatewayProcess, provoked: dict[str, list[tuple[str, str, Reply]]], canary: str
) -> None:
    assert provoked[canary]
    assert "/api/chat/threads 413" in (gateway.home / "kept.log").read_text()  # where `in_files` has looked too
    assert gateway.request("GET", "/api/logs/level")[2] == {"level": "trace"}
    shown = gateway.request("GET", f"{STREAM}&level=error", headers={"Accept": "text/plain"})[2].decode()
    assert "RuntimeError: inside: /api/broken?" in shown  # the error is there, and the token in it is not
    assert in_views(gateway, canary) == []


def test_s22_keys_and_what_is_said_are_in_no_log_line_at_trace(gateway: GatewayProcess) -> None:
    key, secret = "sk-canary-0123456789abcdefghij", "a-canary-that-a-person-says"
    places = [
        ("PUT", "/api/model", {"address": "http://127.0.0.1:9/v1", "api_key": key, "model": "m", "test": False}),
        ("POST", "/api/model/test", {"address": f"http://user:{key}@127.0.0.1:9/v1", "api_key": key}),
        ("POST", "/api/chat/send?wait", {"message": f"{secret} {key}", "thread_id": "s22"}),
        ("DELETE", "/api/model", None),
        ("POST", "/api/chat/send?wait", {"message": f"note: {secret}", "thread_id": "s22"}),
        ("POST", "/v1/chat/completions", {"model": key, "messages": [{"role": "user", "content": secret}]}),
    ]
    for method, path, body in places:
        gateway.request(method, path, body)
    lines = gateway.request("GET", STREAM, headers={"Accept": "application/x-ndjson"})[2].decode()
    assert "Processing message" in lines
    assert any(json.loads(line)["level"] == "TRACE" for line in lines.splitlines())
    for canary in (key, secret):
        assert in_views(gateway, canary) == []
        assert canary not in gateway.log
        assert canary not in (gateway.home / "kept.log").read_text()


def test_s18_an_error_inside_is_logged_without_the_token_and_says_nothing_to_the_caller(
    gateway: GatewayProcess, provoked: dict[str, list[tuple[str, str, Reply]]]
) -> None:
    for canary in (REAL, WRONG):
        reply = next(reply for _, path, reply in provoked[canary] if path == "/api/broken")
        error = reply.json()["error"]
        assert reply.status == 500
        assert error["code"] == "internal"
        assert error["request_id"] == reply.headers["x-request-id"]
        assert error["request_id"] in gateway.log
        assert not any(word in reply.body for word in (b"inside:", b"RuntimeError", b"Traceback", b".py"))
    assert gateway.log.count("RuntimeError: inside: /api/broken?") == 2
    assert "***" in gateway.log


MALFORMED = {
    "the token's header": "GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\x01\r\n\r\n",
    "a quoted token": 'GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "{}\x01"\r\n\r\n',
    "another scheme": "GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {}\x01\r\n\r\n",
    "no scheme": "GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: {}\x7f\r\n\r\n",
    "a folded header": "GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n {}\r\n\r\n",
    "a long header": "GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}" + "x" * 9000 + "\r\n\r\n",
    "the query": "GET /api/status?token={}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a query that is not ASCII": "GET /api/status?token={}\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a quoted query": 'GET /api/status?token="{}" x HTTP/1.1\r\nHost: x\r\n\r\n',
    "another name in the query": "GET /api/status?access_token={}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a bad version": "GET /api/status?token={} HTTP/9.9\r\nHost: x\r\n\r\n",
    "a bad method": "get\x00 /api/status?token={} HTTP/1.1\r\nHost: x\r\n\r\n",
    "Referer": "GET /api/status HTTP/1.1\r\nHost: x\r\nReferer: http://x/?token={}\x01\r\n\r\n",
    "Cookie": "GET /api/status HTTP/1.1\r\nHost: x\r\nCookie: session={}\x01\r\n\r\n",
    "X-Api-Key": "GET /api/status HTTP/1.1\r\nHost: x\r\nX-Api-Key: {}\x01\r\n\r\n",
    "Sec-WebSocket-Protocol": "GET /api/chat/ws HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: {}\x01\r\n\r\n",
    "a chunked body": "POST /api/chat/send HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n",
    "no request at all": "{} \x00\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_s17_what_no_parser_takes_is_refused_and_never_quoted_in_the_log(gateway: GatewayProcess, name: str) -> None:
    canary = f"canary{list(MALFORMED).index(name)}malformed"
    for secret in (canary, REAL):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
            connection.sendall(MALFORMED[name].format(secret).encode("latin-1"))
            reply = read_reply(connection)
            # It says nothing that its sender did not say, to nobody but them: no middleware sees this reply.
            assert reply.status in {400, 401, 429}
            if reply.status != 400:
                assert secret.encode() not in reply.body
    assert in_files(gateway, canary) == []
    assert in_files(gateway, REAL) == []


def test_s17_one_malformed_request_is_one_line_of_the_log(gateway_process: Start) -> None:
    process = gateway_process().start()
    before = len(process.log.splitlines())
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: \x01\r\n\r\n")
            assert read_reply(connection).status == 400
    assert len(process.log.splitlines()) - before <= 10 + 1  # S62: it can't be filled; 1 is the first request's own


def test_s17_a_log_of_json_stays_json_whatever_is_masked_in_it(tmp_path: Path) -> None:
    process = start_broken(tmp_path / "home", LOG_FORMAT="json")
    try:
        for text in ("q", "'q'", "-----BEGIN PRIVATE KEY-----x"):
            exchange(process, "GET", f"/api/broken?token={text}", f'Referer: "http://x/?token={text}"')
        for shape in MALFORMED.values():
            with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
                connection.sendall(shape.format('"secret').encode("latin-1"))
                read_reply(connection)
        lines = [line for line in process.log.splitlines() if not line.startswith("[INFO] ")]  # those pass by the log
        assert len(lines) > 3
        for line in lines:
            assert {"level", "message", "timestamp"} <= json.loads(line).keys(), line
    finally:
        process.kill()


def check_headers(path: str, reply: Reply) -> None:
    """What every reply carries."""
    headers = reply.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["server"] == "ironclaw"
    assert headers["cache-control"] == ("no-cache" if path == "/" else "no-store")
    assert not any("aiohttp" in value or "Python" in value for value in headers.values())


def test_s19_the_safe_headers_are_on_replies_of_every_status(
    provoked: dict[str, list[tuple[str, str, Reply]]],
) -> None:
    for replies in provoked.values():
        for method, path, reply in replies:
            try:
                check_headers(path, reply)
            except (AssertionError, KeyError) as error:
                raise AssertionError(f"{method} {path} {reply.status}: {reply.headers}") from error


def test_every_reply_has_a_request_id_of_its_own(
    provoked: dict[str, list[tuple[str, str, Reply]]],
) -> None:
    given = [(path, reply.status, reply.headers.get("x-request-id")) for _, path, reply in provoked[REAL]]
    assert [one for one in given if not one[2]] == []
    assert len({request_id for *_, request_id in given}) == len(given)


def test_s19_every_error_is_json_of_one_shape(provoked: dict[str, list[tuple[str, str, Reply]]]) -> None:
    for method, path, reply in provoked[REAL]:
        if reply.status >= 400 and method != "HEAD":
            assert reply.headers["content-type"] == "application/json", path
            error = reply.json()["error"]
            assert set(error) - {"field", "request_id"} == {"code", "message"}, path
            assert error["message"].endswith((".", "?")), path
            assert reply.body.endswith(b"}\n")
        if reply.status in {429, 503}:
            assert int(reply.headers["retry-after"]) > 0
        if reply.status == 405:
            assert reply.headers["allow"] == "POST"


def test_s19_only_the_parsers_own_refusal_names_the_server_below(gateway: GatewayProcess) -> None:
    # No middleware sees a request that can't be parsed. Should this fail, the exception is gone: take it out.
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: \x01\r\n\r\n")
        reply = read_reply(connection)
    assert (reply.status, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert "aiohttp" in reply.headers["server"]


def test_a_token_that_was_made_is_shown_once_on_the_terminal_and_kept_in_no_other_file(gateway_process: Start) -> None:
    process = gateway_process().start()
    token = process.token
    assert exchange(process, "GET", f"/api/status?token={token}", token=None).status == 200
    shown = [line for line in process.log.splitlines() if token in line]
    assert [line.partition(token)[0] for line in shown] == ["[INFO] Auth token: ", f"[INFO] Open {process.url}/#token="]
    assert in_files(process, token) == [process.log_path.name, "token"]
    process.terminate()
    assert process.wait() == 0
    size = len(process.log)
    process.start()
    assert token not in process.log[size:]
