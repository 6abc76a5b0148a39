"""Which model is used and why, and how the connection keeps its state."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from llm.stand_in_process import StandInProcess, reply

from ironclaw.database import Database
from ironclaw.errors import ProviderError
from ironclaw.hub import MIGRATIONS as HUB
from ironclaw.hub import Hub
from ironclaw.llm.builtin import BuiltinProvider
from ironclaw.llm.connection import ModelConnection
from ironclaw.llm.models import Finished, ModelMessage, ModelRequest, TextDelta
from ironclaw.llm.provider import Provider
from ironclaw.llm.store import MIGRATIONS as LLM
from ironclaw.secretbox import MIGRATIONS as SECRETS
from ironclaw.secretbox import SecretBox
from ironclaw.settings import Settings

HELLO = ModelRequest((ModelMessage("user", "hi"),))
Open = Callable[..., Awaitable[ModelConnection]]


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandInProcess]:
    process = StandInProcess(tmp_path / "stand-in.log")
    yield process
    process.close()


@pytest.fixture
async def open_connection(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens connections on one database, with what is looked for on this machine somewhere of the test's choice."""
    database = await Database.open(tmp_path / "ironclaw.db", (*HUB, *SECRETS, *LLM))
    hub = await Hub.open(database)
    opened: list[ModelConnection] = []

    async def make(*, ollama_here: str = "http://127.0.0.1:9", llm: Provider | None = None, **set_: Any) -> Any:
        box = SecretBox(database, tmp_path)
        settings = Settings(**{"llm_connect_timeout": 2.0, "llm_discover": False, **set_})
        connection = await ModelConnection.open(
            settings,
            database=database,
            hub=hub,
            box=box,
            builtin=BuiltinProvider(0.0),
            llm=llm,
            ollama_here=ollama_here,
        )
        opened.append(connection)
        return connection

    make.hub = hub  # type: ignore[attr-defined]
    yield make
    for connection in opened:
        await connection.aclose()
    await hub.aclose()
    await database.aclose()


