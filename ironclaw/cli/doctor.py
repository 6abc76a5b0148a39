"""`ironclaw doctor`: what is wrong with this installation, and what to do. Works on the files, running or not."""

import asyncio
import json
import sys
from pathlib import Path

import attrs
import click

from ironclaw.cli.client import colored
from ironclaw.doctor.finding import EXIT, Finding, Patient, failure, ok, worst
from ironclaw.errors import ConfigError
from ironclaw.redact import printable, redact
from ironclaw.settings import DEFAULT_HOME, Settings

_WORDS = {"ok": "ok", "warning": "WARN", "failure": "FAIL"}
_COLORS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="print one JSON document")
@click.option("--url", metavar="URL", help="also look through this address, as people reach the gateway from outside")
@click.option(
    "--watch",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0.1, 3600),
    help="seconds that a quiet stream is watched",
)
def command(*, as_json: bool, url: str | None, watch: float) -> None:
    """Look for what is wrong, and say what to do: one line for each finding.

    It looks at Python and its packages, the home, the database, the notes, the disk, the token, the port, the model (one
    short call), the sandbox and the backups, whether the gateway runs or not.

    With --url also at what stands between: does a proxy let WebSockets and streams through at once, and for long enough;
    does the gateway know who calls; how long is the certificate good for; do the clocks agree.

    Exit codes: 0 all is well, 1 warnings, 2 something does not work.
    """
    findings = asyncio.run(_examine(url.rstrip("/") if url else None, watch))
    if as_json:
        click.echo(json.dumps({"state": worst(findings), "findings": [_plain(one) for one in findings]}))
    else:
        for finding in findings:
            click.echo(_line(finding, width=max(len(one.check) for one in findings)), color=colored())
        click.echo(_summary(findings), err=True)
    sys.exit(EXIT[worst(findings)])


async def _examine(url: str | None, watch: float) -> list[Finding]:
    from ironclaw.doctor import examination, machine
    from ironclaw.doctor.address import Door, examine_address
    from ironclaw.services import known_migrations

    try:
        settings = Settings.load()
    except ConfigError as error:
        fix = "Correct it where it is set; `ironclaw config` names the place. The gateway does not start like this."
        return [*failure("settings", error.message, fix), *machine.python(), *machine.packages()]
    patient = Patient(settings, settings.home or _default_home())
    token = patient.remember_secrets()
    inside = examination.examine(patient, known_migrations())
    if url is None:
        return [*ok("settings", "All values are allowed ones."), *await inside]
    door = Door(url, token, watch)
    found = await asyncio.gather(inside, examination.guarded("address", lambda: examine_address(door)))
    return [*ok("settings", "All values are allowed ones."), *found[0], *found[1]]


def _default_home() -> Path:
    return Path(DEFAULT_HOME).expanduser()


def _plain(finding: Finding) -> dict[str, str]:
    return {name: redact(str(value)) for name, value in attrs.asdict(finding).items()}


def _line(finding: Finding, width: int) -> str:
    word = f"{_WORDS[finding.state]:<4}"
    if colored():
        word = click.style(word, fg=_COLORS[finding.state], bold=finding.state != "ok")
    return f"{word}  {finding.check:<{width}}  {printable(redact(f'{finding.what} {finding.fix}'.strip()))}"


def _summary(findings: list[Finding]) -> str:
    failures = sum(one.state == "failure" for one in findings)
    warnings = sum(one.state == "warning" for one in findings)
    if not failures + warnings:
        return "All is well."
    counts = [
        f"{count} {word}{'s' * (count > 1)}" for count, word in ((failures, "failure"), (warnings, "warning")) if count
    ]
    return f"{' and '.join(counts)}."
