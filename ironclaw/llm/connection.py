"""Which model is in use and why: the host program's, the environment's, the page's, or an Ollama that was found here.

A model that is set and away is never replaced by the built-in assistant: its calls fail with what to do.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable

import attrs

from ironclaw.database import Database
from ironclaw.errors import Conflict, Invalid, IronclawError, ProviderError
from ironclaw.events import ModelUpdated
from ironclaw.hub import Hub
from ironclaw.llm import store
from ironclaw.llm.address import Address, origin_of, parse_address
from ironclaw.llm.endpoint import Endpoint, ModelInfo
from ironclaw.llm.environment import BUILTIN, Configured, configured
from ironclaw.llm.known import KNOWN, first_chat_model
from ironclaw.llm.link import Link, ServerLink, Settled, Source, State
from ironclaw.llm.models import Abilities
from ironclaw.llm.probe import Proven, Server, find, prove
from ironclaw.llm.provider import Provider
from ironclaw.llm.reach import resolve
from ironclaw.llm.servers import Dialer
from ironclaw.llm.store import StoredConnection
from ironclaw.llm.transport import ModelHTTP
from ironclaw.redact import redact
from ironclaw.secretbox import SecretBox
from ironclaw.settings import Settings
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_THIS_MACHINE = ("127.0.0.1", "host.docker.internal")
_LONGEST_MODEL = 200
_LONGEST_KEY = 4000
_OLLAMA_HERE = KNOWN["ollama"].base_url
_BUILTIN_ABILITIES = Abilities(tools=True)


@frozen
class Connected:
    """What answers the next turn. *state* is `none` for the built-in assistant."""

    provider: Provider
    abilities: Abilities
    state: State


class ModelConnection:
    """The model of one gateway. Made by `open()`, ended by `aclose()`."""

    def __init__(self, settings: Settings, database: Database, hub: Hub, box: SecretBox, builtin: Provider) -> None:
        self._model_wanted = settings.llm_model
        self._database = database
        self._hub = hub
        self._box = box
        self._builtin = builtin
        self._http = ModelHTTP()
        self._dialer = Dialer.of(self._http, settings)
        self._link: Link | None = None
        self._locked_by: Source | None = None
        self._said: tuple[str, str | None, str | None] = ("none", None, None)
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        database: Database,
        hub: Hub,
        box: SecretBox,
        builtin: Provider,
        llm: Provider | None = None,
        ollama_here: str = _OLLAMA_HERE,
    ) -> "ModelConnection":
        """The connection, at once: that the model is there is looked at in the background.

        *llm* is the host program's own; *ollama_here* is the URL at which an Ollama of this machine is looked for.
        Raises *ConfigError* when the settings name a model in a way that can't work.
        """
        from_settings = configured(settings)
        self = cls(settings, database, hub, box, builtin)
        if llm is not None:
            self._locked_by = "host"
            self._link = Link("host", self._publish, host=llm)
        elif from_settings is not None:
            self._locked_by = "environment"
            self._link = self._link_of_settings(from_settings)
        else:
            self._link = await self._link_of_page()
        self._said = self._facts()
        if self._link is not None:
            self._start(self._link.check)
        elif settings.llm_discover and settings.llm_backend != BUILTIN:
            self._start(functools.partial(self._find_here, ollama_here))
        return self

    async def aclose(self) -> None:
        """End what runs in the background, and close the connections to the server."""
        await self._end_task()
        await self._http.aclose()

    # What is in use

    def current(self) -> Connected:
        """What answers the next turn. No I/O: what is not known yet is found out when it is called."""
        if self._link is None:
            return Connected(self._builtin, _BUILTIN_ABILITIES, "none")
        return Connected(self._link.provider(), self._link.abilities, self._link.state)

    def provider_named(self, model: str) -> Provider:
        """Another model of the same server, for a thread that has chosen it. No I/O.

        A host's own model and the built-in assistant have no others: they answer themselves.
        """
        return self._builtin if self._link is None else self._link.provider(model)

    @property
    def link(self) -> Link | None:
        """The model in use; None for the built-in assistant."""
        return self._link

    @property
    def source(self) -> Source | None:
        """Who has set it: also `environment` where that says that no model is wanted."""
        return self._link.source if self._link else self._locked_by

    @property
    def locked(self) -> bool:
        """Whether it can't be changed while the program runs."""
        return self._locked_by is not None

    async def available(self) -> list[ModelInfo]:
        """The models of the connected server; none without one. Raises *ProviderError*."""
        return [] if self._link is None else await self._link.models()

    # Trying

    async def test(self, address: str, api_key: str | None = None, model: str | None = None) -> Proven:
        """Try an address; nothing is kept. Without *api_key* the kept one is used, where the origin is the same.

        Raises *ProviderError* with what is wrong and the fix, *Invalid* for what is no address or a forbidden one.
        """
        return await prove(self._dialer, self._address(address, api_key), _clean_model(model))

    async def discover(self) -> list[Server]:
        """The model servers of this machine, and of the one that this container runs on."""
        places = [one for host in _THIS_MACHINE for one in parse_address(host).by_port() if min(one.ports) > 1000]
        found = await asyncio.gather(*(self._find(place) for place in places))
        return [server for server in found if server is not None]

    async def _find(self, address: Address) -> Server | None:
        try:
            return await find(self._dialer, address)
        except IronclawError:
            return None  # that nothing is there is the usual case

    # Changing

    async def use(self, address: str | None, api_key: str | None, model: str | None, *, test: bool = True) -> None:
        """Connect a model, from the next turn on; without *address* another model of the same server.

        *api_key* None keeps the one of the same origin, an empty one forgets it. Unless *test* is false the model must
        answer first. Raises as `test` does, and *Conflict* while the model is set elsewhere.
        """
        self._refuse_locked()
        async with self._changing:
            where = self._address(address, api_key)
            wanted = _clean_model(model)
            if test:
                proven = await prove(self._dialer, where, wanted)
                settled = Settled(proven.endpoint, proven.model, proven.abilities)
                endpoint, wanted = proven.endpoint, proven.model
            else:
                await _refuse_forbidden(where.host)
                settled, endpoint = None, where.endpoints[0]
            await self._keep(endpoint, wanted)
            await self._switch(ServerLink("page", self._publish, self._dialer, endpoint, wanted, settled=settled))

    async def forget(self) -> None:
        """Go back to the built-in assistant, and forget the key. Raises *Conflict* while the model is set elsewhere."""
        self._refuse_locked()
        async with self._changing:
            await self._box.forget(store.SECRET)
            await self._database.write(store.delete)
            await self._switch(None)

    def _refuse_locked(self) -> None:
        if self._locked_by == "host":
            raise Conflict(
                "The program that runs this gateway sets the model; it can't be changed here.", code="locked"
            )
        if self._locked_by == "environment":
            raise Conflict(
                "The environment sets the model (LLM_BACKEND, OPENAI_API_KEY and the like). Change it there and restart.",
                code="locked",
            )

    def _address(self, text: str | None, api_key: str | None) -> Address:
        """Where to look, with the key: the given one, or the one in use for the endpoints of its origin."""
        used = self._link.endpoint if self._link else None
        if text is None:
            if used is None:
                raise Invalid("`address` is missing: say where the model is.", field="address")
            text = used.base_url
        address = parse_address(text)
        if api_key is not None:
            return address.with_key(_clean_key(api_key))
        if used is not None and used.api_key and not self.locked:
            return address.with_key(used.api_key, origin=origin_of(used.base_url))
        return address

    async def _keep(self, endpoint: Endpoint, model: str | None) -> None:
        if endpoint.api_key:
            await self._box.put(store.SECRET, endpoint.api_key, origin=origin_of(endpoint.base_url))
        else:
            await self._box.forget(store.SECRET)
        stored = StoredConnection(endpoint.kind, endpoint.name, endpoint.base_url, endpoint.local, model)
        await self._database.write(lambda db: store.write(db, stored))

    async def _switch(self, link: Link | None) -> None:
        await self._end_task()
        self._link = link
        self._publish()
        if link is not None and link.state != "ready":
            self._start(link.check)

    # At the start and in the background

    def _link_of_settings(self, found: Configured) -> Link | None:
        if found.endpoint is None:
            return None
        if found.endpoint.api_key:
            redact.add(found.endpoint.api_key)
        return ServerLink("environment", self._publish, self._dialer, found.endpoint, found.model)

    async def _link_of_page(self) -> Link | None:
        stored = await self._database.read(store.read)
        if stored is None:
            return None
        key = await self._box.get(store.SECRET, origin=origin_of(stored.base_url))
        return ServerLink("page", self._publish, self._dialer, stored.endpoint(key), stored.model)

    async def _find_here(self, base_url: str) -> None:
        endpoint = attrs.evolve(KNOWN["ollama"].endpoint(), base_url=base_url)
        server = await self._find(attrs.evolve(parse_address(base_url), endpoints=(endpoint,)))
        if server is not None and first_chat_model(list(server.names)) is not None:
            link = ServerLink("found", self._publish, self._dialer, endpoint, self._model_wanted)
            await link.check()
            self._link = link
            log.info("Ollama was found on this machine; its model %s is used from now on", link.model)
            self._publish()

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        self._task = asyncio.get_running_loop().create_task(_logged(work), name="model-check")

    async def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def _facts(self) -> tuple[str, str | None, str | None]:
        link = self._link
        return (link.state, link.name, link.model) if link else ("none", None, None)

    def _publish(self) -> None:
        """Tell the clients, when there is news."""
        facts = self._facts()
        if facts != self._said:
            self._said = facts
            state, provider, model = facts
            self._hub.publish(ModelUpdated(state=state, provider=provider, model=model))


async def _logged(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:
        log.exception("Looking for the model failed")


async def _refuse_forbidden(host: str) -> None:
    """Raises *Invalid* for a forbidden address; that a host is not there now is no hindrance."""
    with contextlib.suppress(ProviderError):
        await resolve(host)


def _clean_key(text: str) -> str | None:
    """A key as a header can carry it; None for an empty one. Raises *Invalid*."""
    key = text.strip()
    if not (key.isascii() and (key.isprintable()) and " " not in key and len(key) <= _LONGEST_KEY):
        raise Invalid("That is no key: it holds spaces or characters that no key has. Copy it again.", field="api_key")
    if key:
        redact.add(key)
    return key or None


def _clean_model(text: str | None) -> str | None:
    """A model's name; None for an empty one, which means the server's first. Raises *Invalid*."""
    name = (text or "").strip()
    if not name.isprintable() or len(name) > _LONGEST_MODEL:
        raise Invalid(f"A model's name has at most {_LONGEST_MODEL} characters that can be printed.", field="model")
    return name or None
