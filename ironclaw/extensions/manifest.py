"""What an extension is: its manifest, read from TOML or made from the `mcpServers` JSON that people paste around.

A manifest says how the server is started or reached, which secrets it needs and where each goes, and what a person may
set. Where manifests come from is `registry.py`; what becomes of an installed one is `manager.py`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs
from yarl import URL

from ironclaw import codec
from ironclaw.errors import Invalid
from ironclaw.extensions.names import check_name
from ironclaw.values import frozen

Kind = Literal["http", "python", "node", "command"]

_PLACE = re.compile(r"{{|}}|{([a-z][a-z0-9_]*)}")
_SETTING = re.compile(r"[a-z][a-z0-9_]{0,30}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_PYTHON_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,-]+\])?(?:[=<>!~]=?[A-Za-z0-9.*,=<>!~]+)?")
_NODE_PACKAGE = re.compile(r"(?:@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*(?:@[A-Za-z0-9.^~-]+)?")
_LONGEST = 4000
_MOST = 100
_NO_VALUES: Mapping[str, str] = MappingProxyType({})
DATA = "data"
"""The place name of the folder that an extension may write: `{data}` in arguments and variables."""


@frozen(kw_only=True)
class Secret:
    """A secret that the server needs: it goes into one HTTP *header* or one variable (*env*), in the *format* given.

    *hint* is what one looks like, *url* is where people get one.
    """

    name: str = "token"
    title: str = "Token"
    header: str | None = None
    env: str | None = None
    format: str = "{secret}"
    hint: str | None = None
    url: str | None = None
    required: bool = True


@frozen(kw_only=True)
class Setting:
    """What a person may set, without secret. *kind* `folders` is a list with `:` between; *default* None: not set."""

    name: str
    title: str
    kind: Literal["text", "url", "folder", "folders", "file"] = "text"
    help: str | None = None
    default: str | None = None
    required: bool = False


@frozen(kw_only=True)
class Server:
    """How it is started or reached.

    `http`: at *url* (streamable HTTP). `python` and `node`: the *package* gets an environment of its own, whose *command*
    is run with *args* (`node` without one: the package's only one). `command`: *command* is run as it is. *env* are
    variables without secret, *folders* what it may write, *reads* what it may only read, *hosts* what it may reach (`*`:
    any; empty: none). *sandbox* false: it can't run in one. *also* are packages that are installed along (`mcp<2`).
    """

    kind: Kind
    url: str | None = None
    package: str | None = None
    also: list[str] = attrs.Factory(list)
    command: str | None = None
    args: list[str] = attrs.Factory(list)
    env: dict[str, str] = attrs.Factory(dict)
    folders: list[str] = attrs.Factory(list)
    reads: list[str] = attrs.Factory(list)
    hosts: list[str] = attrs.Factory(list)
    sandbox: bool = True


@frozen(kw_only=True)
class Tools:
    """What is known of its tools: those whose names match one of *read* (`get_*`) only look, and ask nobody.

    *timeout* is how long one call may take, in seconds.
    """

    read: list[str] = attrs.Factory(list)
    timeout: float = 60.0


@frozen(kw_only=True)
class Check:
    """How a secret is checked: by a GET of *url*, which answers 2xx to a good one; without it by listing the tools.

    The first secret goes into *header*, in the *format* given; *headers* are those without secret.
    """

    url: str | None = None
    header: str = "Authorization"
    format: str = "Bearer {secret}"
    headers: dict[str, str] = attrs.Factory(dict)


@frozen(kw_only=True)
class Manifest:
    """One extension. *version* is the manifest's own."""

    name: str
    version: str
    title: str
    description: str
    server: Server
    homepage: str | None = None
    keywords: list[str] = attrs.Factory(list)
    secrets: list[Secret] = attrs.Factory(list)
    settings: list[Setting] = attrs.Factory(list)
    tools: Tools = attrs.Factory(Tools)
    check: Check = attrs.Factory(Check)

    @property
    def needs_environment(self) -> bool:
        """Whether something is installed for it on this machine."""
        return self.server.kind in {"python", "node"}

    def preview(self, values: Mapping[str, str] = _NO_VALUES) -> dict[str, Any]:
        """What a person confirms: exactly what would be run or reached, and the names of what it is given.

        Settings stand in it with their *values*, as far as those are given.
        """
        server = self.server
        variables = sorted({*server.env, *(one.env or one.header or "" for one in self.secrets)})
        words = [server.url or ""] if server.kind == "http" else [*filter(None, [server.command]), *server.args]
        argv = [_shown(one, values) for one in words]
        package = " ".join([server.package, *server.also]) if server.package else None
        what = {"kind": server.kind, "package": package, "argv": argv, "variables": variables}
        return {**what, "sandbox": server.sandbox and server.kind != "http"}

    def confirmation(self) -> str:
        """The hash of what `preview` shows without values."""
        return hashlib.sha256(codec.dumps_sorted(self.preview())).hexdigest()

    def hosts(self, values: Mapping[str, str]) -> list[str]:
        """What it may reach: over HTTP its own address only."""
        if self.server.kind != "http":
            return self.server.hosts
        host = URL(filled(self.server.url or "", values)).host
        return [host] if host else []


def parse(text: str) -> Manifest:
    """A manifest from TOML. Raises *Invalid* that says what is wrong with it."""
    import tomllib  # noqa: PLC0415 - a start reads no manifest

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"The manifest is not TOML: {error}.") from None
    return checked(codec.structure(data, Manifest))


