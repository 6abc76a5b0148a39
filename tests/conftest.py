"""What all tests share: a gateway in this process, a scripted model, and the real program as a process of its own."""

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from gateway_process import GatewayProcess
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, Page, sync_playwright
from web_site import Site

from ironclaw.database import Database
from ironclaw.events import MemoryChanged
from ironclaw.gateway import Gateway
from ironclaw.llm.models import Delta, Finished, ModelRequest, TextDelta, Usage
from ironclaw.memory.store import MIGRATIONS
from ironclaw.memory.versions import Versions
from ironclaw.memory.workspace import Workspace
from ironclaw.settings import Settings

# A shell that starts the tests in the background has them ignore SIGINT, and with them each program that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis_settings.register_profile("ironclaw", deadline=None)
hypothesis_settings.load_profile("ironclaw")

TOKEN = "test-token-0123456789abcdef"


class ScriptedModel:
    """A model outside the machine, as an embedder would pass one: it says what the test told it to.

    Each call takes the next script: a list of deltas, seconds to wait (a float), events to wait for, or errors to raise.
    The last script is used for all calls after it.
    """

    name = "scripted"
    model = "scripted-1"

    def __init__(self, *scripts: list[object]) -> None:
        self.scripts = list(scripts) or [[TextDelta("Hello."), Finished("stop", Usage(3, 1, 0.25))]]
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step  # type: ignore[misc]
        finally:
            self.closed += 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a gateway on a temporary home, without rates and pauses."""
    return Settings(
        home=tmp_path / "home",
        auth_token=TOKEN,
        api_rate=0,
        chat_rate=0,
        login_rate=0,
        word_delay=0.0,
        llm_discover=False,
        shutdown_grace=0.2,
    )


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[..., Awaitable[TestClient]]]:
    """Starts a gateway in this process and gives a client that has the token (`auth=False`: one that has none)."""
    clients: list[TestClient] = []

    async def make(settings: Settings, *, auth: bool = True, **more: object) -> TestClient:
        gateway = Gateway(settings, **more)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {TOKEN}"} if auth else {}
        client = TestClient(TestServer(gateway.app()), headers=headers)
        client.gateway = gateway  # type: ignore[attr-defined]
        await client.start_server()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def client(make_client: Callable[..., Awaitable[TestClient]], settings: Settings) -> TestClient:
    """A client of a gateway with the built-in assistant."""
    return await make_client(settings)


@pytest.fixture
def gateway_process(tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Makes real `ironclaw run` processes on homes below a temporary folder; those still alive are killed at the end."""
    made: list[GatewayProcess] = []

    def make(home: Path | None = None, **env: str) -> GatewayProcess:
        process = GatewayProcess(home or tmp_path / "home", env)
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()


_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP evil.test 127.0.0.1",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, the system's. One a module: while it is there its own event loop runs in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own, without cookies and storage."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(10_000)
    yield page
    context.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """A web site on another localhost port."""
    site = Site()
    yield site
    site.close()


@pytest.fixture
async def notes_database(tmp_path: Path) -> AsyncIterator[Database]:
    """A real database with the versions of notes."""
    opened = await Database.open(tmp_path / "ironclaw.db", MIGRATIONS)
    yield opened
    await opened.aclose()


@pytest.fixture
def told() -> list[MemoryChanged]:
    """The events of all changes."""
    return []


@pytest.fixture
async def kept(tmp_path: Path, notes_database: Database, told: list[MemoryChanged]) -> AsyncIterator[Workspace]:
    """A workspace, empty at first, whose changes are kept in that database."""
    (tmp_path / "ws").mkdir()
    workspace = Workspace(tmp_path / "ws", Versions(notes_database), told.append)
    yield workspace
    await workspace.aclose()
