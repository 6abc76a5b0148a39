"""The installed extensions: install, enable, configure, authenticate, test, remove, and the tools that they bring.

Each change of one extension waits for the one before it. Nothing that a model says can install or enable one.
"""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ironclaw.database import Database
from ironclaw.errors import Conflict, IronclawError, NotFound
from ironclaw.events import AuthCompleted, AuthRequired, Event, ExtensionUpdated
from ironclaw.extensions import authentication, store
from ironclaw.extensions.confinement import in_words
from ironclaw.extensions.environment import GONE
from ironclaw.extensions.extension import Extension
from ironclaw.extensions.manifest import from_mcp_servers
from ironclaw.extensions.names import check_name
from ironclaw.extensions.planner import Planner
from ironclaw.extensions.plans import clean_secrets, clean_settings, origin_of
from ironclaw.extensions.preparation import Preparation
from ironclaw.extensions.registry import Listed, Registry
from ironclaw.extensions.running import RunningServer
from ironclaw.extensions.schema import FoundTool
from ironclaw.extensions.session import Answer, Plan, SecretRefused, require_sdk_installed
from ironclaw.extensions.store import Record
from ironclaw.extensions.tools import make_tools, risk_of
from ironclaw.hub import Hub
from ironclaw.redact import redact
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.secretbox import SecretBox
from ironclaw.tools import Risk, Tool, ToolContext

_MOST = 100


