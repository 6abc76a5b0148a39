"""The log over HTTP: the contract's bytes, a backlog that runs on without gap or double, filters, level at run time."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from conftest import TOKEN, ScriptedModel
from test_streams import NDJSON, SSE, TEXT, Client, Serve, serve  # noqa: F401 - a fixture

from ironclaw import logs
from ironclaw.gateway import Gateway
from ironclaw.levels import TRACE
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]
STREAM = "/api/logs/stream"
log = logging.getLogger("ironclaw.test")


def fail(said: str) -> None:
    try:
        raise_it(said)
    except ValueError:
        log.exception("failed")


def raise_it(said: str) -> None:
    raise ValueError(said)


async def set_level(client: TestClient, level: str) -> None:
    assert (await client.post("/api/logs/level", json={"level": level})).status == 200


async def written() -> None:
    """Wait until the ring has all that was logged; on a busy machine that is more than one flush."""
    async with asyncio.timeout(30):
        await asyncio.to_thread(logs.flush)
        while logs.state().waiting:
            await asyncio.to_thread(logs.flush)


async def backlog(client: TestClient, query: str = "") -> list[dict[str, Any]]:
    """What the stream has now, of our own test's lines unless *query* asks otherwise."""
    await written()
    reply = await client.get(f"{STREAM}?follow=0&backlog=2000&{query}", headers={"Accept": NDJSON})
    assert reply.status == 200, await reply.text()
    return [json.loads(line) for line in (await reply.text()).splitlines()]


def lines_in(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(part[6:]) for part in body.decode().split("\n\n") if part.startswith("data: ")]


async def test_a_line_is_streamed_in_the_bytes_of_the_contract(serve: Serve, settings: Settings) -> None:  # noqa: F811
    served = await serve(settings)
    log.warning("Agent %s", "started")
    client = await served.ask(f"GET {STREAM} HTTP/1.1\r\nAccept: {SSE}")
    assert (client.status, client.header("Content-Type")) == (200, SSE)
    body = await client.body(b'"Agent started"')
    head, line, end = body.split(b"\n\n")[:3]
    assert head == b"retry: 2000\n: connected"
    assert line.startswith(b'data: {"level":"WARN","message":"Agent started","timestamp":"20')
    fields = json.loads(line.removeprefix(b"data: "))
    assert list(fields) == ["level", "message", "timestamp", "logger", "id"]
    assert (fields["logger"], end) == ("ironclaw.test", b"")
    log.error("And %d more", 1)
    assert b'data: {"level":"ERROR","message":"And 1 more"' in await client.body(b"And 1 more")


async def test_without_an_accept_it_is_an_event_stream_and_also_comes_as_lines_of_json_and_as_text(
    client: TestClient,
) -> None:
    log.warning("one")
    log.warning("two\nlines")
    await written()
    forms = {}
    for accept in ("*/*", SSE, NDJSON, TEXT):
        reply = await client.get(f"{STREAM}?follow=0&logger=ironclaw.test", headers={"Accept": accept})
        forms[accept] = reply.content_type, await reply.text()
        assert int(reply.headers["Content-Length"]) == len(forms[accept][1].encode())
    assert forms["*/*"] == forms[SSE]
    assert [one["message"] for one in lines_in(forms[SSE][1].encode())] == ["one", r"two\nlines"]
    tagged = [json.loads(line) for line in forms[NDJSON][1].splitlines()]
    assert [(one.pop("type"), one["message"]) for one in tagged] == [("log", "one"), ("log", r"two\nlines")]
    assert tagged == lines_in(forms[SSE][1].encode())
    assert forms[TEXT][1].splitlines()[1].endswith(r" ironclaw.test: two\nlines")
    assert {accept: kind for accept, (kind, _) in forms.items()} == {"*/*": SSE, SSE: SSE, NDJSON: NDJSON, TEXT: TEXT}


async def test_the_backlog_runs_on_into_what_comes_without_gap_or_double(serve: Serve, settings: Settings) -> None:  # noqa: F811
    served = await serve(attrs.evolve(settings, heartbeat=0.2))
    most, ended = 3000, threading.Event()

    def write(first: int) -> None:
        for number in range(first, most, 3):
            log.warning("number %d", number)
            if number % 30 == first:
                time.sleep(0.002)

    writers = [threading.Thread(target=write, args=(first,)) for first in range(3)]
    for writer in writers:
        writer.start()
    clients = []
    for _ in range(12):
        clients.append(await served.ask(f"GET {STREAM}?backlog=20&logger=ironclaw.test HTTP/1.1\r\nAccept: {SSE}"))
        await asyncio.sleep(0.01)
    for writer in writers:
        await asyncio.to_thread(writer.join)
    log.warning("the last")
    ended.set()
    everything = served.gateway.services.logs
    for client in clients:
        got = lines_in(await client.body(b"the last"))
        ids = [one["id"] for one in got]
        assert ids == sorted(set(ids))
        numbers = [int(one["message"].split()[1]) for one in got[:-1]]
        for first in range(3):  # of each writer all, from the first that this client was given
            own = [number for number in numbers if number % 3 == first]
            assert own == list(range(own[0], most, 3)), client
        assert len(got) > 20
    assert everything.last(1, logs.Wanted(logger="ironclaw.test"))[0].message == "the last"


