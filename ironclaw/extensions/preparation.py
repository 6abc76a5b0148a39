"""What is done for an extension in the background: its environment is made, and its tools are listed a first time."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import attrs

from ironclaw.errors import IronclawError
from ironclaw.extensions.environment import Environment
from ironclaw.extensions.extension import Extension
from ironclaw.extensions.session import SecretRefused, is_sdk_installed
from ironclaw.extensions.store import Record

log = logging.getLogger(__name__)

_AGAIN = (5.0, 30.0, 120.0, 600.0)  # seconds until an extension that could not be tried is tried again


class Preparation:
    """One task for each extension that is being prepared. Its owner calls `aclose`.

    *keep* stores a changed record, *tell* tells the clients, *attempt* starts the server and so lists its tools.
    """

    def __init__(
        self,
        folder: Path,
        keep: Callable[[Extension, Record], Awaitable[None]],
        tell: Callable[[Extension], None],
        attempt: Callable[[Extension], Awaitable[None]],
    ) -> None:
        self._folder = folder
        self._keep = keep
        self._tell = tell
        self._attempt = attempt
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tried: dict[str, asyncio.Event] = {}

    def environment(self, name: str) -> Environment:
        """The folder of an extension."""
        return Environment(self._folder / name)

    def start(self, extension: Extension) -> None:
        """Do what can be done for it now."""
        name = extension.name
        if name in self._tasks or not (extension.record.enabled or _must_make(extension)):
            return
        if _must_make(extension):
            extension.phase = "installing"  # from now on: whoever asks next must not take it for a failure
        self._tried[name] = asyncio.Event()
        task = self._tasks[name] = asyncio.create_task(_logged(name, self._prepare(extension)), name=f"prepare {name}")

        def forget(ended: "asyncio.Task[None]") -> None:
            extension.phase = None  # also when it was ended before it began
            if self._tasks.get(name) is ended:
                del self._tasks[name]
                self._tried.pop(name).set()

        task.add_done_callback(forget)

    async def wait(self, name: str, timeout: float) -> None:
        """Wait until it was prepared and tried once, at most *timeout* seconds."""
        tried = self._tried.get(name)
        if tried is not None and timeout > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await tried.wait()

    async def stop(self, name: str) -> None:
        """Leave it as it is."""
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def aclose(self) -> None:
        """End all of it."""
        for name in list(self._tasks):
            await self.stop(name)

    async def _prepare(self, extension: Extension) -> None:
        if _must_make(extension) and not await self._made(extension):
            return
        for pause in (0.0, *_AGAIN):
            await asyncio.sleep(pause)
            known = extension.record.tools is not None and extension.authenticated
            if known or not extension.is_offered or not is_sdk_installed():
                return
            try:
                await self._attempt(extension)
            except SecretRefused:
                return
            except IronclawError as error:
                log.info("The extension %s could not be tried: %s", extension.name, error.message)
                self._tried[extension.name].set()
            else:
                return

    async def _made(self, extension: Extension) -> bool:
        """Whether its environment could be made."""

        def tell(phase: str) -> None:
            extension.phase = phase
            self._tell(extension)

        self._tell(extension)
        try:
            await self.environment(extension.name).make(extension.record.manifest, tell)
        except IronclawError as error:
            extension.failure = error
            log.warning("The extension %s could not be installed: %s", extension.name, error.message)
            return False
        else:
            extension.failure = None
            await self._keep(extension, attrs.evolve(extension.record, prepared=True))
            return True
        finally:
            extension.phase = None
            self._tell(extension)


def _must_make(extension: Extension) -> bool:
    record = extension.record
    return record.manifest.needs_environment and not record.prepared and not record.confirmation_needed


async def _logged(name: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("Preparing the extension %s failed", name)
