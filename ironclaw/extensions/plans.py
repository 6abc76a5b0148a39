"""From what is kept of an extension to how its server is started or reached: templates filled, secrets put in place."""

import os
from collections.abc import Mapping
from pathlib import Path

from yarl import URL

from ironclaw.errors import Invalid
from ironclaw.extensions.confinement import confinement
from ironclaw.extensions.environment import Environment
from ironclaw.extensions.manifest import Manifest, Setting, filled, http_url, places
from ironclaw.extensions.session import HttpPlan, Plan, StdioPlan
from ironclaw.extensions.store import Record
from ironclaw.extensions.values import filled_values, setting_values
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.sandbox.protocol import HOME as SANDBOX_HOME
from ironclaw.sandbox.protocol import PATH

_LONGEST_SETTING = 4000
_LONGEST_SECRET = 8000
_SHORTEST_SECRET = 6  # what is shorter can't be masked: it would mask ordinary words


def origin_of(record: Record) -> str:
    """What the secrets are for: the origin of a server over HTTP, else exactly this program."""
    manifest = record.manifest
    if manifest.server.kind != "http":
        return f"program:{manifest.confirmation()}"
    url = filled(manifest.server.url or "", setting_values(record))
    try:
        return str(URL(url).origin())
    except ValueError:
        return "nowhere"


def secret_key(name: str, secret: str) -> str:
    """The name under which the secret box keeps a secret of an extension."""
    return f"extension/{name}/{secret}"


def plan_of(record: Record, environment: Environment, secrets: Mapping[str, str], sandboxes: Sandboxes | None) -> Plan:
    """How the server is started or reached; in one of *sandboxes*, if there are any.

    Raises *Invalid* and *Unavailable* with what a person can do.
    """
    manifest = record.manifest
    values = filled_values(record, environment.data if sandboxes is None else Path(SANDBOX_HOME))
    placed = {one.name: filled_secret(one.format, secrets[one.name]) for one in manifest.secrets if one.name in secrets}
    if manifest.server.kind == "http":
        url = http_url(filled_url(manifest.server.url or "", values), "url")
        headers = {one.header or "": placed[one.name] for one in manifest.secrets if one.name in placed}
        return HttpPlan(record.name, url, headers)
    variables = {one.env or "": placed[one.name] for one in manifest.secrets if one.name in placed}
    argv = environment.argv(manifest)
    return StdioPlan(
        record.name,
        (*argv, *_arguments(manifest, values)),
        {**_base_environment(environment, sandboxes), **_variables(manifest, values), **variables},
        environment.data,
        None if sandboxes is None else confinement(record, environment, argv, sandboxes),
    )


def filled_url(template: str, values: Mapping[str, str]) -> str:
    """An address; where more comes behind a place, a slash at the end of its value is not doubled."""
    return filled(
        template, {name: value.rstrip("/") if f"{{{name}}}/" in template else value for name, value in values.items()}
    )


def filled_secret(template: str, secret: str) -> str:
    """A secret in its format."""
    return template.replace("{secret}", secret)


def _arguments(manifest: Manifest, values: Mapping[str, str]) -> list[str]:
    """The arguments; one whose setting has no value is left out, one that is a list of folders becomes several."""
    lists = {one.name for one in manifest.settings if one.kind == "folders"}
    arguments: list[str] = []
    for template in manifest.server.args:
        names = places(template)
        if any(not values.get(name) for name in names):
            continue
        only = template[1:-1]
        if only in lists and template == f"{{{only}}}":
            arguments += [one for one in values[only].split(":") if one]
        else:
            arguments.append(filled(template, values))
    return arguments


def _variables(manifest: Manifest, values: Mapping[str, str]) -> dict[str, str]:
    return {
        name: filled(template, values)
        for name, template in manifest.server.env.items()
        if all(values.get(place) for place in places(template))
    }


def _base_environment(environment: Environment, sandboxes: Sandboxes | None) -> dict[str, str]:
    """What every program needs; nothing of the gateway's own environment but the language, the zone and where programs are.

    A sandbox brings its own home and its own places for programs.
    """
    inherited = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    own = {"PATH": os.environ.get("PATH", PATH), "HOME": str(environment.data)} if sandboxes is None else {}
    return {**own, **inherited}


# What a person gives


def clean_settings(manifest: Manifest, given: Mapping[str, str]) -> dict[str, str]:
    """Settings as they are kept; an empty one means its default. Raises *Invalid* that names the setting."""
    known = {one.name: one for one in manifest.settings}
    clean = {}
    for name, value in given.items():
        if name not in known:
            raise Invalid(
                f"{manifest.name} has no setting `{name}`; it has {', '.join(known) or 'none'}.",
                field=f"settings.{name}",
            )
        text = value.strip()
        if text:
            clean[name] = _checked_setting(known[name], text)
    return clean


def _checked_setting(setting: Setting, text: str) -> str:
    field = f"settings.{setting.name}"
    if not text.isprintable() or len(text) > _LONGEST_SETTING:
        raise Invalid(f"`{setting.name}` holds what can't be printed, or is too long.", field=field)
    if setting.kind == "url":
        return http_url(text, field)
    if setting.kind in {"folder", "folders", "file"}:
        parts = [
            str(Path(one).expanduser()) for one in (text.split(":") if setting.kind == "folders" else [text]) if one
        ]
        for one in parts:
            _check_path(setting, one, field)
        return ":".join(parts)
    return text


def _check_path(setting: Setting, text: str, field: str) -> None:
    path = Path(text)
    if not path.is_absolute():
        raise Invalid(f"`{setting.name}` must be a whole path, from the root on: {text} is not.", field=field)
    if setting.kind == "file":
        if not path.parent.is_dir():
            raise Invalid(f"There is no folder {path.parent} for `{setting.name}`.", field=field)
    elif not path.is_dir():
        raise Invalid(f"`{setting.name}`: there is no folder {text}.", field=field)


def clean_secrets(manifest: Manifest, given: Mapping[str, str]) -> dict[str, str]:
    """Secrets as they can go into a header or a variable. Raises *Invalid* that names the secret, never its value."""
    known = {one.name for one in manifest.secrets}
    clean = {}
    for name, value in given.items():
        if name not in known:
            raise Invalid(f"{manifest.name} has no secret `{name}`; it has {', '.join(sorted(known)) or 'none'}.")
        text = value.strip()
        if not _SHORTEST_SECRET <= len(text) <= _LONGEST_SECRET or not text.isascii() or not text.isprintable():
            raise Invalid(
                f"That is no {name}: it is empty, too short, or holds characters that none has. Copy it again.",
                field="token",
            )
        clean[name] = text
    return clean
