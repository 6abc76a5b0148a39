"""Who answers a call of `/v1`: the connected server, a host's own model, the agent, or the built-in assistant."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from ironclaw.errors import NotFound
from ironclaw.llm.connection import ModelConnection
from ironclaw.llm.link import Link
from ironclaw.llm.metered import Meter, MeteredProvider
from ironclaw.llm.models import Delta, ModelMessage, ModelRequest, ToolSpec
from ironclaw.openai.calls import Call, Writing
from ironclaw.openai.messages import read_messages, read_tools
from ironclaw.openai.names import AGENT, answered_by
from ironclaw.openai.relay import Answer, Relay
from ironclaw.openai.render import Shape, render_stream, render_whole

_BUILTIN = "builtin"
_FINGERPRINT = "ironclaw-builtin"


class Agent(Protocol):
    """The agent as a model."""

    def stream(
        self,
        messages: Sequence[ModelMessage],
        *,
        tools: Sequence[ToolSpec],
        writing: Writing,
        thread_id: str | None,
        side_call: bool,
    ) -> AsyncGenerator[Delta, None]:
        """Its reply; *tools* are the client's own, *side_call* asks for text alone."""
        ...


class Completions:
    """Answers calls. *agent* is the model `ironclaw`, and all models while none is connected."""

    def __init__(self, connection: ModelConnection, meter: Meter, relay: Relay, agent: Agent) -> None:
        self._connection = connection
        self._meter = meter
        self._relay = relay
        self._agent = agent

    def is_for_agent(self, model: str) -> bool:
        """Whether the agent answers under this name."""
        return model == AGENT or self._connection.link is None

    @property
    def output_field(self) -> str:
        """The field of a chat completion that bounds the reply: OpenAI's newer models refuse the old name."""
        link = self._connection.link
        return "max_completion_tokens" if link is not None and link.name == "openai" else "max_tokens"

    async def chat(self, call: Call, *, thread_id: str | None, side_call: bool) -> Answer:
        """The reply to a chat completion. Raises *Invalid*, *ProviderError* and *BudgetSpent*."""
        link = self._connection.link
        if link is None or call.model == AGENT:
            return await self._by_agent(call, link, thread_id, side_call)
        return await self._relay.answer(link, "/chat/completions", call, default=True) or await self._by_host(
            call, link
        )

    async def complete(self, call: Call) -> Answer:
        """The reply to a completion of the old kind. Raises as `chat`, and *NotFound* where nothing is passed through."""
        return await self._passed_only("/completions", call, default=True)

    async def embed(self, call: Call) -> Answer:
        """Embeddings. Raises as `complete`."""
        return await self._passed_only("/embeddings", call, default=False)

    async def _passed_only(self, path: str, call: Call, *, default: bool) -> Answer:
        link = self._connection.link
        answer = await self._relay.answer(link, path, call, default=default) if link and call.model != AGENT else None
        if answer is None:
            raise NotFound(
                f"No connected model server answers {path} for {call.model}. Connect one that does under Settings.",
                code="model_not_found",
                field="model",
            )
        return answer

    async def _by_agent(self, call: Call, link: Link | None, thread_id: str | None, side_call: bool) -> Answer:
        messages = read_messages(call.fields["messages"])
        tools = read_tools(call.fields.get("tools"))
        deltas = self._agent.stream(
            messages, tools=tools, writing=call.writing, thread_id=thread_id, side_call=side_call
        )
        model = _BUILTIN if link is None else link.model or AGENT
        return await _rendered(call, deltas, model, _FINGERPRINT if link is None else None)

    async def _by_host(self, call: Call, link: Link) -> Answer:
        """The host program's own model: it speaks our protocol, not OpenAI's."""
        provider = link.provider()
        messages = read_messages(call.fields["messages"])
        writing = call.writing
        request = ModelRequest(messages, read_tools(call.fields.get("tools")), writing.most_output, writing.options)
        metered = MeteredProvider(provider, self._meter, "v1", None)
        return await _rendered(call, metered.stream(request), provider.model)


async def _rendered(
    call: Call, deltas: AsyncGenerator[Delta, None], model: str, fingerprint: str | None = None
) -> Answer:
    shape = Shape(model=call.model, fingerprint=fingerprint, include_usage=call.wants_usage)
    headers = answered_by(model)
    if call.stream:
        return Answer({"Content-Type": "text/event-stream", **headers}, render_stream(deltas, shape))
    return Answer({"Content-Type": "application/json", **headers}, await render_whole(deltas, shape))
