"""Keeps the skills of one gateway: finds, shows, installs, enables, removes, and gives the agent those it may use.

What came from elsewhere is used only while its files are what a person looked at: whatever else is found on the disk
disables it. One change at a time; a change goes on to its end when the one who asked for it goes away.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs

from ironclaw import codec
from ironclaw.database import Database
from ironclaw.egress import Egress
from ironclaw.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from ironclaw.skills import document, finding, folder, names, remote, sources, store
from ironclaw.skills.detail import detail_of, remote_item
from ironclaw.skills.models import (
    Finding,
    Package,
    Problem,
    SkillDetail,
    SkillItem,
    Source,
    Tools,
)
from ironclaw.skills.shelf import Entry, Look, Shelf
from ironclaw.skills.sources import Fetched, Wanted
from ironclaw.skills.store import Record
from ironclaw.values import frozen

T = TypeVar("T")
log = logging.getLogger(__name__)


@frozen
class Found:
    """What a search found, and why the index could not be asked, where that is so."""

    items: list[SkillItem]
    index_error: str | None


class SkillManager:
    """All skills. *root* is the folder of the person's own; *egress* stays the caller's to close."""

    def __init__(self, root: Path, database: Database, egress: Egress, registry_url: str | None = None) -> None:
        self._shelf = Shelf(root)
        self._database = database
        self._egress = egress
        self._index = remote.Index(egress, registry_url)
        self._records: dict[str, Record] | None = None
        self._lock = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()

    async def aclose(self) -> None:
        """Wait for changes that are under way."""
        await asyncio.gather(*self._changes, return_exceptions=True)

    # Looking

    async def search(self, query: str) -> Found:
        """The skills that fit, installed or not, the best first."""
        look = await self._look()
        items = [entry.item() for entry in look.entries.values()]
        items += [remote_item(one) for one in await self._index.entries(look.entries) if one.name not in look.entries]
        return Found(finding.ranked(items, query), self._index.error)

    async def installed(self) -> tuple[list[SkillItem], list[Problem]]:
        """What is installed or one's own, by name, and the folders that are no usable skill."""
        look = await self._look()
        items = [entry.item() for _, entry in sorted(look.entries.items()) if entry.state != "available"]
        return items, look.problems

    async def read(self, name: str) -> SkillDetail:
        """One skill that is on this machine, whole. Raises *NotFound*, or *Invalid* for one that can't be read."""
        return await self._detail(await self._entry(name))

    async def preview(self, wanted: Wanted, *, update: bool = False) -> SkillDetail:
        """What would be installed, and what was found in it; nothing is kept. Raises as `install`.

        A name that is known here is shown as it is here; with *update* what the index has in place of an installed one.
        """
        if wanted.is_listed:
            entry = (await self._look()).entries.get(names.check_name(wanted.name or ""))
            if entry is not None and (entry.source != "installed" or not update):
                return await self._detail(entry)
        fetched = await sources.fetch(self._egress, self._index, wanted)
        look = await self._look()
        _refuse_names(fetched.package, look)
        there = look.entries.get(fetched.package.name)
        detail = await self._detail(
            Entry(name=fetched.package.name, source="remote", package=fetched.package, record=None)
        )
        item = attrs.evolve(detail.skill, state="available", installed=False, enabled=False, origin=fetched.origin)
        replaces = there.item().version if there is not None else None
        return attrs.evolve(detail, skill=item, replaces=replaces)

    async def enabled(self) -> Mapping[str, Entry]:
        """Those that the agent may use now, by name."""
        async with self._lock:
            records = await self._loaded()
            if not records and not await asyncio.to_thread(self._shelf.has_own):
                return {}  # as on most homes: nothing is read
            look = await self._looked(records)
        return {name: entry for name, entry in look.entries.items() if entry.state == "enabled"}

    async def use(self, name: str) -> Entry:
        """An enabled skill, its files read now. Raises *NotFound*, or *Conflict* for one that may not be used."""
        async with self._lock:
            records = await self._loaded()
            if name in records:
                # What the agent is told is what was read just now: a folder can be changed without looking so.
                self._shelf.forget(self._shelf.installed / name)
            look = await self._looked(records)
        entry = look.entries.get(name)
        usable = ", ".join(sorted(one.name for one in look.entries.values() if one.state == "enabled")) or "none"
        if entry is None or entry.state == "available":
            raise NotFound(f"There is no skill {name[:80]!r} here; enabled are: {usable}.", field="name")
        if entry.state != "enabled" or entry.package is None:
            why = entry.item().reason or "It is disabled."
            raise Conflict(
                f"The skill {name} can't be used now. {why} Enabled are: {usable}.", code=f"skill_{entry.state}"
            )
        return entry

    # Changing

    async def install(self, wanted: Wanted, *, hash: str | None = None, update: bool = False) -> SkillItem:  # noqa: A002
        """Install a skill; what is installed already stays. *hash*: only what was looked at. *update*: in place of another.

        Builtin ones are enabled at once, all others wait for `enable`. Raises *NotFound*, *Conflict* for a name that is
        taken and for an older version, *Forbidden* for a name that could be taken for another one or a file that is not
        the one listed, *Invalid* for what is no skill, *Unavailable* when it can't be fetched or written.
        """
        if wanted.is_listed:
            entry = (await self._look()).entries.get(names.check_name(wanted.name or ""))
            if entry is not None and entry.source == "builtin":
                return await self._change(self._install_builtin(entry.name))
            if entry is not None and not update:
                return entry.item(await self._findings(entry))
        fetched = await sources.fetch(self._egress, self._index, wanted)
        if hash is not None and hash != fetched.package.hash:
            raise Conflict("This is not what was looked at: it has changed since. Look at it again.", code="changed")
        return await self._change(self._keep(fetched, update=update))

    async def enable(self, name: str, *, hash: str | None, tools: Tools | None) -> SkillItem:  # noqa: A002
        """Let the agent use a skill; one from elsewhere with the *hash* of what was looked at. *tools*: what it may call.

        Raises *NotFound*, *Invalid* without the hash, *Conflict* when the files are other ones by now.
        """
        return await self._change(self._enable(name, hash, tools))

    async def disable(self, name: str) -> SkillItem:
        """Do not let the agent use a skill. Raises *NotFound*."""
        return await self._change(self._disable(name))

    async def remove(self, name: str) -> str | None:
        """Uninstall a skill. One's own folder is moved aside: its new path, relative to the folder of skills."""
        return await self._change(self._remove(name))

    async def save(self, name: str, content: str, expect: str | None) -> tuple[SkillDetail, bool]:
        """Make *content* the SKILL.md of an own skill; whether it is new.

        *expect* is the hash that it must have, empty: only where there is none. Raises *Stale*, *Conflict* for a name that
        belongs to another skill, *Invalid* for what is no skill.
        """
        return await self._change(self._save(names.check_name(name), content, expect))

    async def _install_builtin(self, name: str) -> SkillItem:
        entry = await self._entry_now(name)
        if entry.record is None:
            assert entry.package is not None
            await self._write(_record(entry.package, "builtin", enabled=True, tools="all"))
        return (await self._entry_now(name)).item([])

    async def _keep(self, fetched: Fetched, *, update: bool) -> SkillItem:
        package = fetched.package
        look = await self._looked(await self._loaded())
        _refuse_names(package, look)
        there = look.entries.get(package.name)
        if there is not None and (there.package is None or there.package.hash != package.hash):
            if not update:
                raise Conflict(
                    f"Another {package.name} is installed, version {there.item().version}. Send `update` to replace it.",
                    code="installed",
                )
            if there.record and finding.is_older(package.document.version, there.record.version):
                raise Conflict(
                    f"{package.name} {package.document.version} is older than the {there.record.version} that is"
                    " installed. Remove that first if you mean it.",
                    code="older_version",
                )
        if there is None or there.package is None or there.package.hash != package.hash:
            await asyncio.to_thread(folder.put, self._shelf.installed, package.name, package.files)
            await self._write(_record(package, "installed", origin=fetched.origin))
        entry = await self._entry_now(package.name)
        return entry.item(await self._findings(entry))

    async def _enable(self, name: str, hash: str | None, tools: Tools | None) -> SkillItem:  # noqa: A002
        self._shelf.forget(self._shelf.installed / name)
        entry = await self._entry_now(name)
        if entry.package is None:
            raise Invalid(f"{name} can't be used: {entry.problem}", field="name", code="skill_broken")
        record = entry.record or _record(entry.package, entry.source, tools="all")
        if entry.source == "installed":
            if hash is None:
                raise Invalid(
                    "Send the `hash` that the preview showed: only what was looked at is enabled.", field="hash"
                )
            if hash != entry.package.hash:
                raise Conflict("Its files are not those that were looked at. Look at them again.", code="changed")
        enabled = attrs.evolve(
            record,
            enabled=True,
            changed=False,
            hash=entry.package.hash,
            tools=record.tools if tools is None or entry.trust == "trusted" else tools,
        )
        await self._write(enabled)
        return (await self._entry_now(name)).item(await self._findings(entry))

    async def _disable(self, name: str) -> SkillItem:
        entry = await self._installed(name)
        if entry.package is not None and entry.record is None:
            await self._write(_record(entry.package, entry.source, tools="all"))
        elif entry.record is not None:
            await self._write(attrs.evolve(entry.record, enabled=False))
        return (await self._entry_now(name)).item()

    async def _remove(self, name: str) -> str | None:
        entry = await self._installed(name)
        kept = None
        if entry.source == "own":
            path = self._shelf.removed / f"{name}-{datetime.now().astimezone():%Y%m%dT%H%M%S%f}"
            await asyncio.to_thread(folder.set_aside, self._shelf.own, name, path)
            kept = str(path.relative_to(self._shelf.own))
        await self._database.write(store.delete(name))
        (await self._loaded()).pop(name, None)
        if entry.source == "installed":
            await asyncio.to_thread(folder.remove, self._shelf.installed / name)
        return kept

    async def _save(self, name: str, content: str, expect: str | None) -> tuple[SkillDetail, bool]:
        data = content.encode()
        parsed = document.parse(data, name=name)
        if parsed.name != name:
            raise Invalid(f"The SKILL.md says the name {parsed.name}, not {name}.", field="content", code="bad_skill")
        there = (await self._looked(await self._loaded())).entries.get(name)
        if there is not None and there.source != "own":
            raise Conflict(f"{name} is the name of another skill; choose a different one.", code="taken", field="name")
        have = there.package.hash if there is not None and there.package is not None else ""
        if expect is not None and expect != have:
            raise Stale(f"The skill {name} is not the one any more that was read.", etag=have or None)
        await asyncio.to_thread(folder.put_main, self._shelf.own, name, data)
        return await self._detail(await self._entry_now(name)), there is None

    # Parts

    async def _look(self) -> Look:
        async with self._lock:
            return await self._looked(await self._loaded())

    async def _looked(self, records: Mapping[str, Record]) -> Look:
        look = await asyncio.to_thread(self._shelf.look, records)
        await self._disable_changed(look.entries)
        return look

    async def _disable_changed(self, entries: Mapping[str, Entry]) -> None:
        """What is not what was looked at stays disabled, also when its files become what they were."""
        for entry in entries.values():
            if entry.record is not None and entry.is_changed and not entry.record.changed:
                log.warning(
                    "The files of the skill %s have changed, so it is disabled until they are looked at", entry.name
                )
                await self._write(attrs.evolve(entry.record, enabled=False, changed=True))

    async def _entry(self, name: str) -> Entry:
        async with self._lock:
            return await self._entry_now(name)

    async def _entry_now(self, name: str) -> Entry:
        look = await self._looked(await self._loaded())
        entry = look.entries.get(names.check_name(name))
        if entry is None:
            raise NotFound(f"There is no skill {name} here. GET /api/skills/search shows what there is.", field="name")
        return entry

    async def _installed(self, name: str) -> Entry:
        entry = await self._entry_now(name)
        if entry.state == "available":
            raise NotFound(f"The skill {name} is not installed.", field="name")
        return entry

    async def _detail(self, entry: Entry) -> SkillDetail:
        if entry.package is None:
            raise Invalid(f"{entry.name} can't be read: {entry.problem}", code="skill_broken")
        return await asyncio.to_thread(detail_of, entry, entry.package)

    async def _findings(self, entry: Entry) -> list[Finding]:
        return [] if entry.package is None or entry.trust == "trusted" else (await self._detail(entry)).findings

    async def _loaded(self) -> dict[str, Record]:
        if self._records is None:
            await asyncio.to_thread(folder.sweep, self._shelf.installed)
            self._records = await self._database.read(store.read_all)
        return self._records

    async def _write(self, record: Record) -> None:
        await self._database.write(store.write(record))
        (await self._loaded())[record.name] = record

    async def _change(self, change: Coroutine[Any, Any, T]) -> T:
        async def run() -> T:
            async with self._lock:
                return await change

        task = asyncio.create_task(run(), name="change of skills")
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)


def _refuse_names(package: Package, look: Look) -> None:
    """Raises when a package from elsewhere would stand in for another skill, or could be taken for it."""
    there = look.entries.get(package.name)
    if there is not None and there.source != "installed":
        whose = "a builtin skill" if there.source == "builtin" else "a skill of your own"
        raise Conflict(
            f"{package.name} is {whose}; nothing from elsewhere can take its place.", code="taken", field="name"
        )
    for known in look.entries:
        if names.lookalike(package.name, known):
            raise Forbidden(
                f"The name {package.name} could be taken for {known}, so it is not installed.", code="lookalike"
            )


def _record(
    package: Package, source: Source, *, enabled: bool = False, tools: Tools = "read", origin: str | None = None
) -> Record:
    return Record(
        name=package.name,
        source=source,
        enabled=enabled,
        tools=tools,
        hash=package.hash,
        version=package.document.version,
        origin=origin,
        installed_at=codec.format_time(codec.now()),
    )
