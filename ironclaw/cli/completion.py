"""`ironclaw completion`: the script that makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from ironclaw.cli import group


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL.

    For bash: `ironclaw completion bash > ~/.local/share/bash-completion/completions/ironclaw`
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(group, {}, "ironclaw", "_IRONCLAW_COMPLETE").source())