class Extensions:
    """The extensions of one gateway. Made by `open()`, ended by `aclose()`."""

    def __init__(
        self, database: Database, hub: Hub, box: SecretBox, home: Path, sandboxes: Sandboxes, *, idle: float
    ) -> None:
        self._database = database
        self._hub = hub
        self._sandboxes = sandboxes
        self._folder = home / "extensions"
        self._idle = idle
        self._known: dict[str, Extension] = {}
        self._preparation = Preparation(self._folder, self._keep, self._tell, self._try)
        self._planner = Planner(box, sandboxes, self._preparation)
        self.registry = Registry(self._folder)

    @classmethod
    async def open(
        cls, database: Database, hub: Hub, box: SecretBox, home: Path, sandboxes: Sandboxes, *, idle: float
    ) -> "Extensions":
        """What is installed. Nothing is started: that is done when a tool is first called."""
        self = cls(database, hub, box, home, sandboxes, idle=idle)
        for record in await database.read(store.read_all):
            self._known[record.name] = self._extension(record)
        return self

    async def aclose(self) -> None:
        """End all servers and what runs in the background."""
        await self._preparation.aclose()
        await asyncio.gather(*(one.server.aclose() for one in self._known.values()))

    # What there is

    def all(self) -> list[Extension]:
        """The installed ones, by name."""
        return [self._known[name] for name in sorted(self._known)]

    def get(self, name: str) -> Extension:
        """An installed one. Raises *Invalid* for what is no name, *NotFound* with the nearest one."""
        found = self._known.get(check_name(name))
        if found is None:
            near = difflib.get_close_matches(name, self._known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise NotFound(f"There is no extension {name} installed.{hint}")
        return found

    def tools(self) -> Sequence[Tool]:
        """The tools of all that can be used now."""
        return [tool for extension in self._known.values() if extension.is_offered for tool in extension.tools]

    def failures(self) -> list[str]:
        """What is wrong with those that are enabled, a sentence each."""
        return [
            f"{one.name}: {one.failure.message}"
            for one in self.all()
            if one.failure is not None
            and one.record.enabled
            and one.state in {"failed", "install_failed", "needs_token"}
        ]

    def confinement(self, extension: Extension) -> str:
        """In what its server runs, in words."""
        return in_words(extension.record, self._sandboxes)

    def summary(self) -> str | None:
        """How many there are, in a few words; None for none."""
        running = sum(one.server.is_running for one in self._known.values())
        return f"{len(self._known)} installed, {running} running" if self._known else None

    # Installing

    async def install(self, name: str, source: str | None) -> Extension:
        """Install from a registry, and enable. One that is there already is answered as it is.

        Its environment is made in the background: *state* tells. Raises *Invalid*, *NotFound*.
        """
        if (found := self._known.get(check_name(name))) is not None:
            return found
        listed = await asyncio.to_thread(self.registry.find, name, source)
        return await self._add(
            Record(source=listed.source, manifest=listed.manifest, enabled=True, installed_at=store.now())
        )

    async def search(self, query: str) -> list[Listed]:
        """What the registries have."""
        return await asyncio.to_thread(self.registry.search, query)

    async def paste(self, servers: Mapping[str, Any]) -> Extension:
        """Install the one server of an `mcpServers` object: disabled, nothing of it run, until a person confirms it.

        Raises *Invalid*, and *Conflict* when there is one of that name.
        """
        pasted = from_mcp_servers(servers)
        manifest = pasted.manifest
        if manifest.name in self._known:
            raise Conflict(f"An extension {manifest.name} is installed already. Remove it first, or use another name.")
        given = {name: value for name, value in pasted.secrets.items() if value}
        secrets = clean_secrets(manifest, given)
        record = Record(source="pasted", manifest=manifest, enabled=False, installed_at=store.now())
        await self._planner.keep(record, secrets)
        return await self._add(attrs.evolve(record, secrets=frozenset(secrets)))

    async def _add(self, record: Record) -> Extension:
        if record.name in self._known:
            return self._known[record.name]  # somebody was faster
        if len(self._known) >= _MOST:
            raise Conflict(f"There are {_MOST} extensions installed, which is the most. Remove one first.")
        extension = self._known[record.name] = self._extension(record)
        await self._keep(extension, record)
        self._tell(extension)
        if not record.confirmation_needed:
            self._preparation.start(extension)
        return extension

    async def enable(self, name: str, confirm: str | None) -> Extension:
        """Let the agent use it. One that brings its own command needs *confirm*, the hash that its preview shows.

        Raises *Conflict* without the right one, *Unavailable* when the MCP SDK is missing.
        """
        extension = self.get(name)
        async with extension.changing:
            record = extension.record
            if record.confirmation_needed:
                wanted = record.manifest.confirmation()
                if confirm != wanted:
                    raise Conflict(
                        f"{name} brings its own command or address. Look at what it is (`ironclaw extensions show {name}`),"
                        " and send `confirm` with the hash shown there to allow exactly that.",
                        code="confirm_needed",
                        field="confirm",
                    )
                record = attrs.evolve(record, confirmed=wanted)
            require_sdk_installed()
            await self._keep(extension, attrs.evolve(record, enabled=True))
        self._tell(extension)
        self._preparation.start(extension)
        return extension

    async def disable(self, name: str) -> Extension:
        """Take its tools from the agent and stop it."""
        extension = self.get(name)
        await self._preparation.stop(name)
        async with extension.changing:
            await extension.server.stop()
            await self._keep(extension, attrs.evolve(extension.record, enabled=False))
        self._tell(extension)
        return extension

    async def remove(self, name: str) -> None:
        """Stop it and delete all of it: environment, data, settings and secrets."""
        extension = self.get(name)
        await self._preparation.stop(name)
        async with extension.changing:
            self._known.pop(name, None)
            await extension.server.aclose()
            await self._planner.forget(extension.record)
            await self._database.write(lambda db: store.delete(db, name))
            await self._preparation.environment(name).delete()
        self._hub.publish(ExtensionUpdated(name=name, state="removed", enabled=False, authenticated=False))

    # Setting up

    async def configure(self, name: str, settings: Mapping[str, str]) -> Extension:
        """Change settings; those not named stay, an empty one goes back to its default.

        A new address forgets the secrets: they were for the old one. Raises *Invalid* that names the setting.
        """
        extension = self.get(name)
        clean = await asyncio.to_thread(clean_settings, extension.record.manifest, settings)
        await self._preparation.stop(name)
        async with extension.changing:
            old = extension.record
            kept = {one: value for one, value in old.settings.items() if one not in settings}
            record = attrs.evolve(old, settings={**kept, **clean})
            if origin_of(record) != origin_of(old):
                await self._planner.forget(old)
                record = attrs.evolve(record, secrets=frozenset(), checked=None)
            await extension.server.stop()
            extension.failure, extension.refused = None, False
            await self._keep(extension, record)
        self._tell(extension)
        self._preparation.start(extension)
        return extension

    async def authenticate(self, name: str, given: Mapping[str, str]) -> Extension:
        """Check the secrets and keep them, encrypted, in place of those before.

        Where the server can't be asked now they are kept unchecked, and `authenticated` stays false until it answers.
        Raises *SecretRefused* when it does not take them: nothing is kept then.
        """
        extension = self.get(name)
        secrets = clean_secrets(extension.record.manifest, given)
        for value in secrets.values():
            redact.add(value)
        await self._preparation.stop(name)
        async with extension.changing:
            record = attrs.evolve(extension.record, secrets=extension.record.secrets | frozenset(secrets), checked=None)
            tried = attrs.evolve(extension, record=record, refused=False, changing=extension.changing)
            failure: IronclawError | None = None
            if tried.is_complete:
                record, failure = await self._checked(record, secrets)
            await self._planner.keep(record, secrets)
            await extension.server.stop()
            extension.server.forgive()
            extension.refused, extension.failure = False, failure
            await self._keep(extension, record)
        if extension.authenticated:
            self._hub.publish(AuthCompleted(name=name))
        self._tell(extension)
        self._preparation.start(extension)
        return extension

    async def _checked(self, record: Record, secrets: Mapping[str, str]) -> tuple[Record, IronclawError | None]:
        """The record after the check, and why there was none."""
        try:
            plan, known = await self._planner.plan(record, secrets)
            tools = await authentication.check(record, plan, known)
        except SecretRefused as error:
            self._hub.publish(_auth_required(record, error.message))
            raise
        except IronclawError as error:
            return record, error
        return attrs.evolve(record, checked=origin_of(record), tools=record.tools if tools is None else tools), None

    async def settled(self, name: str, timeout: float) -> None:
        """Wait until its installation has ended, at most *timeout* seconds."""
        await self._preparation.wait(name, timeout)

    async def test(self, name: str) -> tuple[FoundTool, ...]:
        """Start it, list its tools, and stop it if it did not run before.

        Raises *Conflict* while something is missing, *SecretRefused*, *Unavailable* with what is wrong.
        """
        extension = self.get(name)
        require_sdk_installed()
        if not extension.is_complete or extension.phase is not None:
            raise Conflict(f"{name} can't be tested yet: {extension.missing}", code=extension.state)
        was_running = extension.server.is_running
        extension.server.forgive()
        await self._try(extension)
        if not was_running:
            await extension.server.stop()
        return extension.record.tools or ()

    # Calls

    async def _try(self, extension: Extension) -> None:
        """Start it; what comes of it is remembered. Raises what `RunningServer.start` does."""
        try:
            await extension.server.start()
        except IronclawError as error:
            await self._note(extension, error)
            raise
        extension.failure = None
        if not extension.authenticated:  # its manifest names another check, which could not be made before
            record, failure = await self._checked(extension.record, {})
            await self._keep(extension, record)
            if failure is not None:
                await self._note(extension, failure)
                raise failure
            self._hub.publish(AuthCompleted(name=extension.name))
            self._tell(extension)

    async def _call(
        self, extension: Extension, context: ToolContext, tool: FoundTool, arguments: Mapping[str, Any]
    ) -> Answer:
        record = extension.record
        reads = risk_of(record, tool) is Risk.READ
        try:
            answer = await extension.server.call(tool.name, arguments, record.manifest.tools.timeout, again=reads)
        except IronclawError as error:
            await self._note(extension, error, context.thread_id)
            raise
        extension.failure = None
        return answer

    async def _note(self, extension: Extension, error: IronclawError, thread_id: str | None = None) -> None:
        """Remember why it can't be used; a secret that is not taken any more is asked for."""
        extension.failure = error
        record = extension.record
        if isinstance(error, SecretRefused) and error.is_final:
            extension.refused = True
            record = attrs.evolve(record, checked=None)
            self._hub.publish(_auth_required(record, error.message, thread_id))
        if error.code == GONE:
            record = attrs.evolve(record, prepared=False)
        if record != extension.record:
            await self._keep(extension, record)
        self._tell(extension)

    async def _started(self, extension: Extension, tools: tuple[FoundTool, ...]) -> None:
        record = extension.record
        # The list was given for these secrets, which is the check where the manifest names no other.
        taken = record.manifest.check.url is None and extension.needs_token
        news = attrs.evolve(record, tools=tools, checked=origin_of(record) if taken else record.checked)
        extension.failure, extension.refused = None, False
        if news != record:
            await self._keep(extension, news)
        if taken and record.checked is None:
            self._hub.publish(AuthCompleted(name=record.name))
        self._tell(extension)

    # What all of this stands on

    def _extension(self, record: Record) -> Extension:
        async def make_plan() -> Plan:
            return (await self._planner.plan(extension.record))[0]

        async def on_start(tools: tuple[FoundTool, ...]) -> None:
            await self._started(extension, tools)

        server = RunningServer(
            record.name, make_plan, idle=self._idle, on_start=on_start, on_end=lambda: self._tell(extension)
        )
        extension = Extension(record, server)
        self._set_tools(extension)
        return extension

    def _set_tools(self, extension: Extension) -> None:
        async def call(context: ToolContext, tool: FoundTool, arguments: Mapping[str, Any]) -> Answer:
            return await self._call(extension, context, tool, arguments)

        extension.tools = make_tools(extension.record, call)

    async def _keep(self, extension: Extension, record: Record) -> None:
        await self._database.write(lambda db: store.write(db, record))
        listed = extension.record.tools
        extension.record = record
        if record.tools != listed:
            self._set_tools(extension)

    def _tell(self, extension: Extension) -> None:
        news = self._news(extension)
        if news != extension.told:
            extension.told = news
            self._hub.publish(news)

    def _news(self, extension: Extension) -> Event:
        return ExtensionUpdated(
            name=extension.name,
            state=extension.state,
            enabled=extension.record.enabled,
            authenticated=extension.authenticated,
            progress=extension.phase,
        )


def _auth_required(record: Record, message: str, thread_id: str | None = None) -> Event:
    secret = next(iter(record.manifest.secrets), None)
    return AuthRequired(
        name=record.name, message=message, url=secret.url if secret is not None else None, thread_id=thread_id
    )
