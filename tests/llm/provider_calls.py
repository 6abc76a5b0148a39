"""What the tests of providers share: the fixture `http`, requests, and replies read to their end."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from ironclaw.errors import ProviderError
from ironclaw.llm.endpoint import Endpoint, Timeouts
from ironclaw.llm.models import Delta, ModelMessage, ModelRequest, ReasoningDelta, TextDelta
from ironclaw.llm.provider import Provider
from ironclaw.llm.transport import ModelHTTP

SHORT = Timeouts(connect=2.0, first_token=5.0, between=5.0)


@pytest.fixture(name="http")
async def open_http() -> AsyncIterator[ModelHTTP]:
    """The connections to models' servers; retries come at once."""
    http = ModelHTTP(pause=0.001)
    yield http
    await http.aclose()


def ask(text: str = "Hi", **more: object) -> ModelRequest:
    """A request with one user message."""
    return ModelRequest((ModelMessage("user", text),), **more)  # type: ignore[arg-type]


def endpoint(url: str, **more: object) -> Endpoint:
    """An endpoint with OpenAI's protocol, unless *more* says otherwise."""
    return Endpoint(**{"kind": "openai", "name": "testing", "base_url": url, **more})  # type: ignore[arg-type]


async def read(provider: Provider, request: ModelRequest | None = None) -> list[Delta]:
    """All pieces of a reply."""
    async with aclosing(provider.stream(request or ask())) as deltas:
        return [delta async for delta in deltas]


async def read_failing(provider: Provider, request: ModelRequest | None = None) -> tuple[list[Delta], ProviderError]:
    """The pieces that came before the error, and the error."""
    got: list[Delta] = []
    async with aclosing(provider.stream(request or ask())) as deltas:
        try:
            async for delta in deltas:
                got.append(delta)
        except ProviderError as error:
            return got, error
    raise AssertionError(f"no error after {got}")


def text_of(deltas: list[Delta]) -> str:
    """The text of a reply."""
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def thoughts_of(deltas: list[Delta]) -> str:
    """What the model thought aloud."""
    return "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
