"""`ironclaw backup`: copies of the home, made while the gateway runs or not, checked, and put back. Works on the files."""

import json
import sys
import time
from pathlib import Path

import attrs
import click

from ironclaw.backup import contents
from ironclaw.backup.contents import About, BackupFailed
from ironclaw.cli.client import fail
from ironclaw.redact import printable
from ironclaw.settings import DEFAULT_HOME, Settings

_HELP = {"help_option_names": ["-h", "--help"]}
_NAMED = 20
_EVERY = 0.1  # seconds between two looks of a terminal, ten times that elsewhere
_STEPS = {"database": "copying the database", "files": "files", "check": "checking the database"}


@click.group(context_settings=_HELP)
def command() -> None:
    """Make, check, list and put back copies of the home (IRONCLAW_HOME).

    The gateway may run, but not while one is put back. It makes a copy every night by itself; BACKUP_KEEP, BACKUP_DIR and
    BACKUP_HOUR say how many, where and when.
    """


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--with-secrets", is_flag=True, help="also the token, the stored keys with what opens them, and .env")
def create(*, file: Path | None, with_secrets: bool) -> None:
    """Write a backup to FILE, or under a name of its own in the folder of backups; print its path.

    In it are the database (conversations, versions of notes, usage), the notes, skills and extensions. Not in it: jobs, the
    search index, links; secrets only with --with-secrets.
    """
    from ironclaw import codec
    from ironclaw.backup.create import Source, create

    settings, home = _home()
    folder = settings.backup_dir or home / "backups"
    target = file.absolute() if file else folder / contents.name_for(codec.now(), with_secrets=with_secrets)
    shown = _Shown()
    try:
        source = Source(home, settings.workspace or home / "workspace")
        about = create(source, target, with_secrets=with_secrets, progress=shown)
    except BackupFailed as error:
        shown.end()
        fail(error.message)
    shown.end()
    click.echo(f"{about.files:,} files, {_size(about.bytes)}; {_secrets(about)}.", err=True)
    for name in about.left_out[:_NAMED]:
        click.echo(f"Left out, as it is a link, a special file or can't be read: {printable(name)}", err=True)
    if len(about.left_out) > _NAMED:
        click.echo(f"... and {len(about.left_out) - _NAMED:,} more, which the manifest names.", err=True)
    click.echo(str(target))


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def verify(*, file: Path) -> None:
    """Read all of the backup FILE: are the hashes right, and is the database whole? Changes nothing."""
    from ironclaw.backup.restore import verify

    shown = _Shown()
    try:
        about = verify(_existing(file), _known(), shown)
    except BackupFailed as error:
        shown.end()
        fail(error.message)
    shown.end()
    click.echo(f"good: {_described(about)}")


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="replace a home that is not empty; it is kept in a folder within")
def restore(*, file: Path, force: bool) -> None:
    """Put the backup FILE back as the home (IRONCLAW_HOME), while no gateway runs on it.

    All of it is checked first; then the home is replaced whole. What was there is kept in a folder `before-restore-...`.
    """
    from ironclaw.backup.restore import restore

    settings, home = _home()
    shown = _Shown()
    try:
        stay = _top_of(settings.backup_dir, home)
        done = restore(_existing(file), home, _known(), force=force, stay=stay, progress=shown)
    except BackupFailed as error:
        shown.end()
        fail(error.message)
    shown.end()
    click.echo(f"restored to {home}: {_described(done.about)}")
    if done.aside:
        click.echo(f"What was there before is kept in {done.aside}.", err=True)
    if not done.about.with_secrets:
        click.echo("It holds no secrets: enter the model's key and those of extensions anew.", err=True)
    if settings.workspace and settings.workspace != home / "workspace":
        click.echo(
            f"The notes are in {home / 'workspace'}; IRONCLAW_WORKSPACE names {settings.workspace}, which was left alone.",
            err=True,
        )


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document")
def list_(*, as_json: bool) -> None:
    """Print the backups in the folder of backups, the newest first: time, size, name."""
    settings, home = _home()
    folder = settings.backup_dir or home / "backups"
    try:
        found = contents.backups_in(folder)
    except BackupFailed as error:
        fail(error.message)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "backups": [attrs.asdict(one) for one in found]}))
        return
    for one in found:
        click.echo(f"{one.created_at}  {_size(one.size):>10}  {folder / one.name}")


def _home() -> tuple[Settings, Path]:
    settings = Settings.load()
    return settings, settings.home or Path(DEFAULT_HOME).expanduser()


def _existing(file: Path) -> Path:
    """The file itself, or the one of that name in the folder of backups."""
    settings, home = _home()
    if not file.exists() and len(file.parts) == 1:
        return (settings.backup_dir or home / "backups") / file
    return file.absolute()


def _known() -> frozenset[int]:
    from ironclaw.services import known_migrations

    return known_migrations()


def _top_of(folder: Path | None, home: Path) -> frozenset[str]:
    """The name in the home below which the folder of backups is, if it is there at all."""
    if folder is None or not folder.is_relative_to(home) or folder == home:
        return frozenset()
    return frozenset({folder.relative_to(home).parts[0]})


def _described(about: About) -> str:
    made = f"made {about.created_at} by version {printable(about.version)}"
    return f"{about.files:,} files, {_size(about.bytes)}, {made}; {_secrets(about)}."


def _secrets(about: About) -> str:
    return "with secrets: keep it where you keep passwords" if about.with_secrets else "without secrets"


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1_000_000 else f"{size / 1e3:,.0f} kB"


class _Shown:
    """Tells on stderr how far the work is: in one line on a terminal, else in a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (0.0 if self._terminal else 10 * _EVERY)
        self._written = False

    def __call__(self, step: str, done: int, total: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (_EVERY if self._terminal else 10 * _EVERY)
        share = f" {min(100, 100 * done // total)} %" if total else ""
        text = f"ironclaw: {_STEPS.get(step, step)}{share}"
        click.echo(f"\r{text:<60}" if self._terminal else text, nl=not self._terminal, err=True)
        self._written = True

    def end(self) -> None:
        """Clear the line."""
        if self._terminal and self._written:
            click.echo("\r" + " " * 60 + "\r", nl=False, err=True)
