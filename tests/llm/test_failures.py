"""How a model's server can fail, each with words of its own; what is tried again; and that leaving ends the call."""

import asyncio
import json
import logging
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest
from llm.provider_calls import (
    SHORT,
    ask,
    endpoint,
    open_http,  # noqa: F401 - a fixture
    read,
    read_failing,
    text_of,
)
from llm.stand_in_process import (
    StandInProcess,
    chunk,
    reply,
    run_stand_in,  # noqa: F401 - a fixture
    sse,
)

from ironclaw.errors import ProviderError
from ironclaw.llm.endpoint import Timeouts
from ironclaw.llm.openai import OpenAIProvider, list_models
from ironclaw.llm.transport import ModelHTTP

Make = Callable[..., OpenAIProvider]
KEY = "q7Zx0123456789abcdefVerySecret"  # of no form that the redaction knows
HI = sse(chunk("Hi"), chunk(finish="stop"))


@pytest.fixture
def make(http: ModelHTTP, stand_in: StandInProcess) -> Make:
    """Makes a provider for a model of the stand-in."""

    def make(
        model: str, *, timeouts: Timeouts = SHORT, base_url: str = f"{stand_in.url}/v1", **more: Any
    ) -> OpenAIProvider:
        return OpenAIProvider(http, endpoint(base_url, **more), model, timeouts=timeouts)

    return make


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: a new one waits for ever."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield int(server.getsockname()[1])
        for client in clients:
            client.close()


def _no(status: int, body: object, **headers: str) -> dict[str, Any]:
    """An error answer."""
    text = body if isinstance(body, str) else json.dumps(body)
    return reply(text, status=status, **{"Content_Type": "application/json", **headers})


async def test_a_refused_connection_says_so(make: Make, free_port: int) -> None:
    """R22."""
    got, error = await read_failing(make("m", base_url=f"http://127.0.0.1:{free_port}/v1"))
    assert (got, error.code) == ([], "unreachable")
    assert "the connection is refused" in error.what
    assert error.fix


async def test_an_unknown_name_says_so(make: Make) -> None:
    """R22."""
    _, error = await read_failing(make("m", base_url="http://no-such-host.invalid/v1"))
    assert error.code == "unreachable"
    assert "No machine has the name" in error.what


async def test_a_connection_without_tls_says_so(make: Make, stand_in: StandInProcess) -> None:
    """R22."""
    _, error = await read_failing(make("m", base_url=f"https://127.0.0.1:{stand_in.port}/v1"))
    assert error.code == "unreachable"
    assert "no secure connection" in error.what


async def test_a_connection_that_nobody_takes_times_out(make: Make, deaf_port: int) -> None:
    """R22."""
    hasty = Timeouts(connect=0.2, first_token=5, between=5)
    _, error = await read_failing(make("m", base_url=f"http://127.0.0.1:{deaf_port}/v1", timeouts=hasty))
    assert error.code == "unreachable"
    assert "took no connection within 0.2 seconds" in error.what


async def test_an_address_that_is_none_says_so(make: Make) -> None:
    _, error = await read_failing(make("m", base_url="http://[::1/v1"))
    assert error.code == "unreachable"
    assert "can't be used" in error.what


async def test_garbage_in_place_of_http_says_so(make: Make, stand_in: StandInProcess) -> None:
    """R22."""
    stand_in.script("raw", reply({"raw": "\x01\x02 SSH-2.0-none\r\n\r\n"}))
    _, error = await read_failing(make("raw"))
    assert error.code == "bad_reply"
    assert "no OpenAI-compatible API" in error.what


@pytest.mark.parametrize("step", [{"head": "wait"}, {"hang": True}], ids=["no head", "no body"])
async def test_no_first_token_says_so(make: Make, stand_in: StandInProcess, step: dict[str, Any]) -> None:
    """R22: silent."""
    stand_in.script("silent", reply(step))
    _, error = await read_failing(make("silent", timeouts=Timeouts(connect=2, first_token=0.2, between=9)))
    assert error.code == "timeout"
    assert "sent no first token: nothing for 0.2 seconds" in error.what
    await asyncio.to_thread(stand_in.wait_for, "gone", within=2)


