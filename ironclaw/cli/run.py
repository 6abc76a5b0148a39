"""`ironclaw run`: start the gateway and keep it running until a signal ends it."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import attrs
import click
from aiohttp import web

from ironclaw import codec, logs
from ironclaw.cli.banner import announce, local_url, say
from ironclaw.errors import ConfigError
from ironclaw.gateway import Gateway
from ironclaw.home import write_private
from ironclaw.settings import Settings

log = logging.getLogger("ironclaw")

_HANDLERS_GET = 2.0  # seconds that requests under way get to finish, once streams and turns have ended
_OWN_DESCRIPTORS = 64
_TIDY_AFTER = 1.0


def _with_settings(function: Any) -> Any:
    """One option for each setting, with its variable and default in the help."""
    for field in reversed(attrs.fields(Settings)):
        default = {True: "on", False: "off"}[field.default] if isinstance(field.default, bool) else field.default
        shown = f"; default {default}" if isinstance(default, str | int | float) else ""
        function = click.option(
            "--" + field.name.replace("_", "-"),
            field.name,
            metavar="TEXT" if isinstance(default, str) or default is None else "VALUE",
            help=f"{field.metadata['help']} [{field.metadata['env']}{shown}]",
        )(function)
    return function


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@_with_settings
@click.option("--start-empty", is_flag=True, help="go on without a damaged database, which is kept aside")
def command(start_empty: bool, **flags: Any) -> None:
    """Start the gateway.

    Each option can also be set by the variable in brackets, in the environment or in a .env file.
    """
    gc.disable()  # while everything is loaded there is nothing to collect; `_tidy` turns it on
    settings = _fit_descriptors(Settings.load(flags))
    logs.install(settings.log_level, settings.log_format, _log_file(settings))
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(_serve(Gateway(settings, start_empty=start_empty))))


def _log_file(settings: Settings) -> logs.FileSink | None:
    """The log's file, where one is set. Raises *ConfigError* when it can't be written."""
    if settings.log_file is None:
        return None
    render = logs.RENDER[settings.log_format]
    return logs.FileSink(
        settings.log_file, render, most_bytes=settings.log_file_mb << 20, count=settings.log_file_count
    )


def _fit_descriptors(settings: Settings) -> Settings:
    """Raise the soft limit of open files to what the streams need, or lower the number of streams, and say so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_streams + _OWN_DESCRIPTORS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= wanted:
        return settings
    most = max(1, soft - _OWN_DESCRIPTORS)
    say(f"[WARN] Only {soft} open files are allowed, so at most {most} streams are (ulimit -n raises it).")
    return attrs.evolve(settings, max_streams=most)


async def _serve(gateway: Gateway) -> int:
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
