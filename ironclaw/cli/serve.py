"""What `ironclaw run` does: listens, says where, and ends well when a signal asks for it."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from ironclaw import codec, logs
from ironclaw.cli.banner import announce, local_url, say
from ironclaw.errors import ConfigError
from ironclaw.gateway import Gateway
from ironclaw.home import write_private
from ironclaw.settings import Settings

log = logging.getLogger("ironclaw")

_HANDLERS_GET = 2.0  # seconds that requests under way get to finish, once streams and turns have ended
_TIDY_AFTER = 1.0


async def serve(gateway: Gateway) -> int:
    """Serve until a signal; the exit code. Raises *ConfigError* where the gateway can't start."""
    stop = _catch_signals()
    settings = gateway.settings
    runner = web.AppRunner(
        gateway.app(),
        handler_cancellation=True,
        keepalive_timeout=settings.header_timeout,
        access_log=None,
        shutdown_timeout=_HANDLERS_GET,
    )
    try:
        await runner.setup()
    except ConfigError:
        await runner.cleanup()
        raise
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
    except (OSError, UnicodeError) as error:
        say(_why_not_listening(settings, error))
        await runner.cleanup()
        return 1
    services = gateway.services
    port = runner.addresses[0][1]
    discovery = services.home.path / "gateway.json"
    try:
        log.info("Web Gateway started at http://%s:%d", settings.host, port, extra={"bare": True})
        logs.flush()  # what follows is written to the terminal directly, below that line
        announce(services, settings.host, port)
        write_private(discovery, codec.dumps({"url": local_url(settings.host, port), "pid": os.getpid()}).decode())
        # Not before the first answers: it takes as long as a hundred of them.
        asyncio.get_running_loop().call_later(_TIDY_AFTER, _tidy)
        await stop.wait()
        log.info("Stopping")
    finally:
        discovery.unlink(missing_ok=True)
        await runner.cleanup()
    return 0


def _tidy() -> None:
    """What was loaded at the start stays for good: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _catch_signals() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def ask(number: int) -> None:
        if asked.is_set():
            logs.flush()
            os._exit(128 + number)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number)
    return asked


def _why_not_listening(settings: Settings, error: OSError | UnicodeError) -> str:
    """One line that says why, and ends with a command that works."""
    script = Path(sys.argv[0])
    command = str(script) if script.name == "ironclaw" else f"{sys.executable} -m ironclaw"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        port = _free_port(settings.host, settings.port)
        return f"ironclaw: port {settings.port} is taken by another program. Use another: {command} run --port {port}"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "that is no address of this machine"
    return (
        f"ironclaw: can't listen on {settings.host}:{settings.port}: {reason}. "
        f"Use another: {command} run --host 127.0.0.1"
    )


def _free_port(host: str, after: int) -> int:
    """The next port that is free now; any free one where there is none close by."""
    for port in [*range(after + 1, min(after + 50, 65_536)), 0]:
        with contextlib.suppress(OSError), socket.create_server((host, port)) as probe:
            return int(probe.getsockname()[1])
    return 0
