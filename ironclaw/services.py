"""Everything a gateway consists of, wired: built from settings, started and ended by one context manager."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable

import attrs

from ironclaw.agent import AgentLimits, Briefing, Toolbox
from ironclaw.agent.task import AgentTasks
from ironclaw.agents import Agents, ThreadModels
from ironclaw.auth import Authenticate, TokenAuthority
from ironclaw.backup.keeper import BackupKeeper, Plan
from ironclaw.chat.schema import MIGRATIONS as CHAT
from ironclaw.chat.search import MIGRATIONS as CHAT_SEARCH
from ironclaw.chat.service import ChatService
from ironclaw.database import Database
from ironclaw.egress import Egress
from ironclaw.extensions.manager import Extensions
from ironclaw.extensions.store import MIGRATIONS as EXTENSIONS
from ironclaw.home import Home, make_token, read_token
from ironclaw.hub import MIGRATIONS as HUB
from ironclaw.hub import Hub
from ironclaw.jobs.limits import JobLimits
from ironclaw.jobs.manager import Jobs
from ironclaw.jobs.store import MIGRATIONS as JOBS
from ironclaw.llm.builtin import BuiltinProvider
from ironclaw.llm.connection import ModelConnection
from ironclaw.llm.metered import Meter
from ironclaw.llm.prices import Prices
from ironclaw.llm.provider import Provider
from ironclaw.llm.store import MIGRATIONS as LLM
from ironclaw.logs import LogRing
from ironclaw.memory.outside import Outside
from ironclaw.memory.search import Search
from ironclaw.memory.store import MIGRATIONS as MEMORY
from ironclaw.memory.versions import Versions
from ironclaw.memory.workspace import Workspace
from ironclaw.openai.front import OpenAIFront
from ironclaw.openai.store import MIGRATIONS as RESPONSES
from ironclaw.ratelimit import RateLimits, StreamSlots
from ironclaw.redact import redact
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.secretbox import MIGRATIONS as SECRETS
from ironclaw.secretbox import SecretBox
from ironclaw.settings import Settings
from ironclaw.skills import MIGRATIONS as SKILLS
from ironclaw.skills import SkillManager
from ironclaw.status import PartStatus, StatusReader
from ironclaw.tools import Tool
from ironclaw.usage.budgets import Budgets
from ironclaw.usage.ledger import Ledger
from ironclaw.usage.store import MIGRATIONS as USAGE
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_PROBE_AFTER = 1.0  # seconds; the start has other things to do first

_MIGRATIONS = (*HUB, *SECRETS, *USAGE, *LLM, *CHAT, *CHAT_SEARCH, *MEMORY, *JOBS, *EXTENSIONS, *RESPONSES, *SKILLS)


def known_migrations() -> frozenset[int]:
    """The numbers of all migrations of this program."""
    return frozenset(migration.number for migration in _MIGRATIONS)


@frozen(kw_only=True)
class Services:
    """The parts of one running gateway. *token_is_new*: it was made at this start."""

    settings: Settings
    logs: LogRing
    home: Home
    database: Database
    hub: Hub
    ledger: Ledger
    budgets: Budgets
    workspace: Workspace
    search: Search
    skills: SkillManager
    model: ModelConnection
    jobs: Jobs
    extensions: Extensions
    chat: ChatService
    openai: OpenAIFront
    status: StatusReader
    backups: BackupKeeper
    limits: RateLimits
    slots: StreamSlots
    authority: TokenAuthority
    authenticate: Authenticate | None
    token: str = attrs.field(repr=False)
    token_is_new: bool


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings,
    logs: LogRing,
    *,
    llm: Provider | None = None,
    tools: Iterable[Tool] = (),
    authenticate: Authenticate | None = None,
    start_empty: bool = False,
) -> AsyncIterator[Services]:
    """Start all parts; end them in the opposite order. Raises *ConfigError* where home or database can't be used."""
    async with contextlib.AsyncExitStack() as stack:
        home, token, token_is_new = _open_home(stack, settings)
        ground = await _Ground.open(stack, settings, home, start_empty=start_empty)
        nouns = await ground.nouns(token)
        slots = StreamSlots(settings.max_streams)
        builtin, model = await ground.models(llm)
        status = ground.status(nouns, slots, model)
        toolbox = ground.toolbox(nouns, status, tuple(tools))
        agents = await ground.agents(builtin, model, toolbox, Briefing(nouns.workspace, nouns.skills))
        await nouns.jobs.open(AgentTasks(model, agents.meter, settings.max_tool_iterations))
        chat = await ground.chat(agents, status, nouns)
        yield Services(
            settings=settings,
            logs=logs,
            home=home,
            database=ground.database,
            hub=ground.hub,
            ledger=ground.ledger,
            budgets=agents.meter.budgets,
            workspace=nouns.workspace,
            search=nouns.search,
            skills=nouns.skills,
            model=model,
            jobs=nouns.jobs,
            extensions=nouns.extensions,
            chat=chat,
            openai=OpenAIFront(agents, chat, ground.hub, ground.database, settings.llm_aliases),
            status=status,
            backups=ground.backups(status),
            limits=RateLimits(api=settings.api_rate, chat=settings.chat_rate, login=settings.login_rate),
            slots=slots,
            authority=TokenAuthority(token),
            authenticate=authenticate,
            token=token,
            token_is_new=token_is_new,
        )


