"""Errors under `/v1` are OpenAI's, whoever found them: the middlewares, the checks of a call, or the provider."""

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from api.test_auth import exchange
from gateway_process import GatewayProcess
from hypothesis import given
from hypothesis import strategies as st
from llm.stand_in_process import StandInProcess, reply, run_stand_in  # noqa: F401
from v1_calls import CHAT, MakeClient, asked, before, chat, open_relayed  # noqa: F401

from ironclaw import errors
from ironclaw.errors import BadRequest, Invalid, ProviderError
from ironclaw.gateway import Gateway
from ironclaw.openai.calls import parse_call
from ironclaw.openai.errors import error_event, error_of
from ironclaw.settings import Settings

KEY = "sk-upstream-0123456789abcdef"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    env = {"GATEWAY_LOGIN_RATE": "0", "GATEWAY_ALLOWED_HOSTS": "named.test"}
    process = GatewayProcess(tmp_path_factory.mktemp("errors") / "home", env)
    yield process.start()
    process.kill()


def shape_of(reply: dict[str, Any]) -> tuple[str, str | None, str | None]:
    """Type, param and code of an error that has exactly the four fields."""
    assert set(reply) == {"error"}
    error = reply["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].endswith((".", "?"))
    return error["type"], error["param"], error["code"]


@pytest.mark.process
@pytest.mark.parametrize(
    ("asked_for", "lines", "body", "expected"),
    [
        ("GET /v1/models", ["Host: evil.test"], b"", (421, "invalid_request_error", "unknown_host")),
        ("GET /v1/models", ["Host: a b"], b"", (400, "invalid_request_error", "bad_host")),
        (f"POST {CHAT}", ["Origin: http://evil.test"], b"{}", (403, "permission_error", "foreign_origin")),
        ("GET /v1/nothing", [], b"", (404, "not_found_error", "not_found")),
        ("GET /v1", [], b"", (404, "not_found_error", "not_found")),
        ("GET /v1/models/no/such", [], b"", (404, "not_found_error", "model_not_found")),
        (f"GET {CHAT}", [], b"", (405, "invalid_request_error", "method_not_allowed")),
        (f"POST {CHAT}", ["Content-Type: image/png"], b"{}", (415, "invalid_request_error", "unsupported_type")),
        (f"POST {CHAT}", ["Expect: the-unexpected"], b"{}", (417, "invalid_request_error", "bad_request")),
        (f"POST {CHAT}", ["Content-Length: 16777217"], b"", (413, "invalid_request_error", "too_large")),
        ("POST /v1/embeddings", [], b'{"model": "m", "input": "x"}', (404, "not_found_error", "model_not_found")),
        ("POST /v1/completions", [], b'{"model": "m", "prompt": "x"}', (404, "not_found_error", "model_not_found")),
    ],
)
def test_every_error_has_openais_shape(
    gateway: GatewayProcess, asked_for: str, lines: list[str], body: bytes, expected: tuple[int, str, str]
) -> None:
    got = exchange(gateway, *asked_for.split(), *lines, body=body)
    assert got.headers["content-type"] == "application/json"
    kind, _, code = shape_of(got.json())
    assert (got.status, kind, code) == expected


@pytest.mark.process
def test_a_wrong_token_is_openais_401_and_405_says_what_is_allowed(gateway: GatewayProcess) -> None:
    for token in (None, "wrong-token-0123456789"):
        got = exchange(gateway, "POST", CHAT, body=b"{}", token=token)
        assert (got.status, got.headers["www-authenticate"]) == (401, "Bearer")
        assert shape_of(got.json()) == ("authentication_error", None, "invalid_api_key")
    assert exchange(gateway, "DELETE", CHAT).headers["allow"] == "POST"


@pytest.mark.process
def test_the_shape_ends_where_v1_ends(gateway: GatewayProcess) -> None:
    for path in ("/v10/models", "/v1x", "/api/v1/models", "/api/nothing"):
        assert set(exchange(gateway, "GET", path).json()["error"]) == {"code", "message"}, path


async def test_the_shape_holds_under_a_prefix(settings: Settings) -> None:
    host = web.Application()
    Gateway(settings).mount(host, "/claw")
    async with TestClient(TestServer(host)) as client:
        for path, shaped in {"/claw/v1/models": True, "/claw/v1/nothing": True, "/claw/api/status": False}.items():
            error = (await (await client.get(path)).json())["error"]
            assert ("type" in error) is shaped, path


async def test_what_fails_inside_says_nothing_of_the_inside(
    make_client: MakeClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await make_client(settings)
    services = client.gateway.services  # type: ignore[attr-defined]
    monkeypatch.delattr(type(services.openai.models), "listed")  # as a bug would
    response = await client.get("/v1/models")
    assert response.status == 500
    assert shape_of(shown := await response.json()) == ("server_error", None, "internal")
    assert response.headers["X-Request-Id"] in shown["error"]["message"]
    assert "listed" not in await response.text()


# The provider's own errors


@pytest.fixture
async def keyed(make_client: MakeClient, settings: Settings, stand_in: StandInProcess) -> TestClient:
    return await make_client(before(settings, stand_in, llm_api_key=KEY))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (
            400,
            {"error": {"message": "Bad 'x'.", "type": "invalid_request_error", "param": "x", "code": "unknown"}},
            ("Bad 'x'.", "invalid_request_error", "x", "unknown"),
        ),
        (
            429,
            {"error": {"message": "Slow down", "type": "tokens"}},
            ("Slow down", "tokens", None, "rate_limit_exceeded"),
        ),
        (
            401,
            {"error": {"message": f"Incorrect API key: {KEY}", "code": "invalid_api_key"}},
            ("Incorrect API key: ***", "authentication_error", None, "invalid_api_key"),
        ),
        (402, {"error": {"message": "No credit"}}, ("No credit", "insufficient_quota", None, "insufficient_quota")),
        (422, {"detail": "wrong"}, ("wrong", "invalid_request_error", None, "refused")),
        (400, {"error": "only text"}, ("only text", "invalid_request_error", None, "refused")),
        (500, {"error": {"message": "boom", "code": 500}}, ("boom", "server_error", None, "500")),
        (413, [{"error": {"message": "in a list"}}], ("in a list", "invalid_request_error", None, "refused")),
        (400, {"object": "error", "message": "as vLLM"}, ("as vLLM", "invalid_request_error", None, "refused")),
    ],
)
async def test_a_providers_error_keeps_its_status_and_words_without_the_key(
    keyed: TestClient, stand_in: StandInProcess, status: int, body: Any, error: tuple[str, str, str | None, str]
) -> None:
    stand_in.script("failing", reply(json.dumps(body), status=status))
    for streamed in (False, True):
        got = (await chat(keyed, asked("failing", stream=streamed), status))["error"]
        assert (got["message"], got["type"], got["param"], got["code"]) == error


