"""Runs the checks, all at once, and gives their findings in a fixed order. What a check looks at stands in its module."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence

from ironclaw.doctor import machine, state
from ironclaw.doctor.finding import Finding, Patient, failure
from ironclaw.doctor.model import model

Check = Callable[[], Awaitable[list[Finding]]]


async def examine(patient: Patient, known: frozenset[int]) -> list[Finding]:
    """All that can be seen from inside. *known* are the migrations of this program."""
    checks: dict[str, Check] = {
        "python": _in_thread(machine.python),
        "packages": _in_thread(machine.packages),
        "home": _in_thread(state.home, patient),
        "database": _in_thread(state.database, patient, known),
        "workspace": _in_thread(state.workspace, patient),
        "disk": _in_thread(state.disk, patient),
        "token": _in_thread(state.token, patient),
        "port": _in_thread(machine.port, patient),
        "parts": _in_thread(machine.parts, patient),
        "open files": _in_thread(machine.open_files, patient),
        "model": functools.partial(model, patient),
        "sandbox": functools.partial(machine.sandbox, patient),
        "backups": _in_thread(state.backups, patient),
    }
    return await run(checks)


async def run(checks: dict[str, Check]) -> list[Finding]:
    """The findings of all checks. One that breaks is a finding itself."""
    found: Sequence[list[Finding]] = await asyncio.gather(*(guarded(name, check) for name, check in checks.items()))
    return [finding for findings in found for finding in findings]


async def guarded(name: str, check: Check) -> list[Finding]:
    """What a check finds; that it breaks, where it does."""
    try:
        return await check()
    except Exception as error:
        what = f"The check could not be made: {type(error).__name__}: {error}."
        return failure(name, what, "If what it names is in order, this is a mistake of the program: please report it.")


def _in_thread(check: Callable[..., list[Finding]], *values: object) -> Check:
    return functools.partial(asyncio.to_thread, check, *values)