async def test_silence_in_the_middle_says_so_and_keeps_the_text(make: Make, stand_in: StandInProcess) -> None:
    """R22: silent."""
    stand_in.script("half", reply(sse(chunk("Half a "), done=False), {"hang": True}))
    got, error = await read_failing(make("half", timeouts=Timeouts(connect=2, first_token=9, between=0.2)))
    assert (text_of(got), error.code) == ("Half a ", "timeout")
    assert "in the middle of its reply: nothing for 0.2 seconds" in error.what
    await asyncio.to_thread(stand_in.wait_for, "gone", within=2)


async def test_a_slow_model_is_not_cut(make: Make, stand_in: StandInProcess) -> None:
    """R24: the limits are for silence, not for the whole reply; comments are no silence."""
    hasty = Timeouts(connect=2, first_token=0.6, between=0.6)
    steps = [step for n in range(8) for step in ({"wait": 0.2}, {"send": sse(chunk(f"{n} "), done=False)})]
    alive = [step for _ in range(5) for step in ({"wait": 0.2}, {"send": ": still here\n\n"})]
    stand_in.script("slow", reply(*alive, *steps, *alive, sse(chunk(finish="stop"))))
    assert text_of(await read(make("slow", timeouts=hasty))) == "0 1 2 3 4 5 6 7 "


async def test_a_local_model_gets_time_to_load(make: Make, stand_in: StandInProcess) -> None:
    hasty = Timeouts(connect=2, first_token=0.1, between=0.1)
    steps = [{"send": ": loading\n\n"}, {"wait": 0.4}, HI]
    stand_in.script("cold", reply(*steps))
    assert text_of(await read(make("cold", timeouts=hasty, local=True))) == "Hi"
    stand_in.script("cold", reply(*steps))
    assert (await read_failing(make("cold", timeouts=hasty)))[1].code == "timeout"


@pytest.mark.parametrize("end", ["reset", "drop"])
async def test_a_reply_cut_in_the_middle_keeps_its_text(make: Make, stand_in: StandInProcess, end: str) -> None:
    """R22: cut after 4 chunks, RST; it is not asked again, as something was given out."""
    four = [sse(chunk(f"{n} "), done=False) for n in range(4)]
    stand_in.script("cut", reply(*four, {"wait": 0.2}, {end: True}))
    got, error = await read_failing(make("cut"))
    assert (text_of(got), error.code) == ("0 1 2 3 ", "cut_off")
    assert len(stand_in.requests()) == 1


async def test_an_end_without_a_finish_is_no_success(make: Make, stand_in: StandInProcess) -> None:
    """R23."""
    stand_in.script("short", reply(sse(chunk("Half a "), done=False)), reply(sse(chunk("Half a "))), reply(""))
    for text in ("Half a ", "Half a ", ""):
        got, error = await read_failing(make("short"))
        assert (text_of(got), error.code) == (text, "cut_off")


@pytest.mark.parametrize("end", [{"wait": 0}, {"hang": True}, {"reset": True}], ids=["clean", "silent", "reset"])
async def test_after_a_finish_the_end_does_not_matter(
    make: Make, stand_in: StandInProcess, end: dict[str, Any]
) -> None:
    """R23: nor does a missing `[DONE]`."""
    stand_in.script("fine", reply(sse(chunk("Hi"), chunk(finish="stop"), done=False), {"wait": 0.1}, end))
    assert text_of(await read(make("fine", timeouts=Timeouts(connect=2, first_token=9, between=0.3)))) == "Hi"


async def test_a_key_that_is_echoed_is_not_shown(
    make: Make, stand_in: StandInProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """S21."""
    caplog.set_level(logging.DEBUG)
    for status, where in ((401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}), (403, f"no {KEY}")):
        stand_in.script("locked", _no(status, where))
        _, error = await read_failing(make("locked", api_key=KEY))
        assert (error.code, error.status) == ("key_refused", status)
        assert "refuses the key" in error.what
        for place in (str(error), error.what, error.fix, repr(error), caplog.text):
            assert KEY not in place


async def test_a_key_echoed_inside_a_stream_is_not_shown(make: Make, stand_in: StandInProcess) -> None:
    """S21."""
    stand_in.script("locked", reply(sse({"error": {"message": f"bad key {KEY}", "code": 401}})))
    _, error = await read_failing(make("locked", api_key=KEY))
    assert error.code == "key_refused"
    assert KEY not in error.message


