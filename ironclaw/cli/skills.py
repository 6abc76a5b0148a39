"""`ironclaw skills`: find, look at, install, write, enable and remove the skills of a running gateway."""

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from ironclaw.cli.client import Gateway, fail, url_option
from ironclaw.redact import printable

_HELP = {"help_option_names": ["-h", "--help"]}
_MOST_FOLDER = 10 << 20
_json_option = click.option("--json", "as_json", is_flag=True, help="print one JSON document")
_TEMPLATE = """\
---
name: {name}
description: {description}
version: 1.0.0
---

# {title}

1. What to look at first.
2. What to do, step by step.
3. What the answer should look like.
"""


@click.group(context_settings=_HELP)
def command() -> None:
    """Find, look at, install and write skills: instructions that the agent reads when a task fits.

    A SOURCE is a name that `search` shows, a https address of a zip, tar.gz or SKILL.md, a file or folder of these here, or
    `-` for a SKILL.md on standard input. Builtin skills and your own are enabled at once. Others wait until you have looked
    at them; a turn that reads one can only call tools that read, unless you enable it with `--tools all`.

    Exit codes: 0 ok, 1 refused or nothing found, 2 usage, 69 gateway not reachable, 77 token refused.
    """


@command.command(context_settings=_HELP)
@click.argument("words", nargs=-1)
@_json_option
@url_option
def search(*, words: tuple[str, ...], as_json: bool, url: str | None) -> None:
    """Print the skills that fit WORDS, installed or not, the best first; all without WORDS."""
    reply = Gateway.find(url).get(f"/api/skills/search?{urlencode({'query': ' '.join(words)})}")
    if reply.get("registry_error"):
        click.echo(f"ironclaw: {reply['registry_error']}", err=True)
    _print_list(reply, as_json=as_json)
    sys.exit(0 if reply["skills"] else 1)


@command.command("list", context_settings=_HELP)
@_json_option
@url_option
def list_(*, as_json: bool, url: str | None) -> None:
    """Print the skills that are installed or your own, and folders in HOME/skills that can't be used."""
    reply = Gateway.find(url).get("/api/skills/list")
    _print_list(reply, as_json=as_json)
    for problem in reply["problems"]:
        click.echo(f"ironclaw: skills/{printable(problem['path'])}: {printable(problem['message'])}", err=True)


@command.command(context_settings=_HELP)
@click.argument("name")
@_json_option
@url_option
def show(*, name: str, as_json: bool, url: str | None) -> None:
    """Print the skill NAME: facts, files, what was found in them, and its instructions."""
    detail = Gateway.find(url).get(f"/api/skills/{quote(name, safe='')}")
    _print_json(detail) if as_json else _print_detail(detail)


@command.command(context_settings=_HELP)
@click.argument("source")
@click.option("--name", help="which skill of an archive that has several")
@_json_option
@url_option
def preview(*, source: str, name: str | None, as_json: bool, url: str | None) -> None:
    """Print what `install SOURCE` would bring; nothing is kept."""
    detail = _ask(Gateway.find(url).post, "/api/skills/preview", _body(source, name))
    _print_json(detail) if as_json else _print_detail(detail)


@command.command(context_settings=_HELP)
@click.argument("source")
@click.option("--name", help="which skill of an archive that has several")
@click.option("--update", is_flag=True, help="put it in the place of an installed one of its name")
@url_option
def install(*, source: str, name: str | None, update: bool, url: str | None) -> None:
    """Install a skill. One from elsewhere is not enabled yet: `enable` shows it and asks."""
    body = {**_body(source, name), "update": update}
    item = _ask(Gateway.find(url).post, "/api/skills/install", body)
    click.echo(f"{item['name']} {printable(item['version'])}: {item['state']}")
    _print_findings(item.get("findings", []))
    if item["state"] != "enabled":
        click.echo(f"Look at it and enable it: ironclaw skills enable {item['name']}", err=True)


@command.command(context_settings=_HELP)
@click.argument("name")
@click.option("--hash", "hash_", metavar="HASH", help="what was looked at, as `show` prints it; else you are asked")
@click.option("--tools", type=click.Choice(["read", "all"]), help="what a turn may call after reading it")
@url_option
def enable(*, name: str, hash_: str | None, tools: str | None, url: str | None) -> None:
    """Let the agent use the skill NAME. One from elsewhere is shown first, on a terminal, and you are asked."""
    gateway = Gateway.find(url)
    path = f"/api/skills/{quote(name, safe='')}"
    if hash_ is None:
        detail = gateway.get(path)
        if detail["skill"]["trust"] == "untrusted":
            hash_ = _confirmed(detail)
    body = {key: value for key, value in {"hash": hash_, "tools": tools}.items() if value is not None}
    item = _ask(gateway.post, f"{path}/enable", body)
    click.echo(f"{item['name']} {printable(item['version'])}: {item['state']}, tools: {item['tools']}")


@command.command(context_settings=_HELP)
@click.argument("name")
@url_option
def disable(*, name: str, url: str | None) -> None:
    """Do not let the agent use the skill NAME."""
    item = _ask(Gateway.find(url).post, f"/api/skills/{quote(name, safe='')}/disable", {})
    click.echo(f"{item['name']}: {item['state']}")


