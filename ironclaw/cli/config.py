"""`ironclaw config`: every setting, its value, and where it comes from."""

import json

import attrs
import click

from ironclaw.redact import MASK
from ironclaw.settings import Settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="print one JSON document")
def command(as_json: bool) -> None:
    """Print every setting as it would be used here, and where it comes from. Secrets are masked."""
    sources = Settings.sources()
    rows = []
    for field in attrs.fields(Settings):
        value, source = sources[field.name]
        rows.append((field.metadata["env"], MASK if field.metadata["secret"] and value else _shown(value), source))
    if as_json:
        click.echo(json.dumps({name: {"value": value, "source": source} for name, value, source in rows}))
        return
    width = max(len(name) for name, _, _ in rows)
    for name, value, source in rows:
        click.echo(f"{name:<{width}}  {value or '(not set)'}  [{source}]")


def _shown(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
