"""Calls that pass through to the connected server, by the server's own log: what it got, when, and when it was left."""

import asyncio
import http.client
import json
from collections.abc import Callable

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient
from conftest import TOKEN
from gateway_process import GatewayProcess
from llm.provider_calls import open_http  # noqa: F401
from llm.stand_in_process import StandInProcess, byte_by_byte, chunk, reply, run_stand_in, sse  # noqa: F401
from v1_calls import (
    CHAT,
    MakeClient,
    asked,
    before,
    chat,
    events_of,
    open_relayed,  # noqa: F401
    read_until,
    stream,
    text_of,
)

from ironclaw.api import streams
from ironclaw.gateway import Gateway
from ironclaw.settings import Settings

UNKNOWN_FIELDS = {
    "temperature": 0.1,
    "top_p": 1.0,
    "seed": 9007199254740993,
    "biggest": 2**63 - 1,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "strict": True, "schema": {"a": [1, None]}},
    },
    "future": {"deep": [{"er": [{"est": 1e-7}, "ünï💥", "", None, False]}]},
    "metadata": {"a": "b"},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}, "new": 1}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
}


# What the server gets


async def test_the_server_gets_the_same_json_with_unknown_nested_fields(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    body = asked(**UNKNOWN_FIELDS)
    body["messages"].append(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,x"}}]}
    )
    await chat(relayed, body)
    assert stand_in.requests()[-1]["body"] == body


async def test_a_plain_calls_own_bytes_are_sent(relayed: TestClient, stand_in: StandInProcess) -> None:
    raw = b'{ "model":"hello" ,\n "messages":[{"role":"user","content":"\\u0048i"}],  "x":1.50 }'
    assert (await relayed.post(CHAT, data=raw, headers={"Content-Type": "application/json"})).status == 200
    sent = stand_in.requests()[-1]
    assert sent["headers"]["Content-Length"] == str(len(raw))
    assert sent["body"] == json.loads(raw)


async def test_a_streams_json_differs_only_in_the_usage_that_is_asked_for(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    body = asked(**UNKNOWN_FIELDS, stream=True)
    await stream(relayed, body)
    assert stand_in.requests()[-1]["body"] == {**body, "stream_options": {"include_usage": True}}
    options = {"stream_options": {"include_usage": True, "new": 1}}
    await stream(relayed, {**body, **options})
    assert stand_in.requests()[-1]["body"] == {**body, **options}


async def test_the_servers_key_is_sent_and_the_clients_token_and_headers_are_not(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    client = await make_client(before(settings, stand_in, llm_api_key="sk-upstream-0123456789"))
    await chat(client, asked(), Cookie="a=b", **{"X-Custom": "c", "OpenAI-Organization": "org"})
    headers = stand_in.requests()[-1]["headers"]
    assert headers["Authorization"] == "Bearer sk-upstream-0123456789"
    assert not {"Cookie", "X-Custom", "OpenAI-Organization"} & set(headers)


async def test_the_last_of_two_equal_names_counts(relayed: TestClient, stand_in: StandInProcess) -> None:
    raw = b'{"model":"missing","model":"hello","messages":[{"role":"user","content":"Hi"}]}'
    response = await relayed.post(CHAT, data=raw, headers={"Content-Type": "application/json"})
    assert response.headers["X-IronClaw-Model"] == "hello"
    assert stand_in.requests()[-1]["model"] == "hello"


# What the client gets


async def test_the_servers_bytes_reach_the_client_unchanged(relayed: TestClient, stand_in: StandInProcess) -> None:
    sent = sse(chunk("Hé", new={"field": 1.50}), ": comment\n\n", "event: x\nid: 7\n", chunk(" \u2028", finish="stop"))
    stand_in.script("odd", reply(sent))
    response = await relayed.post(CHAT, json=asked("odd", stream=True))
    assert await response.read() == sent.encode()


async def test_bytes_that_come_one_by_one_arrive_as_they_are(relayed: TestClient, stand_in: StandInProcess) -> None:
    sent = sse(chunk("Good"), chunk(" day"), chunk(finish="stop")).encode()
    stand_in.script("slow", reply(*byte_by_byte(sent)))
    response = await relayed.post(CHAT, json=asked("slow", stream=True))
    assert await response.read() == sent


async def test_the_client_has_chunk_1_before_the_server_sends_chunk_2(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    stand_in.script("held", reply(sse(chunk("one"), done=False), {"hold": "two"}, sse(chunk("two", finish="stop"))))
    response = await relayed.post(CHAT, json=asked("held", stream=True))
    assert b"one" in await read_until(response, b"\n\n")
    assert len([one for one in stand_in.events("sent") if "two" in one["text"]]) == 0
    stand_in.release("two")
    assert text_of(events_of(await response.read())) == "two"


async def test_a_reply_says_which_model_answered_and_what_the_server_said_of_rates(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    told = {"x_ratelimit_remaining_requests": "59", "x_request_id": "req_1", "Set_Cookie": "a=b", "Server": "secret"}
    stand_in.script("told", reply(json.dumps({"choices": []}), Content_Type="application/json", **told))
    response = await relayed.post(CHAT, json=asked("told"))
    assert response.headers["X-IronClaw-Model"] == "told"
    assert response.headers["x-ratelimit-remaining-requests"] == "59"
    assert response.headers["X-Provider-Request-Id"] == "req_1"
    assert response.headers["X-Request-Id"] != "req_1"
    assert response.headers["Server"] == "ironclaw"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_unknown_name_is_answered_by_the_default_model_under_the_name_asked_for(
    relayed: TestClient, stand_in: StandInProcess, streamed: bool
) -> None:
    for _ in range(2):
        response = await relayed.post(CHAT, json=asked("gpt-4", stream=streamed))
        assert response.headers["X-IronClaw-Model"] == "hello"
        shown = events_of(await response.read())[:-1] if streamed else [await response.json()]
        assert {one["model"] for one in shown} == {"gpt-4"}
    assert [one["model"] for one in stand_in.requests()] == ["gpt-4", "hello", "hello"]  # it is asked for once


async def test_an_alias_stands_in_for_a_name(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    client = await make_client(before(settings, stand_in, llm_aliases={"gpt-4": "echo"}))
    body = asked("gpt-4", "Say it", **UNKNOWN_FIELDS)
    got = await chat(client, body)
    assert (got["model"], got["choices"][0]["message"]["content"]) == ("gpt-4", "Say it")
    assert stand_in.requests()[-1]["body"] == {**body, "model": "echo"}


# Leaving, slowness, size


@pytest.mark.process
@pytest.mark.parametrize("streamed", [False, True])
def test_r25_a_client_that_leaves_ends_the_servers_call_within_2_s(
    gateway_process: Callable[..., GatewayProcess], stand_in: StandInProcess, streamed: bool
) -> None:
    process = gateway_process(LLM_BASE_URL=f"{stand_in.url}/v1", LLM_MODEL="hello").start()
    stand_in.script("endless", reply(*([sse(chunk("one"), done=False)] if streamed else []), {"hang": True}))
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    headers = {"Authorization": f"Bearer {process.token}"}
    connection.request("POST", CHAT, json.dumps(asked("endless", stream=streamed)), headers)
    response = connection.getresponse() if streamed else None
    assert response is None or b"one" in response.read1()
    stand_in.wait_for("request", where=lambda one: one["model"] == "endless")
    if response is not None:
        response.close()
    connection.close()
    stand_in.wait_for("gone", within=2.0)


async def test_r25_a_client_that_leaves_ends_the_call_under_a_hosts_own_runner_too(
    settings: Settings, stand_in: StandInProcess
) -> None:
    runner = web.AppRunner(Gateway(before(settings, stand_in)).app(), shutdown_timeout=0.5)  # no handler_cancellation
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}{CHAT}"
        call = asyncio.create_task(session.post(url, json=asked("silent@1", stream=True)))
        await asyncio.to_thread(stand_in.wait_for, "request", where=lambda one: one["model"] == "silent@1")
        call.cancel()
        await asyncio.to_thread(stand_in.wait_for, "gone", within=2.5)
    await runner.cleanup()


async def test_a_client_that_does_not_read_stops_the_server(relayed: TestClient, stand_in: StandInProcess) -> None:
    piece = sse(chunk("x" * 65_536), done=False)
    stand_in.script("flood", reply(*[piece] * 1000, sse(chunk(finish="stop"))))
    response = await relayed.post(CHAT, json=asked("flood", stream=True))
    sent = -1
    while sent != (sent := len(stand_in.events("sent"))):
        await asyncio.sleep(0.3)
    assert sent * len(piece) < 32_000_000  # of 65 MB: what the buffers of four sockets hold
    assert text_of(events_of(await response.read())) == "x" * 65_536_000


async def test_a_client_that_reads_nothing_for_long_is_cut(
    relayed: TestClient, stand_in: StandInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LONGEST_UNREAD", 0.3)
    piece = sse(chunk("x" * 65_536), done=False)
    stand_in.script("flood", reply(*[piece] * 1000, sse(chunk(finish="stop"))))
    response = await relayed.post(CHAT, json=asked("flood", stream=True))
    await asyncio.to_thread(stand_in.wait_for, "gone", within=5.0)
    response.close()


async def test_a_slow_server_is_no_slow_client(
    relayed: TestClient, stand_in: StandInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LONGEST_UNREAD", 0.3)
    stand_in.script("slow", reply(sse(chunk("one"), done=False), {"wait": 2.5}, sse(chunk("two", finish="stop"))))
    assert text_of(await stream(relayed, asked("slow"))) == "onetwo"


async def test_a_line_of_10_mb_arrives_whole_also_where_the_name_is_changed(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    sent = sse(chunk("y" * 10_000_000), chunk(finish="stop"))
    for name in ("large", "hello"):
        stand_in.script(name, reply(sent))
    assert text_of(await stream(relayed, asked("large"))) == "y" * 10_000_000
    assert text_of(await stream(relayed, asked("gpt-4"))) == "y" * 10_000_000


async def test_a_line_without_end_ends_with_an_error(relayed: TestClient, stand_in: StandInProcess) -> None:
    flood = {"send": "z" * 1_000_000, "times": 50}
    stand_in.script("endless", reply(sse(chunk("one"), done=False), flood, {"hang": True}))
    events = await stream(relayed, asked("endless"))
    assert text_of(events[:1]) == "one"
    assert "too long" in events[-1]["error"]["message"]


# What goes wrong on the way


async def test_a_stream_that_is_cut_ends_with_an_error_object_and_without_done(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    for model, end in {"dropped": {"drop": True}, "reset": {"reset": True}, "ended": {"wait": 0}}.items():
        stand_in.script(model, reply(sse(chunk("par"), done=False) + 'data: {"choi', {"wait": 0.05}, end))
        events = await stream(relayed, asked(model))
        assert text_of(events[:1]) == "par"
        assert events[1:] == [
            {
                "error": {
                    "message": "The reply of 127.0.0.1 was cut off. Try again.",
                    "type": "server_error",
                    "param": None,
                    "code": "cut_off",
                }
            }
        ]


async def test_an_error_within_a_stream_keeps_its_words_and_ends_it(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    error = {"message": "Overloaded, try sk-abcdefghijklmnop1234", "type": "overloaded_error", "code": "busy"}
    stand_in.script("failing", reply(sse(chunk("par"), {"error": error}, chunk("never"))))
    events = await stream(relayed, asked("failing"))
    assert events[1:] == [
        {"error": {"message": "Overloaded, try ***", "type": "overloaded_error", "param": None, "code": "busy"}}
    ]


async def test_an_error_before_the_first_byte_is_a_real_status(relayed: TestClient, stand_in: StandInProcess) -> None:
    stand_in.script(
        "failing", reply(sse({"error": {"message": "Too much", "code": "rate_limit_exceeded"}}, done=False))
    )
    assert (await chat(relayed, asked("failing", stream=True), 429))["error"]["message"] == "Too much"
    stand_in.script("empty", reply(""))
    assert (await chat(relayed, asked("empty", stream=True), 502))["error"]["code"] == "cut_off"


async def test_a_stream_without_done_gets_one(relayed: TestClient, stand_in: StandInProcess) -> None:
    stand_in.script("loose", reply(sse(chunk("Hi", finish="stop"), done=False)))
    events = await stream(relayed, asked("loose"))
    assert (text_of(events), events[-1]) == ("Hi", "[DONE]")


@pytest.mark.parametrize(("body", "code"), [("<html>", "bad_reply"), ("{", "bad_reply"), ("[]", "bad_reply")])
async def test_what_is_no_reply_is_an_error(
    relayed: TestClient, stand_in: StandInProcess, body: str, code: str
) -> None:
    stand_in.script("odd", reply(body, Content_Type="application/json"))
    assert (await chat(relayed, asked("odd"), 502))["error"]["code"] == code
