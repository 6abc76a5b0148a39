"""An MCP server as a child process: started with an explicit environment, spoken to over its pipes, ended for sure.

Loaded with the first session over stdio. Why not the SDK's own: that one lends the server our HOME and PATH, takes lines
of any length, and leaves it behind when the gateway is killed.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from ironclaw.errors import Unavailable
from ironclaw.extensions.session import StdioPlan
from ironclaw.redact import printable

log = logging.getLogger(__name__)

_LONGEST_LINE = 16 << 20
_LOGGED_LINE = 1000
_LOGGED_LINES = 200  # within _LOGGED_SECONDS; what comes beyond is counted only
_LOGGED_SECONDS = 10.0
_GRACE = 1.0  # for the end after its input has closed, and once more after SIGTERM

# Becomes the server itself, which then dies with the gateway, whatever ends that: PR_SET_PDEATHSIG is kept over exec.
_DIE_WITH_PARENT = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,9,0,0,0);"
    "os.getppid()==int(sys.argv[1]) or sys.exit(1);os.execve(sys.argv[2],sys.argv[2:],os.environ)"
)

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


@contextlib.asynccontextmanager
async def piped(plan: StdioPlan, ended: asyncio.Event) -> AsyncIterator[Streams]:
    """The server's streams; it is killed, with all that it started, at the end. *ended* is set when it goes away itself.

    Raises *Unavailable* when it can't be started.
    """
    process = await _started(plan)
    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = [
        asyncio.create_task(_read(plan, process, to_session, ended), name=f"extension {plan.name} output"),
        asyncio.create_task(_write(process, from_session), name=f"extension {plan.name} input"),
        asyncio.create_task(_log_errors(plan, process), name=f"extension {plan.name} errors"),
    ]
    try:
        yield from_server, to_server
    finally:
        # A cancelled session must still end its process: each wait in here is short.
        await _finished(_stop(process, tasks))
        for stream in (to_session, from_server, to_server, from_session):
            stream.close()


async def _finished(work: Coroutine[None, None, None]) -> None:
    """Do it to the end, also while being cancelled."""
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


async def _started(plan: StdioPlan) -> asyncio.subprocess.Process:
    argv = (sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *plan.argv)
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(plan.environment),
            cwd=plan.folder,
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
    except (OSError, ValueError) as error:
        raise Unavailable(f"{plan.name} can't be started: {error}.", code="server_failed") from None


async def _read(
    plan: StdioPlan,
    process: asyncio.subprocess.Process,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    ended: asyncio.Event,
) -> None:
    assert process.stdout is not None
    try:
        while line := await process.stdout.readline():
            await to_session.send(_parsed(plan, line))
    except ValueError:
        log.warning("%s sent a line of more than %d MiB and is ended", plan.name, _LONGEST_LINE >> 20)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # the session is over
    finally:
        ended.set()
        to_session.close()


def _parsed(plan: StdioPlan, line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        # Some servers print a greeting there. The SDK tells nobody who could do something about it.
        log.info("%s: not a message: %s", plan.name, printable(line[:_LOGGED_LINE].decode(errors="replace").rstrip()))
        return error


async def _write(process: asyncio.subprocess.Process, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    try:
        async for message in from_session:
            data = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
            process.stdin.write(data + b"\n")
            await process.stdin.drain()
    except OSError:
        pass  # it is gone; whoever reads its output tells
    finally:
        from_session.close()


async def _log_errors(plan: StdioPlan, process: asyncio.subprocess.Process) -> None:
    """What it prints goes to the log under its name, so much of it as a log can take."""
    assert process.stderr is not None
    clock = asyncio.get_running_loop().time
    until, left, dropped = clock() + _LOGGED_SECONDS, _LOGGED_LINES, 0
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:
            continue  # too long: what was read of it is gone
        if clock() > until:
            if dropped:
                log.warning("%s: %d lines more were left out", plan.name, dropped)
            until, left, dropped = clock() + _LOGGED_SECONDS, _LOGGED_LINES, 0
        if not line:
            return
        if left > 0:
            left -= 1
            log.info("%s: %s", plan.name, printable(line[:_LOGGED_LINE].decode(errors="replace").rstrip()))
        else:
            dropped += 1


async def _stop(process: asyncio.subprocess.Process, tasks: "list[asyncio.Task[None]]") -> None:
    """End of input, then SIGTERM, then SIGKILL for all of its session; at last its pipes are read empty."""
    assert process.stdin is not None
    process.stdin.close()
    reader, writer, _ = tasks
    writer.cancel()
    for signal_number in (None, signal.SIGTERM, signal.SIGKILL):
        if signal_number is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal_number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                while process.returncode is None:  # noqa: ASYNC110 - wait() also waits for pipes that others may hold
                    await asyncio.sleep(0.01)
                break
    # What it has started and left behind is of the same session.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    reader.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE):
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    process._transport.close()  # type: ignore[attr-defined] # nothing public closes pipes that somebody else holds open