def _sandbox_part(sandboxes: Sandboxes) -> PartStatus:
    if sandboxes.failure is not None and not sandboxes.off:
        return PartStatus("degraded", f"Jobs can't be run. {sandboxes.failure}")
    return PartStatus("ok", sandboxes.failure or (f"Jobs run in {sandboxes.name}." if sandboxes.name else None))


def _extensions_part(extensions: Extensions) -> PartStatus:
    failures = extensions.failures()
    return PartStatus("degraded", " ".join(failures)) if failures else PartStatus("ok", extensions.summary())


def _open_home(stack: contextlib.AsyncExitStack, settings: Settings) -> tuple[Home, str, bool]:
    """The home, to be closed with *stack*; the token; whether it was made now."""
    home = Home.open(settings)
    stack.callback(home.close)
    if any(home.path.glob(".restore-*")):
        from ironclaw.backup.restore import finish_broken_off  # noqa: PLC0415 - as good as never needed

        finish_broken_off(home.path)
    kept = read_token(settings, home.path)
    token = kept or make_token(home.path)
    redact.add(token)
    return home, token, kept is None


@frozen(kw_only=True)
class _Nouns:
    """What the agent's tools work on."""

    workspace: Workspace
    search: Search
    jobs: Jobs
    skills: SkillManager
    extensions: Extensions