async def test_a_rate_of_the_provider_says_how_long(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    client = await make_client(before(settings, stand_in))
    stand_in.script("busy", reply(json.dumps({"error": {"message": "Slow down"}}), status=429, Retry_After="77"))
    response = await client.post(CHAT, json=asked("busy"))
    assert (response.status, response.headers["Retry-After"]) == (429, "77")
    assert len(stand_in.requests()) == 1  # a wait of that length is the person's to decide


async def test_a_page_is_no_providers_error(relayed: TestClient, stand_in: StandInProcess) -> None:
    stand_in.script("page", reply("<html>secret proxy page</html>", status=403))
    error = (await chat(relayed, asked("page"), 403))["error"]
    assert "html" not in error["message"]


async def test_a_server_that_is_away_is_502_and_the_agent_is_still_listed(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, llm_base_url="http://127.0.0.1:9/v1", llm_model="m"))
    error = (await chat(client, asked(), 502))["error"]
    assert (error["type"], error["code"]) == ("server_error", "unreachable")
    listed = (await (await client.get("/v1/models")).json())["data"]
    assert [one["id"] for one in listed] == ["ironclaw", "m"]


# What is wrong with a call


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" * 100_000, "not_json"),
        (b'{"model": "m", "messages": [{}], "n": ' + b"1" * 5000 + b"}", "not_json"),
        (b'{"model": "m", "messages": [{}], "n": 18446744073709551616}', "number_too_large"),
        (b'{"model": "m", "messages": [{}], "a": [{"b": -9223372036854775809}]}', "number_too_large"),
        (b'{"model": "m", "messages": [{}], "n": NaN}', "not_json"),
        (b'{"model": "m", "messages": ["\\ud800"]}', "not_json"),
        (b"[1]", "not_json"),
        (b"null", "not_json"),
        (b"", "not_json"),
        (b"\xff", "not_json"),
        (b"{}", "missing_required_parameter"),
        (b'{"model": 1, "messages": [{}]}', "invalid_type"),
        (b'{"model": "a\\nb", "messages": [{}]}', "invalid_type"),
        (b'{"model": "m", "messages": "x"}', "invalid_type"),
        (b'{"model": "m", "messages": [1]}', "invalid_type"),
        (b'{"model": "m", "messages": []}', "missing_required_parameter"),
        (b'{"model": "m", "messages": [{}], "stream": 1}', "invalid_type"),
        (b'{"model": "m", "messages": [{}], "stream_options": []}', "invalid_type"),
    ],
)
async def test_s56_what_is_no_call_is_400(
    relayed: TestClient, stand_in: StandInProcess, body: bytes, code: str
) -> None:
    response = await relayed.post(CHAT, data=body, headers={"Content-Type": "application/json"})
    assert response.status == 400
    kind, param, found = shape_of(await response.json())
    assert (kind, found) == ("invalid_request_error", code)
    assert (param is not None) == (code in {"missing_required_parameter", "invalid_type"})
    assert stand_in.requests() == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_number_of_64_bits_goes_on_as_it_is(
    relayed: TestClient, stand_in: StandInProcess, streamed: bool
) -> None:
    numbers = [2**64 - 1, -(2**63), 1e18, 0.1, 1.0]
    await relayed.post(CHAT, json=asked(stream=streamed, numbers=numbers))
    assert stand_in.requests()[-1]["body"]["numbers"] == numbers


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["model", "messages", "stream", "stream_options", "n", "x"]), JSON) | JSON)
def test_s56_any_json_is_a_call_or_refused(value: Any) -> None:
    try:
        call = parse_call(json.dumps(value).encode(), "messages")
    except (BadRequest, Invalid):
        return
    assert json.loads(call.sent_as(call.model, usage=call.wants_usage, more={})) == value
    assert json.loads(call.sent_as("other", usage=True, more={"a": 1}))["model"] == "other"


