"""Extensions over HTTP. Tokens come in and never go out; a command that comes in is not run before it is confirmed."""

from typing import Any

import attrs
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import read_body, read_query
from ironclaw.api.responses import json_response
from ironclaw.errors import Invalid, IronclawError
from ironclaw.extensions.extension import Extension, State
from ironclaw.extensions.manifest import Manifest
from ironclaw.extensions.registry import Listed, Source
from ironclaw.extensions.schema import FoundTool, tool_name
from ironclaw.extensions.tools import risk_of
from ironclaw.extensions.values import default_values, setting_values
from ironclaw.redact import redact
from ironclaw.tools import Risk

_LONGEST_WAIT = 600


@attrs.frozen
class ExtensionFailure:
    """Why it can't be used now."""

    code: str
    message: str


@attrs.frozen(kw_only=True)
class ExtensionItem:
    """An installed extension. *authenticated*: its token was checked and taken, or it needs none (*needs_token* false).

    *progress* is what an installation is busy with; *registry* is `pasted` for one that came with its own command.
    """

    name: str
    version: str
    enabled: bool
    authenticated: bool
    title: str
    description: str
    registry: Source
    state: State
    needs_token: bool
    tool_count: int
    progress: str | None = None
    error: ExtensionFailure | None = None


@attrs.frozen
class ExtensionList:
    """The installed extensions, by name."""

    extensions: list[ExtensionItem]


@attrs.frozen(kw_only=True)
class ExtensionTool:
    """A tool: *name* is what the agent calls, *title* the server's own name. *asks*: a person must allow a call."""

    name: str
    title: str
    description: str
    asks: bool


@attrs.frozen(kw_only=True)
class ExtensionSecret:
    """A secret that it takes: whether one is kept (*set*), what one looks like (*hint*) and where to get one (*url*)."""

    name: str
    title: str
    required: bool
    set: bool
    hint: str | None = None
    url: str | None = None


@attrs.frozen(kw_only=True)
class ExtensionSetting:
    """A setting: *kind* is text, url, folder, folders (with `:` between) or file; *value* is null where there is none."""

    name: str
    title: str
    kind: str
    required: bool
    value: str | None = attrs.field()
    default: str | None = attrs.field()
    help: str | None = None


@attrs.frozen(kw_only=True)
class ExtensionCommand:
    """What is run (*argv*, from *package* where there is one) or reached (a URL), and the names of what it is given.

    *sandbox*: it runs in one, where one works. *confirm* is the hash that allows exactly this.
    """

    kind: str
    argv: list[str]
    variables: list[str]
    sandbox: bool
    confirm: str
    package: str | None = None


@attrs.frozen(kw_only=True)
class ExtensionDetails:
    """All that is known of an installed extension. *hosts*: what it may reach, `*` for any.

    *confinement* says in words in what it runs.
    """

    name: str
    version: str
    enabled: bool
    authenticated: bool
    title: str
    description: str
    registry: Source
    state: State
    needs_token: bool
    tool_count: int
    installed_at: str
    confinement: str
    command: ExtensionCommand
    hosts: list[str]
    folders: list[str]
    tools: list[ExtensionTool]
    secrets: list[ExtensionSecret]
    settings: list[ExtensionSetting]
    progress: str | None = None
    error: ExtensionFailure | None = None
    homepage: str | None = None


@attrs.frozen(kw_only=True)
class AvailableExtension:
    """An extension of a registry, with what it would ask for."""

    name: str
    version: str
    title: str
    description: str
    registry: Source
    installed: bool
    command: ExtensionCommand
    hosts: list[str]
    folders: list[str]
    secrets: list[ExtensionSecret]
    settings: list[ExtensionSetting]
    homepage: str | None = None


@attrs.frozen
class AvailableExtensions:
    """What can be installed by name."""

    extensions: list[AvailableExtension]


@attrs.frozen
class ExtensionSearch:
    """All words of *query* must be found in name, title, description or keywords; without one all are listed."""

    query: str = ""


@attrs.frozen
class InstallExtension:
    """*name* from a *registry* (builtin or own), or *mcpServers* with one server as people paste it around."""

    name: str | None = None
    registry: str | None = None
    mcpServers: dict[str, Any] | None = None  # noqa: N815 - the name that the pasted JSON has


@attrs.frozen
class WaitQuery:
    """*wait*: seconds to wait for the end of an installation, at most 600."""

    wait: int = 0


@attrs.frozen
class EnableExtension:
    """*confirm*: the hash of the command, for an extension that brings its own."""

    confirm: str | None = None


@attrs.frozen
class ConfigureExtension:
    """Settings by name; those left out stay, an empty one goes back to its default."""

    settings: dict[str, str]


@attrs.frozen
class AuthenticateExtension:
    """*token* is the first secret; *secrets* has more by name."""

    token: str | None = attrs.field(default=None, repr=False)
    secrets: dict[str, str] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class ExtensionTest:
    """How the test went: its tools when *ok*, else *error*."""

    ok: bool
    tools: list[ExtensionTool] = attrs.Factory(list)
    error: ExtensionFailure | None = None