def checked(manifest: Manifest) -> Manifest:
    """The manifest, when what it says fits together. Raises *Invalid*."""
    check_name(manifest.name)
    for problem in (*_server_problems(manifest), *_parts_problems(manifest)):
        raise Invalid(f"The manifest of {manifest.name}: {problem}")
    return manifest


def _server_problems(manifest: Manifest) -> Iterator[str]:
    server = manifest.server
    if server.kind == "http":
        if not server.url:
            yield "a server of kind http needs `url`."
        if server.command or server.package or server.args or server.env:
            yield "a server of kind http has no command, package, args or env."
        return
    if server.url:
        yield f"a server of kind {server.kind} has no url."
    if not server.command and server.kind != "node":
        yield "`command` is missing."
    pattern = {"python": _PYTHON_PACKAGE, "node": _NODE_PACKAGE}.get(server.kind)
    if pattern is not None and not all(map(pattern.fullmatch, [server.package or "", *server.also])):
        yield f"`package` must name a package of {'PyPI' if server.kind == 'python' else 'npm'}."
    if manifest.needs_environment and "/" in (server.command or ""):
        yield "`command` must be a program of the package, without a folder."
    if len(server.args) > _MOST or len(server.env) > _MOST:
        yield f"at most {_MOST} arguments and variables."
    for text in (*server.args, *server.env.values(), server.command or ""):
        if "\0" in text or len(text) > _LONGEST:
            yield "an argument holds a NUL or is too long."


def _parts_problems(manifest: Manifest) -> Iterator[str]:
    http = manifest.server.kind == "http"
    names = [one.name for one in manifest.settings] + [one.name for one in manifest.secrets]
    if len(names) != len(set(names)) or len(names) > _MOST:
        yield "two settings or secrets have one name, or there are too many."
    for name in names:
        if not _SETTING.fullmatch(name) or name == DATA:
            yield f"`{name}` is no name for a setting or secret (a-z, 0-9 and _)."
    for secret in manifest.secrets:
        if http and (secret.env or not _HEADER.fullmatch(secret.header or "")):
            yield f"the secret {secret.name} of an http server needs a `header`."
        if not http and (secret.header or not _VARIABLE.fullmatch(secret.env or "")):
            yield f"the secret {secret.name} needs the variable (`env`) in which it goes."
        if "{secret}" not in secret.format:
            yield f"the format of {secret.name} must hold {{secret}}."
    for variable in manifest.server.env:
        if not _VARIABLE.fullmatch(variable):
            yield f"`{variable}` is no name of a variable."
    if manifest.check.url and not _check_stays_home(manifest):
        yield "the check must ask a host of the server."
    known = {one.name for one in manifest.settings} | {DATA}
    for text in _templates(manifest):
        for place in sorted(places(text) - known):
            yield f"there is no setting `{place}`."


def _check_stays_home(manifest: Manifest) -> bool:
    """Whether the secret is checked where it is used: at the server's address, or at a host that the server may reach."""
    check = manifest.check.url or ""
    if manifest.server.kind == "http":
        return _address(check) == _address(manifest.server.url or "")
    return _address(check).rpartition("//")[2].partition(":")[0] in manifest.server.hosts


def _address(template: str) -> str:
    """Scheme, host and port of a template; a setting in it stands for itself."""
    scheme, mark, rest = template.partition("://")
    return f"{scheme}{mark}{rest.partition('/')[0]}" if mark else template.partition("}")[0]


def _templates(manifest: Manifest) -> Iterator[str]:
    server = manifest.server
    yield from (server.url or "", manifest.check.url or "", *server.args, *server.env.values())
    yield from (*server.folders, *server.reads)


# The JSON that people paste


@frozen
class Pasted:
    """A manifest made from `mcpServers` JSON, and the values that came with it: they are secrets until known otherwise."""

    manifest: Manifest
    secrets: Mapping[str, str] = attrs.field(repr=False)


