"""An MCP server over stdio: spoken to over the pipes of its program, which `programs.py` starts and ends.

Loaded with the first session over stdio. Why not the SDK's own: that one lends the server our HOME and PATH, takes lines
of any length, and leaves it behind when the gateway is killed.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from ironclaw.extensions.programs import Program, start
from ironclaw.extensions.session import StdioPlan
from ironclaw.redact import printable

log = logging.getLogger(__name__)

_LONGEST_LINE = 16 << 20
_LOGGED_LINE = 1000
_LOGGED_LINES = 200  # within _LOGGED_SECONDS; what comes beyond is counted only
_LOGGED_SECONDS = 10.0
_LAST_WORDS = 0.5

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


@contextlib.asynccontextmanager
async def piped(plan: StdioPlan, ended: asyncio.Event) -> AsyncIterator[Streams]:
    """The server's streams; it is killed, with all that it started, at the end. *ended* is set when it goes away itself.

    Raises *Unavailable* when it can't be started.
    """
    program = await start(plan)
    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = [
        asyncio.create_task(_read(plan, program, to_session, ended), name=f"extension {plan.name} output"),
        asyncio.create_task(_write(program, from_session), name=f"extension {plan.name} input"),
        asyncio.create_task(_log_errors(plan, program), name=f"extension {plan.name} errors"),
    ]
    try:
        yield from_server, to_server
    finally:
        # A cancelled session must still end its process: each wait in here is short.
        await _finished(_stop(program, tasks))
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


async def _read(
    plan: StdioPlan,
    program: Program,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    ended: asyncio.Event,
) -> None:
    try:
        async with contextlib.aclosing(_lines(program.stdout)) as lines:
            async for line in lines:
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


async def _write(program: Program, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
    try:
        async for message in from_session:
            data = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
            program.stdin.write(data + b"\n")
            await program.stdin.drain()
    except OSError:
        pass  # it is gone; whoever reads its output tells
    finally:
        from_session.close()


async def _log_errors(plan: StdioPlan, program: Program) -> None:
    """What it prints goes to the log under its name, so much of it as a log can take."""
    clock = asyncio.get_running_loop().time
    until, left, dropped = clock() + _LOGGED_SECONDS, _LOGGED_LINES, 0
    with contextlib.suppress(ValueError):  # a line without end: what comes behind it is not read
        async with contextlib.aclosing(_lines(program.stderr)) as lines:
            async for line in lines:
                if clock() > until:
                    until, left = clock() + _LOGGED_SECONDS, _LOGGED_LINES
                if left > 0:
                    left -= 1
                    log.info("%s: %s", plan.name, printable(line[:_LOGGED_LINE].decode(errors="replace").rstrip()))
                else:
                    dropped += 1
    if dropped:
        log.warning("%s: %d lines more were left out", plan.name, dropped)


async def _lines(stream: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """The lines of a stream, without their ends. Raises *ValueError* for one that is too long."""
    buffer = bytearray()
    while data := await stream.read(1 << 16):
        begin = len(buffer)
        buffer += data
        while (end := buffer.find(b"\n", begin)) >= 0:
            yield bytes(buffer[:end])
            del buffer[: end + 1]
            begin = 0
        if len(buffer) > _LONGEST_LINE:
            raise ValueError
    if buffer:
        yield bytes(buffer)


async def _stop(program: Program, tasks: "list[asyncio.Task[None]]") -> None:
    """End the program, all that it started, and what reads and writes its pipes."""
    tasks[1].cancel()
    await program.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            await tasks[2]  # what it has printed at its end
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await program.let_go()
