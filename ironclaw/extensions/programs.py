"""The program of an MCP server: started in the sandbox, or without one where none works, and ended for sure.

Either way it gets an explicit environment and dies with the gateway, whatever ends that.
"""

import asyncio
import contextlib
import os
import signal
import sys
from typing import Protocol

from ironclaw.errors import Unavailable
from ironclaw.extensions.session import Confinement, StdioPlan
from ironclaw.sandbox.protocol import Confined, Limits
from ironclaw.sandbox.protocol import Program as SandboxProgram

_BUFFER = 1 << 16
_GRACE = 1.0  # for the end after its input has closed, and once more after SIGTERM
_LIMITS = Limits(cpu_seconds=1_000_000, memory_mb=2048, processes=256, file_mb=4096, disk_mb=4096)

# Becomes the server itself, which then dies with the gateway: PR_SET_PDEATHSIG is kept over exec.
_DIE_WITH_PARENT = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,9,0,0,0);"
    "os.getppid()==int(sys.argv[1]) or sys.exit(1);os.execve(sys.argv[2],sys.argv[2:],os.environ)"
)


class Program(Protocol):
    """A running program and its pipes."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    async def close(self) -> None:
        """Close its input, and end it with all that it has started. Takes a few seconds at most."""

    async def let_go(self) -> None:
        """Close the pipes, once nobody reads them any more."""


async def start(plan: StdioPlan) -> Program:
    """The program of *plan*. Raises *Unavailable* when it can't be started."""
    if plan.confinement is not None:
        return await _InSandbox.start(plan, plan.confinement)
    return await _Bare.start(plan)


class _Bare:
    """A child in a session of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self._process = process

    @classmethod
    async def start(cls, plan: StdioPlan) -> "_Bare":
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *plan.argv),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(plan.environment),
                cwd=plan.folder,
                start_new_session=True,
                limit=_BUFFER,
            )
        except (OSError, ValueError) as error:
            raise Unavailable(f"{plan.name} can't be started: {error}.", code="server_failed") from None
        return cls(process)

    async def close(self) -> None:
        """See *Program*: end of input, then SIGTERM, then SIGKILL."""
        self.stdin.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                self._tell(number)
            if await self._ends_within(_GRACE):
                break
        self._tell(signal.SIGKILL)  # what it has started and left behind is of the same session

    def _tell(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._process.returncode is None:  # noqa: ASYNC110 - wait() also waits for pipes that others may hold
                    await asyncio.sleep(0.01)
        return self._process.returncode is not None

    async def let_go(self) -> None:
        """See *Program*."""
        self._process._transport.close()  # type: ignore[attr-defined] # nothing public closes pipes that somebody else holds


class _InSandbox:
    """A program that sees its own folder, what it declares, and nothing else of the machine."""

    def __init__(self, confined: Confined, watch: contextlib.ExitStack) -> None:
        assert confined.stdin is not None
        assert confined.stderr is not None
        self.stdin, self.stdout, self.stderr = confined.stdin, confined.stdout, confined.stderr
        self._confined = confined
        self._watch = watch

    @classmethod
    async def start(cls, plan: StdioPlan, how: Confinement) -> "_InSandbox":
        program = SandboxProgram(
            argv=plan.argv,
            folder=plan.folder,
            limits=_LIMITS,
            env=plan.environment,
            network=how.network,
            readable=how.readable,
            writable=how.writable,
            stdin=True,
            errors=True,
        )
        confined = await how.sandboxes.start(program)
        watch = contextlib.ExitStack()
        watch.enter_context(how.sandboxes.watcher.watching(confined))
        return cls(confined, watch)

    async def close(self) -> None:
        """See *Program*: end of input, then all of it is killed."""
        self.stdin.close()
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(_GRACE):
                await self._confined.wait()
        self._watch.close()
        await self._confined.kill()

    async def let_go(self) -> None:
        """See *Program*."""
        with contextlib.suppress(Unavailable):
            await self._confined.aclose()
