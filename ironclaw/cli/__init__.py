"""The command `ironclaw`. Each command is a module of this package, loaded when it is called, so that help is quick."""

import keyword
import sys
from importlib import import_module

import click

from ironclaw.errors import ConfigError
from ironclaw.version import __version__

_COMMANDS = {
    "run": "Start the gateway.",
    "chat": "Ask the agent once, or talk with it.",
    "skills": "Find, look at, install and write skills.",
    "extensions": "Install and set up extensions: tools from MCP servers.",
    "jobs": "Run commands and tasks in a sandbox, and look after them.",
    "memory": "List, read, search and change the notes.",
    "status": "Say how the running gateway is.",
    "logs": "Print the log of the running gateway, or set how much is logged.",
    "model": "Show the language model, or connect one.",
    "doctor": "Look for what is wrong, and say what to do.",
    "support": "Write a file for a bug report, without anything private.",
    "backup": "Make, check and put back copies of all that is kept.",
    "export": "Write conversations to a file, as JSON or Markdown.",
    "import": "Take in conversations that were exported.",
    "token": "Show the token, or make a new one.",
    "config": "Print every setting and where it comes from.",
    "completion": "Print a completion script for bash, zsh or fish.",
}
EXIT_UNREACHABLE = 69
EXIT_STILL_RUNNING = 75
EXIT_REFUSED = 77
EXIT_CONFIG = 78


class _LazyGroup(click.Group):
    """Knows its commands' names and one line on each; imports a command when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"ironclaw.cli.{_module_of(cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _module_of(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ironclaw")
def group() -> None:
    """IronClaw gateway: an AI agent of your own, in one process on your own server."""


def main() -> None:
    """Run the command line. A configuration that can't work ends with exit code 78 and one clear message."""
    try:
        group(prog_name="ironclaw")
    except ConfigError as error:
        click.echo(f"ironclaw: {error.message}", err=True)
        sys.exit(EXIT_CONFIG)
