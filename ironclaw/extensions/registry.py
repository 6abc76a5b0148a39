"""Where manifests come from: those of the package (`builtin`), and the user's own (`own`).

The user's own are files `NAME.toml` in the folder `extensions` of the home.
Nothing is fetched from anywhere: what can be installed by name stands on this disk.
"""

import logging
from importlib import resources
from pathlib import Path
from typing import Literal

from ironclaw.errors import IronclawError, NotFound
from ironclaw.extensions.manifest import Manifest, parse
from ironclaw.extensions.names import check_name
from ironclaw.values import frozen

log = logging.getLogger(__name__)

Source = Literal["builtin", "own", "pasted"]
_MOST_BYTES = 64 * 1024
_MOST_OWN = 200


@frozen
class Listed:
    """A manifest of a registry."""

    source: Source
    manifest: Manifest


class Registry:
    """Finds manifests; each is read anew, so that a person may edit theirs while the program runs. Reads files."""

    def __init__(self, own: Path) -> None:
        self._own = own

    def find(self, name: str, source: str | None) -> Listed:
        """The manifest of that name; of the builtin registry first when no *source* is said. Raises *NotFound*."""
        check_name(name)
        sources: tuple[Source, ...] = ("builtin", "own")
        if source is not None and source not in sources:
            raise NotFound(f"There is no registry {source}; there are builtin and own.", field="registry")
        for one in sources:
            if source in {None, one} and (text := self._read(one, name)) is not None:
                manifest = parse(text)
                if manifest.name == name:
                    return Listed(one, manifest)
        raise NotFound(
            f"No registry has an extension {name}. `ironclaw extensions search` lists them; one of your own is a manifest"
            f" {name}.toml in the folder {self._own}.",
            field="name",
        )

    def search(self, query: str) -> list[Listed]:
        """All manifests that hold each word of *query* in name, title, description or keywords, by name."""
        words = query.casefold().split()
        return [one for one in self._all() if all(word in _text(one.manifest) for word in words)]

    def _all(self) -> list[Listed]:
        found: dict[str, Listed] = {}
        for source, name in [("own", name) for name in self._own_names()] + [("builtin", name) for name in _builtin()]:
            try:
                found[name] = self.find(name, source)
            except IronclawError as error:
                log.warning("The extension manifest %s.toml (%s) can't be used: %s", name, source, error.message)
        return [found[name] for name in sorted(found)]

    def _read(self, source: Source, name: str) -> str | None:
        if source == "builtin":
            file = resources.files("ironclaw.extensions").joinpath("builtin", f"{name}.toml")
            return file.read_text(encoding="utf-8") if file.is_file() else None
        path = self._own / f"{name}.toml"
        try:
            if not path.is_file() or path.stat().st_size > _MOST_BYTES:
                return None
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            log.warning("%s can't be read: %s", path, error)
            return None

    def _own_names(self) -> list[str]:
        try:
            return sorted(path.stem for path in self._own.glob("*.toml"))[:_MOST_OWN]
        except OSError:
            return []


def _builtin() -> list[str]:
    folder = resources.files("ironclaw.extensions").joinpath("builtin")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def _text(manifest: Manifest) -> str:
    return " ".join((manifest.name, manifest.title, manifest.description, *manifest.keywords)).casefold()
