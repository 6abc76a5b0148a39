"""Mounted by a stranger: a host program with its own cookie login, on aiohttp's runner, all settings as they come."""

import asyncio
import contextlib
import gc
import io
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import psutil
import pytest
from aiohttp import web
from yarl import URL

from ironclaw import Gateway, Principal, Settings

PEOPLE = {"cookie-of-alice": "alice", "cookie-of-bob": "bob"}
EVIL = "http://evil.test"
HELLO = {"message": "/help", "thread_id": "t"}
Login = Callable[[web.Request], Any]


def by_cookie(request: web.Request) -> Principal | None:
    name = PEOPLE.get(request.cookies.get("session", ""))
    return Principal(name) if name else None


async def by_cookie_later(request: web.Request) -> Principal | None:
    await asyncio.sleep(0)
    return by_cookie(request)


async def log_in(request: web.Request) -> web.Response:
    form = await request.post()
    response = web.Response(text="welcome")
    response.set_cookie("session", f"cookie-of-{form['name']}", httponly=True, samesite="Lax")
    return response


async def own(request: web.Request) -> web.Response:
    return web.Response(text=f"the host's own, {await request.text()}")


def host_with(*mounts: tuple[str, Gateway]) -> web.Application:
    host = web.Application()
    host.router.add_post("/login", log_in)
    host.router.add_route("*", "/own", own)
    for prefix, gateway in mounts:
        gateway.mount(host, prefix)
    return host


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[URL]:
    """The host on a runner of its own; its address."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield URL(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def signed_in(url: URL, name: str = "alice") -> AsyncIterator[aiohttp.ClientSession]:
    """A browser's jar with the host's cookie, got by signing in; requests say no Origin unless told."""
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.post("/login", data={"name": name}) as reply:
            assert reply.status == 200
        yield session


@attrs.frozen
class Door:
    """A gateway below /claw of a host, and somebody who is signed in to the host."""

    url: URL
    session: aiohttp.ClientSession
    home: Path

    @property
    def own(self) -> dict[str, str]:
        """What the page's own requests say."""
        return {"Origin": str(self.url).rstrip("/")}

    async def status(self, method: str, path: str, **more: Any) -> int:
        async with self.session.request(method, path, **more) as reply:
            await reply.read()
            return reply.status

    async def send(self, headers: dict[str, str], path: str = "/claw/api/chat/send") -> int:
        return await self.status("POST", path, json=HELLO, headers=headers)

    async def connect(self, headers: dict[str, str], path: str = "/claw/api/chat/ws") -> int:
        """The status of a WebSocket's upgrade."""
        try:
            async with self.session.ws_connect(path, headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    async def threads(self, path: str = "/claw/api/chat/threads") -> list[str]:
        async with self.session.get(path) as reply:
            return [one["id"] for one in (await reply.json())["threads"]]


@pytest.fixture
async def open_door(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Door]]]:
    async with contextlib.AsyncExitStack() as stack:

        async def make(login: Login = by_cookie, **more: Any) -> Door:
            home = tmp_path / "home"
            gateway = Gateway(Settings(home=home, **more), authenticate=login)
            url = await stack.enter_async_context(served(host_with(("/claw", gateway))))
            session = await stack.enter_async_context(signed_in(url))
            return Door(url, session, home)

        yield make


@pytest.fixture
async def door(open_door: Callable[..., Awaitable[Door]]) -> Door:
    return await open_door()


async def event_named(stream: aiohttp.ClientResponse, name: str) -> Any:
    async with asyncio.timeout(5):
        while (await stream.content.readline()).strip() != f"event: {name}".encode():
            pass
        return json.loads((await stream.content.readline()).removeprefix(b"data: "))


# Who comes in


