"""How the gateway is: reads the parts that services give it, and says it as the contract shows. It changes nothing."""

import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sized
from datetime import datetime
from pathlib import Path
from typing import Any

from ironclaw import logs
from ironclaw.database import Database
from ironclaw.hub import Hub
from ironclaw.jobs.manager import Jobs
from ironclaw.llm.connection import ModelConnection
from ironclaw.memory.search import Search
from ironclaw.memory.workspace import Workspace
from ironclaw.ratelimit import StreamSlots
from ironclaw.redact import redact
from ironclaw.tools import Tool, ToolContext, ToolResult
from ironclaw.usage.ledger import Ledger
from ironclaw.values import frozen
from ironclaw.version import __version__

log = logging.getLogger(__name__)

_PARTS_FOR = 1.0  # seconds that a look at the parts is good for
_LITTLE_DISK = 200 << 20


@frozen
class TokenUsage:
    """Tokens of all model calls ever; the cost sums what has a known price, *unpriced_tokens* are the rest."""

    total_tokens: int
    estimated_cost_usd: float
    unpriced_tokens: int


@frozen
class ChannelStatus:
    """One way in which people reach the agent."""

    name: str
    status: str


@frozen
class ModelStatus:
    """The language model, in short. *state* is `none` while only the built-in assistant answers."""

    state: str
    provider: str
    model: str


@frozen
class PartStatus:
    """One part: *state* is `ok` or `degraded`; *reason* says why and what to do, or what an `ok` part is busy with.

    A part that is not wanted, or not set up, is `ok`, with that as its reason.
    """

    state: str
    reason: str | None = None


@frozen(kw_only=True)
class SystemStatus:
    """The contract's status, and ours behind it."""

    status: str
    uptime_seconds: int
    active_sessions: int
    active_jobs: int
    token_usage: TokenUsage
    channels: list[ChannelStatus]
    version: str
    model: ModelStatus
    pending_approvals: int
    timezone: str
    host: str
    parts: dict[str, PartStatus]


_OK = PartStatus("ok")
_GATEWAY = [ChannelStatus("gateway", "connected")]


