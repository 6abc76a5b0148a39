"""Rates: what is counted, in which bucket, what a refusal says, and whose bucket it is behind a proxy."""

import asyncio
import itertools
import json
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_network
from typing import Any

import attrs
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from conftest import TOKEN, ScriptedModel
from gateway_process import GatewayProcess
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ironclaw.errors import RateLimited
from ironclaw.ratelimit import Limit, RateLimits
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]


async def send(client: TestClient, text: str = "hi", **headers: str) -> ClientResponse:
    return await client.post("/api/chat/send", json={"message": text}, headers=headers)


async def admitted(call: Callable[[], Awaitable[ClientResponse]], most: int = 300) -> tuple[int, ClientResponse, float]:
    """Call until it is refused: how often it was admitted, the refusal, and how long that took."""
    started = time.monotonic()
    for count in range(most):
        reply = await call()
        if reply.status == 429:
            return count, reply, time.monotonic() - started
        assert reply.status == 200, await reply.text()
    raise AssertionError(f"{most} calls were admitted")


def expected(rate: int, seconds: float) -> range:
    """How many calls of *rate* a minute may have been admitted in the first *seconds*."""
    return range(rate, rate + math.ceil(seconds * rate / 60) + 1)


async def check_refusal(reply: ClientResponse, rate: int) -> None:
    after = math.ceil(60 / rate)
    assert reply.headers["Retry-After"] == str(after)
    assert reply.headers["RateLimit-Limit"] == str(rate)
    assert reply.headers["RateLimit-Remaining"] == "0"
    assert reply.headers["RateLimit-Reset"] == str(after)
    assert reply.content_type == "application/json"
    error = (await reply.json())["error"]
    assert error["code"] == "rate_limited"
    assert str(rate) in error["message"]


# S64: what is counted


async def test_s64_the_31st_chat_message_of_a_burst_is_refused_with_when_to_come_back(
    make_client: MakeClient, settings: Settings
) -> None:
    assert (Settings().chat_rate, Settings().api_rate) == (30, 100)
    client = await make_client(attrs.evolve(settings, chat_rate=30, api_rate=100), llm=ScriptedModel())
    count, refusal, seconds = await admitted(lambda: send(client))
    assert count in expected(30, seconds)
    await check_refusal(refusal, 30)
    replies = await asyncio.gather(*(send(client) for _ in range(20)))
    assert [reply.status for reply in replies].count(429) >= 18


async def test_s64_the_101st_api_call_of_a_burst_is_refused_and_header_and_query_token_are_one_caller(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, chat_rate=30, api_rate=100), auth=False)
    header = {"Authorization": f"Bearer {TOKEN}"}
    calls = itertools.cycle([("/api/status", header), (f"/api/chat/threads?token={TOKEN}", {}), ("/api", header)])

    async def call() -> ClientResponse:
        path, headers = next(calls)
        return await client.get(path, headers=headers)

    count, refusal, seconds = await admitted(call)
    assert count in expected(100, seconds)
    await check_refusal(refusal, 100)


async def test_s64_page_static_files_probes_and_preflight_are_free(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(attrs.evolve(settings, api_rate=3))

    async def free() -> None:
        page = await (await client.get("/")).text()
        assert "app.js" in page or "main.js" in page or "<script" in page
        static = next(route.get_info()["path"] for route in client.app.router.resources() if ".css" in str(route))
        for path in ("/", static, "/healthz", "/readyz", "/api/health"):
            assert (await client.get(path, headers={"Authorization": ""})).status == 200
        preflight = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
        assert (await client.options("/api/chat/send", headers=preflight)).status == 204

    for _ in range(5):
        await free()
    count, _, _ = await admitted(lambda: client.get("/api/status"))
    assert count == 3
    await free()


async def test_s58_messages_by_socket_and_by_post_share_one_bucket_and_the_socket_lives_on(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, chat_rate=30), llm=ScriptedModel())
    ws = await client.ws_connect("/api/chat/ws?thread_id=a")
    started = time.monotonic()
    for _ in range(15):
        assert (await send(client)).status == 200
    count, rejected = 15, None
    while rejected is None:
        await ws.send_str('{"message": "hi", "thread_id": "a"}' if count % 2 else "hi")
        answer: dict[str, Any] = {"type": ""}
        while answer["type"] not in {"accepted", "rejected"}:
            answer = json.loads(await ws.receive_str(timeout=5))
        count += answer["type"] == "accepted"
        rejected = answer if answer["type"] == "rejected" else None
    assert count in expected(30, time.monotonic() - started)
    assert (rejected["code"], rejected["retry_after"]) == ("rate_limited", 2)
    assert (await send(client)).status == 429 or time.monotonic() - started > 2
    await ws.send_str('{"type": "ping"}')
    answer = {"type": ""}
    while answer["type"] != "pong":
        answer = json.loads(await ws.receive_str(timeout=5))


