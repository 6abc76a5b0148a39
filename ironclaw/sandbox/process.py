"""A program that runs in a sandbox of this host: its streams, its end, what it uses. How it is confined: `bubblewrap`."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ironclaw.errors import Unavailable
from ironclaw.sandbox import folders, tree
from ironclaw.sandbox.protocol import Excess, Limits, Measure, Program

_BUFFER = 64 << 10


class HostProcess:
    """One program. Made by `spawn()`."""

    def __init__(self, process: asyncio.subprocess.Process, program: Program, status: int) -> None:
        self.limits: Limits = program.limits
        self.excess: Excess | None = None
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout = asyncio.StreamReader(limit=_BUFFER)
        self.stderr = asyncio.StreamReader(limit=_BUFFER) if program.errors else None
        self._process = process
        self._folder: Path = program.folder
        self._device = program.folder.stat().st_dev
        self._status = status
        self._killed = False
        self._ran = False
        self._transports: list[asyncio.BaseTransport] = []

    @classmethod
    async def spawn(cls, program: Program, command: Callable[[int], list[str]]) -> "HostProcess":
        """Start what *command* gives, which reports to the descriptor that it is given (bwrap's --json-status-fd).

        Must run in the thread of the event loop: the kernel ties the end of the program to the end of that thread.
        """
        pipes = [os.pipe(), os.pipe()]
        (out_end, out), (status_end, status) = pipes
        errors_end, errors = os.pipe() if program.errors else (-1, out)
        stdin, stdin_end = os.pipe() if program.stdin else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1)
        try:
            process = await asyncio.create_subprocess_exec(
                *command(status),
                stdin=stdin,
                stdout=out,
                stderr=errors,
                pass_fds=(status,),
                env={},
                cwd="/",
                start_new_session=True,
            )
        except BaseException as error:
            for end in {out_end, status_end, errors_end, stdin_end} - {-1}:
                os.close(end)
            if isinstance(error, OSError):
                raise Unavailable(f"The sandbox could not be started: {error.strerror}.") from None
            raise
        finally:
            for end in {out, status, errors, stdin}:
                os.close(end)
        self = cls(process, program, status_end)
        await self._connect(out_end, errors_end, stdin_end)
        return self

    async def _connect(self, out: int, errors: int, stdin: int) -> None:
        """The pipes are ours, not asyncio's: its own `wait()` never returns while one of its pipes is left unread."""
        loop = asyncio.get_running_loop()
        for end, reader in ((out, self.stdout), (errors, self.stderr)):
            if reader is not None:
                pipe = os.fdopen(end, "rb", 0)
                protocol = asyncio.StreamReaderProtocol(reader)
                transport, _ = await loop.connect_read_pipe(lambda one=protocol: one, pipe)  # type: ignore[misc]
                self._transports.append(transport)
        if stdin >= 0:
            protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
            writing, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(stdin, "wb", 0))
            self.stdin = asyncio.StreamWriter(writing, protocol, None, loop)
            self._transports.append(writing)

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """See *Confined*."""
        code = await self._process.wait()
        self._finish()
        if not self._killed and code != 0 and not self._ran:
            raise Unavailable("The sandbox could not be set up; what it printed says why.", code="sandbox_failed")
        return 128 - code if code < 0 else code

    def _finish(self) -> None:
        """Once: see what bwrap has reported."""
        if self._status < 0:
            return
        status, self._status = self._status, -1
        os.set_blocking(status, False)
        with contextlib.suppress(BlockingIOError):
            self._ran = b"exit-code" in os.read(status, _BUFFER)
        os.close(status)

    def terminate(self) -> None:
        """See *Confined*."""
        if self._process.returncode is None:
            root = self._process.pid
            for pid in tree.below(root)[1:]:  # the first is bwrap inside, with which all others would die at once
                tree.tell(root, pid)

    async def kill(self) -> None:
        """See *Confined*. With bwrap dies the first process inside, and with that, by the kernel, its namespace."""
        if self._process.returncode is None:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        self._finish()

    async def aclose(self) -> None:
        """See *Confined*."""
        await self.kill()
        for transport in self._transports:
            transport.close()

    def measure(self) -> Measure:
        """See *Confined*."""
        pids = tree.below(self._process.pid)
        if len(pids) - 1 > self.limits.processes:  # bwrap is one of them; a fork bomb is not looked at any closer
            return Measure(len(pids) - 1, 0, 0.0, 0)
        use = tree.use_of(pids, self._device)
        disk = folders.used_bytes(self._folder) + use.unlinked
        return Measure(max(0, use.threads - 1), use.memory, use.cpu_seconds, disk)