@attrs.frozen
class ExtensionRemoved:
    """It is gone."""

    status: str
    name: str


async def list_installed(request: web.Request) -> web.StreamResponse:
    """What is installed."""
    return json_response(request, ExtensionList([_item(one) for one in request.app[SERVICES].extensions.all()]))


async def install(request: web.Request) -> web.StreamResponse:
    """Install by name, or what was pasted."""
    services = request.app[SERVICES]
    body = await read_body(request, InstallExtension, services.settings.body_timeout)
    if (body.name is None) == (body.mcpServers is None):
        raise Invalid("Give `name`, or `mcpServers` with one server.", field="name")
    if body.mcpServers is not None:
        return json_response(request, _item(await services.extensions.paste(body.mcpServers)))
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
    return json_response(request, _item(await services.extensions.authenticate(extension.name, given)))


async def registry(request: web.Request) -> web.StreamResponse:
    """What can be installed."""
    manager = request.app[SERVICES].extensions
    found = await manager.search(read_query(request, ExtensionSearch).query)
    installed = {one.name for one in manager.all()}
    return json_response(request, AvailableExtensions([_available(one, installed) for one in found]))


async def show(request: web.Request) -> web.StreamResponse:
    """All about one."""
    return _details(request, request.app[SERVICES].extensions.get(_name(request)))


async def enable(request: web.Request) -> web.StreamResponse:
    """Let the agent use it."""
    services = request.app[SERVICES]
    body = await read_body(request, EnableExtension, services.settings.body_timeout)
    return await _settled(request, await services.extensions.enable(_name(request), body.confirm))


async def disable(request: web.Request) -> web.StreamResponse:
    """Take it from the agent."""
    return json_response(request, _item(await request.app[SERVICES].extensions.disable(_name(request))))


async def configure(request: web.Request) -> web.StreamResponse:
    """Change its settings."""
    services = request.app[SERVICES]
    body = await read_body(request, ConfigureExtension, services.settings.body_timeout)
    return _details(request, await services.extensions.configure(_name(request), body.settings))


async def test(request: web.Request) -> web.StreamResponse:
    """Start it and list its tools; that it does not work is an answer too."""
    manager = request.app[SERVICES].extensions
    extension = manager.get(_name(request))
    try:
        tools = await manager.test(extension.name)
    except IronclawError as error:
        return json_response(request, ExtensionTest(ok=False, error=_failure(error)))
    return json_response(request, ExtensionTest(ok=True, tools=[_tool(extension, one) for one in tools]))


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
    return json_response(request, _item(extension))


def _common(extension: Extension) -> dict[str, Any]:
    record = extension.record
    return {
        "name": extension.name,
        "version": record.manifest.version,
        "enabled": record.enabled,
        "authenticated": extension.authenticated,
        "title": record.manifest.title,
        "description": record.manifest.description,
        "registry": record.source,
        "state": extension.state,
        "needs_token": extension.needs_token,
        "tool_count": len(record.tools or ()),
        "progress": extension.phase,
        "error": None if extension.failure is None else _failure(extension.failure),
    }


def _item(extension: Extension) -> ExtensionItem:
    return ExtensionItem(**_common(extension))


def _details(request: web.Request, extension: Extension) -> web.Response:
    record = extension.record
    details = ExtensionDetails(
        **_common(extension),
        installed_at=record.installed_at,
        confinement=request.app[SERVICES].extensions.confinement(extension),
        tools=[_tool(extension, one) for one in record.tools or ()],
        **_asked(record.manifest, record.secrets, setting_values(record)),
    )
    return json_response(request, details)


def _available(listed: Listed, installed: set[str]) -> AvailableExtension:
    manifest = listed.manifest
    return AvailableExtension(
        name=manifest.name,
        version=manifest.version,
        title=manifest.title,
        description=manifest.description,
        registry=listed.source,
        installed=manifest.name in installed,
        **_asked(manifest, frozenset(), default_values(manifest)),
    )


def _asked(manifest: Manifest, kept: frozenset[str], values: dict[str, str]) -> dict[str, Any]:
    """What an extension is and asks for."""
    return {
        "homepage": manifest.homepage,
        "command": ExtensionCommand(**manifest.preview(values), confirm=manifest.confirmation()),
        "hosts": manifest.hosts(values),
        "folders": [*manifest.server.folders, *manifest.server.reads],
        "secrets": [
            ExtensionSecret(
                name=one.name, title=one.title, required=one.required, set=one.name in kept, hint=one.hint, url=one.url
            )
            for one in manifest.secrets
        ],
        "settings": [
            ExtensionSetting(
                name=one.name,
                title=one.title,
                kind=one.kind,
                required=one.required,
                value=values.get(one.name),
                default=one.default,
                help=one.help,
            )
            for one in manifest.settings
        ],
    }


def _tool(extension: Extension, found: FoundTool) -> ExtensionTool:
    return ExtensionTool(
        name=tool_name(extension.name, found.name),
        title=found.name,
        description=found.description,
        asks=risk_of(extension.record, found) is not Risk.READ,
    )


def _failure(error: IronclawError) -> ExtensionFailure:
    return ExtensionFailure(error.code, redact(error.message))