async def test_a_client_that_comes_back_asks_for_what_is_newer_than_its_last_line(client: TestClient) -> None:
    for number in range(5):
        log.warning("%d", number)
    lines = await backlog(client, "logger=ironclaw.test")
    newer = await backlog(client, f"logger=ironclaw.test&after={lines[2]['id']}")
    assert [one["message"] for one in newer] == ["3", "4"]
    assert await backlog(client, f"after={lines[4]['id']}&logger=ironclaw.test") == []


async def test_level_logger_and_query_choose_what_comes(client: TestClient) -> None:
    await set_level(client, "trace")
    other = logging.getLogger("ironclaw.testing")  # no child of ironclaw.test
    child = logging.getLogger("ironclaw.test.child")
    for number, level in enumerate((TRACE, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)):
        log.log(level, "Straße %d", number)
    child.info("below")
    other.info("beside")
    fail("Needle")

    async def found(query: str) -> list[str]:
        return [one["message"] for one in await backlog(client, query) if one["logger"].startswith("ironclaw.test")]

    assert await found("level=warn") == ["Straße 3", "Straße 4", "failed"]
    assert await found("level=TRACE&query=STRASSE") == [f"Straße {number}" for number in range(5)]
    assert await found("logger=ironclaw.test&level=info&query=bel") == ["below"]
    assert await found("query=beside") == ["beside"]
    assert await found("query=needle") == ["failed"]  # in its traceback
    levels = [one["level"] for one in await backlog(client, "logger=ironclaw.test&query=stra")]
    assert levels == ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("level=loud", "level"), ("backlog=2001", "backlog"), ("follow=maybe", "follow"), ("after=-1", "after")],
)
async def test_what_cannot_be_asked_is_a_bad_request_that_names_it(client: TestClient, query: str, field: str) -> None:
    reply = await client.get(f"{STREAM}?{query}")
    assert (reply.status, (await reply.json())["error"]["field"]) == (400, field)


async def test_a_warning_is_still_there_after_thousands_of_other_lines(client: TestClient) -> None:
    await set_level(client, "info")
    log.warning("the disk is nearly full")
    for number in range(4000):
        log.info("%d", number)
        if number % 500 == 0:
            await written()
    (warning,) = await backlog(client, "logger=ironclaw.test&level=warn")
    assert warning["message"] == "the disk is nearly full"
    kept = await backlog(client, "logger=ironclaw.test")
    others = [int(one["message"]) for one in kept if one["level"] == "INFO"]
    assert others == list(range(others[0], 4000))
    assert 1900 < len(others) <= 2000


async def test_the_level_is_changed_and_told_as_the_contract_shows_it_and_goes_with_the_last_gateway(
    settings: Settings, make_client: MakeClient
) -> None:
    own = logging.getLogger("ironclaw")
    before, handlers = own.level, list(own.handlers)
    client = await make_client(settings)
    log.debug("not logged")
    for level in ("trace", "debug", "info", "warn", "error", "debug"):
        reply = await client.post("/api/logs/level", json={"level": level})
        assert (reply.status, await reply.text()) == (200, f'{{"status":"ok","level":"{level}"}}\n')
        assert await (await client.get("/api/logs/level")).json() == {"level": level}
    log.debug("logged now")
    assert [one["message"] for one in await backlog(client, "logger=ironclaw.test")] == ["logged now"]
    for wrong in ("loud", "", "10"):
        refused = await client.post("/api/logs/level", json={"level": wrong})
        assert refused.status == 422
        assert "trace, debug, info, warn, error" in (await refused.json())["error"]["message"]
    await client.close()
    assert (own.level, own.handlers) == (before, handlers)
    assert "ironclaw-log" not in {thread.name for thread in threading.enumerate()}


async def test_s83_a_line_in_a_message_forges_no_line_of_the_stream_and_no_level(client: TestClient) -> None:
    log.warning("said: %s", 'hi\n2026-01-01 INFO auth ok \x1b[2J\r\n\r\ndata: {"level":"ERROR"}\n\n')
    await written()
    reply = await client.get(f"{STREAM}?follow=0&logger=ironclaw.test")
    (line,) = [part for part in (await reply.text()).split("\n\n") if part]
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line.removeprefix("data: "))["message"].startswith(r"said: hi\n2026-01-01 INFO auth ok \x1b[2J")
    assert await backlog(client, "logger=ironclaw.test&level=error") == []


async def test_a_secret_in_a_message_an_argument_or_a_traceback_is_not_in_the_ring(client: TestClient) -> None:
    key = "sk-abcdefghijklmnopqrstuvwx"
    for said in (TOKEN, key, f"Authorization: Bearer {TOKEN}", "https://me:hunter2-hunter2@models.test/v1"):
        log.warning("said %s", said)
        fail(said)
    told = json.dumps(await backlog(client, "logger=ironclaw.test"))
    assert not [secret for secret in (TOKEN, key, "hunter2") if secret in told]
    assert told.count("***") >= 8