@frozen
class _Ground:
    """What all parts stand on. Each method opens one of them, to be ended with the stack."""

    _stack: contextlib.AsyncExitStack
    _settings: Settings
    _home: Home
    database: Database
    hub: Hub
    ledger: Ledger
    box: SecretBox
    egress: Egress

    @classmethod
    async def open(
        cls, stack: contextlib.AsyncExitStack, settings: Settings, home: Home, *, start_empty: bool
    ) -> "_Ground":
        """What keeps things on disk."""
        database = await Database.open(home.database, _MIGRATIONS, start_empty=start_empty)
        stack.push_async_callback(database.aclose)
        hub = await Hub.open(database)
        stack.push_async_callback(hub.aclose)
        ledger = await Ledger.open(database)
        stack.push_async_callback(ledger.aclose)
        egress = Egress(settings.web_fetch_allow)
        stack.push_async_callback(egress.aclose)
        return cls(stack, settings, home, database, hub, ledger, SecretBox(database, home.path), egress)

    async def nouns(self, token: str) -> _Nouns:
        """The notes, jobs, skills and extensions."""
        workspace, search = await self.notes()
        jobs = self.jobs(token)
        return _Nouns(
            workspace=workspace,
            search=search,
            jobs=jobs,
            skills=self.skills(),
            extensions=await self.extensions(jobs.sandboxes),
        )

    async def notes(self) -> tuple[Workspace, Search]:
        """The notes and their search."""
        workspace = Workspace(self._home.workspace, Versions(self.database), self.hub.publish)
        self._stack.push_async_callback(workspace.aclose)
        await workspace.seed()
        search = Search(self._home.workspace, self._home.path / "index.db")
        self._stack.push_async_callback(search.aclose)
        workspace.on_change.append(search.notice)
        search.start()
        outside = Outside(workspace)
        self._stack.push_async_callback(outside.aclose)
        outside.start()
        return workspace, search

    def jobs(self, token: str) -> Jobs:
        """The jobs, none of which runs yet; what they run in is found out a little later."""
        sandboxes = Sandboxes.of(self._settings)
        self._stack.push_async_callback(sandboxes.aclose)
        sandboxes.try_soon(_PROBE_AFTER)
        limits = JobLimits.of(self._settings)
        jobs = Jobs(self.database, self.hub, self._home.path / "jobs", sandboxes, limits, token=token)
        self._stack.push_async_callback(jobs.aclose)
        return jobs

    def skills(self) -> SkillManager:
        """The skills; nothing of them is read before it is needed."""
        url = self._settings.skills_registry_url
        skills = SkillManager(self._home.path / "skills", self.database, self.egress, url)
        self._stack.push_async_callback(skills.aclose)
        return skills

    async def models(self, llm: Provider | None) -> tuple[Provider, ModelConnection]:
        """The built-in assistant, and the connection to the model; whether that is there is looked at meanwhile."""
        builtin = BuiltinProvider(word_delay=self._settings.word_delay)
        model = await ModelConnection.open(
            self._settings, database=self.database, hub=self.hub, box=self.box, builtin=builtin, llm=llm
        )
        self._stack.push_async_callback(model.aclose)
        return builtin, model

    async def extensions(self, sandboxes: Sandboxes) -> Extensions:
        """The installed extensions; none of them runs yet."""
        idle = self._settings.extension_idle
        extensions = await Extensions.open(self.database, self.hub, self.box, self._home.path, sandboxes, idle=idle)
        self._stack.push_async_callback(extensions.aclose)
        return extensions

    def status(self, nouns: _Nouns, slots: StreamSlots, connection: ModelConnection) -> StatusReader:
        """What looks at all of it."""
        status = StatusReader(
            database=self.database,
            hub=self.hub,
            ledger=self.ledger,
            workspace=nouns.workspace,
            search=nouns.search,
            jobs=nouns.jobs,
            slots=slots,
            connection=connection,
        )
        status.add_part("sandbox", lambda: _sandbox_part(nouns.jobs.sandboxes))
        status.add_part("extensions", lambda: _extensions_part(nouns.extensions))
        return status

    def backups(self, status: StatusReader) -> BackupKeeper:
        """What copies all of it every night; not a private temporary home, which ends with the program."""
        settings, home = self._settings, self._home
        plan = Plan(
            home=home.path,
            workspace=home.workspace,
            folder=settings.backup_dir or home.path / "backups",
            keep=settings.backup_keep if settings.home else 0,
            hour=settings.backup_hour,
            delay=settings.backup_delay,
        )
        keeper = BackupKeeper(plan)
        self._stack.push_async_callback(keeper.aclose)
        keeper.start()
        status.add_part("backup", lambda: PartStatus("degraded" if keeper.failure else "ok", keeper.reason))
        return keeper

    async def agents(
        self, builtin: Provider, connection: ModelConnection, toolbox: Callable[[], Toolbox], briefing: Briefing
    ) -> Agents:
        """What makes agents, and counts their calls."""
        return Agents(
            connection=connection,
            builtin_provider=builtin,
            meter=await self._meter(),
            make_toolbox=toolbox,
            briefing=briefing,
            limits=AgentLimits(iterations=self._settings.max_tool_iterations, tokens=self._settings.turn_tokens),
        )

    async def _meter(self) -> Meter:
        """What counts the calls of models, and holds them within the budget."""
        budgets = await Budgets.open(self.ledger, self.database, self.hub)
        unpriced = self._settings.budget_unknown_price == "allow"
        return Meter(self.ledger, budgets, Prices(), allow_unpriced=unpriced)

    def toolbox(self, nouns: _Nouns, status: StatusReader, hosts: tuple[Tool, ...]) -> Callable[[], Toolbox]:
        """What makes the tools, with the first turn; *hosts* are those of a host program."""

        def make() -> Toolbox:
            from ironclaw.agent.clock import TIME  # noqa: PLC0415 - a start needs no tools
            from ironclaw.agent.web import web_tools  # noqa: PLC0415
            from ironclaw.jobs.tools import job_tools  # noqa: PLC0415
            from ironclaw.memory.tools import memory_tools  # noqa: PLC0415
            from ironclaw.skills.tools import skill_tools  # noqa: PLC0415

            own = (
                *memory_tools(nouns.workspace, nouns.search),
                *job_tools(nouns.jobs),
                TIME,
                status.tool(),
                *skill_tools(nouns.skills),
                *web_tools(self.egress, searxng_url=self._settings.searxng_url),
            )
            return Toolbox((*own, *hosts), [nouns.extensions])

        return make

    async def chat(self, agents: Agents, status: StatusReader, nouns: _Nouns) -> ChatService:
        """The conversations: what waited on disk begins to run."""
        chat = ChatService(
            self.hub,
            self.database,
            agents.usual,
            agents.builtin,
            policy=agents.policy,
            models=ThreadModels(agents.connection),
            undo_changes=nouns.workspace.undo_changes,
            skills=nouns.skills,
            check_budget=agents.check_budget,
            max_turns=self._settings.max_turns,
            turn_timeout=self._settings.turn_timeout,
            user_id=self._settings.user_id,
        )
        self._stack.push_async_callback(chat.aclose, self._settings.shutdown_grace)
        await chat.open()
        status.watch_approvals(chat.turns.asked)
        return chat
