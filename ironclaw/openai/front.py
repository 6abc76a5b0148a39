"""What answers `/v1` as one thing. Each part is made, and its modules loaded, with the first request that needs it."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ironclaw.agents import Agents
from ironclaw.chat.service import ChatService
from ironclaw.database import Database
from ironclaw.hub import Hub
from ironclaw.values import define

if TYPE_CHECKING:
    from ironclaw.openai.completions import Completions
    from ironclaw.openai.models import ModelList
    from ironclaw.openai.responses import Responses


@define(slots=False, eq=False)
class OpenAIFront:
    """The parts behind `/v1`. *aliases* are models that stand in for other names."""

    _agents: Agents
    _chat: ChatService
    _hub: Hub
    _database: Database
    _aliases: Mapping[str, str]

    @functools.cached_property
    def completions(self) -> "Completions":
        """Chat completions, and what is passed through."""
        from ironclaw.openai.agent_mode import AgentMode  # noqa: PLC0415 - see above
        from ironclaw.openai.completions import Completions  # noqa: PLC0415
        from ironclaw.openai.names import Names  # noqa: PLC0415
        from ironclaw.openai.relay import Relay  # noqa: PLC0415

        agents = self._agents
        return Completions(
            agents.connection,
            agents.meter,
            Relay(agents.meter, Names(self._aliases)),
            AgentMode(self._chat, self._hub, agents.plain),
        )

    @functools.cached_property
    def responses(self) -> "Responses":
        """The newer protocol, with what it keeps."""
        from ironclaw.openai.responses import Responses  # noqa: PLC0415

        return Responses(self.completions, self._database)

    @functools.cached_property
    def models(self) -> "ModelList":
        """The models that can be named."""
        from ironclaw.openai.models import ModelList  # noqa: PLC0415

        return ModelList(self._agents.connection)