def from_mcp_servers(data: Mapping[str, Any]) -> Pasted:
    """The one server of an `mcpServers` object: `{"NAME": {"command", "args", "env"} or {"url", "headers"}}`.

    Values of variables and headers are taken as secrets. `uvx` and `npx` become packages with an environment of their
    own. Raises *Invalid*.
    """
    if len(data) != 1:
        raise Invalid("Send the servers one at a time: `mcpServers` must hold exactly one.", field="mcpServers")
    raw_name, entry = next(iter(data.items()))
    name = check_name(re.sub(r"[^a-z0-9]+", "-", raw_name.lower()).strip("-"))
    if not isinstance(entry, dict):
        raise Invalid("A server is an object with `command` or with `url`.", field="mcpServers")
    unknown = set(entry) - {"command", "args", "env", "url", "headers", "type", "disabled"}
    if unknown:
        raise Invalid(f"`{sorted(unknown)[0]}` of the server {name} is not known.", field="mcpServers")
    if ("url" in entry) == ("command" in entry):
        raise Invalid("A server has either `command` or `url`.", field="mcpServers")
    given = _strings(entry, "headers" if "url" in entry else "env")
    server = _pasted_http(entry) if "url" in entry else _pasted_command(entry)
    secrets = {_secret_name(key): value for key, value in given.items()}
    http = server.kind == "http"
    manifest = Manifest(
        name=name,
        version="0",
        title=raw_name[:100],
        description="Added by hand.",
        server=server,
        secrets=[
            Secret(name=_secret_name(key), title=key, header=key if http else None, env=None if http else key)
            for key in given
        ],
    )
    return Pasted(checked(manifest), secrets)


def _secret_name(key: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", key.lower()).strip("_")[:30]
    return word if word[:1].isalpha() else f"v_{word}"[:30]


def _strings(entry: Mapping[str, Any], field: str) -> dict[str, str]:
    value = entry.get(field, {})
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Invalid(f"`{field}` must be an object of strings.", field="mcpServers")
    return dict(value)


def _pasted_http(entry: Mapping[str, Any]) -> Server:
    if entry.get("type", "http") not in {"http", "streamable-http", "streamableHttp"}:
        raise Invalid("Only stdio and streamable HTTP servers can be used.", field="mcpServers")
    if not isinstance(entry["url"], str):
        raise Invalid("`url` must be a string.", field="mcpServers")
    return Server(kind="http", url=literal(http_url(entry["url"], "mcpServers")))


def _pasted_command(entry: Mapping[str, Any]) -> Server:
    command, args = entry["command"], entry.get("args", [])
    if not isinstance(command, str) or not command or not isinstance(args, list):
        raise Invalid("`command` must be a string and `args` a list of strings.", field="mcpServers")
    if not all(isinstance(one, str) for one in args):
        raise Invalid("`args` must be a list of strings.", field="mcpServers")
    literals = [literal(one) for one in args]
    if command == "uvx":
        return _uvx(literals)
    if command == "npx":
        return _npx(literals)
    # A program of this machine: nobody has said what it needs, and much of it (docker) can't run in a sandbox.
    return Server(kind="command", command=command, args=literals, hosts=["*"], sandbox=False)


def _uvx(args: list[str]) -> Server:
    if args[:1] == ["--from"] and len(args) > 2:
        return Server(
            kind="python", package=args[1], command=args[2], args=args[3:], folders=_paths(args[3:]), hosts=["*"]
        )
    if not args or args[0].startswith("-"):
        raise Invalid(
            "Of uvx only `uvx PACKAGE ...` and `uvx --from PACKAGE COMMAND ...` are known.", field="mcpServers"
        )
    package = args[0].replace("@latest", "").replace("@", "==")
    command = re.split(r"[\[=<>!~@]", args[0])[0]
    return Server(kind="python", package=package, command=command, args=args[1:], folders=_paths(args[1:]), hosts=["*"])


def _npx(args: list[str]) -> Server:
    rest = [one for one in args if one not in {"-y", "--yes"}] if args[:1] in (["-y"], ["--yes"]) else args
    if not rest or rest[0].startswith("-"):
        raise Invalid("Of npx only `npx -y PACKAGE ...` is known.", field="mcpServers")
    return Server(kind="node", package=rest[0], args=rest[1:], folders=_paths(rest[1:]), hosts=["*"])


def _paths(args: list[str]) -> list[str]:
    """The whole paths among arguments: who confirms a command with a folder in it lets it write there."""
    return [one for one in args if one.startswith("/") and one != "/"]


# Filling in


def _shown(template: str, values: Mapping[str, str]) -> str:
    """A template for people: places that have no value stay."""
    return _PLACE.sub(lambda match: values.get(match[1], match[0]) if match[1] else match[0][0], template)


def literal(text: str) -> str:
    """The text as a template that means just it."""
    return text.replace("{", "{{").replace("}", "}}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """A template with its places filled; `{{` and `}}` are braces."""
    return _PLACE.sub(lambda match: match[0][0] if match[1] is None else values.get(match[1], ""), text)


def places(text: str) -> set[str]:
    """The names that a template has places for."""
    return {match[1] for match in _PLACE.finditer(text) if match[1]}


def http_url(text: str, field: str) -> str:
    """An http(s) URL without user name or fragment. Raises *Invalid* that names *field*."""
    try:
        url = URL(text.strip())
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.raw_host or url.raw_user is not None:
        raise Invalid(f"`{field}` must be an address that begins with http:// or https://.", field=field)
    return str(url.with_fragment(None))