@pytest.mark.parametrize("login", [by_cookie, by_cookie_later])
async def test_with_the_hosts_cookie_alone_page_status_events_and_socket_work(
    open_door: Callable[..., Awaitable[Door]], login: Login
) -> None:
    door = await open_door(login)
    async with door.session.get("/claw/") as page:
        assert (page.status, page.content_type) == (200, "text/html")
    async with door.session.get("/claw/api/status") as status:
        assert (status.status, (await status.json())["status"]) == (200, "healthy")
    async with (
        door.session.get("/claw/api/chat/events") as stream,
        door.session.ws_connect("/claw/api/chat/ws", headers=door.own) as socket,
    ):
        assert stream.content_type == "text/event-stream"
        assert await door.send(door.own) == 200
        assert (await event_named(stream, "response"))["thread_id"] == "t"
        await socket.send_json({"message": "/help", "thread_id": "by-socket"})
        assert (await event_named(stream, "response"))["thread_id"] == "by-socket"
        frames = []
        async with asyncio.timeout(5):
            while ("response", "by-socket") not in frames:
                frame = await socket.receive_json()
                frames.append((frame["type"], frame.get("thread_id")))
        assert ("response", "t") in frames
    assert await door.threads() == ["by-socket", "t"]


async def test_without_the_cookie_everything_but_the_page_and_the_probes_is_401(door: Door) -> None:
    door.session.cookie_jar.clear()
    token = (door.home / "token").read_text().strip()
    for headers in ({}, {"Cookie": "session=cookie-of-mallory"}, {"Authorization": f"Bearer {token}"}):
        sent = {**door.own, **headers}
        for path in ("status", "chat/events", "chat/history", "openapi.json", f"status?token={token}", "nothing"):
            assert await door.status("GET", f"/claw/api/{path}", headers=sent) == 401, path
        assert await door.send(sent) == 401
        assert await door.connect(sent) == 401
        assert await door.connect(sent, f"/claw/api/chat/ws?token={token}") == 401
    for path in ("", "js/main.js", "api/health"):
        assert await door.status("GET", f"/claw/{path}") == 200


async def test_every_request_is_asked_anew_so_that_signing_out_works_at_once(
    open_door: Callable[..., Awaitable[Door]],
) -> None:
    asked: list[str] = []
    inside = True

    def login(request: web.Request) -> Principal | None:
        asked.append(request.path)
        return Principal("alice") if inside else None

    door = await open_door(login)
    assert await door.status("GET", "/claw/api/status") == 200
    inside = False
    assert await door.status("GET", "/claw/api/status") == 401
    assert await door.send(door.own) == 401
    assert asked == ["/claw/api/status", "/claw/api/status", "/claw/api/chat/send"]


@pytest.mark.parametrize("answer", [False, "", True, "alice"])
async def test_a_login_that_answers_anything_but_a_principal_lets_nobody_in(
    open_door: Callable[..., Awaitable[Door]], answer: object
) -> None:
    door = await open_door(lambda _: answer)
    assert await door.status("GET", "/claw/api/status") == 401
    assert await door.send(door.own) == 401


async def test_a_login_that_breaks_lets_nobody_in(open_door: Callable[..., Awaitable[Door]]) -> None:
    def login(request: web.Request) -> Principal | None:
        raise KeyError(request.path)

    door = await open_door(login)
    assert await door.status("GET", "/claw/api/status") == 500
    assert await door.send(door.own) == 500
    assert await door.connect(door.own) == 500
    assert await door.status("GET", "/claw/") == 200


async def test_each_person_has_rates_of_their_own(open_door: Callable[..., Awaitable[Door]]) -> None:
    door = await open_door(chat_rate=3)
    assert [await door.send(door.own) for _ in range(4)] == [200, 200, 200, 429]
    async with signed_in(door.url, "bob") as bob:
        assert await Door(door.url, bob, door.home).send(door.own) == 200