# Rates


async def test_s64_the_31st_chat_with_the_agent_and_the_101st_call_are_429(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, chat_rate=30, api_rate=100, llm_backend="builtin"))
    statuses = [(await client.post(CHAT, json=asked("ironclaw", "help"))).status for _ in range(31)]
    assert statuses[:30] == [200] * 30
    assert statuses[30] == 429
    refused = await client.post(CHAT, json=asked("ironclaw", "help"))
    assert shape_of(await refused.json()) == ("rate_limit_error", None, "rate_limit_exceeded")
    assert refused.headers["Retry-After"] == str(math.ceil(60 / 30))
    assert (await client.post("/api/chat/send", json={"message": "help"})).status == 429  # the bucket is the same
    replies = await asyncio.gather(*(client.get("/v1/models") for _ in range(90)))
    assert [one.status for one in replies].count(200) in range(60, 80)
    assert {one.status for one in replies} == {200, 429}
    assert (await client.get("/healthz")).status == 200


async def test_s64_a_passed_call_spends_the_api_rate_only_a_bad_one_too(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    client = await make_client(attrs.evolve(before(settings, stand_in), chat_rate=1, api_rate=5))
    statuses = [
        (await client.post(CHAT, json=body)).status for body in (asked(), asked(), {}, asked(), asked(), asked())
    ]
    assert statuses == [200, 200, 400, 200, 200, 429]


# Wording


@pytest.mark.parametrize("kind", [one for one in vars(errors).values() if isinstance(one, type)])
def test_every_domain_error_has_a_status_and_a_type(kind: type) -> None:
    more = {errors.RateLimited: {"retry_after": 1, "limit": 1}, errors.Stale: {"etag": "1"}}
    error = kind("x.", **more.get(kind, {}))
    shown = error_of(error)
    assert 400 <= shown.status < 600
    assert shown.type
    assert shown.code


def test_an_error_in_a_stream_is_one_event() -> None:
    event = error_event(ProviderError("Lines\nand\n\nmore.", code="cut_off"))
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2


def test_text_that_json_cannot_carry_is_escaped() -> None:
    assert json.loads(error_of(Invalid("a\ud800b", field="\udfff")).body())["error"]["param"] == "\\udfff"
