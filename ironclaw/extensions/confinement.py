"""What a server may touch of the machine: the sandbox that it runs in, as far as one works here, in fact and in words."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from ironclaw.extensions.environment import Environment
from ironclaw.extensions.manifest import filled, places
from ironclaw.extensions.session import Confinement
from ironclaw.extensions.store import Record
from ironclaw.extensions.values import filled_values
from ironclaw.sandbox.choice import Sandboxes

_SYSTEM = Path("/usr")


def can_be_confined(record: Record) -> bool:
    """Whether its server can run in a sandbox at all.

    Not where it is to open a person's folders while the gateway is root: in a sandbox that is nobody's user then.
    """
    server = record.manifest.server
    return server.kind != "http" and server.sandbox and not (os.geteuid() == 0 and server.folders)


def confinement(record: Record, environment: Environment, argv: tuple[str, ...], sandboxes: Sandboxes) -> Confinement:
    """The sandbox of a server that *argv* starts."""
    server = record.manifest.server
    writable = _folders(record, environment, server.folders)
    programs = [*environment.programs, *_whereabouts(argv)]
    if server.kind == "python":
        programs.append(Path(sys.base_prefix))  # where the interpreter of its environment really is
    readable = [*programs, *_folders(record, environment, server.reads)]
    return Confinement(
        sandboxes,
        tuple(dict.fromkeys(one for one in readable if one.exists() and not one.is_relative_to(_SYSTEM))),
        tuple(dict.fromkeys(one for one in writable if one.is_dir())),
        bool(server.hosts),
    )


def in_words(record: Record, sandboxes: Sandboxes) -> str:
    """How it is confined, for people."""
    server = record.manifest.server
    if server.kind == "http":
        return "Nothing of it runs on this machine."
    if not server.sandbox:
        return "It runs without a sandbox, as a program of yours: it can do whatever you can."
    if not can_be_confined(record):
        return (
            "It runs without a sandbox: the gateway is root, and a sandboxed program could not open your folders then."
        )
    if sandboxes.off or sandboxes.failure is not None:
        return f"It runs without a sandbox. {sandboxes.failure}"
    if not server.hosts:
        return "It runs in a sandbox, without network."
    if server.hosts == ["*"]:
        return "It runs in a sandbox, with the network of this machine."
    return f"It runs in a sandbox. Its network can't be limited to {', '.join(server.hosts)}: it may reach any host."


def _folders(record: Record, environment: Environment, templates: Iterable[str]) -> list[Path]:
    """The folders that templates stand for; of a file its folder, because a database keeps more files beside it."""
    values = filled_values(record, environment.data)
    kinds = {one.name: one.kind for one in record.manifest.settings}
    found: list[Path] = []
    for template in templates:
        names = places(template)
        if any(not values.get(name) for name in names):
            continue
        several = any(kinds.get(name) == "folders" for name in names)
        paths = [
            Path(one) for one in (filled(template, values).split(":") if several else [filled(template, values)]) if one
        ]
        found += [path.parent if any(kinds.get(name) == "file" for name in names) else path for path in paths]
    return [path for path in found if path != environment.data]


def _whereabouts(argv: tuple[str, ...]) -> list[Path]:
    """The program itself, and what it is a link to."""
    program = Path(argv[0])
    real = program.resolve()
    prefix = real.parent.parent
    # An interpreter outside of /usr needs what stands beside it; a program in somebody's own bin does not.
    is_installation = real.parent.name == "bin" and (prefix / "lib").is_dir() and prefix != Path.home()
    return [program, prefix if is_installation else real]