async def test_retry_after_is_true(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(attrs.evolve(settings, api_rate=60))
    _, refusal, _ = await admitted(lambda: client.get("/api/status"))
    await asyncio.sleep(int(refusal.headers["Retry-After"]))
    assert (await client.get("/api/status")).status == 200


async def test_a_message_refused_by_the_chat_rate_takes_nothing_from_the_api_rate(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, chat_rate=2, api_rate=20), llm=ScriptedModel())
    statuses = [(await send(client)).status for _ in range(30)]
    assert statuses == [200] * 2 + [429] * 28
    count, _, seconds = await admitted(lambda: client.get("/api/status"))
    assert count in expected(18, seconds + 1)


async def test_a_message_refused_by_the_api_rate_takes_nothing_from_the_chat_rate(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, chat_rate=3, api_rate=2), llm=ScriptedModel())
    ws = await client.ws_connect("/api/chat/ws")
    assert (await client.get("/api/status")).status == 200
    assert [(await send(client)).status for _ in range(10)] == [429] * 10
    for _ in range(4):
        await ws.send_str("hi")
    kinds = []
    while kinds.count("rejected") < 1:
        kinds.append(json.loads(await ws.receive_str(timeout=5))["type"])
    assert kinds.count("accepted") == 3


async def test_a_message_sent_again_under_its_key_costs_an_api_call_but_no_message(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, chat_rate=2, api_rate=20), llm=ScriptedModel())
    replies = [await send(client, **{"Idempotency-Key": "k1"}) for _ in range(10)]
    assert [reply.status for reply in replies] == [200] * 10
    assert len({(await reply.json())["message_id"] for reply in replies}) == 1
    assert [(await send(client)).status for _ in range(2)] == [200, 429]  # the second message, and one too many
    count, _, seconds = await admitted(lambda: send(client, **{"Idempotency-Key": "k1"}))
    assert count in expected(20 - 11, seconds + 1)


async def test_what_is_no_message_in_the_end_still_costs_its_api_call(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, api_rate=5), llm=ScriptedModel())
    bad = {"data": b"{", "headers": {"Content-Type": "application/json"}}
    statuses = [(await client.post("/api/chat/send", **bad)).status for _ in range(6)]
    assert statuses == [400] * 5 + [429]


