"""`ironclaw memory`: the notes of a running gateway. Plain lines on stdout, as fzf, vim and grep read them."""

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import click

from ironclaw.cli.client import Gateway, fail, url_option
from ironclaw.redact import printable

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_HELP)
def command() -> None:
    """List, read, search and change the notes.

    Exit codes: 0 ok, 1 refused or nothing found, 69 gateway not reachable, 77 token refused.
    """


@command.command("list")
@click.argument("path", default="")
@click.option("-l", "--long", "long_", is_flag=True, help="with size and time of change")
@click.option("-r", "--recursive", is_flag=True, help="all files below the workspace, not one folder")
@url_option
def list_(*, path: str, long_: bool, recursive: bool, url: str | None) -> None:
    """Print the paths in the folder PATH (the workspace itself without it), one a line; folders end in a slash."""
    if recursive and path:
        fail("--recursive lists all files; leave PATH out.", 2)
    gateway = Gateway.find(url)
    for page in _pages(gateway, "/api/memory/tree" if recursive else "/api/memory/list", {"path": path}):
        folder = path.strip("/") + "/" if path.strip("/") else ""
        for name in page["directories"]:
            click.echo(printable(f"{folder}{name}/"))
        for file in page["files"]:
            size = f"{file['size']:>10}  {file['modified']}  " if long_ else ""
            click.echo(size + printable(file["path"]))


@command.command()
@click.argument("path")
@url_option
def read(*, path: str, url: str | None) -> None:
    """Print the file PATH, byte by byte."""
    sys.stdout.buffer.write(Gateway.find(url).fetch(_target("/api/memory/raw", path=path)))


@command.command()
@click.argument("query")
@click.option("-n", "--limit", default=50, show_default=True, help="at most so many lines (200)")
@click.option("--path", default="", help="only in this folder or file")
@url_option
def search(*, query: str, limit: int, path: str, url: str | None) -> None:
    """Print the lines that hold all words of QUERY as `path:line:text`; exit code 1 when there are none.

    `vim -q <(ironclaw memory search TODO)` goes from line to line, from within the folder of the notes.
    """
    target = _target("/api/memory/search", query=query, limit=limit, path=path)
    found = Gateway.find(url).fetch(target, "text/plain")
    sys.stdout.buffer.write(found)
    sys.exit(0 if found else 1)


@command.command()
@click.argument("path")
@click.option("--etag", default="", help="only while this is the file's etag; `write` prints it")
@url_option
def write(*, path: str, etag: str, url: str | None) -> None:
    """Make standard input the content of the file PATH; print its new etag."""
    reply = Gateway.find(url).call("PUT", _target("/api/memory/raw", path=path), sys.stdin.buffer.read(), etag)
    click.echo(reply["etag"])


@command.command()
@click.argument("path", required=False)
@click.option("-m", "--text", help="what to add [standard input]")
@url_option
def append(*, path: str | None, text: str | None, url: str | None) -> None:
    """Add lines at the end of the note PATH, today's without it; print where they begin."""
    body: dict[str, Any] = {"text": text if text is not None else _stdin()}
    reply = Gateway.find(url).call("POST", "/api/memory/append", {**body, **({"path": path} if path else {})})
    click.echo(f"{printable(reply['path'])}:{reply['line']}")


@command.command()
@click.argument("path", required=False)
@click.option("--diff", metavar="ID", help="show what has changed since that version")
@url_option
def versions(*, path: str | None, diff: str | None, url: str | None) -> None:
    """Print the versions of the file PATH, or of all files, the newest first: id, time, author, change, size, path."""
    gateway = Gateway.find(url)
    if diff is not None:
        if path is None:
            fail("a diff needs a PATH.", 2)
        reply = gateway.get(_target("/api/memory/versions", path=path, id=diff, diff="now"))
        click.echo(reply["diff"], nl=False)
        return
    for page in _pages(gateway, "/api/memory/versions", {"path": path} if path else {}):
        for one in page["versions"]:
            fields = (one["id"], one["created_at"], one["author"], one["change"], one["size"], printable(one["path"]))
            click.echo("\t".join(map(str, fields)))


@command.command()
@click.argument("path")
@click.argument("version")
@url_option
def restore(*, path: str, version: str, url: str | None) -> None:
    """Make the file PATH what it was in VERSION (an id that `versions` prints); print its new etag."""
    click.echo(Gateway.find(url).call("POST", "/api/memory/restore", {"path": path, "id": version})["etag"])


def _target(route: str, /, **query: object) -> str:
    return f"{route}?{urlencode(query)}"


def _pages(gateway: Gateway, route: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A list's pages to its end."""
    cursor: dict[str, Any] | None = {}
    while cursor is not None:
        page = gateway.get(_target(route, **query, **cursor))
        yield page
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        fail("standard input is no text in UTF-8.")
