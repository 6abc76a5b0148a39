"""What a sandbox is: a program goes in, a process with streams comes out. Which kinds there are: the other modules."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from ironclaw.errors import Unavailable
from ironclaw.values import frozen

Excess = Literal["memory", "processes", "cpu_time", "disk"]
"""Which limit was passed."""

HOME = "/home/job"
"""Where the folder of a program is, as the program sees it."""

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


class SandboxUnavailable(Unavailable):
    """No sandbox works here; the message says why and what to install. Nothing was run."""

    code = "sandbox_unavailable"


@frozen(kw_only=True)
class Limits:
    """What all processes of a program may use together; *file_mb* is the most for one file. MB are 2**20 bytes."""

    cpu_seconds: int
    memory_mb: int
    processes: int
    file_mb: int
    disk_mb: int


@frozen(kw_only=True)
class Program:
    """What is to run: *argv*, looked up in the sandbox's own PATH, with *folder* as its home and current folder.

    It can change that folder and the folders *writable*. *env* is its whole environment beside PATH, HOME, LANG and TMPDIR.
    *network*: it may use the host's. *readable* are more files or folders of the host that it may read; both are at their
    own path.
    *stdin*: it gets a pipe, else nothing to read. *errors*: its stderr is a stream of its own, else part of stdout.
    """

    argv: tuple[str, ...]
    folder: Path
    limits: Limits
    env: Mapping[str, str] = MappingProxyType({})
    network: bool = False
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    stdin: bool = False
    errors: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it is started with."""
        return {"PATH": PATH, "HOME": HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp", **self.env}  # noqa: S108 - its own


@frozen
class Measure:
    """What a program uses now. *processes* counts threads, too; *disk* is in bytes, its deleted but open files included."""

    processes: int
    memory: int
    cpu_seconds: float
    disk: int

    def excess(self, limits: Limits) -> Excess | None:
        """The limit that it has passed, if any."""
        if self.processes > limits.processes:
            return "processes"
        if self.memory > limits.memory_mb << 20:
            return "memory"
        if self.disk > limits.disk_mb << 20:
            return "disk"
        return "cpu_time" if self.cpu_seconds > limits.cpu_seconds else None


class Confined(Protocol):
    """A running program. Who starts one reads its streams to their ends and awaits `wait()`; `kill()` ends all of it."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None
    limits: Limits
    excess: Excess | None
    """The limit that ended it, where the sandbox itself knows; else the watcher does."""

    async def wait(self) -> int:
        """Its exit code once all its processes are gone, 128 and the signal's number where one ended it.

        Raises *Unavailable* when the sandbox could not be set up, so that the program never ran.
        """

    def terminate(self) -> None:
        """Ask its processes to end (SIGTERM)."""

    async def kill(self) -> None:
        """End all its processes now, and return when they are gone. A second call does nothing."""

    async def aclose(self) -> None:
        """The same, and let go of the streams."""

    def measure(self) -> Measure:
        """What it uses. Blocks for some milliseconds: call it in a thread."""


class Sandbox(Protocol):
    """One kind of sandbox. *name* is what a setting calls it."""

    name: str

    async def probe(self) -> None:
        """Try whether it really works. Raises *SandboxUnavailable* with the reason and what would mend it."""

    async def start(self, program: Program) -> Confined:
        """Start *program*. Raises *Unavailable* when that can't be done."""

    async def aclose(self) -> None:
        """End all that it has started."""