async def said(provider: Provider) -> str:
    """What a model says to a greeting."""
    deltas = [delta async for delta in provider.stream(HELLO)]
    assert isinstance(deltas[-1], Finished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def until(is_so: Callable[[], bool], open_connection: Open) -> None:
    """Wait for a change that is published."""
    with open_connection.hub.subscribe(thread_id=None) as events:  # type: ignore[attr-defined]
        if not is_so():
            async for _ in events:
                if is_so():
                    return


async def test_an_address_without_v1_works_at_the_first_call(open_connection: Open, stand_in: StandInProcess) -> None:
    connection = await open_connection(llm_base_url=stand_in.url, llm_model="hello")
    assert await said(connection.current().provider) == "Hello from the model."
    assert connection.link.endpoint.base_url == f"{stand_in.url}/v1"


async def test_without_a_name_the_first_model_answers(open_connection: Open, stand_in: StandInProcess) -> None:
    stand_in.facts(models=["text-embedding-3-small", "hello"])
    connection = await open_connection(llm_base_url=f"{stand_in.url}/v1")
    provider = connection.current().provider
    assert await said(provider) == "Hello from the model."
    assert provider.model == "hello"


async def test_a_named_model_is_called_without_asking_for_the_list_first(
    open_connection: Open, stand_in: StandInProcess
) -> None:
    connection = await open_connection(llm_base_url=f"{stand_in.url}/v1", llm_model="hello")
    provider = connection.current().provider
    await connection._end_task()
    assert await said(provider) == "Hello from the model."
    assert stand_in.requests("/v1/models") == []


async def test_another_model_of_the_server_for_one_thread(open_connection: Open, stand_in: StandInProcess) -> None:
    connection = await open_connection(llm_base_url=f"{stand_in.url}/v1", llm_model="hello")
    assert await said(connection.provider_named("echo")) == "hi"
    with pytest.raises(ProviderError) as caught:
        await said(connection.provider_named("missing"))
    assert caught.value.code == "model_missing"
    assert connection.current().state == "ready"  # the connection's own model is still there
    assert (await open_connection()).provider_named("echo").name == "builtin"


async def test_the_state_follows_the_calls(open_connection: Open, stand_in: StandInProcess) -> None:
    ok = {"steps": [{"send": 'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}\n\n'}]}
    stand_in.script("m", reply("{}", status=401), ok, reply("{}", status=404), reply("{}", status=400), ok)
    connection = await open_connection(llm_base_url=f"{stand_in.url}/v1", llm_model="m")
    await connection._task
    states = []
    for _ in range(5):
        with contextlib.suppress(ProviderError):
            await said(connection.current().provider)
        states.append(connection.current().state)
    assert states == ["key_refused", "ready", "model_missing", "model_missing", "ready"]


async def test_while_ollama_loads_a_model_the_state_says_so(open_connection: Open, stand_in: StandInProcess) -> None:
    stand_in.facts(loaded=[])
    connection = await open_connection(ollama_host=stand_in.url, llm_model="hello")
    await connection._task
    stream = connection.current().provider.stream(HELLO)
    await anext(stream)
    assert connection.current().state == "loading"
    assert [type(delta).__name__ async for delta in stream][-1] == "Finished"
    assert connection.current().state == "ready"


@pytest.mark.parametrize(("set_", "context"), [(0, 8192), (100_000, 100_000), (500_000, 131_072)])
async def test_ollama_gets_a_context_that_fits(
    open_connection: Open, stand_in: StandInProcess, set_: int, context: int
) -> None:
    connection = await open_connection(ollama_host=stand_in.url, llm_model="hello", llm_context_tokens=set_)
    await connection._task
    assert connection.current().abilities.context_tokens == context
    assert connection.current().abilities.tools is True
    await said(connection.current().provider)
    assert stand_in.requests("/api/chat")[-1]["body"]["options"]["num_ctx"] == context


async def test_the_size_of_the_context_is_what_the_server_or_the_settings_say(
    open_connection: Open, stand_in: StandInProcess
) -> None:
    stand_in.facts(models=[{"id": "hello", "context_length": 4096}])
    for set_, context in ((0, 4096), (1000, 1000)):
        connection = await open_connection(llm_base_url=f"{stand_in.url}/v1", llm_context_tokens=set_)
        await connection._task
        assert connection.current().abilities.context_tokens == context


async def test_an_ollama_of_this_machine_is_found_and_used(open_connection: Open, stand_in: StandInProcess) -> None:
    hub = open_connection.hub  # type: ignore[attr-defined]
    before = hub.head
    connection = await open_connection(llm_discover=True, ollama_here=stand_in.url)
    assert connection.current().state == "none"  # the start did not wait for it
    await until(lambda: connection.current().state == "ready", open_connection)
    assert (connection.source, connection.locked, connection.link.model) == ("found", False, "hello:latest")
    assert await said(connection.current().provider) == "Hello from the model."
    assert hub.head == before + 1  # clients were told once


@pytest.mark.parametrize("set_", [{"llm_discover": False}, {"llm_discover": True, "llm_backend": "builtin"}])
async def test_nothing_is_looked_for_where_that_is_off(
    open_connection: Open, stand_in: StandInProcess, set_: dict[str, Any]
) -> None:
    connection = await open_connection(ollama_here=stand_in.url, **set_)
    assert connection._task is None
    assert connection.current().state == "none"
    assert stand_in.events("request") == []


async def test_an_ollama_without_models_is_left_alone(open_connection: Open, stand_in: StandInProcess) -> None:
    stand_in.facts(models=["nomic-embed-text"])
    connection = await open_connection(llm_discover=True, ollama_here=stand_in.url)
    await connection._task
    assert connection.current().state == "none"


async def test_what_the_page_set_wins_over_what_is_found_and_loses_to_the_environment(
    open_connection: Open, stand_in: StandInProcess
) -> None:
    first = await open_connection()
    await first.use(stand_in.url, None, "echo")
    kept = await open_connection(llm_discover=True, ollama_here=stand_in.url)
    assert (kept.source, kept.link.model) == ("page", "echo")
    over = await open_connection(llm_base_url=f"{stand_in.url}/v1", llm_model="hello")
    assert (over.source, over.link.model) == ("environment", "hello")


async def test_a_change_made_while_the_search_runs_stays(open_connection: Open, stand_in: StandInProcess) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await answer.wait()
        return web.json_response({"models": [{"name": "late"}]})

    app = web.Application()
    app.router.add_get("/api/tags", slow)
    async with TestServer(app) as ollama:
        connection = await open_connection(llm_discover=True, ollama_here=f"http://127.0.0.1:{ollama.port}")
        await asked.wait()
        search = connection._task
        await connection.use(stand_in.url, None, "echo")
        answer.set()
        await asyncio.wait([search])
    assert (connection.source, connection.link.model) == ("page", "echo")


async def test_a_server_that_went_away_is_ready_again_after_its_next_answer(
    open_connection: Open, stand_in: StandInProcess
) -> None:
    connection = await open_connection(llm_base_url=f"{stand_in.url}/v1", llm_model="hello")
    command = stand_in.process.args
    stand_in.close()
    with pytest.raises(ProviderError):
        await said(connection.current().provider)
    assert connection.current().state == "unreachable"
    stand_in.process = subprocess.Popen([*command, "--port", str(stand_in.port)])
    await asyncio.to_thread(stand_in.wait_for, "listening", 2, within=20)
    assert await said(connection.current().provider) == "Hello from the model."
    assert connection.current().state == "ready"


async def test_closing_ends_the_check_that_runs(open_connection: Open, stand_in: StandInProcess) -> None:
    connection = await open_connection(llm_base_url="http://192.0.2.1:1")
    task = connection._task
    await connection.aclose()
    assert task.done()
