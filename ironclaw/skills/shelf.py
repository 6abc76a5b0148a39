"""What skills there are on this machine, as they are now: the builtin ones, the person's own, and the installed ones.

A name belongs to the first of these that has it. Functions here block for the disk; a folder is read again only when it
has changed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ironclaw.errors import IronclawError
from ironclaw.redact import printable
from ironclaw.skills import folder, names
from ironclaw.skills.models import Finding, Package, Problem, SkillItem, Source, State, Tools, Trust
from ironclaw.skills.store import Record
from ironclaw.values import frozen

BUILTIN = Path(__file__).parent / "builtin"
INSTALLED = ".installed"
REMOVED = ".removed"


@frozen(kw_only=True)
class Entry:
    """One skill. *package* None: it can't be read, and *problem* says why. *record* None: nothing was ever said of it."""

    name: str
    source: Source
    package: Package | None
    record: Record | None
    problem: str | None = None

    @property
    def trust(self) -> Trust:
        """Whether it may be followed as the person's own words."""
        return "untrusted" if self.source in {"installed", "remote"} else "trusted"

    @property
    def tools(self) -> Tools:
        """What a turn may call that has read it."""
        return "all" if self.trust == "trusted" or (self.record and self.record.tools == "all") else "read"

    @property
    def is_changed(self) -> bool:
        """Whether its files are not those that were looked at."""
        if self.source != "installed" or self.record is None:
            return False
        return self.record.changed or self.package is None or self.package.hash != self.record.hash

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.source == "builtin" and self.record is None:
            return "available"
        if self.package is None:
            return "broken"
        if self.is_changed:
            return "changed"
        return "enabled" if self.record is None or self.record.enabled else "disabled"

    def item(self, findings: list[Finding] | None = None) -> SkillItem:
        """It as people see it."""
        document = self.package.document if self.package else None
        state = self.state
        reason = self.problem
        if state == "changed":
            reason = "Its files are not those that were looked at. Look at them, then enable it again."
        return SkillItem(
            name=self.name,
            description=document.description if document else "",
            version=document.version if document else self.record.version if self.record else "0.0.0",
            installed=state != "available",
            enabled=state == "enabled",
            source=self.source,
            trust=self.trust,
            state=state,
            tools=self.tools,
            tags=list(document.tags) if document else [],
            allowed_tools=list(document.allowed_tools) if document else [],
            reason=reason,
            hash=self.package.hash if self.package else None,
            origin=self.record.origin if self.record else None,
            installed_at=self.record.installed_at if self.record else None,
            findings=findings,
        )


@frozen
class Look:
    """All skills by name, and the folders that are none."""

    entries: Mapping[str, Entry]
    problems: list[Problem]


class Shelf:
    """The folders of skills: the person's own in *root*, the installed ones in a hidden folder of it."""

    def __init__(self, root: Path) -> None:
        self.own = root
        self.installed = root / INSTALLED
        self.removed = root / REMOVED
        self._builtin: dict[str, Package] | None = None
        self._read: dict[Path, tuple[folder.Signature, Package | IronclawError]] = {}

    def builtin(self) -> Mapping[str, Package]:
        """The skills of this program, by name."""
        if self._builtin is None:
            self._builtin = {name: folder.read(BUILTIN / name) for name in folder.names_in(BUILTIN)}
        return self._builtin

    def look(self, records: Mapping[str, Record]) -> Look:
        """What is there now, with what is kept of it."""
        entries = {
            name: Entry(name=name, source="builtin", package=package, record=_of(records, name, "builtin"))
            for name, package in self.builtin().items()
        }
        for name, record in sorted(records.items()):
            if record.source == "installed" and name not in entries:
                entries[name] = self._entry(name, "installed", self.installed / name, record)
        problems = [*self._add_own(entries, records)]
        return Look(entries, problems)

    def has_own(self) -> bool:
        """Whether there is any folder of the person's own."""
        return bool(folder.names_in(self.own))

    def _add_own(self, entries: dict[str, Entry], records: Mapping[str, Record]) -> Iterator[Problem]:
        for name in folder.names_in(self.own):
            if problem := names.problem_of(name):
                yield Problem(printable(name), f"The folder's name is that of the skill, and it {problem}.")
            elif (other := entries.get(name)) is not None:
                whose = "builtin" if other.source == "builtin" else "installed"
                yield Problem(name, f"There is a skill of this name already, {whose}. Give this folder another name.")
            else:
                entry = self._entry(name, "own", self.own / name, _of(records, name, "own"))
                if entry.problem is not None:
                    yield Problem(name, entry.problem)
                entries[name] = entry

    def _entry(self, name: str, source: Source, root: Path, record: Record | None) -> Entry:
        try:
            package = self._package(root)
            problem = None
            if package.name != name:
                problem = f"Its SKILL.md says the name {package.name}, its folder is {name}; they must be the same."
        except IronclawError as error:
            return Entry(name=name, source=source, package=None, record=record, problem=error.message)
        except OSError as error:
            return Entry(name=name, source=source, package=None, record=record, problem=f"{error.strerror}.")
        return Entry(name=name, source=source, package=None if problem else package, record=record, problem=problem)

    def _package(self, root: Path) -> Package:
        signature = folder.signature_of(root)
        known = self._read.get(root)
        if known is None or known[0] != signature:
            try:
                found: Package | IronclawError = folder.read(root)
            except IronclawError as error:
                found = error
            known = self._read[root] = (signature, found)
        if isinstance(known[1], IronclawError):
            raise known[1]
        return known[1]

    def forget(self, root: Path) -> None:
        """Read this folder anew the next time, whatever it looks like."""
        self._read.pop(root, None)


def _of(records: Mapping[str, Record], name: str, source: Source) -> Record | None:
    record = records.get(name)
    return record if record is not None and record.source == source else None
