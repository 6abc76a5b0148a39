"""`ironclaw run`: its options, and what a process needs before it serves. The serving is `serve.py`."""

import asyncio
import contextlib
import gc
import resource
import sys
from typing import Any

import attrs
import click

from ironclaw import logs
from ironclaw.cli.banner import say
from ironclaw.settings import Settings

_OWN_DESCRIPTORS = 64


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
    gc.disable()  # while everything is loaded there is nothing to collect; `serve` turns it on
    from ironclaw.cli.serve import serve
    from ironclaw.gateway import Gateway

    settings = _fit_descriptors(Settings.load(flags))
    logs.install(settings.log_level, settings.log_format, logs.file_of(settings))
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(serve(Gateway(settings, start_empty=start_empty))))


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
