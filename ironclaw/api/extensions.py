"""Extensions over HTTP. Tokens come in and never go out; a command that comes in is not run before it is confirmed."""

from typing import Any

import attrs
from aiohttp import web

from ironclaw.api.extension_items import (
    AvailableExtensions,
    ExtensionFailure,
    ExtensionList,
    ExtensionTool,
    available,
    details,
    failure,
    item,
    tool,
)
from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import read_body, read_query
from ironclaw.api.responses import json_response
from ironclaw.errors import Invalid, IronclawError
from ironclaw.extensions.extension import Extension
from ironclaw.values import frozen

_LONGEST_WAIT = 600


@frozen
class ExtensionSearch:
    """All words of *query* must be found in name, title, description or keywords; without one all are listed."""

    query: str = ""


@frozen
class InstallExtension:
    """*name* from a *registry* (builtin or own), or *mcpServers* with one server as people paste it around."""

    name: str | None = None
    registry: str | None = None
    mcpServers: dict[str, Any] | None = None  # noqa: N815 - the name that the pasted JSON has


@frozen
class WaitQuery:
    """*wait*: seconds to wait for the end of an installation, at most 600."""

    wait: int = 0


@frozen
class EnableExtension:
    """*confirm*: the hash of the command, for an extension that brings its own."""

    confirm: str | None = None


@frozen
class ConfigureExtension:
    """Settings by name; those left out stay, an empty one goes back to its default."""

    settings: dict[str, str]


@frozen
class AuthenticateExtension:
    """*token* is the first secret; *secrets* has more by name."""

    token: str | None = attrs.field(default=None, repr=False)
    secrets: dict[str, str] | None = attrs.field(default=None, repr=False)


@frozen(kw_only=True)
class ExtensionTest:
    """How the test went: its tools when *ok*, else *error*."""

    ok: bool
    tools: list[ExtensionTool] = attrs.Factory(list)
    error: ExtensionFailure | None = None


@frozen
class ExtensionRemoved:
    """It is gone."""

    status: str
    name: str


async def list_installed(request: web.Request) -> web.StreamResponse:
    """What is installed."""
    return json_response(request, ExtensionList([item(one) for one in request.app[SERVICES].extensions.all()]))


async def install(request: web.Request) -> web.StreamResponse:
    """Install by name, or what was pasted."""
    services = request.app[SERVICES]
    body = await read_body(request, InstallExtension, services.settings.body_timeout)
    if (body.name is None) == (body.mcpServers is None):
        raise Invalid("Give `name`, or `mcpServers` with one server.", field="name")
    if body.mcpServers is not None:
        return json_response(request, item(await services.extensions.paste(body.mcpServers)))
    extension = await services.extensions.install(body.name or "", body.registry)
    return await _settled(request, extension)


async def authenticate(request: web.Request) -> web.StreamResponse:
    """Check a token and keep it."""
    services = request.app[SERVICES]
    body = await read_body(request, AuthenticateExtension, services.settings.body_timeout)
    extension = services.extensions.get(_name(request))
    known = extension.record.manifest.secrets
    given = dict(body.secrets or {})
    if body.token is not None:
        if not known:
            raise Invalid(f"{extension.name} needs no token.", field="token")
        given[known[0].name] = body.token
    if not given:
        raise Invalid("`token` is missing.", field="token")
    return json_response(request, item(await services.extensions.authenticate(extension.name, given)))


async def registry(request: web.Request) -> web.StreamResponse:
    """What can be installed."""
    manager = request.app[SERVICES].extensions
    found = await manager.search(read_query(request, ExtensionSearch).query)
    installed = {one.name for one in manager.all()}
    return json_response(request, AvailableExtensions([available(one, installed) for one in found]))


async def show(request: web.Request) -> web.StreamResponse:
    """All about one."""
    return _answered(request, request.app[SERVICES].extensions.get(_name(request)))


async def enable(request: web.Request) -> web.StreamResponse:
    """Let the agent use it."""
    services = request.app[SERVICES]
    body = await read_body(request, EnableExtension, services.settings.body_timeout)
    return await _settled(request, await services.extensions.enable(_name(request), body.confirm))


async def disable(request: web.Request) -> web.StreamResponse:
    """Take it from the agent."""
    return json_response(request, item(await request.app[SERVICES].extensions.disable(_name(request))))


async def configure(request: web.Request) -> web.StreamResponse:
    """Change its settings."""
    services = request.app[SERVICES]
    body = await read_body(request, ConfigureExtension, services.settings.body_timeout)
    return _answered(request, await services.extensions.configure(_name(request), body.settings))


async def test(request: web.Request) -> web.StreamResponse:
    """Start it and list its tools; that it does not work is an answer too."""
    manager = request.app[SERVICES].extensions
    extension = manager.get(_name(request))
    try:
        tools = await manager.test(extension.name)
    except IronclawError as error:
        return json_response(request, ExtensionTest(ok=False, error=failure(error)))
    return json_response(request, ExtensionTest(ok=True, tools=[tool(extension, one) for one in tools]))


async def remove(request: web.Request) -> web.StreamResponse:
    """Delete it, its token too."""
    name = _name(request)
    await request.app[SERVICES].extensions.remove(name)
    return json_response(request, ExtensionRemoved("removed", name))


def _name(request: web.Request) -> str:
    return request.match_info["name"]


async def _settled(request: web.Request, extension: Extension) -> web.StreamResponse:
    wait = min(read_query(request, WaitQuery).wait, _LONGEST_WAIT)
    await request.app[SERVICES].extensions.settled(extension.name, wait)
    return json_response(request, item(extension))


def _answered(request: web.Request, extension: Extension) -> web.StreamResponse:
    confinement = request.app[SERVICES].extensions.confinement(extension)
    return json_response(request, details(extension, confinement))
