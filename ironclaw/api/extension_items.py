"""What is answered of extensions: the shapes, and how they are made. Which route answers which: `extensions.py`."""

from typing import Any

import attrs

from ironclaw.errors import IronclawError
from ironclaw.extensions.extension import Extension, State
from ironclaw.extensions.manifest import Manifest
from ironclaw.extensions.registry import Listed, Source
from ironclaw.extensions.schema import FoundTool, tool_name
from ironclaw.extensions.tools import risk_of
from ironclaw.extensions.values import default_values, setting_values
from ironclaw.redact import redact
from ironclaw.tools import Risk
from ironclaw.values import frozen


@frozen
class ExtensionFailure:
    """Why it can't be used now."""

    code: str
    message: str


@frozen(kw_only=True)
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


@frozen
class ExtensionList:
    """The installed extensions, by name."""

    extensions: list[ExtensionItem]


@frozen(kw_only=True)
class ExtensionTool:
    """A tool: *name* is what the agent calls, *title* the server's own name. *asks*: a person must allow a call."""

    name: str
    title: str
    description: str
    asks: bool


@frozen(kw_only=True)
class ExtensionSecret:
    """A secret that it takes: whether one is kept (*set*), what one looks like (*hint*) and where to get one (*url*)."""

    name: str
    title: str
    required: bool
    set: bool
    hint: str | None = None
    url: str | None = None


@frozen(kw_only=True)
class ExtensionSetting:
    """A setting: *kind* is text, url, folder, folders (with `:` between) or file; *value* is null where there is none."""

    name: str
    title: str
    kind: str
    required: bool
    value: str | None = attrs.field()
    default: str | None = attrs.field()
    help: str | None = None


@frozen(kw_only=True)
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


@frozen(kw_only=True)
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


@frozen(kw_only=True)
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


@frozen
class AvailableExtensions:
    """What can be installed by name."""

    extensions: list[AvailableExtension]


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
        "error": None if extension.failure is None else failure(extension.failure),
    }


def item(extension: Extension) -> ExtensionItem:
    """An installed one in short."""
    return ExtensionItem(**_common(extension))


def details(extension: Extension, confinement: str) -> ExtensionDetails:
    """All about an installed one."""
    record = extension.record
    return ExtensionDetails(
        **_common(extension),
        installed_at=record.installed_at,
        confinement=confinement,
        tools=[tool(extension, one) for one in record.tools or ()],
        **_asked(record.manifest, record.secrets, setting_values(record)),
    )


def available(listed: Listed, installed: set[str]) -> AvailableExtension:
    """One of a registry."""
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


def tool(extension: Extension, found: FoundTool) -> ExtensionTool:
    """A tool of it."""
    return ExtensionTool(
        name=tool_name(extension.name, found.name),
        title=found.name,
        description=found.description,
        asks=risk_of(extension.record, found) is not Risk.READ,
    )


def failure(error: IronclawError) -> ExtensionFailure:
    """An error as it may be seen."""
    return ExtensionFailure(error.code, redact(error.message))