class StatusReader:
    """Looks at the parts of one gateway."""

    def __init__(
        self,
        *,
        database: Database,
        hub: Hub,
        ledger: Ledger,
        workspace: Workspace,
        search: Search,
        jobs: Jobs,
        slots: StreamSlots,
        connection: ModelConnection,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._workspace = workspace
        self._search = search
        self._jobs = jobs
        self._slots = slots
        self._connection = connection
        self._started = time.monotonic()
        self._zone = datetime.now().astimezone().tzname() or "UTC"
        self._host = platform.node()
        self._looks: dict[str, Callable[[], PartStatus]] = {
            "database": self._database_part,
            "workspace": self._workspace_part,
            "search": self._search_part,
            "model": self._model_part,
            "disk": self._disk_part,
            "log": self._log_part,
            "background": self._background_part,
        }
        self._parts: dict[str, PartStatus] = {}
        self._parts_at = float("-inf")
        self._model_then: ModelStatus | None = None
        self._seen: object = None
        self._watched: dict[str, Callable[[], bool]] = {
            "database": lambda: database.alive,
            "event log": lambda: hub.alive,
            "usage": lambda: ledger.alive,
            "jobs": lambda: jobs.alive,
        }
        self._waiting: Sized = ()
        self._last: SystemStatus | None = None

    def watch(self, name: str, is_alive: Callable[[], bool]) -> None:
        """Say it in the status when a piece of background work has ended."""
        self._watched[name] = is_alive

    def add_part(self, name: str, look: Callable[[], PartStatus]) -> None:
        """Show one more part in the status, the health and the metrics.

        *look* is called once a second at most, on the event loop, so it answers from what is known already. What it
        raises makes the part `degraded`, and nothing else. *name* is one lower-case word. Raises *ValueError* for a name
        that is taken.
        """
        if name in self._looks:
            raise ValueError(f"There is a part {name} already.")
        self._looks[name] = look
        self._parts_at = float("-inf")

    def watch_approvals(self, waiting: Sized) -> None:
        """Tell in the status how many calls wait for a person."""
        self._waiting = waiting

    @property
    def model(self) -> ModelStatus:
        """Which model answers."""
        connected = self._connection.current()
        return ModelStatus(connected.state, connected.provider.name, connected.provider.model)

    def parts(self) -> dict[str, PartStatus]:
        """Each part and how it is; looked at once a second at most, and when the model's state has changed."""
        model = self.model
        if time.monotonic() - self._parts_at > _PARTS_FOR or model != self._model_then:
            self._model_then = model
            self._parts = {name: self._look_at(name, look) for name, look in self._looks.items()}
            self._parts_at = time.monotonic()
        return self._parts

    def _look_at(self, name: str, look: Callable[[], PartStatus]) -> PartStatus:
        try:
            return look()
        except Exception as error:
            reason = f"How it is can't be seen ({type(error).__name__}). The log says why."
            failed = PartStatus("degraded", reason)
            if self._parts.get(name) != failed:  # said once, not with every look
                log.exception("Looking at the part %s failed", name)
            return failed

    def _database_part(self) -> PartStatus:
        if not self._database.alive:
            return PartStatus(
                "degraded", "The database is not written any more. The log says why; restart the gateway."
            )
        failure = self._database.failure
        return PartStatus("degraded", f"The last write failed: {failure}") if failure else _OK

    def _workspace_part(self) -> PartStatus:
        root = self._workspace.root
        if not root.is_dir():
            return PartStatus("degraded", f"The folder of the notes, {root}, is not there. Put it back or mount it.")
        if os.access(root, os.R_OK | os.W_OK | os.X_OK):
            return _OK
        return PartStatus("degraded", "The folder of the notes can't be read and written. Look at its rights.")

    def _search_part(self) -> PartStatus:
        failure = self._search.failure
        if failure is None:
            return PartStatus("ok", self._search.progress)
        if not self._workspace.root.is_dir():
            return PartStatus("ok", "It waits for the folder of the notes.")
        return PartStatus("degraded", f"Searches are complete, but slow: {failure.rstrip('.')}.")

    def _model_part(self) -> PartStatus:
        link = self._connection.link
        if link is None or link.state == "ready":
            return _OK
        if link.state == "loading":
            return PartStatus("ok", "The model is being looked for or loaded.")
        return PartStatus("degraded", redact(link.error.message) if link.error else f"Its state is {link.state}.")

    def _disk_part(self) -> PartStatus:
        for what, folder in (("home", self._database.path.parent), ("notes", self._workspace.root)):
            try:
                free = _free_bytes(folder)
            except FileNotFoundError:
                continue  # what is missing has a part of its own
            if free <= _LITTLE_DISK:
                return PartStatus("degraded", f"Only {free >> 20} MB are free on the disk of the {what}. Free some.")
        return _OK

    def _log_part(self) -> PartStatus:
        failure = logs.state().failure
        return PartStatus("degraded", failure) if failure else _OK

    def _background_part(self) -> PartStatus:
        ended = [name for name, is_alive in self._watched.items() if not is_alive()]
        if not ended:
            return _OK
        return PartStatus("degraded", f"Background work has ended: {', '.join(ended)}. The log says why; restart it.")

    def read(self) -> SystemStatus:
        """All of it, now. The same object as before when nothing has changed since."""
        seen = (
            *(self.uptime, self._slots.taken, self._jobs.active, self._ledger.totals),
            *(self.parts(), self.model, len(self._waiting)),
        )
        if self._last is None or self._seen != seen:
            self._seen, self._last = seen, self._read()
        return self._last

    def _read(self) -> SystemStatus:
        totals = self._ledger.totals
        parts = self.parts()
        healthy = all(part.state == "ok" for part in parts.values())
        return SystemStatus(
            status="healthy" if healthy else "degraded",
            uptime_seconds=self.uptime,
            active_sessions=self._slots.taken,
            active_jobs=self._jobs.active,
            token_usage=TokenUsage(totals.tokens, round(totals.cost_usd, 6), totals.unpriced_tokens),
            channels=_GATEWAY,
            version=__version__,
            model=self.model,
            pending_approvals=len(self._waiting),
            timezone=self._zone,
            host=self._host,
            parts=parts,
        )

    @property
    def uptime(self) -> int:
        """Whole seconds since the start, whatever the wall clock did."""
        return int(time.monotonic() - self._started)

    async def describe(self, _: ToolContext, __: Mapping[str, Any]) -> ToolResult:
        """The same for the agent and people: lines of `key: value`."""
        count = await self._workspace.count()
        midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        changed = len(await self._workspace.changed_since(midnight))
        disk = shutil.disk_usage(self._database.path.parent)
        totals = self._ledger.totals
        lines = {
            "host": self._host,
            "version": __version__,
            "up": duration(self.uptime),
            "memory": f"{_resident_bytes() / 1e6:.0f} MB used by the gateway",
            "disk": f"{disk.free / 1e9:.1f} GB free of {disk.total / 1e9:.1f} GB",
            "notes": f"{count} ({changed} changed today)",
            "jobs": self._jobs_line(),
            "tokens": f"{totals.tokens} tokens, ${totals.cost_usd:.2f}",
            "model": "none connected (built-in assistant)" if self.model.state == "none" else self.model.model,
        }
        return ToolResult("\n".join(f"{key}: {value}" for key, value in lines.items()), preview=f"up {lines['up']}")

    def _jobs_line(self) -> str:
        waiting = self._jobs.active - self._jobs.running
        return f"{self._jobs.running} running" + (f", {waiting} waiting" if waiting else "")

    def tool(self) -> Tool:
        """The tool by which the agent asks how the gateway is."""
        return Tool(
            name="Status",
            description="How this gateway is: uptime, memory, disk, notes, jobs, tokens and cost, model.",
            parameters={"type": "object", "properties": {}, "additionalProperties": False},
            run=self.describe,
        )


def duration(seconds: int) -> str:
    """A span in its two largest units: `3 days 2 h`, `5 min 12 s`."""
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} day{'s' * (days > 1)} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def _free_bytes(folder: Path) -> int:
    values = os.statvfs(folder)
    return values.f_bavail * values.f_frsize


def _resident_bytes() -> int:
    """Resident memory of this process, from proc(5)."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