async def test_a_missing_key_is_asked_for(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("locked", _no(401, {"error": "Unauthorized"}))
    assert "wants a key" in (await read_failing(make("locked")))[1].what


@pytest.mark.parametrize("key", ["with\r\nX-Evil: 1", "schlüssel", "a b", "tab\t", "\x00"])
async def test_a_malformed_key_is_never_sent(make: Make, stand_in: StandInProcess, key: str) -> None:
    _, error = await read_failing(make("hello", api_key=key))
    assert error.code == "key_refused"
    assert key not in error.message
    assert not stand_in.requests()


async def test_a_missing_model_is_named(make: Make) -> None:
    _, error = await read_failing(make("missing"))
    assert (error.code, error.status) == ("model_missing", 404)
    assert "has no model missing" in error.what


async def test_too_many_requests_wait_as_long_as_asked(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("busy", _no(429, {"error": {"message": "slow down"}}, Retry_After="1"), reply(HI))
    assert text_of(await read(make("busy"))) == "Hi"
    first, second = stand_in.requests()
    assert second["t"] - first["t"] >= 1


async def test_a_long_wait_is_left_to_the_person(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("busy", _no(429, {"error": {"message": "slow down"}}, Retry_After="3600"))
    _, error = await read_failing(make("busy"))
    assert (error.code, error.retry_after, len(stand_in.requests())) == ("rate_limited", 3600, 1)
    assert "3600 seconds" in error.fix


@pytest.mark.parametrize("status", [402, 429])
async def test_an_empty_account_is_said_and_not_asked_again(make: Make, stand_in: StandInProcess, status: int) -> None:
    stand_in.script("poor", _no(status, {"error": {"message": "You exceeded it.", "code": "insufficient_quota"}}))
    _, error = await read_failing(make("poor"))
    assert (error.code, len(stand_in.requests())) == ("rate_limited", 1)
    assert "no credit left" in error.what


@pytest.mark.parametrize(("status", "times"), [(502, 3), (503, 3), (504, 3), (500, 1), (501, 1)])
async def test_a_failing_server_is_asked_three_times_at_most(
    make: Make, stand_in: StandInProcess, status: int, times: int
) -> None:
    """R22: 500."""
    stand_in.script("down", _no(status, "<html><h1>Bad gateway</h1></html>", Content_Type="text/html"))
    _, error = await read_failing(make("down"))
    assert (error.code, error.status, len(stand_in.requests())) == ("provider_failed", status, times)
    assert "html" not in error.message


async def test_a_connection_closed_before_an_answer_is_tried_again(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("shy", reply({"raw": ""}), reply(HI))
    assert text_of(await read(make("shy"))) == "Hi"


async def test_another_bad_request_is_quoted_short(make: Make, stand_in: StandInProcess) -> None:
    stand_in.script("strict", _no(400, {"error": {"message": "temperature\x1b[31m " + "x" * 5000}}))
    _, error = await read_failing(make("strict"))
    assert (error.code, error.status) == ("refused", 400)
    assert len(error.what) < 400
    assert "\x1b" not in error.what


@pytest.mark.parametrize("content_type", ["text/html", "text/event-stream"])
@pytest.mark.parametrize("status", [200, 404])
async def test_a_web_page_is_no_model(make: Make, stand_in: StandInProcess, status: int, content_type: str) -> None:
    page = "\n<!doctype html>\n<title>Router</title>\n" * 3
    stand_in.script("page", reply(page, status=status, Content_Type=content_type))
    _, error = await read_failing(make("page"))
    assert error.code == "bad_reply"
    assert "no OpenAI-compatible API" in error.what


@pytest.mark.parametrize("body", ["just text\n", '{"status":"ok"}', "[1]", "\x00\x01\n\x02\n"])
async def test_something_else_is_no_model(make: Make, stand_in: StandInProcess, body: str) -> None:
    """R22: garbage."""
    stand_in.script("other", reply(body))
    assert (await read_failing(make("other")))[1].code == "bad_reply"


async def test_a_redirect_is_not_followed(make: Make, stand_in: StandInProcess) -> None:
    target = f"http://user:{KEY}@127.0.0.1:{stand_in.port}/v2/chat/completions?key={KEY}"
    stand_in.script("moved", reply(status=307, Location=target))
    _, error = await read_failing(make("moved", api_key=KEY))
    assert (error.code, error.status) == ("bad_reply", 307)
    assert f"sends us on to http://127.0.0.1:{stand_in.port}/v2/chat/completions, where" in error.what
    assert not stand_in.requests("/v2/chat/completions")


async def test_an_error_inside_the_stream_ends_it(make: Make, stand_in: StandInProcess) -> None:
    half = chunk("Half ")
    cases = [
        (sse(half, {"error": {"message": "upstream died", "code": 502}}), "Half ", "provider_failed"),
        (sse(half, chunk(finish="error")), "Half ", "provider_failed"),
        (sse(half, {"object": "error", "message": "no", "type": "BadRequestError", "code": 400}), "Half ", "refused"),
        (sse({"error": {"message": "Slow down", "type": "rate_limit_error"}}), "", "rate_limited"),
        ('{"error":"overloaded"}', "", "provider_failed"),
    ]
    stand_in.script("broken", *[reply(body) for body, _, _ in cases])
    for _, text, code in cases:
        got, error = await read_failing(make("broken"))
        assert (text_of(got), error.code) == (text, code)


@pytest.mark.parametrize("data", ["{not json", "[" * 100_000])
async def test_json_that_is_none_ends_the_reply(make: Make, stand_in: StandInProcess, data: str) -> None:
    """S72."""
    stand_in.script("bad", reply(sse(chunk("A"), f"data: {data}\n\n")))
    got, error = await read_failing(make("bad"))
    assert (text_of(got), error.code) == ("A", "bad_reply")


@pytest.mark.parametrize("line", ["data: ", "", "<"], ids=["event", "loose", "page"])
async def test_an_endless_line_is_refused_and_not_kept(make: Make, stand_in: StandInProcess, line: str) -> None:
    """S72: 10 MB without a line end."""
    stand_in.script("long", reply(line, {"send": "x" * 65536, "times": 10_000}))
    tracemalloc.start()
    _, error = await read_failing(make("long"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.code == "bad_reply"
    assert peak < 40 * 1024 * 1024
    await asyncio.to_thread(stand_in.wait_for, "gone", within=5)


async def test_an_endless_stream_without_events_is_refused(make: Make, stand_in: StandInProcess) -> None:
    """S72."""
    stand_in.script("long", reply({"send": ("x" * 1023 + "\n") * 64, "times": 1_000_000}))
    assert (await read_failing(make("long")))[1].code == "bad_reply"


@pytest.mark.parametrize("when", ["between tokens", "before the body", "before the head"])
@pytest.mark.parametrize("how", ["cancel", "aclose"])
async def test_leaving_ends_the_call(make: Make, stand_in: StandInProcess, when: str, how: str) -> None:
    """R25: the server sees it within two seconds."""
    first = {
        "between tokens": sse(chunk("A"), done=False),
        "before the body": {"wait": 0},
        "before the head": {"head": "wait"},
    }
    stand_in.script("long", reply(first[when], {"hang": True}))
    deltas = make("long").stream(ask())
    if when == "between tokens":
        await anext(deltas)
    reader = asyncio.ensure_future(anext(deltas))
    await asyncio.to_thread(stand_in.wait_for, "request")
    if how == "aclose" and when == "between tokens":
        reader.cancel()
        await asyncio.wait([reader])
        await deltas.aclose()
    reader.cancel()
    await asyncio.wait([reader])
    await asyncio.to_thread(stand_in.wait_for, "gone", within=2)
    await deltas.aclose()


async def test_closing_a_reply_that_nobody_reads_ends_the_call(make: Make, stand_in: StandInProcess) -> None:
    """R25."""
    stand_in.script("long", reply(sse(chunk("A"), done=False), {"hang": True}))
    async with aclosing(make("long").stream(ask())) as deltas:
        await anext(deltas)
    await asyncio.to_thread(stand_in.wait_for, "gone", within=2)


async def test_a_proxy_is_used_for_hosts_elsewhere_only(
    make: Make, stand_in: StandInProcess, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    _, error = await read_failing(make("hello"))
    assert (error.code, "The proxy" in error.what) == ("unreachable", True)
    assert text_of(await read(make("hello", local=True)))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert text_of(await read(make("hello")))


async def test_a_list_that_fails_says_why(http: ModelHTTP, stand_in: StandInProcess, deaf_port: int) -> None:
    for url, code in (
        (f"{stand_in.url}/nowhere", "bad_reply"),
        (f"http://127.0.0.1:{deaf_port}", "unreachable"),
        (f"{stand_in.url}/api/tags?", "bad_reply"),
    ):
        with pytest.raises(ProviderError) as caught:
            await list_models(http, endpoint(url), timeout=0.3)
        assert caught.value.code in {code, "timeout"}
