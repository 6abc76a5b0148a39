"""The protocols of model servers behind one door: which module speaks with an endpoint, and what it says of its models."""

import attrs

from ironclaw.errors import ProviderError
from ironclaw.llm import ollama, openai
from ironclaw.llm.endpoint import Endpoint, ModelInfo, Timeouts
from ironclaw.llm.failures import Failures
from ironclaw.llm.models import Abilities
from ironclaw.llm.provider import Provider
from ironclaw.llm.transport import ModelHTTP
from ironclaw.settings import Settings
from ironclaw.values import frozen


@frozen
class Dialer:
    """Speaks with any endpoint. *context_tokens* is what the settings say of every model, 0 for nothing."""

    http: ModelHTTP
    timeouts: Timeouts
    context_tokens: int = 0

    @classmethod
    def of(cls, http: ModelHTTP, settings: Settings) -> "Dialer":
        """The dialer of one gateway."""
        timeouts = Timeouts(
            connect=settings.llm_connect_timeout,
            first_token=settings.llm_first_token_timeout,
            between=settings.llm_token_timeout,
        )
        return cls(http, timeouts, settings.llm_context_tokens)

    def provider(self, endpoint: Endpoint, model: str, abilities: Abilities) -> Provider:
        """The model at an endpoint. No I/O."""
        kind = ollama.OllamaProvider if endpoint.kind == "ollama" else openai.OpenAIProvider
        return kind(self.http, endpoint, model, timeouts=self.timeouts, abilities=abilities)

    async def models(self, endpoint: Endpoint) -> list[ModelInfo]:
        """The models that a server has. Raises *ProviderError*."""
        list_models = ollama.list_models if endpoint.kind == "ollama" else openai.list_models
        try:
            return await list_models(self.http, endpoint, timeout=self.timeouts.connect)
        except ProviderError as error:
            if error.code == "model_missing":  # it was asked for no model: what is missing is the list
                raise Failures(endpoint).not_this_api() from None
            raise

    def assumed(self, endpoint: Endpoint) -> Abilities:
        """What is taken for granted of a model before its server has said more."""
        usual = ollama.DEFAULT_CONTEXT if endpoint.kind == "ollama" else None
        return Abilities(self.context_tokens or usual)

    async def abilities(self, endpoint: Endpoint, model: str, listed: list[ModelInfo]) -> Abilities:
        """What a model can do, from the settings, the server's word on it, or its list. Raises *ProviderError*."""
        assumed = self.assumed(endpoint).context_tokens
        if endpoint.kind == "ollama":
            said = await ollama.show(self.http, endpoint, model, timeout=self.timeouts.connect)
            # Ollama gives a model the context that we ask for, up to the most that it says here.
            return attrs.evolve(said, context_tokens=min(assumed or 0, said.context_tokens or assumed or 0))
        return Abilities(assumed or next((one.context_tokens for one in listed if one.id == model), None))

    async def is_ollama(self, endpoint: Endpoint) -> bool:
        """Whether the server of an Ollama endpoint is Ollama itself: others imitate its list of models."""
        try:
            reply = await self.http.get_json(endpoint, "/api/version", timeout=self.timeouts.connect)
        except ProviderError:
            return False
        return isinstance(reply, dict) and isinstance(reply.get("version"), str)
