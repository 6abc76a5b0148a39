"""Tries an address that a person gave: what is there, which model answers, and, when it does not work, why and what to do.

Nothing is kept. One host is tried, never others.
"""

import asyncio
import time
from contextlib import aclosing
from urllib.parse import urlsplit

import attrs

from ironclaw.errors import ProviderError
from ironclaw.llm.address import Address, bracketed, port_of
from ironclaw.llm.endpoint import Endpoint, ModelInfo
from ironclaw.llm.known import KNOWN, OLLAMA_PORT, first_chat_model, title_of
from ironclaw.llm.link import no_models
from ironclaw.llm.models import Abilities, ModelMessage, ModelRequest, Waiting
from ironclaw.llm.reach import Reached, look, refuse_name
from ironclaw.llm.servers import Dialer
from ironclaw.llm.transport import proxy_for
from ironclaw.values import frozen

_REACH = 3.0  # seconds in which a port answers, if it ever does
# The limit leaves room for models that think first; reading ends at their first word.
_PROOF = ModelRequest((ModelMessage("user", "Reply with the word OK."),), max_output_tokens=256)
_SHOWN = 8


@frozen
class Proven:
    """A model that has answered. *models* are all that its server has; *reply_ms* is how long its first word took."""

    endpoint: Endpoint
    model: str
    models: tuple[str, ...]
    abilities: Abilities
    reply_ms: int


@frozen
class Server:
    """A server that was found, and its models."""

    endpoint: Endpoint
    models: list[ModelInfo]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its models."""
        return tuple(one.id for one in self.models)


async def prove(dialer: Dialer, address: Address, model: str | None) -> Proven:
    """The model at *address*, after it has begun to answer.

    Raises *ProviderError* with what is wrong and the fix, *Invalid* for a forbidden address.
    """
    server = await find(dialer, address, model)
    wanted = model or first_chat_model(list(server.names))
    if wanted is None:
        raise no_models(server.endpoint)
    try:
        abilities = await dialer.abilities(server.endpoint, wanted, server.models)
        started = time.monotonic()
        await _read_a_word(dialer, server.endpoint, wanted, abilities)
    except ProviderError as error:
        raise _explained(error, server, wanted) from None
    reply_ms = round((time.monotonic() - started) * 1000)
    return Proven(server.endpoint, wanted, server.names, abilities, reply_ms)


async def _read_a_word(dialer: Dialer, endpoint: Endpoint, model: str, abilities: Abilities) -> None:
    async with aclosing(dialer.provider(endpoint, model, abilities).stream(_PROOF)) as deltas:
        async for delta in deltas:
            if not isinstance(delta, Waiting):
                return


async def find(dialer: Dialer, address: Address, model: str | None = None) -> Server:
    """The model server at *address*: the likeliest of what answers. Raises as `prove` does."""
    endpoints = await _listening(address)
    answers = await asyncio.gather(*(_ask(dialer, endpoint, sure=len(endpoints) == 1) for endpoint in endpoints))
    if servers := [answer for answer in answers if isinstance(answer, Server)]:
        return _best(servers)
    failures = [answer for answer in answers if isinstance(answer, ProviderError)]
    for endpoint, error in zip(endpoints, failures, strict=True):
        if error.code == "key_refused":
            raise _refused_key(endpoint, error)
    says_the_path = model and len(address.endpoints) <= 2
    if says_the_path and any(error.code != "unreachable" for error in failures):
        return Server(endpoints[0], [])  # it may have no list of models; its answer will show what it is
    raise _no_model_server(endpoints, failures)


async def _listening(address: Address) -> list[Endpoint]:
    """The endpoints whose ports are open. Behind a proxy that can't be seen from here, nor need the name be known."""
    if all(not one.local and proxy_for(one.base_url) for one in address.endpoints):
        refuse_name(address.host)
        return list(address.endpoints)
    reached = await look(address.host, address.ports, _REACH)
    endpoints = [one for one in address.endpoints if port_of(one.base_url) in reached.open]
    if not endpoints:
        raise _nobody(address, reached)
    return endpoints


