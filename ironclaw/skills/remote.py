"""The index of skills at SKILLS_REGISTRY_URL, and what is fetched from the net. It may be away: then there is just less.

The index is one JSON file:

    {"version": 1,
     "skills": [{"name": "sourdough", "description": "Plan a bake.", "version": "1.2.0", "tags": ["kitchen"],
                 "url": "sourdough-1.2.0.zip", "sha256": "<of that file, 64 hex digits>"}]}

*url* is https, or relative to the index, and leads to a zip, a tar.gz or a SKILL.md. Entries that can't be read, that ask
for http, or whose name could be taken for another one are left out.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable, Collection
from typing import Any

from yarl import URL

from ironclaw import codec
from ironclaw.egress import Egress, web_url
from ironclaw.errors import Forbidden, Invalid, IronclawError, TooLarge, Unavailable
from ironclaw.redact import printable
from ironclaw.skills import names
from ironclaw.skills.models import MOST_ARCHIVE
from ironclaw.values import frozen

log = logging.getLogger(__name__)

MOST_INDEX = 2 * 1024 * 1024
MOST_ENTRIES = 2000
_FRESH = 600.0
_AWAY_FOR = 60.0
_INDEX_TIMEOUT = 10.0
_FILE_TIMEOUT = 60.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_DESCRIPTION = 1024


@frozen(kw_only=True)
class RemoteSkill:
    """One entry of the index; *sha256* is of the file at *url*."""

    name: str
    description: str
    version: str
    tags: tuple[str, ...]
    url: str
    sha256: str


def secure_url(text: str) -> URL:
    """An https address. Raises *Invalid* for any other."""
    url = web_url(text)
    if url.scheme != "https":
        raise Invalid("Skills are fetched over https only, so that nobody on the way can change them.", field="url")
    return url


async def fetch(egress: Egress, url: str) -> bytes:
    """The file at *url*. Raises *Invalid*, *Forbidden* for private addresses, *TooLarge*, *Unavailable*, *TimedOut*."""
    fetched = await egress.fetch(str(secure_url(url)), max_bytes=MOST_ARCHIVE, timeout=_FILE_TIMEOUT)
    if fetched.status != 200:
        raise Unavailable(f"{printable(fetched.url)} answered with status {fetched.status}.")
    if fetched.truncated:
        raise TooLarge(f"What is at {printable(fetched.url)} is larger than {MOST_ARCHIVE >> 20} MiB.", field="url")
    return fetched.body


async def fetch_listed(egress: Egress, entry: RemoteSkill) -> bytes:
    """The file of an entry. Raises *Forbidden* when it is not the one that the index names, else as `fetch`."""
    data = await fetch(egress, entry.url)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise Forbidden(
            f"The file of {entry.name} is not the one that the index names: its sha256 differs. Nothing was kept.",
            code="wrong_hash",
        )
    return data


class Index:
    """The index at *url*, kept for a while; without one it is empty. *egress* stays the caller's to close."""

    def __init__(self, egress: Egress, url: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._egress = egress
        self._url = url
        self._clock = clock
        self._entries: tuple[RemoteSkill, ...] = ()
        self._good_until = float("-inf")
        self._lock = asyncio.Lock()
        self.error: str | None = None
        """Why the index could not be read the last time."""

    async def entries(self, known: Collection[str] = ()) -> tuple[RemoteSkill, ...]:
        """What it lists, but for names that could be taken for one of *known*. Away, it lists what it did before."""
        if self._url is None:
            return ()
        async with self._lock:
            if self._clock() >= self._good_until:
                await self._read(self._url)
        return tuple(one for one in self._entries if not any(names.lookalike(one.name, other) for other in known))

    async def find(self, name: str) -> RemoteSkill | None:
        """The entry of this name, if there is one."""
        return next((one for one in await self.entries() if one.name == name), None)

    async def _read(self, url: str) -> None:
        try:
            fetched = await self._egress.fetch(str(secure_url(url)), max_bytes=MOST_INDEX, timeout=_INDEX_TIMEOUT)
            if fetched.status != 200 or fetched.truncated:
                size = f"is larger than {MOST_INDEX >> 20} MiB" if fetched.truncated else f"status {fetched.status}"
                raise Unavailable(f"{fetched.url}: {size}.")
            self._entries = _parse(codec.loads(fetched.body), fetched.url)
        except IronclawError as error:
            self.error = f"The index of skills can't be read: {error.message}"
            self._good_until = self._clock() + _AWAY_FOR
            log.warning("%s", self.error)
        else:
            self.error = None
            self._good_until = self._clock() + _FRESH


def _parse(data: Any, base: str) -> tuple[RemoteSkill, ...]:
    listed = data.get("skills") if isinstance(data, dict) else None
    if not isinstance(data, dict) or data.get("version") != 1 or not isinstance(listed, list):
        raise Invalid("It is no index of version 1.")
    found: dict[str, RemoteSkill] = {}
    for entry in listed[:MOST_ENTRIES]:
        try:
            skill = _entry(entry, base)
        except (IronclawError, KeyError, TypeError, ValueError) as error:
            log.info("An entry of the index of skills is left out: %s", printable(str(error)))
        else:
            found.setdefault(skill.name, skill)
    return tuple(found.values())


def _entry(entry: Any, base: str) -> RemoteSkill:
    name, sha256 = entry["name"], str(entry["sha256"]).lower()
    texts = (name, entry["description"], entry.get("version", "0.0.0"), entry["url"])
    if not all(isinstance(text, str) and text.isprintable() for text in texts) or len(texts[2]) > 64:
        raise ValueError(f"{entry!r:.200} has a field that is no line of text")
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{name} has no sha256")
    tags = entry.get("tags", [])
    return RemoteSkill(
        name=names.check_name(name),
        description=texts[1][:_MOST_DESCRIPTION],
        version=texts[2],
        tags=tuple(tag for tag in tags if isinstance(tag, str) and tag.isprintable())[:20],
        url=str(secure_url(str(URL(base).join(URL(texts[3]))))),
        sha256=sha256,
    )