async def test_two_gateways_of_a_process_each_have_their_own_lines(settings: Settings, make_client: MakeClient) -> None:
    one = await make_client(settings, llm=ScriptedModel())
    two = await make_client(attrs.evolve(settings, home=settings.home.parent / "two"), llm=ScriptedModel())  # type: ignore[union-attr]
    await set_level(one, "trace")
    sent = {}
    for client, text in ((one, "x" * 1001), (two, "x" * 1002)):
        reply = await client.post("/api/chat/send?wait", json={"message": text})
        sent[client] = (await reply.json())["message_id"]
    embedded: Gateway = two.gateway  # type: ignore[attr-defined]
    async for _ in embedded.send("x" * 1003):
        pass
    log.warning("of no gateway")
    of_one, of_two = json.dumps(await backlog(one)), json.dumps(await backlog(two))
    assert sent[one] in of_one
    assert sent[two] in of_two
    assert sent[two] not in of_one
    assert sent[one] not in of_two
    assert ("1001 characters" in of_one, "1001 characters" in of_two) == (True, False)
    assert ("1003 characters" in of_one, "1003 characters" in of_two) == (False, True)
    assert "of no gateway" in of_one
    assert "of no gateway" in of_two


async def test_the_agent_the_model_and_the_events_are_in_the_log_at_trace(
    settings: Settings, make_client: MakeClient
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    await set_level(client, "trace")
    await client.post("/api/chat/send?wait", json={"message": "a private question"})
    lines = await backlog(client)
    loggers = {one["logger"] for one in lines}
    assert loggers >= {"ironclaw.hub.hub", "ironclaw.agent.loop", "ironclaw.database", "ironclaw.chat.worker"}
    assert "a private question" not in json.dumps(lines)  # what is said is nobody's business, at any level


async def test_a_client_that_reads_nothing_is_cut_and_the_others_get_everything(
    serve: Serve,  # noqa: F811
    settings: Settings,
) -> None:
    served = await serve(settings)
    reading = await served.ask(f"GET {STREAM}?logger=ironclaw.test HTTP/1.1\r\nAccept: {NDJSON}")
    stalled = await served.ask(f"GET {STREAM}?logger=ironclaw.test HTTP/1.1\r\nAccept: {NDJSON}")
    stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
    body = asyncio.create_task(reading.body(b"the last"))
    number = 0
    async with asyncio.timeout(30):
        while served.gateway.services.slots.taken > 1:
            for _ in range(20):
                log.warning("%d %s", number, "x" * 7000)
                number += 1
            await written()
    log.warning("the last")
    got = [json.loads(line) for line in (await body).decode().splitlines()]
    assert [one["message"].split()[0] for one in got if one["type"] == "log"] == [*map(str, range(number)), "the"]


async def test_a_slot_is_taken_while_it_is_followed_and_an_idle_one_is_kept_alive(
    serve: Serve,  # noqa: F811
    settings: Settings,
) -> None:
    served = await serve(attrs.evolve(settings, max_streams=1, heartbeat=0.1))
    client: Client = await served.ask(f"GET {STREAM}?logger=nobody HTTP/1.1\r\nAccept: {SSE}")
    assert served.gateway.services.slots.taken == 1
    await client.body(b": keep-alive\n\n: keep-alive\n\n")
    refused = await served.ask(f"GET {STREAM} HTTP/1.1")
    assert refused.status == 503
    ended = await served.ask(f"GET {STREAM}?follow=0 HTTP/1.1")
    assert ended.status == 200
    client.leave()
    await served.until_free()


@pytest.mark.parametrize("kind", [SSE, NDJSON, TEXT])
async def test_a_client_of_http_1_0_gets_it_without_chunks(serve: Serve, settings: Settings, kind: str) -> None:  # noqa: F811
    served = await serve(settings)
    log.warning("before")
    await written()
    client = await served.ask(f"GET {STREAM}?logger=ironclaw.test HTTP/1.0\r\nAccept: {kind}")
    assert (client.status, client.header("transfer-encoding"), client.header("content-type")) == (200, None, kind)
    log.warning("after")
    body = await client.body(b"after", chunked=False)
    assert body.count(b"before") == 1
    assert b"\r\n" not in body


async def test_s63_a_client_that_leaves_while_it_is_written_to_is_no_error(serve: Serve, settings: Settings) -> None:  # noqa: F811
    served = await serve(settings)
    ring = served.gateway.services.logs
    for steps in range(40):  # at every step of the way
        client = await served.ask(f"GET {STREAM} HTTP/1.1", head=False)
        log.warning("for number %d", steps)
        for _ in range(steps):
            await asyncio.sleep(0)
        client.leave(rudely=steps % 2 == 0)
    await served.until_free()
    await written()
    assert ring.last(2000, logs.Wanted(logging.WARNING, logger="ironclaw.api")) == []