@command.command(context_settings=_HELP)
@click.argument("name")
@url_option
def remove(*, name: str, url: str | None) -> None:
    """Uninstall the skill NAME. A folder of your own is not deleted but moved aside; its new place is printed."""
    gateway = Gateway.find(url)
    reply = _ask(lambda path, _: gateway.delete(path), f"/api/skills/{quote(name, safe='')}", {})
    click.echo(f"{reply['name']}: removed" + (f", kept as skills/{reply['kept']}" if "kept" in reply else ""))


@command.command(context_settings=_HELP)
@click.argument("name")
@click.option("-d", "--description", default="What it does, and when to use it.", help="one sentence on what it is for")
@click.option("--file", "file", type=click.File("rb"), help="the whole SKILL.md, `-` for standard input")
@url_option
def new(*, name: str, description: str, file: io.BufferedReader | None, url: str | None) -> None:
    """Begin a skill of your own, in the folder skills/NAME of the gateway's home; edit it there with any editor."""
    if file is not None:
        content = _text(file.read())
    else:
        title = name.replace("-", " ").capitalize()
        content = _TEMPLATE.format(name=name, description=json.dumps(description, ensure_ascii=False), title=title)
    detail = _ask(Gateway.find(url).put, f"/api/skills/{quote(name, safe='')}", {"content": content, "hash": ""})
    click.echo(f"{detail['skill']['name']}: skills/{detail['skill']['name']}/SKILL.md in the gateway's home")


def _ask(
    send: Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]], path: str, body: dict[str, Any]
) -> dict[str, Any]:
    """The reply of a request that may take long. Ends the program when it is refused."""
    status, reply = send(path, body)
    if status >= 400:
        fail(printable(str(reply["error"]["message"])))
    return reply


def _body(source: str, name: str | None) -> dict[str, Any]:
    """What to send for a SOURCE."""
    more = {} if name is None else {"name": name}
    if source == "-":
        return {**more, "content": _text(sys.stdin.buffer.read())}
    if "://" in source:
        return {**more, "url": source}
    path = Path(source)
    if path.is_dir():
        return {**more, "archive": base64.b64encode(_packed(path)).decode()}
    if path.is_file():
        data = path.read_bytes()
        if path.suffix.lower() in {".md", ".markdown", ".txt"}:
            return {**more, "content": _text(data)}
        return {**more, "archive": base64.b64encode(data).decode()}
    if "/" in source or source.endswith((".zip", ".gz", ".md", ".tgz")):
        fail(f"there is no {printable(source)} here.")
    return {"name": source}


def _packed(folder: Path) -> bytes:
    """A folder as a zip; links and hidden files are left out."""
    import zipfile

    target, size = io.BytesIO(), 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            if path.is_symlink() or not path.is_file() or any(part.startswith(".") for part in inner.parts):
                continue
            size += path.stat().st_size
            if size > _MOST_FOLDER:
                fail(f"{printable(str(folder))} has more than {_MOST_FOLDER >> 20} MiB; that is no skill.")
            archive.write(path, f"{folder.resolve().name}/{inner}")
    return target.getvalue()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        fail("that is no text in UTF-8.")


def _confirmed(detail: dict[str, Any]) -> str:
    """The hash of what was shown, after the person at the terminal has said yes. Ends the program otherwise."""
    if not sys.stdin.isatty():
        fail("this skill came from elsewhere: look at it with `show`, and give its --hash.", 2)
    _print_detail(detail)
    if not click.confirm("Enable it?", default=False, err=True):
        fail("it stays disabled.")
    return str(detail["skill"]["hash"])


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


def _print_list(reply: dict[str, Any], *, as_json: bool) -> None:
    """One skill a line: name, version, state, source, description."""
    if as_json:
        _print_json(reply)
        return
    for one in reply["skills"]:
        fields = (one["name"], one["version"], one["state"], one["source"], one["description"])
        click.echo("\t".join(printable(field) for field in fields))


def _print_detail(detail: dict[str, Any]) -> None:
    item = detail["skill"]
    click.echo(f"{item['name']} {printable(item['version'])}: {item['state']} ({item['source']}, {item['trust']})")
    click.echo(printable(item["description"]))
    for label, value in (
        ("from", item.get("origin")),
        ("in place of", detail.get("replaces")),
        ("why", item.get("reason")),
        ("asks for tools", ", ".join(item["allowed_tools"])),
        ("a turn may then call", "tools that read" if item["tools"] == "read" else "all tools, asking as usual"),
        ("hash", item.get("hash")),
    ):
        if value:
            click.echo(f"{label}: {printable(value)}")
    for file in detail["files"]:
        click.echo(f"{file['size']:>10}  {printable(file['path'])}")
    _print_findings(detail["findings"])
    click.echo("")
    for line in detail["instructions"].split("\n"):
        click.echo(printable(line.replace("\t", "    ")))


def _print_findings(findings: list[dict[str, Any]]) -> None:
    for one in findings:
        place = printable(one["path"]) + (f":{one['line']}" if one["line"] else "")
        click.echo(f"{one['severity'].upper()} {place} {one['kind']}: {one['message']} {one['excerpt']}".rstrip())
