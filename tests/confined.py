"""What tests of sandboxes share: programs with a mark, run outside and inside, and a look for what is left of them."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs

from ironclaw.sandbox.bubblewrap import Bubblewrap
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.sandbox.protocol import Excess, Limits, Program

PYTHON = sys.executable
PYTHON_FILES = tuple({Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), Path(sys.prefix)})
LIMITS = Limits(cpu_seconds=60, memory_mb=256, processes=64, file_mb=64, disk_mb=128)


@attrs.frozen
class Ended:
    """How a program ended: its exit code, all that it printed, which limit ended it, and after how many seconds."""

    code: int
    text: str
    excess: Excess | None
    seconds: float


@contextlib.asynccontextmanager
async def sandboxes() -> AsyncIterator[Sandboxes]:
    """The sandbox of this machine, with its Python to be read."""
    opened = Sandboxes([Bubblewrap(PYTHON_FILES)])
    try:
        yield opened
    finally:
        await opened.aclose()


async def inside(folder: Path, script: str, *, limits: Limits = LIMITS, **more: Any) -> Ended:
    """Run a shell script in the sandbox, watched, to its end."""
    program = Program(argv=("/bin/sh", "-c", script), folder=folder, limits=limits, **more)
    async with sandboxes() as opened, contextlib.aclosing(await opened.start(program)) as process:
        began = time.monotonic()
        with opened.watcher.watching(process) as watched:
            async with asyncio.timeout(40):
                text = await process.stdout.read()
                code = await process.wait()
        return Ended(code, text.decode(errors="replace"), watched.excess, time.monotonic() - began)


def outside(folder: Path, script: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the same without one."""
    return subprocess.run(["/bin/sh", "-c", script], cwd=folder, capture_output=True, text=True, timeout=20, **more)


def python(code: str) -> str:
    """Python code as a shell command."""
    return f"{PYTHON} -I -c '{code}'"


def marked(mark: str) -> list[int]:
    """The processes whose command line holds *mark*, but not this one."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            other = entry.name.isdecimal() and int(entry.name) != os.getpid()
            if other and mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def gone(mark: str, within: float = 5.0) -> bool:
    """Whether nothing with *mark* is left, or goes within some seconds."""
    deadline = time.monotonic() + within
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not left
