"""`ironclaw logs`: the log of a running gateway, as it was and as it goes on, and how much is logged."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import click

from ironclaw.cli.client import Gateway, colored, url_option
from ironclaw.levels import LEVELS

_HELP = {"help_option_names": ["-h", "--help"]}
_COLORS = {"ERROR": "\x1b[31m", "WARN": "\x1b[33m", "DEBUG": "\x1b[2m", "TRACE": "\x1b[2m"}
_LEVEL = click.Choice(list(LEVELS), case_sensitive=False)


@click.group(context_settings=_HELP, invoke_without_command=True)
@click.option("-f", "--follow", is_flag=True, help="go on with the lines that come, until Ctrl-C")
@click.option(
    "-n", "--lines", default=50, show_default=True, type=click.IntRange(0, 2000), help="how many of the last lines"
)
@click.option("-l", "--level", type=_LEVEL, help="only lines of this level and graver ones")
@click.option("--logger", help="only lines of this logger and those below it, such as ironclaw.chat")
@click.option("-q", "--query", help="only lines that hold this text, in any case")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
@url_option
@click.pass_context
def command(
    context: click.Context,
    *,
    follow: bool,
    lines: int,
    level: str | None,
    logger: str | None,
    query: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Print the last lines of the gateway's log, and with -f those that come.

    Only what is logged can be printed: `ironclaw logs level debug` lets the gateway log more.

    Exit codes: 0 ok, 1 refused, 69 gateway not reachable, 77 token refused.
    """
    if context.invoked_subcommand is not None:
        return
    asked = {"backlog": lines, "follow": int(follow), "level": level, "logger": logger, "query": query}
    target = "/api/logs/stream?" + urlencode({name: value for name, value in asked.items() if value is not None})
    with contextlib.suppress(KeyboardInterrupt):
        for line in _lines(Gateway.find(url), target):
            click.echo(json.dumps(line, ensure_ascii=False) if as_json else _text(line), color=True)
            sys.stdout.flush()


def _lines(gateway: Gateway, target: str) -> Iterator[dict[str, Any]]:
    for line in gateway.follow(target):
        if line.pop("type") == "log":
            yield line


def _text(line: dict[str, Any]) -> str:
    trace = "".join(f"\n    {one}" for one in line["trace"].split("\n")) if "trace" in line else ""
    text = f"[{line['level']}] {line['timestamp']} {line['logger']}: {line['message']}{trace}"
    color = _COLORS.get(line["level"]) if colored() else None
    return f"{color}{text}\x1b[0m" if color else text


@command.command("level")
@click.argument("level", required=False, type=_LEVEL)
@url_option
@click.pass_context
def level_(context: click.Context, *, level: str | None, url: str | None) -> None:
    """Print from which level on the gateway logs, or set it to LEVEL for as long as the gateway runs."""
    gateway = Gateway.find(url or (context.parent.params["url"] if context.parent else None))
    if level is None:
        click.echo(gateway.get("/api/logs/level")["level"])
    else:
        click.echo(gateway.call("POST", "/api/logs/level", {"level": level})["level"])
