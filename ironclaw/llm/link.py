"""A model in use: finds out on first need what was left open of it, and knows how it is by watching its calls."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Literal

import attrs

from ironclaw.errors import ProviderError
from ironclaw.llm.address import variants
from ironclaw.llm.endpoint import Endpoint, ModelInfo, Timeouts
from ironclaw.llm.known import first_chat_model, title_of
from ironclaw.llm.models import Abilities, Delta, Finished, ModelRequest, Waiting
from ironclaw.llm.provider import Provider
from ironclaw.llm.replies import patience
from ironclaw.llm.servers import Dialer
from ironclaw.llm.transport import ModelHTTP, ModelStream
from ironclaw.values import frozen

log = logging.getLogger(__name__)

Source = Literal["environment", "page", "host", "found"]
State = Literal["none", "ready", "loading", "unreachable", "key_refused", "model_missing"]
_STATES: dict[str, State] = {
    "unreachable": "unreachable",
    "key_refused": "key_refused",
    "model_missing": "model_missing",
}


@frozen
class Settled:
    """What is known once the server was asked: the exact *endpoint*, and the *model* that answers."""

    endpoint: Endpoint
    model: str
    abilities: Abilities = Abilities()


class Link:
    """The model of one *source*, and its `state`. *changed* is called whenever state or model have changed.

    *host* is the provider that the host program gave; all others are dialled at their endpoint.
    """

    def __init__(self, source: Source, changed: Callable[[], None], *, host: Provider | None = None) -> None:
        self.source = source
        self.state: State = "ready"
        self.error: ProviderError | None = None
        self._changed = changed
        self._host = host

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it is, as far as is known; None for the host's own."""
        return None

    @property
    def name(self) -> str:
        """What the provider is called."""
        return self._host.name if self._host else ""

    @property
    def model(self) -> str | None:
        """The model that answers; None until the server's first is known."""
        return self._host.model if self._host else None

    @property
    def abilities(self) -> Abilities:
        """What the model can do, as far as is known."""
        found = getattr(self._host, "abilities", None)
        return found if isinstance(found, Abilities) else Abilities()

    @property
    def local(self) -> bool:
        """Whether it runs at home: its tokens cost nothing."""
        return self.endpoint.local if self.endpoint else bool(getattr(self._host, "local", False))

    def provider(self, model: str | None = None) -> Provider:
        """The model, or another one of the same server, as a provider whose calls keep the state. No I/O."""
        return _Watched(self, model)

    async def dial(self, model: str | None) -> Provider:
        """The provider below. Raises *ProviderError* when nothing is there to be found out."""
        assert self._host is not None
        return self._host

    async def target(self, model: str | None) -> "Target | None":
        """Where calls in OpenAI's protocol are passed through to; None: they can't be. Raises as `dial` does."""
        return None

    async def check(self) -> None:
        """Ask the server how things are, and set the state by that. Of a host's own provider only its calls tell."""

    async def models(self) -> list[ModelInfo]:
        """The models that its server has. Raises *ProviderError*."""
        return [ModelInfo(self.model or "", self.abilities.context_tokens)]

    def saw(self, state: State, error: ProviderError | None = None) -> None:
        """Take note of how a call went."""
        before, self.state, self.error = self.state, state, error
        if before != state:
            log.log(
                logging.INFO if error is None else logging.WARNING,
                "The model %s is %s. %s",
                self.model,
                state,
                error or "",
            )
            self._changed()

    def failed(self, error: ProviderError, model: str) -> None:
        """Take note of how a call of *model* has failed."""
        state = _STATES.get(error.code)
        of_another_model = state == "model_missing" and model != self.model
        if state is not None and not of_another_model:
            self.saw(state, error)
        elif self.state == "loading":
            self.saw("ready")


