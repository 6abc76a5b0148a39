"""`ironclaw token`: show the token, or make a new one. Works on the files of the home, running or not."""

from pathlib import Path

import click

from ironclaw.home import make_token, read_token
from ironclaw.settings import DEFAULT_HOME, Settings


@click.group()
def command() -> None:
    """Show the token, or make a new one."""


@command.command()
def show() -> None:
    """Print the token that the gateway accepts."""
    settings = Settings.load()
    home = settings.home or Path(DEFAULT_HOME).expanduser()
    token = read_token(settings, home)
    if token is None:
        raise click.ClickException(f"There is no token in {home} yet. `ironclaw run` makes one.")
    click.echo(token)


@command.command()
def rotate() -> None:
    """Make a new token; the old one is refused from the next start on."""
    settings = Settings.load()
    if settings.auth_token or settings.auth_token_file:
        raise click.ClickException("The token is set by GATEWAY_AUTH_TOKEN or its file. Change it there.")
    home = settings.home or Path(DEFAULT_HOME).expanduser()
    click.echo(make_token(home))
    click.echo("Restart the gateway to use it.", err=True)
