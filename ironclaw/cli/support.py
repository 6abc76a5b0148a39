"""`ironclaw support`: one file for a bug report, with what helps to find the mistake and nothing that is private."""

import asyncio
import contextlib
import http.client
import io
import json
import platform
import sqlite3
import sys
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import click

from ironclaw.cli.client import fail
from ironclaw.doctor.finding import Patient
from ironclaw.errors import ConfigError
from ironclaw.redact import MASK, redact
from ironclaw.settings import DEFAULT_HOME, Settings
from ironclaw.version import __version__

_LINES = 1000
_WAIT = 10.0
_ABOUT = """What is in here, and why:

version.txt    the versions of the program, Python, SQLite and the packages
settings.txt   every setting and where it comes from; tokens and keys are masked
doctor.txt     what `ironclaw doctor` finds
status.json    how the running gateway is: parts, counters, the model's name
log.txt        its last {lines} lines; no message, no note and no token is ever written there
database.txt   its version, its checks, and how many rows each table has
sizes.txt      how many files there are in the home and how large they are, without names of notes

Not in here: messages, notes, skills, keys, tokens. Names of hosts that you have set, and names of files in log lines,
may be: look before you send it. It is plain text throughout.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="the file to write [ironclaw-support-TIME.zip here]"
)
def command(*, output: Path | None) -> None:
    """Write a zip file for a bug report: versions, settings, findings of the doctor, status, log, sizes.

    No message, no note and no secret is in it. The gateway may run or not. What is in it is said at the end.
    """
    target = output or Path(f"ironclaw-support-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")
    parts = asyncio.run(_collect())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    try:
        with target.open("xb") as file:
            target.chmod(0o600)
            file.write(packed.getvalue())
    except FileExistsError:
        fail(f"{target} exists already. Name another file, or move it away.")
    except OSError as error:
        fail(f"{target} can't be written: {error.strerror}.")
    click.echo(str(target))
    for name, text in parts.items():
        click.echo(f"  {name:<13} {len(text.encode()):>8,} bytes", err=True)
    click.echo("No message, no note and no secret is in it. Look into it before you send it.", err=True)


async def _collect() -> dict[str, str]:
    """All files of the bundle, cleaned."""
    parts = {"README.txt": _ABOUT.format(lines=_LINES), "version.txt": _versions()}
    try:
        sources = Settings.sources()
        settings = Settings(**{name: value for name, (value, _) in sources.items()})
    except ConfigError as error:
        parts["settings.txt"] = f"They can't be read: {error.message}\n"
        return {name: _clean(text, None) for name, text in parts.items()}
    home = settings.home or _default_home()
    patient = Patient(settings, home)
    token = patient.remember_secrets()
    parts["settings.txt"] = _settings(sources)
    parts["doctor.txt"] = await _findings(patient)
    parts["status.json"], parts["log.txt"] = await asyncio.to_thread(_of_gateway, home, token)
    parts["database.txt"] = await asyncio.to_thread(_database, home / "ironclaw.db")
    parts["sizes.txt"] = await asyncio.to_thread(_sizes, home, patient.workspace)
    return {name: _clean(text, home) for name, text in parts.items()}


def _default_home() -> Path:
    return Path(DEFAULT_HOME).expanduser()


def _clean(text: str, home: Path | None) -> str:
    """Without secrets, and without the names of the person and of the machine."""
    text = redact(text)
    for name, shown in ((str(home), "HOME"), (str(Path.home()), "~"), (platform.node(), "HOST")):
        if len(name) > 3:
            text = text.replace(name, shown)
    return text


def _versions() -> str:
    import importlib.metadata
    import re

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        wanted = importlib.metadata.requires("ironclaw") or []
        names = sorted({re.split(r"[^A-Za-z0-9_.-]", one)[0] for one in wanted if "extra ==" not in one})
        lines = [f"{name} {_version_of(name)}" for name in names]
        head = [f"ironclaw {__version__}", f"Python {sys.version}", f"SQLite {sqlite3.sqlite_version}"]
        return "\n".join([*head, platform.platform(), *lines]) + "\n"
    return f"ironclaw {__version__}\nPython {sys.version}\n"


def _version_of(name: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(missing)"


def _settings(sources: Mapping[str, tuple[object, str]]) -> str:
    lines = []
    for field in attrs.fields(Settings):
        value, source = sources[field.name]
        shown = MASK if field.metadata["secret"] and value else _without_login(str(value))
        lines.append(f"{field.metadata['env']} = {shown}  [{source}]")
    return "\n".join(lines) + "\n"


def _without_login(text: str) -> str:
    """A value without the name and password that may stand in an address."""
    import re

    return re.sub(r"(://)[^/@\s]+@", rf"\1{MASK}@", text)


async def _findings(patient: Patient) -> str:
    from ironclaw.doctor.examination import examine
    from ironclaw.services import known_migrations

    found = await examine(patient, known_migrations())
    return "".join(f"{one.state:<8} {one.check:<12} {one.what} {one.fix}".rstrip() + "\n" for one in found)


def _of_gateway(home: Path, token: str | None) -> tuple[str, str]:
    """The status and the log of the gateway that runs on the home, or why they are not there."""
    try:
        url = str(json.loads((home / "gateway.json").read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return "no gateway runs on this home\n", "no gateway runs on this home\n"
    status = _get(url, "/api/status?pretty", token, "application/json")
    return status, _get(url, f"/api/logs/stream?follow=0&backlog={_LINES}", token, "text/plain")


def _get(url: str, path: str, token: str | None, accept: str) -> str:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_WAIT)
    try:
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "Accept": accept})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"it does not answer: {error}\n"
    return text if answer.status == 200 else f"it answers {answer.status}\n"


def _database(path: Path) -> str:
    """Versions and numbers of rows; nothing of what is in them."""
    from ironclaw import snapshot

    try:
        with contextlib.closing(snapshot.open_readonly(path)) as db:
            steps = db.execute("SELECT number, name, applied_at FROM migrations ORDER BY number").fetchall()
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
            rows = [(name, db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in tables]  # noqa: S608
            mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    except sqlite3.Error as error:
        return f"it can't be read: {error}\n"
    lines = [f"journal {mode}", *(f"migration {number} {name}, {when}" for number, name, when in steps)]
    return "\n".join([*lines, *(f"{name}: {count} rows" for name, count in rows)]) + "\n"


def _sizes(home: Path, workspace: Path) -> str:
    from ironclaw.files import tree

    lines = []
    for folder in (workspace, *(home / name for name in ("skills", "extensions", "jobs", "backups"))):
        sizes = [info.st_size for _, info in tree(folder)]
        lines.append(f"{folder.name}/: {len(sizes)} files and folders, {sum(sizes):,} bytes")
    if home.is_dir():
        files = sorted(path for path in home.iterdir() if path.is_file())
        lines += [f"{path.name}: {path.stat().st_size:,} bytes, {path.stat().st_mode & 0o777:o}" for path in files]
    return "\n".join(lines) + "\n"
