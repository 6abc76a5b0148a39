"""Which sandbox works here: the one that is set, or with `auto` the first that really works when it is tried."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ironclaw.sandbox.bubblewrap import Bubblewrap
from ironclaw.sandbox.protocol import Confined, Program, Sandbox, SandboxUnavailable
from ironclaw.sandbox.watcher import Watcher
from ironclaw.settings import Settings

log = logging.getLogger(__name__)

_OFF = "Programs can't be run: SANDBOX is off. Set it to auto, bubblewrap or docker."


class _Docker:
    """The sandbox of a container engine; what speaks to one is loaded when it is tried."""

    name = "docker"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sandbox: Sandbox | None = None

    async def probe(self) -> None:
        """See *Sandbox*."""
        settings = self._settings
        try:
            from ironclaw.sandbox.docker import Docker  # noqa: PLC0415 - an extra, which may not be there
        except ModuleNotFoundError:
            raise SandboxUnavailable(
                "For containers instead: pip install 'ironclaw[docker]', with Docker or podman's service running."
            ) from None
        sandbox = Docker(settings.sandbox_image, str(settings.home), settings.docker_host, settings.sandbox_read)
        await sandbox.probe()
        self._sandbox = sandbox

    async def start(self, program: Program) -> Confined:
        """See *Sandbox*."""
        if self._sandbox is None:
            raise SandboxUnavailable("There is no container engine.")
        return await self._sandbox.start(program)

    async def aclose(self) -> None:
        """See *Sandbox*."""
        if self._sandbox is not None:
            await self._sandbox.aclose()


class Sandboxes:
    """The sandboxes of one gateway. *candidates* are tried in their order, once; none means that they are off."""

    def __init__(self, candidates: Sequence[Sandbox]) -> None:
        self._candidates = tuple(candidates)
        self._found: Sandbox | None = None
        self._failure: SandboxUnavailable | None = None if candidates else SandboxUnavailable(_OFF)
        self._trying = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.watcher = Watcher()

    @classmethod
    def of(cls, settings: Settings) -> "Sandboxes":
        """Those that *settings* name."""
        kinds: dict[str, Callable[[], Sandbox]] = {
            "bubblewrap": lambda: Bubblewrap(settings.sandbox_read),
            "docker": lambda: _Docker(settings),
        }
        return cls([make() for name, make in kinds.items() if settings.sandbox in {"auto", name}])

    @property
    def off(self) -> bool:
        """Whether they are turned off."""
        return not self._candidates

    @property
    def name(self) -> str | None:
        """The kind that works; None while that is not known, or where none does."""
        return self._found.name if self._found is not None else None

    @property
    def failure(self) -> str | None:
        """Why none works, and what would mend it; None while that is not known, or where one does."""
        return self._failure.message if self._failure is not None else None

    def try_soon(self, delay: float) -> None:
        """Find out in the background which one works, *delay* seconds from now."""

        async def try_them() -> None:
            await asyncio.sleep(delay)
            try:
                await self.working()
            except SandboxUnavailable as error:
                log.warning("Jobs can't be run: %s", error.message)

        if not self.off:
            self._task = asyncio.get_running_loop().create_task(try_them(), name="sandbox-probe")

    async def working(self) -> Sandbox:
        """The sandbox that works. Raises *SandboxUnavailable*; then the next call tries again."""
        if self.off:
            raise SandboxUnavailable(_OFF)
        async with self._trying:
            if self._found is None:
                self._found = await self._first_that_works()
                self._failure = None
                log.info("Programs run in the sandbox %s", self._found.name)
            return self._found

    async def _first_that_works(self) -> Sandbox:
        reasons = []
        for sandbox in self._candidates:
            try:
                await sandbox.probe()
            except SandboxUnavailable as error:
                reasons.append(error.message)
            except OSError as error:  # a system can refuse a step in ways that nobody foresaw
                reasons.append(f"{sandbox.name} could not be tried: {error.strerror or error}.")
            else:
                return sandbox
        self._failure = SandboxUnavailable(" ".join(reasons))
        raise self._failure

    async def start(self, program: Program) -> Confined:
        """Start *program* in the sandbox that works. Raises *Unavailable*; it never runs without one."""
        return await (await self.working()).start(program)

    async def aclose(self) -> None:
        """End all that runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.watcher.aclose()
        for sandbox in self._candidates:
            await sandbox.aclose()
