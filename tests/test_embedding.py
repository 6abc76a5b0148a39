"""The gateway inside other programs: as a library, below a host's routes, twice in one loop, gone without a trace."""

import asyncio
import gc
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urljoin

import attrs
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from conftest import TOKEN, ScriptedModel

import ironclaw
from ironclaw.errors import ConfigError, ProviderError
from ironclaw.events import Response, StreamChunk
from ironclaw.gateway import Gateway, create_app
from ironclaw.llm.models import Finished, TextDelta, Usage
from ironclaw.settings import Settings
from ironclaw.tools import Tool, ToolContext, ToolResult

MakeClient = Callable[..., Awaitable[TestClient]]
ROOT = Path(ironclaw.__file__).parents[1]
PRIVATE = Settings(home=None, shutdown_grace=0.1)


def say(*words: str) -> list[object]:
    return [*(TextDelta(word) for word in words), Finished("stop", Usage(2, 1, 0.5))]


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def python(code: str, **env: str) -> str:
    """What a fresh interpreter prints for *code*."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# As a library


async def test_ask_gives_the_whole_answer_and_send_its_events_up_to_the_one_that_ends_the_turn() -> None:
    async with Gateway(PRIVATE, llm=ScriptedModel(say("Hel", "lo"))) as gateway:
        answer = await gateway.ask("hi")
        assert isinstance(answer, Response)
        assert (answer.content, answer.usage.total_tokens, answer.cost_usd) == ("Hello", 3, 0.5)
        events = [event async for event in gateway.send("again", thread_id="t1")]
    assert [event.kind for event in events] == ["user_message", "thinking", "stream_chunk", "stream_chunk", "response"]
    assert "".join(event.content for event in events if isinstance(event, StreamChunk)) == "Hello"
    assert {event.thread_id for event in events} == {"t1"}  # type: ignore[attr-defined]


async def test_without_a_model_the_built_in_assistant_answers() -> None:
    async with Gateway(attrs.evolve(PRIVATE, word_delay=0.0)) as gateway:
        assert (await gateway.ask("help")).content


async def test_tools_of_the_host_are_called_with_their_arguments() -> None:
    from ironclaw.llm.models import ToolCallDelta

    seen: list[object] = []

    async def switch(context: ToolContext, arguments: object) -> ToolResult:
        seen.append((context.thread_id, arguments))
        return ToolResult("it is on")

    tool = Tool("Lamp", "switches the lamp", {"type": "object"}, switch)
    model = ScriptedModel([ToolCallDelta(0, '{"on": true}', "c1", "Lamp"), Finished("tool_calls")], say("done"))
    async with Gateway(PRIVATE, llm=model, tools=[tool]) as gateway:
        assert (await gateway.ask("light!", thread_id="home")).content == "done"
    assert seen == [("home", {"on": True})]


async def test_stop_ends_the_turn_and_ask_says_so() -> None:
    model = ScriptedModel([TextDelta("half"), asyncio.Event()])
    async with Gateway(PRIVATE, llm=model) as gateway:
        asking = asyncio.create_task(gateway.ask("x", thread_id="t"))
        await until(lambda: bool(model.requests))
        assert await gateway.stop("t")
        with pytest.raises(ProviderError) as caught:
            await asking
        assert caught.value.code == "stopped"
        assert not await gateway.stop("t")


async def test_a_failed_model_raises_with_its_reason_and_leaving_send_early_does_not_end_the_turn() -> None:
    model = ScriptedModel([ProviderError("No route.", code="unreachable")], say("one", "two"))
    async with Gateway(PRIVATE, llm=model) as gateway:
        with pytest.raises(ProviderError, match="No route"):
            await gateway.ask("x")
        events = gateway.send("y", thread_id="t")
        assert (await anext(events)).kind == "user_message"
        await events.aclose()
        await until(lambda: model.closed == 2)
        history = await gateway.services.chat.history("t", 10, None)
        await until(lambda: "t" not in gateway.services.chat.turns.live)
        history = await gateway.services.chat.history("t", 10, None)
    assert [(turn.state, turn.response) for turn in history.turns] == [("completed", "onetwo")]


async def test_a_gateway_can_be_entered_again_and_says_when_it_is_not_running(settings: Settings) -> None:
    gateway = Gateway(settings, llm=ScriptedModel())
    with pytest.raises(RuntimeError, match="not running"):
        _ = gateway.services
    for _ in range(2):
        async with gateway:
            await gateway.ask("x", thread_id="t")
    async with gateway:
        assert len((await gateway.services.chat.history("t", 10, None)).turns) == 2
    with pytest.raises(RuntimeError, match="not running"):
        _ = gateway.services


async def test_a_start_that_fails_leaves_nothing_open_and_the_next_one_works(settings: Settings) -> None:
    async with Gateway(settings):
        second = Gateway(settings)
        with pytest.raises(ConfigError, match=rf"pid {os.getpid()}"):
            await second.__aenter__()
    async with second:
        assert (await second.ask("help")).content


# Below a host


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[TestClient]:
    """A host with a route of its own, and the gateway below /claw."""

    async def own(_: web.Request) -> web.Response:
        return web.json_response({"mine": True})

    app = web.Application()
    app.router.add_get("/own", own)
    model = ScriptedModel(say("Hel", "lo"))
    app.add_subapp("/claw", Gateway(settings, llm=model).app())
    async with TestClient(TestServer(app)) as client:
        yield client


AUTH = {"Authorization": f"Bearer {TOKEN}"}


async def test_below_a_prefix_the_hosts_own_routes_are_left_alone(host: TestClient) -> None:
    own = await host.get("/own")
    assert (own.status, await own.json()) == (200, {"mine": True})
    assert "Content-Security-Policy" not in own.headers
    assert (await host.get("/api/status", headers=AUTH)).status == 404


async def test_below_a_prefix_routes_are_as_closed_as_elsewhere(host: TestClient) -> None:
    for method, path in (("GET", "api/status"), ("POST", "api/chat/send"), ("GET", "api/chat/ws"), ("GET", "nothing")):
        reply = await host.request(method, f"/claw/{path}")
        assert (reply.status, (await reply.json())["error"]["code"]) == (401, "unauthorized"), path
    assert (await host.get("/claw/healthz")).status == 200
    assert (await host.get("/claw/api/status", headers=AUTH)).status == 200
    unknown = await host.get("/claw/api/chat/histroy", headers=AUTH)
    assert unknown.status == 404
    assert "/api/chat/history" in (await unknown.json())["error"]["message"]


async def test_below_a_prefix_the_page_finds_all_its_files(host: TestClient) -> None:
    page = await host.get("/claw/")
    assert page.status == 200
    text = await page.text()
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert links
    seen: set[str] = set()
    waiting = [urljoin("/claw/", link) for link in links]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        assert path.startswith("/claw/")
        reply = await host.get(path)
        assert reply.status == 200, path
        imports = re.findall(r"""(?:from|import)[\s(]+["'](\.[^"']+)["']""", await reply.text(errors="replace"))
        waiting += [urljoin(path, one) for one in imports]
    assert any(path.endswith(".js") for path in seen)
    assert any(path.endswith(".css") for path in seen)


async def test_below_a_prefix_messages_streams_and_sockets_work(host: TestClient) -> None:
    stream = await host.get("/claw/api/chat/events", headers=AUTH)
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    async with host.ws_connect(f"/claw/api/chat/ws?token={TOKEN}") as socket:
        await socket.send_json({"message": "hi", "thread_id": "t"})
        kinds = []
        while "response" not in kinds:
            frame = await socket.receive_json(timeout=5)
            kinds.append(frame["type"])
    assert "accepted" in kinds
    assert kinds.count("stream_chunk") == 2
    async with asyncio.timeout(5):
        while (await stream.content.readline()) != b"event: response\n":
            pass
    stream.close()


async def test_below_a_prefix_the_description_of_the_api_is_true(host: TestClient) -> None:
    reply = await host.get("/claw/api/openapi.json", headers=AUTH)
    described = await reply.json()
    base = described.get("servers", [{"url": "/"}])[0]["url"]
    url = urljoin("/claw/api/openapi.json", base).rstrip("/") + "/api/status"
    assert "/api/status" in described["paths"]
    assert (await host.get(url, headers=AUTH)).status == 200
    about = await (await host.get("/claw/api", headers=AUTH)).json()
    assert about["openapi"] == "/claw/api/openapi.json"
    assert all("/claw/api/" in line for line in about["examples"])


async def test_create_app_is_an_application_for_any_runner(settings: Settings) -> None:
    async with TestClient(TestServer(create_app(settings, llm=ScriptedModel()))) as client:
        reply = await client.post("/api/chat/send?wait", json={"message": "x"}, headers=AUTH)
        assert (await reply.json())["response"]["content"] == "Hello."


# Twice


async def test_two_gateways_in_one_loop_share_nothing() -> None:
    one, two = Gateway(PRIVATE, llm=ScriptedModel(say("one"))), Gateway(PRIVATE, llm=ScriptedModel(say("two")))
    async with one, two, TestClient(TestServer(one.app())) as first, TestClient(TestServer(two.app())) as second:
        tokens = [gateway.services.token for gateway in (one, two)]
        assert tokens[0] != tokens[1]
        headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
        assert (await first.get("/api/status", headers=headers[1])).status == 401
        stream = await second.get("/api/chat/events", headers={**headers[1], "Accept": "application/x-ndjson"})
        assert (await one.ask("x", thread_id="t")).content == "one"
        assert (await two.ask("y", thread_id="t")).content == "two"
        seen = []
        async with asyncio.timeout(5):
            while "response" not in [event["type"] for event in seen]:
                seen.append(json.loads(await stream.content.readline()))
        assert [event.get("content") for event in seen if event["type"] in {"user_message", "response"}] == ["y", "two"]
        stream.close()
        totals = [gateway.services.ledger.totals.tokens for gateway in (one, two)]
        assert totals == [3, 3]
        texts = [turn.user_message for turn in (await one.services.chat.history("t", 10, None)).turns]
        assert texts == ["x"]


# Without a trace


async def test_after_the_end_tasks_threads_descriptors_and_logging_are_as_before(settings: Settings) -> None:
    async def cycle() -> None:
        gateway = Gateway(settings, llm=ScriptedModel())
        client = TestClient(TestServer(gateway.app()), headers=AUTH)
        await client.start_server()
        async with client.get("/api/chat/events") as stream, client.ws_connect("/api/chat/ws") as socket:
            await client.post("/api/chat/send?wait", json={"message": "x"})
            assert stream.status == 200
            await socket.receive(timeout=5)
        await client.close()

    def kept() -> tuple[object, ...]:
        gc.collect()
        threads = {one.name for one in threading.enumerate() if not one.name.startswith("asyncio_")}  # the loop's own
        loggers = [logging.getLogger(name) for name in (None, "ironclaw", "aiohttp.access", "aiohttp.server")]
        logs = [(tuple(one.handlers), tuple(one.filters), one.level, one.propagate) for one in loggers]
        return psutil.Process().num_fds(), threads, asyncio.all_tasks(), logs

    await cycle()  # what is made once for the whole process is made by now
    before = kept()
    for _ in range(3):
        await cycle()
    await until(lambda: kept() == before)


def test_a_private_home_leaves_nothing_on_disk(tmp_path: Path) -> None:
    code = (
        "import asyncio\nfrom ironclaw import Gateway, Settings\n"
        "async def main():\n"
        "    async with Gateway(Settings(home=None, word_delay=0.0)) as gateway:\n"
        "        answer = await gateway.ask('help')\n"
        "        home = gateway.services.home.path\n"
        "        print(home, oct(home.stat().st_mode & 0o777), bool(answer.content))\n"
        "asyncio.run(main())"
    )
    home, mode, answered = python(code, HOME=str(tmp_path), TMPDIR=str(tmp_path)).split()
    assert home.startswith(str(tmp_path))
    assert (mode, answered) == ("0o700", "True")
    assert list(tmp_path.iterdir()) == []


def test_importing_it_loads_nothing_heavy_and_the_face_without_http_loads_no_http_code(tmp_path: Path) -> None:
    heavy = "[name for name in ('aiohttp', 'attrs', 'cattrs', 'sqlite3', 'click', 'dotenv') if name in sys.modules]"
    assert python(f"import sys, ironclaw; print({heavy})") == "[]"
    code = (
        "import asyncio, sys\nfrom ironclaw import Gateway, Settings\n"
        "async def main():\n"
        "    async with Gateway(Settings(home=None, word_delay=0.0)) as gateway:\n"
        "        await gateway.ask('help')\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith(('ironclaw.api', 'ironclaw.cli', 'aiohttp_sse'))])"
    )
    assert python(code, HOME=str(tmp_path)) == "[]"


def test_every_public_name_resolves_and_stays_the_same() -> None:
    for name in ironclaw.__all__:
        assert getattr(ironclaw, name) is not None, name
    assert {"Gateway", "Settings", "create_app", "Tool", "Provider"} <= set(ironclaw.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ironclaw.nonsense


# When something inside dies


def task_named(name: str) -> "asyncio.Task[object]":
    return next(task for task in asyncio.all_tasks() if task.get_name() == name)


@pytest.mark.parametrize("name", ["usage-writer", "event-log-trimmer", "stream-heartbeat", "request-log"])
async def test_r31_background_work_that_dies_is_said_in_the_status(
    make_client: MakeClient, settings: Settings, name: str
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    healthy = await (await client.get("/api/status")).json()
    assert healthy["status"] == "healthy"
    task_named(name).cancel()
    status = healthy
    deadline = time.monotonic() + 5
    while status["status"] == "healthy" and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        status = await (await client.get("/api/status")).json()
    assert status["status"] == "degraded"
    reasons = [part["reason"] for part in status["parts"].values() if part["state"] == "degraded"]
    assert len(reasons) == 1
    assert reasons[0]
    health = await (await client.get("/api/health")).json()
    assert health["status"] == "degraded"
    assert reasons[0] not in json.dumps(health)  # without a token only which part, not why
    assert (await client.post("/api/chat/send?wait", json={"message": "x"})).status == 200


async def test_r31_a_writer_that_dies_makes_it_not_ready_and_refuses_messages_instead_of_hanging(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    assert (await client.get("/readyz")).status == 200
    task_named("database-writer").cancel()
    async with asyncio.timeout(5):
        refused = await client.post("/api/chat/send", json={"message": "x"})
    assert refused.status == 503
    deadline = time.monotonic() + 3
    while (ready := (await client.get("/readyz")).status) == 200 and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert ready == 503
    assert (await (await client.get("/api/status")).json())["status"] == "degraded"


async def test_r32_stop_and_the_end_do_not_deadlock_while_many_messages_wait(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(attrs.evolve(settings, max_turns=3), llm=ScriptedModel([asyncio.Event()]))
    threads = [f"t{number}" for number in range(8)]
    for _ in range(10):
        await asyncio.gather(*(client.post("/api/chat/send", json={"message": "x", "thread_id": t}) for t in threads))
    sending = [
        asyncio.create_task(client.post("/api/chat/send", json={"message": "y", "thread_id": thread}))
        for thread in threads * 5
    ]
    async with asyncio.timeout(5):
        drop = {"queued": "drop"}
        await asyncio.gather(*(client.post("/api/chat/stop", json={"thread_id": t, **drop}) for t in threads))
        assert {reply.status for reply in await asyncio.gather(*sending)} == {200}
        await client.close()
