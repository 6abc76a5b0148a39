"""The settings of an extension as they stand in its templates."""

from pathlib import Path

from ironclaw.extensions.manifest import DATA, Manifest, filled
from ironclaw.extensions.store import Record


def default_values(manifest: Manifest) -> dict[str, str]:
    """The settings that have a default."""
    return {one.name: one.default for one in manifest.settings if one.default}


def setting_values(record: Record) -> dict[str, str]:
    """Each setting that has a value: what a person set, else its default."""
    return {**default_values(record.manifest), **{name: value for name, value in record.settings.items() if value}}


def filled_values(record: Record, own_folder: Path) -> dict[str, str]:
    """What stands for each place of a template; a default may name the extension's own folder, as its server sees it."""
    data = {DATA: str(own_folder)}
    own = {name: filled(value, data) for name, value in default_values(record.manifest).items()}
    return {**own, **{name: value for name, value in record.settings.items() if value}, **data}
