"""`ironclaw import`: take conversations in that were exported."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ironclaw.cli.client import Gateway, fail, url_option
from ironclaw.redact import printable

_AT_ONCE = 8 << 20  # bytes that are sent in one request, as long as a single thread has no more


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@url_option
def command(*, file: Path, url: str | None) -> None:
    """Take in the conversations of FILE (`-`: standard input), as `ironclaw export` and the page write them in JSON.

    Ids are kept, unless other conversations have them. What is there already is left as it is, and one that went on where
    it was exported goes on here: the same file can be imported again. One line is printed for each conversation.
    """
    threads = _read(file)
    gateway = Gateway.find(url)
    for part in _parts(threads):
        status, reply = gateway.post("/api/chat/import", {"threads": part})
        if status != 200:
            fail(str(reply.get("error", {}).get("message", f"the gateway answered {status}")))
        for one in reply["threads"]:
            renamed = f" (was {printable(one['exported_id'])})" if one["exported_id"] != one["thread_id"] else ""
            click.echo(f"{one['outcome']:<9}  {one['turns']:>5} turns  {one['thread_id']}{renamed}")


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        found = json.loads(data)
    except OSError as error:
        fail(f"{file} can't be read: {error.strerror}.")
    except ValueError:
        fail(f"{file} is not JSON. `ironclaw export` writes what can be imported; Markdown is for reading only.")
    threads = found.get("threads") if isinstance(found, dict) else None
    if isinstance(found, dict) and threads is None and "thread" in found:
        threads = [found]  # one conversation, as the page exports it
    if not isinstance(threads, list) or not all(isinstance(one, dict) for one in threads):
        fail(f"{file} holds no exported conversations: there is no list `threads` in it.")
    return threads


def _parts(threads: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The threads in pieces of a few megabytes, so that a large file is no large request."""
    part: list[dict[str, Any]] = []
    size = 0
    for thread in threads:
        length = len(json.dumps(thread))
        if part and size + length > _AT_ONCE:
            yield part
            part, size = [], 0
        part.append(thread)
        size += length
    if part:
        yield part
