"""Skills as values: what a package holds, what is kept of it, and what people see. Times are RFC 3339 in UTC."""

import hashlib
from collections.abc import Mapping
from typing import Literal

import attrs

from ironclaw.values import frozen

Source = Literal["builtin", "own", "installed", "remote"]
Trust = Literal["trusted", "untrusted"]
State = Literal["available", "enabled", "disabled", "changed", "broken"]
Tools = Literal["read", "all"]
Severity = Literal["danger", "warning", "note"]

MAIN = "SKILL.md"
MOST_MAIN = 64 * 1024
MOST_FILE = 1024 * 1024
MOST_BYTES = 5 * 1024 * 1024
MOST_FILES = 100
MOST_DEPTH = 8
MOST_ARCHIVE = 10 * 1024 * 1024


@frozen(kw_only=True)
class Document:
    """What a SKILL.md says. *keywords* are words of messages that it fits; *allowed_tools* are asked for, not given."""

    name: str
    description: str
    version: str
    tags: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    allowed_tools: tuple[str, ...] = ()
    instructions: str = attrs.field(repr=False)


@frozen
class Package:
    """A whole skill in memory: its files by path, and what its SKILL.md says."""

    document: Document
    files: Mapping[str, bytes] = attrs.field(repr=False)
    hash: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "hash", hash_of(self.files))

    @property
    def name(self) -> str:
        """Its name."""
        return self.document.name


def hash_of(files: Mapping[str, bytes]) -> str:
    """The fingerprint of a skill: of the names and contents of all its files."""
    total = hashlib.sha256()
    for path, data in sorted(files.items()):
        total.update(f"{len(path.encode())}:{path}:{hashlib.sha256(data).hexdigest()}\n".encode())
    return f"sha256:{total.hexdigest()}"


@frozen(kw_only=True)
class Finding:
    """Something in a file that a person should look at; *line* counts from 1, and is null for a whole file."""

    severity: Severity
    kind: str
    path: str
    line: int | None = attrs.field()
    message: str
    excerpt: str = ""


@frozen(kw_only=True)
class SkillItem:
    """A skill as lists show it.

    *source*: `builtin`, `own`, `installed` (from elsewhere), `remote` (in the index of SKILLS_REGISTRY_URL).
    *trust* `untrusted`: a turn that has read it goes on with tools that only read, unless *tools* is `all`.
    *state*: `available` (not installed), `enabled`, `disabled`, `changed` (its files are not those that were looked at) or
    `broken`; *reason* says why. *origin* is where an installed one came from. *findings* come with what was just installed.
    """

    name: str
    description: str
    version: str
    installed: bool
    enabled: bool
    source: Source
    trust: Trust
    state: State
    tools: Tools
    tags: list[str]
    allowed_tools: list[str]
    reason: str | None = None
    hash: str | None = None
    origin: str | None = None
    installed_at: str | None = None
    findings: list[Finding] | None = None


@frozen(kw_only=True)
class SkillFile:
    """One file of a skill; *size* in bytes, *content* where it is text."""

    path: str
    size: int
    content: str | None = None


@frozen(kw_only=True)
class SkillDetail:
    """A skill to look at: *content* is its SKILL.md as it stands, *instructions* what the agent reads of it.

    *replaces* is the version that it would take the place of.
    """

    skill: SkillItem
    content: str
    instructions: str
    files: list[SkillFile]
    findings: list[Finding]
    replaces: str | None = None


@frozen
class Problem:
    """A folder that is no usable skill, and why."""

    path: str
    message: str
