"""`ironclaw export`: conversations of a running gateway as a file."""

import json
import sys
from pathlib import Path

import click

from ironclaw.cli.client import Gateway, fail, url_option


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("threads", nargs=-1, metavar="[THREAD]...")
@click.option("--format", "kind", type=click.Choice(["json", "markdown"]), default="json", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="write to this file, which must be new [stdout]")
@url_option
def command(*, threads: tuple[str, ...], kind: str, output: Path | None, url: str | None) -> None:
    """Write the conversations with these ids, or all of them, to standard output.

    JSON has all that is known of them, and `ironclaw import` takes it in, here or elsewhere. Markdown is for reading.
    """
    gateway = Gateway.find(url)
    if not threads:
        _write(output, gateway.fetch(f"/api/chat/export?format={kind}"))
        return
    parts = [gateway.fetch(f"/api/chat/threads/{thread}/export?format={kind}") for thread in threads]
    if kind == "markdown":
        _write(output, b"\n---\n\n".join(parts))
    else:
        document = {"format": "ironclaw-conversations", "threads": [json.loads(part) for part in parts]}
        _write(output, json.dumps(document, ensure_ascii=False).encode() + b"\n")


def _write(output: Path | None, data: bytes) -> None:
    if output is None:
        sys.stdout.buffer.write(data)
        return
    try:
        with output.open("xb") as file:
            output.chmod(0o600)
            file.write(data)
    except FileExistsError:
        fail(f"{output} exists already. Name another file, or move it away.")
    except OSError as error:
        fail(f"{output} can't be written: {error.strerror}.")
