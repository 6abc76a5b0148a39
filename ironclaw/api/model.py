"""The connected model over HTTP. A key comes in and never goes out."""

from typing import Literal

import attrs
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import read_body
from ironclaw.api.responses import json_response
from ironclaw.errors import Invalid, ProviderError
from ironclaw.llm.connection import ModelConnection
from ironclaw.llm.link import State
from ironclaw.llm.probe import Server
from ironclaw.redact import redact
from ironclaw.values import frozen


@frozen
class ModelError:
    """What is wrong, for programs (*code*) and for people (*message*), and what to do (*fix*)."""

    code: str
    message: str
    fix: str


@frozen(kw_only=True)
class ModelState:
    """The connected model. *state* `none`: the built-in assistant answers. *locked*: it is set outside, by *source*.

    *context_tokens* and *tools* are null where they are not known.
    """

    state: State
    provider: str | None = attrs.field()
    base_url: str | None = attrs.field()
    model: str | None = attrs.field()
    has_key: bool
    context_tokens: int | None = attrs.field()
    tools: bool | None = attrs.field()
    source: Literal["environment", "page", "host", "found"] | None = attrs.field()
    locked: bool
    error: ModelError | None = None


@frozen
class AvailableModel:
    """A model that the server has; *context_tokens* null: not known."""

    id: str
    context_tokens: int | None = attrs.field()


@frozen
class AvailableModels:
    """The models of the connected server; none while none is connected."""

    models: list[AvailableModel]


@frozen
class TestModel:
    """*address*: a host name, host:port, a URL, or a known name. Without *api_key* a kept one of this origin is used."""

    __test__ = False  # pytest takes names like this for tests

    address: str
    api_key: str | None = None
    model: str | None = None


@frozen(kw_only=True)
class ModelTest:
    """How the test went: when *ok* is false, *error* says why. *reply_ms* is how long its first word took."""

    ok: bool
    provider: str | None = None
    base_url: str | None = None
    model: str | None = None
    models: list[str] = attrs.Factory(list)
    context_tokens: int | None = None
    tools: bool | None = None
    reply_ms: int | None = None
    error: ModelError | None = None


@frozen
class FoundServer:
    """A model server that was found, with the names of its models."""

    provider: str
    base_url: str
    models: list[str]


@frozen
class FoundServers:
    """The model servers of this machine."""

    servers: list[FoundServer]


@frozen
class UseModel:
    """*address* as in a test, or *base_url*; neither: another *model* of the same server. *test* false: keep it untried.

    *api_key* left out keeps the one of the same origin; an empty one forgets it.
    """

    address: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    model: str | None = None
    test: bool = True


async def read(request: web.Request) -> web.StreamResponse:
    """What is connected and how it is."""
    return _state(request)


async def available(request: web.Request) -> web.StreamResponse:
    """The server's models."""
    models = await request.app[SERVICES].model.available()
    return json_response(request, AvailableModels([AvailableModel(one.id, one.context_tokens) for one in models]))


async def test(request: web.Request) -> web.StreamResponse:
    """Try an address; that it does not work is an answer too."""
    services = request.app[SERVICES]
    body = await read_body(request, TestModel, services.settings.body_timeout)
    try:
        proven = await services.model.test(body.address, body.api_key, body.model)
    except ProviderError as error:
        return json_response(request, ModelTest(ok=False, error=_shown(error)))
    reply = ModelTest(
        ok=True,
        provider=proven.endpoint.name,
        base_url=proven.endpoint.base_url,
        model=proven.model,
        models=list(proven.models),
        context_tokens=proven.abilities.context_tokens,
        tools=proven.abilities.tools,
        reply_ms=proven.reply_ms,
    )
    return json_response(request, reply)


async def discover(request: web.Request) -> web.StreamResponse:
    """Look for servers on this machine."""
    servers = await request.app[SERVICES].model.discover()
    return json_response(request, FoundServers([_found(server) for server in servers]))


async def use(request: web.Request) -> web.StreamResponse:
    """Connect a model."""
    services = request.app[SERVICES]
    body = await read_body(request, UseModel, services.settings.body_timeout)
    if body.address is not None and body.base_url is not None:
        raise Invalid("Give `address` or `base_url`, not both.", field="base_url")
    address = body.base_url if body.address is None else body.address
    await services.model.use(address, body.api_key, body.model, test=body.test)
    return _state(request)


async def forget(request: web.Request) -> web.StreamResponse:
    """Forget the connected model."""
    await request.app[SERVICES].model.forget()
    return _state(request)


def _state(request: web.Request) -> web.Response:
    return json_response(request, _state_of(request.app[SERVICES].model))


def _state_of(connection: ModelConnection) -> ModelState:
    link = connection.link
    endpoint = link.endpoint if link else None
    return ModelState(
        state=link.state if link else "none",
        provider=link.name if link else None,
        base_url=endpoint.base_url if endpoint else None,
        model=link.model if link else None,
        has_key=endpoint is not None and endpoint.api_key is not None,
        context_tokens=link.abilities.context_tokens if link else None,
        tools=link.abilities.tools if link else None,
        source=connection.source,
        locked=connection.locked,
        error=_shown(link.error) if link and link.error else None,
    )


def _found(server: Server) -> FoundServer:
    return FoundServer(server.endpoint.name, server.endpoint.base_url, list(server.names))


def _shown(error: ProviderError) -> ModelError:
    """An error as it may be seen: a server may quote the key that it refuses."""
    return ModelError(error.code, redact(error.what), redact(error.fix))