# S65: the bucket, on a clock of the test's own


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time the test sets."""

    now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    loop = Clock()
    yield loop
    loop.close()


def times_admitted(clock: Clock, limits: RateLimits, arrivals: list[float]) -> list[float]:
    """At which of the seconds *arrivals* a call was admitted. No call ever waits."""

    async def run() -> list[float]:
        taken = []
        for moment in arrivals:
            clock.now = 1000 + moment
            try:
                limits.spend("me", limits.api).send(None)
            except StopIteration:
                taken.append(moment)
            except RateLimited:
                pass
            else:
                raise AssertionError("it waited")
        return taken

    return clock.run_until_complete(run())


@pytest.mark.parametrize("rate", [1, 2, 30, 100])
def test_s65_a_steady_load_gets_the_burst_and_the_refill_and_no_more(clock: Clock, rate: int) -> None:
    limits = RateLimits(api=rate, chat=0, login=0)
    taken = times_admitted(clock, limits, [tick / 8 for tick in range(180 * 8)])
    first = sum(moment < 60 for moment in taken)
    assert rate <= first <= 2 * rate - 1
    for minute in (1, 2):
        count = sum(minute * 60 <= moment < minute * 60 + 60 for moment in taken)
        assert max(1, rate - 1) <= count <= rate


@examples(deadline=None)
@given(st.integers(1, 40), st.lists(st.floats(0, 40), max_size=150))
def test_s65_no_minute_of_any_load_has_more_than_the_burst_and_the_refill(rate: int, gaps: list[float]) -> None:
    loop = Clock()
    arrivals = [sum(gaps[: place + 1]) / 10 for place in range(len(gaps))]
    taken = times_admitted(loop, RateLimits(api=rate, chat=0, login=0), arrivals)
    loop.close()
    for start in taken:
        assert sum(start <= moment < start + 60 for moment in taken) <= 2 * rate
    if len(arrivals) <= rate:
        assert taken == arrivals


def test_s13_the_number_of_buckets_is_bounded_and_a_used_one_is_kept(clock: Clock) -> None:
    limit = Limit("test", 2)

    async def run() -> None:
        for number in range(20_000):
            limit.has_room(f"address {number}")
            if number < 2:
                await limit.spend("busy")
            else:
                assert not limit.has_room("busy")

    clock.run_until_complete(run())
    assert len(limit._buckets) <= 4096  # how many there are can't be seen from outside


# S66, S67: whose bucket


async def wrong(client: TestClient, *forwarded: str, **headers: str) -> int:
    """The status of one try with a wrong token."""
    pairs = [("Authorization", "Bearer wrong"), *(("X-Forwarded-For", one) for one in forwarded), *headers.items()]
    return (await client.get("/api/status", headers=pairs)).status


async def test_s66_what_an_untrusted_peer_says_of_its_address_is_ignored(
    make_client: MakeClient, settings: Settings
) -> None:
    for trusted in ((), (ip_network("10.0.0.0/8"),)):
        client = await make_client(attrs.evolve(settings, login_rate=3, trusted_proxies=trusted), auth=False)
        assert [await wrong(client, f"203.0.113.{n}") for n in range(2)] == [401] * 2
        assert await wrong(client, **{"X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}) == 401
        assert await wrong(client, "203.0.113.77") == 429
        reply = await client.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"})
        assert reply.status == 200  # the owner is never locked out
        await client.close()


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (["203.0.113.5"], ["203.0.113.5"], ["203.0.113.6"]),
        (["1.1.1.1, 203.0.113.5"], ["2.2.2.2, 203.0.113.5"], ["203.0.113.5, 1.1.1.1"]),
        (["1.1.1.1", "203.0.113.5"], ["2.2.2.2", "203.0.113.5"], ["203.0.113.5", "1.1.1.1"]),
        (["203.0.113.5, 10.1.2.3, 127.0.0.1"], ["9.9.9.9,203.0.113.5,10.9.9.9"], ["203.0.113.6, 10.1.2.3"]),
        (["::ffff:203.0.113.5"], ["203.0.113.5"], ["::ffff:203.0.113.6"]),
        (["2001:db8:1:2::1"], ["2001:db8:1:2:ffff::9"], ["2001:db8:1:3::1"]),
        (["8.8.8.8, nonsense"], ["9.9.9.9, nonsense"], ["8.8.8.8"]),
    ],
)
async def test_s66_behind_a_trusted_proxy_the_rightmost_untrusted_address_counts_an_ipv6_one_by_its_64(
    make_client: MakeClient, settings: Settings, one: list[str], same: list[str], other: list[str]
) -> None:
    trusted = (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"))
    client = await make_client(attrs.evolve(settings, login_rate=2, trusted_proxies=trusted), auth=False)
    assert [await wrong(client, *one), await wrong(client, *same)] == [401, 401]
    assert [await wrong(client, *one), await wrong(client, *same)] == [429, 429]
    assert await wrong(client, *other) == 401
    assert await wrong(client, *other, **{"X-Real-IP": "7.7.7.7"}) == 401
    assert await wrong(client, *other, **{"X-Real-IP": "6.6.6.6"}) == 429


@pytest.mark.process
def test_s66_s67_no_garbage_about_addresses_lets_anyone_in_or_breaks_anything(
    gateway_process: Callable[..., GatewayProcess],
) -> None:
    gateway = gateway_process(GATEWAY_TRUSTED_PROXIES="127.0.0.1,::1", GATEWAY_LOGIN_RATE="1000000").start()
    letters = st.text(st.sampled_from("0123456789abcdef.:%[]/, \t-x_") | st.characters(codec="latin-1"), max_size=60)
    known = st.sampled_from(["127.0.0.1", "::1", "localhost", "10.0.0.1:80", "[::1]:9", "fe80::1%eth0", "unknown", ""])
    names = st.sampled_from(["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"])
    values = st.lists(known | letters, max_size=5).map(",".join).filter(lambda text: not {"\r", "\n"} & set(text))

    @examples(max_examples=150, deadline=None)
    @given(st.dictionaries(names, values, max_size=4))
    def check(headers: dict[str, str]) -> None:
        controls = any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in "".join(headers.values()))
        for token in (None, "wrong"):
            status, _, reply = gateway.request("GET", "/api/status", token=token, headers=headers)
            assert status in ({400, 401} if controls else {401}), reply
        assert gateway.request("GET", "/api/status", headers=headers)[0] in ({200, 400} if controls else {200})

    check()
    assert gateway.request("GET", "/api/status")[0] == 200
