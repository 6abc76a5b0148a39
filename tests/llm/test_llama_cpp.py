"""A real llama.cpp server: its streams, its usage, its errors, and that it stops when we leave."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
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

from ironclaw.llm.models import Finished
from ironclaw.llm.openai import OpenAIProvider, list_models
from ironclaw.llm.transport import ModelHTTP

_START = 20.0


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a llama.cpp server in a process of its own."""
    folder = tmp_path_factory.mktemp("llama")
    log = folder / "log"
    with log.open("w") as output:
        program = Path(__file__).with_name("llama_server.py")
        process = subprocess.Popen([sys.executable, str(program), str(folder)], stdout=output, stderr=output)
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait(10)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        found = [line.split()[-1] for line in log.read_text().splitlines() if line.startswith("listening at ")]
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def _slot(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/slots", timeout=5) as answer:
        [slot] = json.load(answer)
    return slot  # type: ignore[no-any-return]


def _wait_until_free(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + 2
    while (slot := _slot(url))["is_processing"]:
        assert time.monotonic() < deadline, slot
        time.sleep(0.02)
    return slot


async def test_a_reply_streams_and_is_counted(http: ModelHTTP, llama: str) -> None:
    provider = OpenAIProvider(http, endpoint(f"{llama}/v1", local=True), "tiny", timeouts=SHORT)
    deltas = await read(provider, ask("Tell me.", max_output_tokens=40))
    end = deltas[-1]
    assert isinstance(end, Finished)
    assert (end.reason, end.usage.output_tokens, end.usage.cost_usd) == ("length", 40, 0.0)
    assert 8 <= end.usage.input_tokens <= 16
    assert len(deltas) > 10
    assert text_of(deltas)


async def test_the_server_stops_when_the_reader_leaves(http: ModelHTTP, llama: str) -> None:
    """R25: else it goes on for the 16,384 tokens of its context."""
    provider = OpenAIProvider(http, endpoint(f"{llama}/v1", local=True), "tiny", timeouts=SHORT)
    async with aclosing(provider.stream(ask())) as deltas:
        for _ in range(10):
            await anext(deltas)
        assert (await asyncio.to_thread(_slot, llama))["is_processing"]
    slot = await asyncio.to_thread(_wait_until_free, llama)
    assert slot["n_prompt_tokens"] < 8000


async def test_a_conversation_that_is_too_long_is_said(http: ModelHTTP, llama: str) -> None:
    provider = OpenAIProvider(http, endpoint(f"{llama}/v1", local=True), "tiny", timeouts=SHORT)
    _, error = await read_failing(provider, ask("x" * 20_000))
    assert (error.code, error.status) == ("context_overflow", 400)
    assert "16384 tokens" in error.what


async def test_its_model_is_listed_with_its_context(http: ModelHTTP, llama: str) -> None:
    [model] = await list_models(http, endpoint(f"{llama}/v1", local=True), timeout=5)
    assert (model.id, model.context_tokens) == ("tiny", 16384)
