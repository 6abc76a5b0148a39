"""Takes note of what other programs do to the notes: versions are kept of it, and open pages hear of it."""

import asyncio
import logging

from ironclaw.memory.paths import is_note
from ironclaw.memory.watch import Watcher
from ironclaw.memory.workspace import Workspace

log = logging.getLogger(__name__)

_MOST = 500  # notes at once; of a larger change (a sync, another branch) the rest is kept when it is next changed


class Outside:
    """Follows *workspace* from `start()` until `aclose()`. Made on the event loop."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._loop = asyncio.get_running_loop()
        self._changed: set[str] = set()
        self._news = asyncio.Event()
        self._watcher: asyncio.Future[Watcher] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background: at once, as nobody would ever hear of what is changed before."""
        self._task = self._loop.create_task(self._follow(), name="notes-outside")

    async def aclose(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._watcher is not None:
            (watcher,) = await asyncio.gather(self._watcher, return_exceptions=True)
            if isinstance(watcher, Watcher):
                await asyncio.to_thread(watcher.close)

    async def _follow(self) -> None:
        root = self._workspace.root
        self._watcher = self._loop.run_in_executor(None, Watcher, root, self._notice, self._lose)
        try:
            await asyncio.shield(self._watcher)
        except (OSError, RuntimeError) as error:
            log.warning("Other programs' changes of notes are not followed: %s", error)
            return
        while True:
            await self._news.wait()
            self._news.clear()
            changed, self._changed = self._changed, set()
            for path in sorted(changed)[:_MOST]:
                await self._workspace.seen(path)

    def _notice(self, paths: set[str]) -> None:
        """Called in the watcher's thread."""
        if notes := {path for path in paths if is_note(path)}:
            self._loop.call_soon_threadsafe(self._take, notes)

    def _take(self, notes: set[str]) -> None:
        self._changed |= notes
        self._news.set()

    def _lose(self, reason: str) -> None:
        log.warning("Other programs' changes of notes are not followed any more: %s", reason)
