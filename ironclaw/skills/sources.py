"""Where a skill to install comes from: the index, an address, an archive, or pasted text. What is kept: `manager.py`."""

import asyncio
from collections.abc import Callable

from ironclaw.egress import Egress
from ironclaw.errors import Forbidden, Invalid, NotFound
from ironclaw.skills import document, names, remote
from ironclaw.skills.models import MAIN, Package
from ironclaw.values import frozen


@frozen(kw_only=True)
class Wanted:
    """What to install or look at: a *name* that is known here or in the index, or one of the others.

    Beside one of the others the *name* says which of several skills in an archive, or what one without a name is called.
    """

    name: str | None = None
    url: str | None = None
    archive: bytes | None = None
    content: str | None = None

    @property
    def is_listed(self) -> bool:
        """Whether it is a name alone."""
        return self.name is not None and not self.given

    @property
    def given(self) -> list[str]:
        """Which of the others were given."""
        return [name for name in ("url", "archive", "content") if getattr(self, name) is not None]


@frozen
class Fetched:
    """A package from elsewhere, and where it came from."""

    package: Package
    origin: str


async def fetch(egress: Egress, index: remote.Index, wanted: Wanted) -> Fetched:
    """The package, from wherever it is.

    Raises *NotFound*, *Invalid* for what is no skill, *Forbidden* for a file that is not the one listed or a private
    address, *TooLarge*, *Unavailable*, *TimedOut*.
    """
    if len(wanted.given) > 1 or (not wanted.given and wanted.name is None):
        raise Invalid("Say one of `name`, `url`, `archive` and `content`.", field="name")
    if wanted.name is not None:
        names.check_name(wanted.name)
    if wanted.url is not None:
        return Fetched(await _unpacked(await remote.fetch(egress, wanted.url), wanted.name), wanted.url)
    if wanted.archive is not None:
        return Fetched(await _unpacked(wanted.archive, wanted.name), "archive")
    if wanted.content is not None:
        return Fetched(await asyncio.to_thread(_from_text, wanted.content.encode(), wanted.name), "pasted")
    return await _listed(egress, index, wanted.name or "")


async def _listed(egress: Egress, index: remote.Index, name: str) -> Fetched:
    entry = await index.find(name)
    if entry is None:
        hint = f" {index.error}" if index.error else ""
        raise NotFound(f"There is no skill {name}. Search shows what there is.{hint}", field="name")
    package = await _unpacked(await remote.fetch_listed(egress, entry), name)
    if (package.name, package.document.version) != (entry.name, entry.version):
        raise Forbidden(
            f"The index says {entry.name} {entry.version}, but the file is {package.name} {package.document.version}."
            " Nothing was kept.",
            code="wrong_file",
        )
    return Fetched(package, entry.url)


async def _unpacked(data: bytes, name: str | None) -> Package:
    from ironclaw.skills import archive  # noqa: PLC0415 - few starts ever install anything

    unpack: Callable[..., Package] = archive.unpack
    return await asyncio.to_thread(unpack, data, name=name)


def _from_text(data: bytes, name: str | None) -> Package:
    return Package(document.parse(data, name=name), {MAIN: data})
