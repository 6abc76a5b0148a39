"""Checks of what the program stands on: Python, packages, open files, the port, the gateway that runs, the sandbox."""

import contextlib
import errno
import http.client
import importlib.metadata
import json
import re
import resource
import socket
import sqlite3
import sys
from urllib.parse import urlsplit

from ironclaw.doctor.finding import Finding, Patient, failure, ok, warning
from ironclaw.errors import ConfigError
from ironclaw.home import read_token
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.sandbox.protocol import SandboxUnavailable

_OLDEST, _NEWEST = (3, 11), (3, 13)
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
_OWN_DESCRIPTORS = 64
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:.*?>=([0-9.]+))?")


def python() -> list[Finding]:
    """Python and SQLite are ones that this program was tried with."""
    here = sys.version_info[:2]
    said = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    if here < _OLDEST:
        return failure("python", f"{said}: too old.", "Install Python 3.11 to 3.13, and this program for it.")
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        return failure("python", f"{said}: SQLite is too old.", "Use a Python that brings SQLite 3.37 or newer.")
    if here > _NEWEST:
        return warning("python", f"{said}: newer than this program was tried with.", "Python 3.11 to 3.13 are.")
    return ok("python", f"{said}.")


def packages() -> list[Finding]:
    """All packages that are needed are there, and not too old."""
    try:
        wanted = importlib.metadata.requires("ironclaw") or []
    except importlib.metadata.PackageNotFoundError:
        return ok("packages", "Not installed by pip; what is needed was found.")
    wrong = [problem for text in wanted if "extra ==" not in text and (problem := _package_problem(text))]
    if wrong:
        return failure("packages", f"{', '.join(wrong)}.", "Install again: pip install --upgrade . in the checkout.")
    return ok("packages", f"{sum('extra ==' not in text for text in wanted)} packages, none missing or too old.")


def _package_problem(requirement: str) -> str | None:
    match = _REQUIREMENT.match(requirement)
    assert match is not None
    name, floor = match[1], match[2]
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is missing"
    return f"{name} is {version}, older than {floor}" if floor and _numbers(version) < _numbers(floor) else None


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def open_files(patient: Patient) -> list[Finding]:
    """As many files may be open as the streams need (`run` raises the soft limit itself)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = patient.settings.max_streams + _OWN_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return warning(
            "open files",
            f"Only {hard} files may be open, so at most {max(1, hard - _OWN_DESCRIPTORS)} streams can be.",
            f"Raise the limit: `ulimit -Hn {wanted}`, or LimitNOFILE={wanted} in the systemd unit.",
        )
    return ok("open files", "As many as the streams need.")


def running_at(patient: Patient) -> str | None:
    """The address of the gateway that runs on this home and answers; None where there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, http.client.HTTPException):
        facts = json.loads((patient.home / "gateway.json").read_text(encoding="utf-8"))
        parts = urlsplit(str(facts["url"]))
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=3)
        with contextlib.closing(connection):
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return str(facts["url"])
    return None


def port(patient: Patient) -> list[Finding]:
    """The port is free, or has this home's gateway behind it."""
    host, number = patient.settings.host, patient.settings.port
    running = running_at(patient)
    if running is not None:
        other = "" if number in {0, urlsplit(running).port} else f" It was started with another port than {number}."
        return ok("port", f"The gateway of this home answers at {running}.{other}")
    if number == 0:
        return ok("port", "Any free one is taken at the start.")
    try:
        with socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except (OSError, UnicodeError) as error:
        return _port_problem(host, number, error)
    return ok("port", f"Port {number} is free; no gateway runs on this home.")


def _port_problem(host: str, number: int, error: OSError | UnicodeError) -> list[Finding]:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return failure(
            "port",
            f"Port {number} is taken by another program.",
            f"End it (`ss -ltnp 'sport = :{number}'` names it), or set GATEWAY_PORT to another port.",
        )
    if code == errno.EACCES:
        return failure("port", f"This user may not listen on port {number}.", "Set GATEWAY_PORT to 1024 or higher.")
    return failure(
        "port",
        f"{host} is no address of this machine.",
        "Set GATEWAY_HOST to 127.0.0.1 (this machine only) or 0.0.0.0 (all addresses).",
    )


def parts(patient: Patient) -> list[Finding]:
    """What the running gateway says of its own parts; nothing where none runs, or does not let us in."""
    running = running_at(patient)
    if running is None:
        return []
    with contextlib.suppress(OSError, ValueError, KeyError, AttributeError, ConfigError, http.client.HTTPException):
        where = urlsplit(running)
        headers = {"Authorization": f"Bearer {read_token(patient.settings, patient.home)}"}
        with contextlib.closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=5)) as connection:
            connection.request("GET", "/api/status", headers=headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())["parts"]
        return [
            finding
            for name, part in told.items()
            if part["state"] != "ok"
            for finding in warning(f"part {name}", str(part["reason"]), "")
        ]
    return warning("parts", "The gateway that runs here does not tell how it is.", "Is its token the one of this home?")


async def sandbox(patient: Patient) -> list[Finding]:
    """A program can be locked in, as each job is."""
    sandboxes = Sandboxes.of(patient.settings)
    try:
        if sandboxes.off:
            return ok("sandbox", "It is off (SANDBOX); no job is run.")
        await sandboxes.working()
        return ok("sandbox", f"{sandboxes.name} locks a program in.")
    except SandboxUnavailable as error:
        return warning("sandbox", "No job can be run.", error.message)
    except OSError as error:
        fix = "Is this a container or a namespace of users? It must let its users be made and given files."
        return warning("sandbox", f"No job can be run: {error.strerror}.", fix)
    finally:
        await sandboxes.aclose()