# What another web page can do with the browser's cookie


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_s24_s32_writes_and_sockets_need_the_pages_own_origin(door: Door, name: str) -> None:
    port = door.url.port
    jar = {"Host": f"{name}:{port}", "Cookie": "session=cookie-of-alice"}
    foreign = f"{EVIL} {EVIL}:{port} null http://{name} https://{name}:{port}.evil".split()
    foreign += ["http://localhost:1", "http://127.0.0.1:1"]  # the pages of other ports share our cookies
    for origin in (None, *foreign):
        sent = jar if origin is None else {**jar, "Origin": origin}
        assert await door.send(sent) == 403, origin
        assert await door.connect(sent) == 403, origin
        assert await door.status("DELETE", "/claw/api/chat/threads/t", headers=sent) == 403, origin
        assert await door.status("POST", "/claw/api/chat/threads", headers=sent) == 403, origin
    assert await door.threads() == []
    own = {**jar, "Origin": f"http://{name}:{port}"}
    assert await door.send(own) == 200
    assert await door.connect(own) == 101


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://localhost:8443"])
async def test_s25_on_the_usual_port_a_page_of_another_port_is_foreign(door: Door, origin: str) -> None:
    # `Host` has no port there, and a cookie knows none.
    jar = {"Host": "localhost", "Cookie": "session=cookie-of-alice"}
    assert await door.send({**jar, "Origin": "http://localhost"}) == 200
    assert await door.send({**jar, "Origin": "https://localhost"}) == 200  # TLS ends at a proxy
    assert await door.connect({**jar, "Origin": origin}) == 403
    assert await door.send({**jar, "Origin": origin}) == 403


async def test_s31_writes_must_be_json(door: Door) -> None:
    body = json.dumps(HELLO)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        sent = {**door.own, "Content-Type": kind}
        assert await door.status("POST", "/claw/api/chat/send", data=body, headers=sent) == 415, kind
    assert await door.threads() == []


async def test_s30_no_page_of_another_origin_may_read(door: Door) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin in (EVIL, "null", "http://localhost:1", "http://127.0.0.1:1"):
        for method, headers in (("GET", {}), ("OPTIONS", preflight)):
            async with door.session.request(method, "/claw/api/status", headers={**headers, "Origin": origin}) as reply:
                assert reply.status == (200 if method == "GET" else 403), origin
                assert not [name for name in reply.headers if name.lower().startswith("access-control-")], origin


async def test_s16_the_hosts_cookie_reaches_no_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert await door.send({}) == 403
    door.session.cookie_jar.clear()
    assert await door.status("GET", "/claw/api/nope", headers={"Cookie": "session=cookie-of-mallory"}) == 401
    await logged(caplog, "ironclaw.requests")
    assert "cookie-of" not in caplog.text


# The host around it


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(5):
        while text not in caplog.text:
            await asyncio.sleep(0.02)


