"""Makes the plans of servers: with the kept secrets, and with the sandbox where one works."""

import logging
from collections.abc import Mapping

from ironclaw.extensions.confinement import can_be_confined
from ironclaw.extensions.plans import origin_of, plan_of, secret_key
from ironclaw.extensions.preparation import Preparation
from ironclaw.extensions.session import Plan
from ironclaw.extensions.store import Record
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.sandbox.protocol import SandboxUnavailable
from ironclaw.secretbox import SecretBox

log = logging.getLogger(__name__)


class Planner:
    """Knows where secrets are kept and what servers may run in."""

    def __init__(self, box: SecretBox, sandboxes: Sandboxes, preparation: Preparation) -> None:
        self._box = box
        self._sandboxes = sandboxes
        self._preparation = preparation

    async def plan(self, record: Record, new_secrets: Mapping[str, str] | None = None) -> tuple[Plan, dict[str, str]]:
        """How the server is started or reached, and the secrets in it: the kept ones, and *new_secrets* before them.

        Raises as `plan_of` does.
        """
        secrets = {**await self.secrets(record), **(new_secrets or {})}
        environment = self._preparation.environment(record.name)
        if record.manifest.server.kind != "http":
            await environment.open()
        return plan_of(record, environment, secrets, await self._sandboxes_for(record)), secrets

    async def secrets(self, record: Record) -> dict[str, str]:
        """The kept secrets that are for this very server."""
        found: dict[str, str] = {}
        for secret in record.manifest.secrets:
            if secret.name in record.secrets:
                value = await self._box.get(secret_key(record.name, secret.name), origin=origin_of(record))
                if value is not None:
                    found[secret.name] = value
        return found

    async def keep(self, record: Record, secrets: Mapping[str, str]) -> None:
        """Keep secrets for this very server."""
        for name, value in secrets.items():
            await self._box.put(secret_key(record.name, name), value, origin=origin_of(record))

    async def forget(self, record: Record) -> None:
        """Forget all of its secrets."""
        for secret in record.manifest.secrets:
            await self._box.forget(secret_key(record.name, secret.name))

    async def _sandboxes_for(self, record: Record) -> Sandboxes | None:
        """What its server runs in; None where that can't be, which its details say."""
        if self._sandboxes.off or not can_be_confined(record):
            return None
        try:
            await self._sandboxes.working()
        except SandboxUnavailable as error:
            log.warning("The extension %s runs without a sandbox: %s", record.name, error.message)
            return None
        return self._sandboxes
