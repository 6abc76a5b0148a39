"""`ironclaw extensions`: the extensions of a running gateway. Tokens are asked for or piped in, never arguments."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from ironclaw.cli.client import Gateway, fail, url_option
from ironclaw.redact import printable

_HELP = {"help_option_names": ["-h", "--help"]}
_json_option = click.option("--json", "as_json", is_flag=True, help="print one JSON document")
_POLL = 0.3
_WORDS = {
    "installing": "is being installed",
    "install_failed": "could not be installed",
    "unconfirmed": "waits until you have confirmed what it runs",
    "disabled": "is disabled",
    "needs_settings": "needs settings",
    "needs_token": "needs a token",
    "failed": "does not work",
    "running": "runs",
    "ready": "is ready",
}
_NEXT = {
    "unconfirmed": "Look at what it runs and allow it: ironclaw extensions enable {}",
    "install_failed": "Try again: ironclaw extensions enable {}",
    "needs_settings": "Set what it needs: ironclaw extensions config {} NAME=VALUE",
    "needs_token": "Enter its token: ironclaw extensions auth {}",
}


@click.group(context_settings=_HELP)
def command() -> None:
    """Install, set up and try extensions: MCP servers whose tools the agent may then use.

    Builtin ones, and your own manifests (HOME/extensions/NAME.toml), are enabled when they are installed. A server that you
    paste as `mcpServers` JSON is not run before you have confirmed its exact command.

    Exit codes: 0 ok, 1 refused or nothing found, 2 usage, 69 gateway not reachable, 77 token refused.
    """


@command.command("list", context_settings=_HELP)
@_json_option
@url_option
def list_(*, as_json: bool, url: str | None) -> None:
    """Print the installed extensions and how each is."""
    reply = Gateway.find(url).get("/api/extensions/list")
    if as_json:
        _print_json(reply)
        return
    for item in reply["extensions"]:
        click.echo(_line(item))


@command.command(context_settings=_HELP)
@click.argument("words", nargs=-1)
@_json_option
@url_option
def search(*, words: tuple[str, ...], as_json: bool, url: str | None) -> None:
    """Print the extensions that can be installed by name and fit WORDS; all without WORDS."""
    reply = Gateway.find(url).get(f"/api/extensions/registry?{urlencode({'query': ' '.join(words)})}")
    if as_json:
        _print_json(reply)
    else:
        for one in reply["extensions"]:
            installed = " (installed)" if one["installed"] else ""
            click.echo(f"{one['name']} {printable(one['version'])}{installed}: {printable(one['description'])}")
    sys.exit(0 if reply["extensions"] else 1)


@command.command(context_settings=_HELP)
@click.argument("name")
@_json_option
@url_option
def show(*, name: str, as_json: bool, url: str | None) -> None:
    """Print all about NAME: what it runs or reaches, what it may touch, its settings and tools, what is wrong."""
    details = Gateway.find(url).get(_path(name))
    _print_json(details) if as_json else _print_details(details)


@command.command(context_settings=_HELP)
@click.argument("name", required=False)
@click.option("--registry", type=click.Choice(["builtin", "own"]), help="where NAME is from [builtin, then own]")
@click.option("--file", type=click.File("r"), help="mcpServers JSON instead of NAME, `-` for standard input")
@url_option
def install(*, name: str | None, registry: str | None, file: Any, url: str | None) -> None:
    """Install the extension NAME, or the servers of an mcpServers JSON; say what is done meanwhile."""
    if (name is None) == (file is None):
        raise click.UsageError("Give a NAME, or --file with mcpServers JSON.")
    gateway = Gateway.find(url)
    for body in [{"name": name, "registry": registry}] if file is None else _pasted(file):
        given = {key: value for key, value in body.items() if value is not None}
        item = _ask(gateway.post, "/api/extensions/install", given)
        _finish(_followed(gateway, item))


@command.command(context_settings=_HELP)
@click.argument("name")
@click.option("--confirm", metavar="HASH", help="of the command, as `show` prints it; else you are shown it and asked")
@url_option
def enable(*, name: str, confirm: str | None, url: str | None) -> None:
    """Let the agent use NAME. One that was pasted is shown first, on a terminal, and you are asked."""
    gateway = Gateway.find(url)
    if confirm is None:
        details = gateway.get(_path(name))
        if details["state"] == "unconfirmed":
            confirm = _confirmed(details)
    item = _ask(gateway.post, f"{_path(name)}/enable", {} if confirm is None else {"confirm": confirm})
    _finish(_followed(gateway, item))


@command.command(context_settings=_HELP)
@click.argument("name")
@url_option
def disable(*, name: str, url: str | None) -> None:
    """Stop NAME and take its tools from the agent; its settings and token stay."""
    click.echo(_line(_ask(Gateway.find(url).post, f"{_path(name)}/disable", {})))


@command.command(context_settings=_HELP)
@click.argument("name")
@click.argument("settings", nargs=-1, metavar="[SETTING=VALUE]...")
@_json_option
@url_option
def config(*, name: str, settings: tuple[str, ...], as_json: bool, url: str | None) -> None:
    """Print the settings of NAME, or change some; an empty VALUE goes back to the default."""
    gateway = Gateway.find(url)
    if settings:
        pairs = [one.partition("=") for one in settings]
        if wrong := next((whole for whole, (_, mark, _) in zip(settings, pairs, strict=True) if not mark), None):
            raise click.UsageError(f"{wrong} is no SETTING=VALUE.")
        details = _ask(gateway.put, f"{_path(name)}/config", {"settings": {key: value for key, _, value in pairs}})
    else:
        details = gateway.get(_path(name))
    if as_json:
        _print_json(details["settings"])
        return
    for one in details["settings"]:
        click.echo(f"{one['name']}={printable(one['value'] or '')}")
        click.echo(f"    {_about(one)}", err=True)
    if not details["settings"]:
        click.echo(f"{name} has no settings.", err=True)


@command.command(context_settings=_HELP)
@click.argument("name")
@click.option("--secret", metavar="NAME", help="which secret, for an extension that has several [its first]")
@click.option("--token-stdin", is_flag=True, help="read the token from standard input")
@url_option
def auth(*, name: str, secret: str | None, token_stdin: bool, url: str | None) -> None:
    """Check a token for NAME and keep it, encrypted; it is asked for on the terminal and never shown again."""
    gateway = Gateway.find(url)
    details = gateway.get(_path(name))
    if not details["secrets"]:
        fail(f"{name} needs no token.")
    one = next((each for each in details["secrets"] if each["name"] == (secret or details["secrets"][0]["name"])), None)
    if one is None:
        fail(f"{name} has no secret {secret}; it has {', '.join(each['name'] for each in details['secrets'])}.")
    if token_stdin:
        token = sys.stdin.readline().strip()
    else:
        where = f", from {one['url']}" if one.get("url") else ""
        token = click.prompt(f"{printable(one['title'])}{printable(where)} (not shown)", hide_input=True, err=True)
    _finish(_ask(gateway.post, f"{_path(name)}/auth", {"secrets": {one["name"]: token}}))


@command.command(context_settings=_HELP)
@click.argument("name")
@_json_option
@url_option
def test(*, name: str, as_json: bool, url: str | None) -> None:
    """Start NAME, print its tools, and stop it again."""
    reply = _ask(Gateway.find(url).post, f"{_path(name)}/test", {})
    if as_json:
        _print_json(reply)
    elif reply["ok"]:
        _print_tools(reply["tools"])
    else:
        click.echo(f"ironclaw: {printable(reply['error']['message'])}", err=True)
    sys.exit(0 if reply["ok"] else 1)


@command.command(context_settings=_HELP)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@url_option
def remove(*, name: str, yes: bool, url: str | None) -> None:
    """Delete NAME: its environment, its data, its settings and its token."""
    gateway = Gateway.find(url)
    gateway.get(_path(name))
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {name} with its data, settings and token?", abort=True, err=True)
    _ask(lambda path, _: gateway.delete(path), _path(name), {})
    click.echo(f"{name}: removed")


def _path(name: str) -> str:
    return f"/api/extensions/{quote(name, safe='')}"


def _ask(call: Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]], path: str, body: dict[str, Any]) -> Any:
    """The reply; ends the program with its message when it is a refusal."""
    status, reply = call(path, body)
    if status >= 400:
        fail(printable(str(reply["error"]["message"])))
    return reply


def _pasted(file: Any) -> list[dict[str, Any]]:
    """One body for each server of an mcpServers JSON."""
    try:
        data = json.load(file)
    except ValueError as error:
        fail(f"{Path(file.name).name} is not JSON: {error}")
    servers = data.get("mcpServers", data) if isinstance(data, dict) else None
    if not isinstance(servers, dict) or not servers:
        fail('it holds no servers; the form is {"mcpServers": {"NAME": {"command": ..., "args": [...]}}}')
    return [{"mcpServers": {name: server}} for name, server in servers.items()]


def _followed(gateway: Gateway, item: dict[str, Any]) -> dict[str, Any]:
    """The extension once its installation has ended; what it is busy with is printed meanwhile."""
    told = None
    while item["state"] == "installing":
        if item.get("progress") != told:
            told = item.get("progress")
            click.echo(f"{item['name']}: {printable(told or '')} ...", err=True)
        time.sleep(_POLL)
        item = gateway.get(_path(item["name"]))
    return item


def _finish(item: dict[str, Any]) -> None:
    """Print how it is and what comes next; ends the program with 1 when it can't work."""
    click.echo(_line(item))
    if (following := _NEXT.get(item["state"])) is not None:
        click.echo(following.format(item["name"]), err=True)
    if item["state"] in {"failed", "install_failed"}:
        sys.exit(1)