async def test_the_hosts_own_log_names_the_requests(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert await door.status("GET", "/claw/api/status?x=1") == 200
    await logged(caplog, "ironclaw.requests")
    assert "/api/status 200" in caplog.text


async def test_the_prefix_without_its_slash_leads_to_the_page(door: Door) -> None:
    for method in ("GET", "HEAD"):
        async with door.session.request(method, "/claw", allow_redirects=False) as reply:
            assert reply.status == 308
            assert door.url.join(URL("/claw")).join(URL(reply.headers["Location"])) == door.url.join(URL("/claw/"))
    async with door.session.get("/claw") as page:
        assert "<title>IronClaw</title>" in await page.text()
    assert await door.status("GET", "/clawx") == 404


async def test_the_hosts_own_routes_and_404s_are_left_alone(door: Door) -> None:
    ours = {"X-Request-Id", "Content-Security-Policy", "X-Frame-Options", "Cache-Control", "Referrer-Policy"}
    for method, path, headers, status, text in (
        ("GET", "/own", {}, 200, "the host's own, "),
        ("POST", "/own", {"Origin": EVIL, "Content-Type": "text/plain"}, 200, "the host's own, x"),
        ("GET", "/nothing", {}, 404, "404: Not Found"),
        ("GET", "/api/status", {}, 404, "404: Not Found"),
        ("DELETE", "/login", {}, 405, "405: Method Not Allowed"),
    ):
        data = b"x" if method == "POST" else None
        async with door.session.request(method, path, headers=headers, data=data) as reply:
            assert (reply.status, await reply.text()) == (status, text)
            assert not ours & set(reply.headers), path
            assert "aiohttp" in reply.headers["Server"]


async def test_below_two_prefixes_and_a_size_limit_of_the_host_it_works_as_elsewhere(tmp_path: Path) -> None:
    admin = web.Application(client_max_size=100)
    Gateway(Settings(home=tmp_path / "home"), authenticate=by_cookie).mount(admin, "claw/")
    host = host_with()
    host.add_subapp("/admin", admin)
    async with served(host) as url, signed_in(url) as session:
        door = Door(url, session, tmp_path)
        async with session.get("/admin/claw") as page:
            text = await page.text()
            assert page.url.path == "/admin/claw/"
        (script,) = re.findall(r'<script type="module" src="([^"]+)"', text)
        assert await door.status("GET", page.url.join(URL(script)).path) == 200
        long = {"message": "note: " + "x" * 10_000}
        assert await door.status("POST", "/admin/claw/api/chat/send", json=long, headers=door.own) == 200
        vast, kind = io.BytesIO(b"x" * 1_100_000), {"Content-Type": "application/json"}
        assert await door.status("POST", "/admin/claw/api/chat/threads", data=vast, headers={**door.own, **kind}) == 413


async def test_two_gateways_of_one_host_share_nothing(tmp_path: Path) -> None:
    def only(name: str) -> Login:
        return lambda request: person if (person := by_cookie(request)) and person.name == name else None

    homes = {name: tmp_path / name for name in ("alice", "bob")}
    gateways = [(f"/{name}", Gateway(Settings(home=home), authenticate=only(name))) for name, home in homes.items()]
    async with served(host_with(*gateways)) as url, signed_in(url) as first, signed_in(url, "bob") as second:
        alice, bob = Door(url, first, homes["alice"]), Door(url, second, homes["bob"])
        assert await alice.status("GET", "/bob/api/status") == 401
        assert await bob.send(bob.own, "/alice/api/chat/send") == 401
        async with second.get("/bob/api/chat/events") as stream:
            assert await alice.send(alice.own, "/alice/api/chat/send") == 200
            assert await bob.status("POST", "/bob/api/chat/send", json={"message": "/help"}, headers=bob.own) == 200
            assert (await event_named(stream, "user_message"))["thread_id"] != "t"
        assert await alice.threads("/alice/api/chat/threads") == ["t"]
        assert "t" not in await bob.threads("/bob/api/chat/threads")
    assert len({(home / "token").read_text() for home in homes.values()}) == 2


# The end


def kept() -> tuple[object, ...]:
    """What a program that served a gateway has, when it is gone."""
    gc.collect()
    threads = {one.name for one in threading.enumerate() if not one.name.startswith("asyncio_")}  # the loop's own
    loggers = [logging.getLogger(name) for name in (None, "ironclaw", "aiohttp.access", "aiohttp.server", "asyncio")]
    logs = [(tuple(one.handlers), tuple(one.filters), one.level, one.propagate, one.disabled) for one in loggers]
    return psutil.Process().num_fds(), threads, asyncio.all_tasks(), logs


async def test_r01_a_host_ends_soon_though_streams_are_open_and_nothing_of_the_gateways_is_left(tmp_path: Path) -> None:
    async def life() -> float:
        gateways = [(f"/{name}", Gateway(Settings(home=tmp_path / name), authenticate=by_cookie)) for name in "ab"]
        async with contextlib.AsyncExitStack() as clients:
            async with served(host_with(*gateways)) as url:
                session = await clients.enter_async_context(signed_in(url))
                door = Door(url, session, tmp_path)
                for prefix in ("/a", "/b"):
                    stream = await clients.enter_async_context(session.get(f"{prefix}/api/chat/events"))
                    await clients.enter_async_context(session.ws_connect(f"{prefix}/api/chat/ws", headers=door.own))
                    assert await door.send(door.own, f"{prefix}/api/chat/send") == 200
                    await event_named(stream, "response")
                begun = time.monotonic()
            return time.monotonic() - begun

    await life()  # what is made once for the whole process is made by now
    before = kept()
    assert max([await life() for _ in range(2)]) < 10  # aiohttp alone would wait 60 s for the streams
    async with asyncio.timeout(5):
        while kept() != before:
            await asyncio.sleep(0.02)