async def _ask(dialer: Dialer, endpoint: Endpoint, *, sure: bool) -> Server | ProviderError:
    """The server at an endpoint, or why there is none. Unless it is *sure* the right one, it sees a key only if it asks."""
    shown = endpoint if sure else attrs.evolve(endpoint, api_key=None)
    try:
        models = await dialer.models(shown)
    except ProviderError as error:
        if error.code == "key_refused" and endpoint.api_key and not sure:
            return await _ask(dialer, endpoint, sure=True)
        return error
    elsewhere = endpoint.kind == "ollama" and port_of(endpoint.base_url) != OLLAMA_PORT
    if elsewhere and not sure and not await dialer.is_ollama(shown):
        return ProviderError(f"{endpoint.base_url} is not Ollama.", code="bad_reply")
    return Server(endpoint, models)


def _best(servers: list[Server]) -> Server:
    """The first one; where it is Ollama, in Ollama's own protocol, because that lets us set the context."""
    port = port_of(servers[0].endpoint.base_url)
    own = (one for one in servers if one.endpoint.kind == "ollama" and port_of(one.endpoint.base_url) == port)
    return next(own, servers[0])


# What is wrong, in sentences


def _nobody(address: Address, reached: Reached) -> ProviderError:
    """The error for a host of which no port is open: it is off, or nothing listens."""
    ports = _listed([str(port) for port in address.ports])
    if not reached.closed:
        return ProviderError(
            f"{address.host} does not answer.",
            code="unreachable",
            fix="Check that it is on and in this network, and that no firewall keeps this machine out.",
        )
    fix = "Start the model server there, and check the port."
    if OLLAMA_PORT in reached.closed:
        fix = (
            "Start Ollama there. If it already runs, it listens on 127.0.0.1 of its own machine only: "
            "set OLLAMA_HOST=0.0.0.0 there and restart it."
        )
    return ProviderError(
        f"{address.host} is there, but no model server listens on port {ports}.", code="unreachable", fix=fix
    )


def _no_model_server(endpoints: list[Endpoint], failures: list[ProviderError]) -> ProviderError:
    """The error for ports that something else has."""
    places = list(dict.fromkeys(map(_place, endpoints)))
    for endpoint, error in zip(endpoints, failures, strict=True):
        if len(places) == 1 and _says_more(endpoint, error):
            return error
    return ProviderError(
        f"Something answers at {_listed(places)}, but it is no model server.",
        code="bad_reply",
        fix="Check the port: Ollama has 11434, LM Studio 1234, llama.cpp 8080, vLLM 8000.",
    )


def _says_more(endpoint: Endpoint, error: ProviderError) -> bool:
    """Whether an error tells more than that this is no model server: a redirect, a bad certificate, too many calls."""
    redirected = error.status is not None and 300 <= error.status < 400
    return (
        redirected
        or error.code in {"rate_limited", "provider_failed"}
        or (error.code == "unreachable" and endpoint.base_url.startswith("https:"))
    )


def _place(endpoint: Endpoint) -> str:
    """Host and port, as one writes them."""
    return f"{bracketed(urlsplit(endpoint.base_url).hostname or '')}:{port_of(endpoint.base_url)}"


def _refused_key(endpoint: Endpoint, error: ProviderError) -> ProviderError:
    """The error for a key that the server does not take, or misses."""
    title = title_of(endpoint.name)
    what = f"{title} refuses the key." if endpoint.api_key else f"{title} asks for a key."
    known = KNOWN.get(endpoint.name)
    fix = f"Keys are made at {known.keys_at}." if known and known.keys_at else "Ask whoever runs the server for one."
    return ProviderError(what, code="key_refused", fix=fix, status=error.status)


def _explained(error: ProviderError, server: Server, model: str) -> ProviderError:
    """An error of the first answer, said with what is known of the server."""
    if error.code == "key_refused":
        return _refused_key(server.endpoint, error)
    if error.code != "model_missing":
        return error
    there = f"It has {_listed(list(server.names[:_SHOWN]))}." if server.names else ""
    pull = f" Or run `ollama pull {model}` on its machine." if server.endpoint.kind == "ollama" else ""
    return ProviderError(
        f"{title_of(server.endpoint.name)} has no model {model}.", code="model_missing", fix=f"{there}{pull}".strip()
    )


def _listed(words: list[str]) -> str:
    """Words as a sentence says them: `a, b and c`."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else ""
