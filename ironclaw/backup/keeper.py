"""Keeps the backups of a running gateway: one every night, one when it is asked for, and no more than are wanted.

The work is done in a thread of its own that gives way to everything else. What a backup is stands in `create.py`, which is
loaded when the first one is made.
"""

import asyncio
import contextlib
import functools
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from ironclaw import codec
from ironclaw.backup.contents import Backup, BackupFailed, backups_in, name_for
from ironclaw.errors import Conflict, Unavailable
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_AGAIN = 3600.0  # seconds after a failure
_LOOK = 900.0  # seconds between two looks at the clock, which may be set meanwhile
_NICE = 10
_RESERVE = 200 << 20  # bytes of the disk that a backup nobody asked for leaves free
_OLD_WORK = 86_400.0  # seconds after which what a killed process left half done is deleted


class _BrokenOff(Exception):  # noqa: N818 - not an error: the gateway ends
    """The work is broken off."""


@frozen(kw_only=True)
class Plan:
    """What is backed up, where to, and when: *keep* nightly ones (0: none) at *hour*; *delay* seconds after a start."""

    home: Path
    workspace: Path
    folder: Path
    keep: int
    hour: int
    delay: float


class BackupKeeper:
    """The backups of one gateway. Ended by `aclose()`; `start()` begins the nightly ones."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.failure: str | None = None
        """Why the last one failed, until one succeeds."""
        self.newest: Backup | None = None
        self._stop = threading.Event()
        self._work: asyncio.Task[Backup] | None = None
        self._nights: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Make one every night from now on, and soon for a night that was missed."""
        if self.plan.keep:
            self._nights = asyncio.get_running_loop().create_task(self._every_night(), name="nightly-backup")

    async def aclose(self) -> None:
        """Break off what is being made; nothing of it is left."""
        self._stop.set()
        if self._nights is not None:
            self._nights.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._nights
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)

    @property
    def busy(self) -> bool:
        """Whether one is being made."""
        return self._work is not None and not self._work.done()

    @property
    def reason(self) -> str:
        """How it is about the backups, in a sentence; `failure` tells whether it is bad."""
        if self.failure is not None:
            return f"The last backup failed: {self.failure}"
        if self.busy:
            return "A backup is being made."
        if self.newest is not None:
            return f"The newest backup is of {self.newest.created_at}."
        return "The first backup is made soon." if self.plan.keep else "There are none: BACKUP_KEEP is 0."

    @property
    def next_night(self) -> datetime | None:
        """When the next nightly one is due; None while they are off."""
        return self._last_night() + timedelta(days=1) if self.plan.keep else None

    async def backups(self) -> list[Backup]:
        """All that there are, the newest first. Raises *BackupFailed* when the folder can't be read."""
        found = await asyncio.to_thread(backups_in, self.plan.folder)
        self.newest = found[0] if found else None
        return found

    async def make(self, *, nightly: bool = False) -> Backup:
        """A backup now, without secrets; it goes on when the caller goes away.

        Raises *BackupFailed*, and *Conflict* while another one is being made.
        """
        if self.busy:
            raise Conflict("A backup is being made already. Wait until it is done.", code="busy")
        self._work = asyncio.create_task(self._make(nightly=nightly), name="backup")
        return await asyncio.shield(self._work)

    async def _make(self, *, nightly: bool) -> Backup:
        started = time.monotonic()
        target = self.plan.folder / name_for(codec.now(), nightly=nightly)
        while target.exists():  # one was made in this very second, which names it
            await asyncio.sleep(0.1)
            target = self.plan.folder / name_for(codec.now(), nightly=nightly)
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="ironclaw-backup", initializer=_give_way) as thread:
                work = functools.partial(self._write, target, nightly=nightly)
                await asyncio.get_running_loop().run_in_executor(thread, work)
        except _BrokenOff:
            raise Unavailable("The gateway is shutting down; the backup was broken off.", retry_after=5) from None
        except BackupFailed as error:
            self.failure = error.message
            log.error("The backup failed: %s", error.message)  # noqa: TRY400 - the trace says nothing more
            raise
        self.failure = None
        made = next(one for one in await self.backups() if one.name == target.name)
        log.info("Backup %s: %d kB in %.1f s", made.name, -(-made.size // 1000), time.monotonic() - started)
        return made

    # In the thread

    def _write(self, target: Path, *, nightly: bool) -> None:
        from ironclaw.backup.create import Source, create  # noqa: PLC0415 - most of the time nobody needs it

        source = Source(self.plan.home, self.plan.workspace)
        create(source, target, progress=self._go_on, reserve=_RESERVE if nightly else 0)
        if nightly:
            _tidy(self.plan)

    def _go_on(self, step: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _BrokenOff

    # The nights

    async def _every_night(self) -> None:
        await asyncio.sleep(self.plan.delay)
        while True:
            wait = _LOOK
            try:
                if await self._is_due():
                    await self.make(nightly=True)
            except Conflict:
                pass  # one that was asked for is being made; the night's comes after it
            except Unavailable as error:
                self.failure, wait = error.message, _AGAIN
            except Exception as error:
                log.exception("The nightly backup failed")
                self.failure, wait = f"{type(error).__name__}. The log says more.", _AGAIN
            await asyncio.sleep(wait)

    async def _is_due(self) -> bool:
        newest = next((one for one in await self.backups() if one.nightly), None)
        return newest is None or datetime.fromisoformat(newest.created_at) < self._last_night()

    def _last_night(self) -> datetime:
        """The last moment at which one was due, in the process's time zone."""
        now = datetime.now().astimezone()
        due = now.replace(hour=self.plan.hour, minute=0, second=0, microsecond=0)
        return due if due <= now else due - timedelta(days=1)


def _give_way() -> None:
    """Let all other work of the machine come before this thread's."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _tidy(plan: Plan) -> None:
    """Delete the oldest nightly backups, and what a killed process left of its work."""
    for old in [one for one in backups_in(plan.folder) if one.nightly][plan.keep :]:
        (plan.folder / old.name).unlink(missing_ok=True)
    for path in plan.folder.glob(".ironclaw-*"):
        if time.time() - path.lstat().st_mtime > _OLD_WORK and path.is_file():
            path.unlink(missing_ok=True)