class ServerLink(Link):
    """A model on a server. *model* None means the server's first one for conversation.

    It counts as loading until it was looked at; *settled* is what somebody who has done so knows.
    """

    def __init__(
        self,
        source: Source,
        changed: Callable[[], None],
        dialer: Dialer,
        endpoint: Endpoint,
        model: str | None,
        *,
        settled: Settled | None = None,
    ) -> None:
        super().__init__(source, changed)
        self.state = "ready" if settled else "loading"
        self._dialer = dialer
        self._endpoint = endpoint
        self._model = model
        self._settled = settled
        self._target: tuple[Endpoint, Target] | None = None
        self._asking = asyncio.Lock()

    @property
    def endpoint(self) -> Endpoint:
        """Where it is, as far as is known."""
        return self._settled.endpoint if self._settled else self._endpoint

    @property
    def name(self) -> str:
        """What the provider is called."""
        return self._endpoint.name

    @property
    def model(self) -> str | None:
        """The model that answers; None until the server's first is known."""
        return self._settled.model if self._settled else self._model

    @property
    def abilities(self) -> Abilities:
        """What the model can do, as far as is known."""
        return self._settled.abilities if self._settled else self._dialer.assumed(self._endpoint)

    async def dial(self, model: str | None) -> Provider:
        """The provider below; the server is asked first where its address or the model is still open.

        Raises *ProviderError* when the server does not say it.
        """
        wanted = await self._find_out(model)
        abilities = self.abilities if wanted == self.model else self._dialer.assumed(self._endpoint)
        return self._dialer.provider(self.endpoint, wanted, abilities)

    async def target(self, model: str | None) -> "Target":
        """Where calls in OpenAI's protocol are passed through to: of Ollama, its part that speaks it."""
        try:
            wanted = await self._find_out(model)
        except ProviderError as error:
            self.failed(error, model or "")
            raise
        last = self._target
        if last is None or last[0] is not self.endpoint or last[1].model != wanted:
            last = self._target = (self.endpoint, self._make_target(self.endpoint, wanted))
        return last[1]

    def _make_target(self, endpoint: Endpoint, model: str) -> "Target":
        if endpoint.kind == "ollama":
            endpoint = attrs.evolve(endpoint, kind="openai", base_url=f"{endpoint.base_url}/v1")
        return Target(self, self._dialer.http, endpoint, model, patience(endpoint, self._dialer.timeouts))

    async def _find_out(self, model: str | None) -> str:
        """The model that is meant; from then on the server's address is known too."""
        if self._settled is None and (self._model is None or len(variants(self._endpoint)) > 1):
            await self._settle()
        wanted = model or self.model
        assert wanted is not None
        return wanted

    async def check(self) -> None:
        """Ask the server for its models, and set the state by that."""
        try:
            await self._settle(anew=True)
        except ProviderError as error:
            if error.code == "rate_limited":  # it is there
                self.saw("ready")
            else:
                self.saw(_STATES.get(error.code, "unreachable"), error)
        else:
            self.saw("ready")

    async def models(self) -> list[ModelInfo]:
        """The models that its server has. Raises *ProviderError*."""
        await self._settle()
        return await self._dialer.models(self.endpoint)

    async def _settle(self, *, anew: bool = False) -> None:
        async with self._asking:
            if self._settled is not None and not anew:
                return
            before = self.model
            self._settled = await self._ask()
            if self.model != before:
                self._changed()

    async def _ask(self) -> Settled:
        """Try the variants of the address in turn."""
        failures: list[ProviderError] = []
        for endpoint in variants(self._endpoint):
            try:
                listed = await self._dialer.models(endpoint)
            except ProviderError as error:
                failures.append(error)
                continue
            model = self._model or first_chat_model([one.id for one in listed])
            if model is None:
                raise no_models(endpoint)
            return Settled(endpoint, model, await self._dialer.abilities(endpoint, model, listed))
        telling = min(failures, key=_how_telling)
        if self._model and telling.code not in _STATES:
            return Settled(self._endpoint, self._model, self._dialer.assumed(self._endpoint))
        raise telling


@frozen
class Target:
    """One model of a link's server, for calls that a client has written itself. It speaks OpenAI's protocol."""

    link: Link
    http: ModelHTTP
    endpoint: Endpoint
    model: str
    timeouts: Timeouts

    @property
    def name(self) -> str:
        """What the provider is called."""
        return self.endpoint.name

    @property
    def local(self) -> bool:
        """Whether it runs at home: its tokens cost nothing."""
        return self.endpoint.local

    async def post(self, path: str, body: bytes) -> ModelStream:
        """Send a call; the answer, which began well. Raises *ProviderError*."""
        try:
            stream = await self.http.open(self.endpoint, path, body, model=self.model, timeouts=self.timeouts)
        except ProviderError as error:
            self.link.failed(error, self.model)
            raise
        self.link.saw("ready")
        return stream


def _how_telling(error: ProviderError) -> int:
    """Which of several failures says most of what is wrong; the lowest does."""
    return ("key_refused", "unreachable").index(error.code) if error.code in {"key_refused", "unreachable"} else 2


def no_models(endpoint: Endpoint) -> ProviderError:
    """The error for a server that has no model to talk with."""
    fix = "Load one there, then try again."
    if endpoint.kind == "ollama":
        fix = "Run `ollama pull qwen3` on its machine, or pull another model."
    return ProviderError(
        f"{title_of(endpoint.name)} at {endpoint.base_url} answers, but has no model to talk with.",
        code="model_missing",
        fix=fix,
    )


class _Watched:
    """A provider whose calls are watched; what is below it is dialled when it is called.

    *model* is empty until the server's first is known.
    """

    def __init__(self, link: Link, model: str | None) -> None:
        self.name = link.name
        self.model = model or link.model or ""
        self.abilities = link.abilities if self.model == link.model else Abilities()
        self.local = link.local
        self._link = link
        self._wanted = model

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The reply below. Raises *ProviderError* as it does."""
        try:
            provider = await self._link.dial(self._wanted)
            self.model = provider.model
            async with aclosing(provider.stream(request)) as deltas:
                async for delta in deltas:
                    self._see(delta)
                    yield delta
        except ProviderError as error:
            self._link.failed(error, self.model)
            raise

    def _see(self, delta: Delta) -> None:
        if isinstance(delta, Waiting):
            self._link.saw("loading")
        elif isinstance(delta, Finished) or self._link.state == "loading":
            self._link.saw("ready")