def _line(item: dict[str, Any]) -> str:
    tools = f", {item['tool_count']} tools" if item["tool_count"] else ""
    error = f": {printable(item['error']['message'])}" if item.get("error") else ""
    return f"{item['name']} {printable(item['version'])} {_WORDS[item['state']]}{tools}{error}"


def _confirmed(details: dict[str, Any]) -> str:
    """The hash of what was shown, once a person has said yes to it."""
    _print_command(details)
    if not sys.stdin.isatty():
        fail(f"nobody is here to be asked. Allow exactly this with --confirm {details['command']['confirm']}")
    click.confirm("Run exactly this?", abort=True, err=True)
    return str(details["command"]["confirm"])


def _print_command(details: dict[str, Any]) -> None:
    what = details["command"]
    rows = {
        "reaches" if what["kind"] == "http" else "runs": " ".join(map(json.dumps, what["argv"])),
        "package": what.get("package") or "",
        "gets": ", ".join(what["variables"]),
        "hosts": ", ".join("any" if one == "*" else one for one in details["hosts"]) or "none",
        "folders": ", ".join(details["folders"]),
        "sandbox": details.get("confinement", ""),
        "confirm": what["confirm"],
    }
    for key, value in rows.items():
        if value:
            click.echo(f"{key}: {printable(value)}")


def _print_details(details: dict[str, Any]) -> None:
    click.echo(_line(details))
    click.echo(printable(details["description"]))
    _print_command(details)
    for one in details["secrets"]:
        click.echo(f"secret {one['name']}: {printable(one['title'])}, {'kept' if one['set'] else 'not set'}")
    for one in details["settings"]:
        click.echo(f"setting {one['name']}={printable(one['value'] or '')}  {_about(one)}")
    _print_tools(details["tools"])


def _about(setting: dict[str, Any]) -> str:
    needed = "needed, " if setting["required"] else ""
    return printable(f"{needed}{setting['kind']}: {setting['title']}. {setting.get('help') or ''}".strip())


def _print_tools(tools: list[dict[str, Any]]) -> None:
    for tool in tools:
        asks = " (asks)" if tool["asks"] else ""
        click.echo(f"{tool['name']}{asks}: {printable(tool['description'])}")


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False))
