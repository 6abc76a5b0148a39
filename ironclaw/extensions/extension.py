"""One installed extension while the program runs: what is kept of it, its server, and how it is, in one word."""

import asyncio
from typing import Literal

import attrs

from ironclaw.errors import IronclawError
from ironclaw.events import Event
from ironclaw.extensions.plans import origin_of
from ironclaw.extensions.running import RunningServer
from ironclaw.extensions.store import Record
from ironclaw.extensions.values import setting_values
from ironclaw.tools import Tool
from ironclaw.values import define

State = Literal[
    "installing",
    "install_failed",
    "unconfirmed",
    "disabled",
    "needs_settings",
    "needs_token",
    "failed",
    "running",
    "ready",
]


@define(eq=False)
class Extension:
    """*phase* is what its installation is busy with; *failure* why it can't be used now; *told* the last news of it."""

    record: Record
    server: RunningServer
    phase: str | None = None
    failure: IronclawError | None = None
    refused: bool = False
    tools: tuple[Tool, ...] = ()
    told: Event | None = None
    changing: asyncio.Lock = attrs.Factory(asyncio.Lock)

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def missing_settings(self) -> list[str]:
        """The settings that it can't do without and that have no value."""
        values = setting_values(self.record)
        return [one.name for one in self.record.manifest.settings if one.required and not values.get(one.name)]

    @property
    def missing_secrets(self) -> list[str]:
        """The secrets that it can't do without and that are not kept."""
        return [
            one.name for one in self.record.manifest.secrets if one.required and one.name not in self.record.secrets
        ]

    @property
    def needs_token(self) -> bool:
        """Whether it can't be used without a secret."""
        return any(one.required for one in self.record.manifest.secrets)

    @property
    def authenticated(self) -> bool:
        """Whether its secrets were checked and taken where they are used now; true where it needs none."""
        if not self.needs_token:
            return True
        return not self.missing_secrets and not self.refused and self.record.checked == origin_of(self.record)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing that a person must give or allow."""
        record = self.record
        made = record.prepared or not record.manifest.needs_environment
        return made and not (record.confirmation_needed or self.missing_settings or self.missing_secrets)

    @property
    def is_offered(self) -> bool:
        """Whether the agent sees its tools."""
        return self.record.enabled and self.is_complete and not self.refused and self.phase is None

    @property
    def state(self) -> State:
        """How it is."""
        record = self.record
        if self.phase is not None:
            return "installing"
        if record.confirmation_needed:
            return "unconfirmed"
        if record.manifest.needs_environment and not record.prepared:
            return "install_failed"
        if not record.enabled:
            return "disabled"
        if self.missing_settings:
            return "needs_settings"
        if self.missing_secrets or self.refused:
            return "needs_token"
        if self.failure is not None:
            return "failed"
        return "running" if self.server.is_running else "ready"

    @property
    def missing(self) -> str:
        """What a person must give or allow before it can be used, as a sentence."""
        if self.phase is not None:
            return f"it is being installed ({self.phase})."
        if self.record.confirmation_needed:
            return "its command is not confirmed."
        if self.missing_settings:
            return f"it needs the settings {', '.join(self.missing_settings)}."
        if self.missing_secrets:
            return f"it needs the secrets {', '.join(self.missing_secrets)}."
        return self.failure.message if self.failure is not None else "its environment is not made."
