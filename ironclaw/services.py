"""Everything a gateway consists of, wired: built from settings, started and ended by one context manager."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable

import attrs

from ironclaw.agent import Agent, Toolbox
from ironclaw.agent.clock import TIME
from ironclaw.auth import Authenticate, TokenAuthority
from ironclaw.chat.schema import MIGRATIONS as CHAT
from ironclaw.chat.search import MIGRATIONS as CHAT_SEARCH
from ironclaw.chat.service import ChatService
from ironclaw.database import Database
from ironclaw.home import Home, make_token, read_token
from ironclaw.hub import MIGRATIONS as HUB
from ironclaw.hub import Hub
from ironclaw.llm.builtin import BuiltinProvider
from ironclaw.llm.metered import MeteredProvider
from ironclaw.llm.provider import Provider
from ironclaw.memory.search import Search
from ironclaw.memory.store import MIGRATIONS as MEMORY
from ironclaw.memory.tools import memory_tools
from ironclaw.memory.versions import Versions
from ironclaw.memory.workspace import Workspace
from ironclaw.ratelimit import RateLimits, StreamSlots
from ironclaw.redact import redact
from ironclaw.settings import Settings
from ironclaw.status import StatusReader
from ironclaw.tools import Tool
from ironclaw.usage.ledger import Ledger
from ironclaw.usage.store import MIGRATIONS as USAGE

log = logging.getLogger(__name__)

_MIGRATIONS = (*HUB, *USAGE, *CHAT, *CHAT_SEARCH, *MEMORY)


@attrs.frozen(kw_only=True)
class Services:
    """The parts of one running gateway. *token_is_new*: it was made at this start."""

    settings: Settings
    home: Home
    database: Database
    hub: Hub
    ledger: Ledger
    workspace: Workspace
    search: Search
    chat: ChatService
    status: StatusReader
    limits: RateLimits
    slots: StreamSlots
    authority: TokenAuthority
    authenticate: Authenticate | None
    token: str = attrs.field(repr=False)
    token_is_new: bool


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    llm: Provider | None = None,
    tools: Iterable[Tool] = (),
    authenticate: Authenticate | None = None,
    start_empty: bool = False,
) -> AsyncIterator[Services]:
    """Start all parts, and end them in the opposite order.

    Raises *ConfigError* when the home or the database can't be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        home, token, token_is_new = _open_home(stack, settings)
        database, hub, ledger = await _open_store(stack, home, start_empty=start_empty)
        workspace, search = await _open_notes(stack, home, database, hub)
        builtin = BuiltinProvider(word_delay=settings.word_delay)
        slots = StreamSlots(settings.max_streams)
        limits = RateLimits(api=settings.api_rate, chat=settings.chat_rate, login=settings.login_rate)
        status = StatusReader(
            database=database,
            hub=hub,
            ledger=ledger,
            workspace=workspace,
            search=search,
            slots=slots,
            provider=llm or builtin,
        )
        toolbox = Toolbox((*memory_tools(workspace, search), TIME, status.tool(), *tools))
        agents = _Agents(llm or builtin, builtin, ledger, toolbox, settings.max_tool_iterations)
        chat = await _open_chat(stack, settings, hub, database, agents)
        yield Services(
            settings=settings,
            home=home,
            database=database,
            hub=hub,
            ledger=ledger,
            workspace=workspace,
            search=search,
            chat=chat,
            status=status,
            limits=limits,
            slots=slots,
            authority=TokenAuthority(token),
            authenticate=authenticate,
            token=token,
            token_is_new=token_is_new,
        )


def _open_home(stack: contextlib.AsyncExitStack, settings: Settings) -> tuple[Home, str, bool]:
    """The home, to be closed with *stack*; the token; whether it was made now."""
    home = Home.open(settings)
    stack.callback(home.close)
    kept = read_token(settings, home.path)
    token = kept or make_token(home.path)
    redact.add(token)
    return home, token, kept is None


async def _open_store(
    stack: contextlib.AsyncExitStack, home: Home, *, start_empty: bool
) -> tuple[Database, Hub, Ledger]:
    """What keeps things on disk, to be ended with *stack*."""
    database = await Database.open(home.database, _MIGRATIONS, start_empty=start_empty)
    stack.push_async_callback(database.aclose)
    hub = await Hub.open(database)
    stack.push_async_callback(hub.aclose)
    ledger = await Ledger.open(database)
    stack.push_async_callback(ledger.aclose)
    return database, hub, ledger


async def _open_notes(
    stack: contextlib.AsyncExitStack, home: Home, database: Database, hub: Hub
) -> tuple[Workspace, Search]:
    """The notes and their search, to be ended with *stack*."""
    workspace = Workspace(home.workspace, Versions(database), hub.publish)
    stack.push_async_callback(workspace.aclose)
    await workspace.seed()
    search = Search(home.workspace, home.path / "index.db")
    stack.push_async_callback(search.aclose)
    workspace.on_change.append(search.notice)
    search.start()
    return workspace, search


async def _open_chat(
    stack: contextlib.AsyncExitStack, settings: Settings, hub: Hub, database: Database, agents: "_Agents"
) -> ChatService:
    """The conversations, to be ended with *stack*."""
    chat = ChatService(
        hub, database, agents.usual, agents.builtin, max_turns=settings.max_turns, user_id=settings.user_id
    )
    stack.push_async_callback(chat.aclose, settings.shutdown_grace)
    await chat.open()
    return chat


@attrs.frozen
class _Agents:
    """Makes the agent of a thread, its calls counted for that thread."""

    _provider: Provider
    _builtin: Provider
    _ledger: Ledger
    _toolbox: Toolbox
    _max_iterations: int

    def usual(self, thread_id: str) -> Agent:
        """The agent with the connected model."""
        return self._agent(self._provider, thread_id)

    def builtin(self, thread_id: str) -> Agent:
        """The agent that carries out commands, whatever model is connected."""
        return self._agent(self._builtin, thread_id)

    def _agent(self, provider: Provider, thread_id: str) -> Agent:
        metered = MeteredProvider(provider, self._ledger, "thread", thread_id)
        return Agent(metered, self._toolbox, max_iterations=self._max_iterations)
