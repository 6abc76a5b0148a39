"""Makes the agents of threads: a model, the tools, what it is told, its calls counted. What an agent does is `agent/`."""

import functools
from collections.abc import Callable, Sequence

import attrs

from ironclaw.agent import Agent, AgentLimits, Briefing, Policy, Toolbox
from ironclaw.llm.connection import ModelConnection
from ironclaw.llm.metered import Meter, MeteredProvider
from ironclaw.llm.models import Abilities
from ironclaw.llm.provider import Provider
from ironclaw.values import frozen


@frozen(kw_only=True, slots=False)
class Agents:
    """Makes the agent of a thread, its calls counted for that thread."""

    connection: ModelConnection
    builtin_provider: Provider
    meter: Meter
    make_toolbox: Callable[[], Toolbox]
    briefing: Briefing
    limits: AgentLimits
    policy: Policy = attrs.Factory(Policy)

    @functools.cached_property
    def toolbox(self) -> Toolbox:
        """The tools of all of them, made with the first turn."""
        return self.make_toolbox()

    def usual(self, thread_id: str, model: str | None) -> Agent:
        """The agent with the connected model, or with another one of its server."""
        connected = self.connection.current()
        if connected.state == "none":
            return self.builtin(thread_id)
        if model is None:
            return self._agent(connected.provider, thread_id, self.briefing, connected.abilities)
        return self._agent(self.connection.provider_named(model), thread_id, self.briefing, Abilities())

    def plain(self) -> Provider | None:
        """The connected model without the agent, its calls counted for `/v1`; None while there is none."""
        connected = self.connection.current()
        return None if connected.state == "none" else MeteredProvider(connected.provider, self.meter, "v1", None)

    def check_budget(self) -> None:
        """Raises *BudgetSpent* when the next turn's model could not be paid."""
        self.meter.check(self.connection.current().provider)

    def builtin(self, thread_id: str) -> Agent:
        """The agent that carries out commands, whatever model is connected."""
        return self._agent(self.builtin_provider, thread_id, None, Abilities(tools=True))

    def _agent(self, provider: Provider, thread_id: str, briefing: Briefing | None, abilities: Abilities) -> Agent:
        return Agent(
            MeteredProvider(provider, self.meter, "thread", thread_id),
            self.toolbox,
            policy=self.policy,
            briefing=briefing,
            abilities=abilities,
            limits=self.limits,
        )


@frozen
class ThreadModels:
    """The models that a thread can choose from."""

    connection: ModelConnection

    @property
    def usual(self) -> str | None:
        """The model that answers by default; None for the built-in assistant."""
        connected = self.connection.current()
        return None if connected.state == "none" else connected.provider.model

    async def names(self) -> Sequence[str]:
        """What the connected server has. Raises *ProviderError*."""
        return [one.id for one in await self.connection.available()]
