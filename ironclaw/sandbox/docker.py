"""The sandbox of a container engine that speaks Docker's API (Docker, podman), on this machine or another (DOCKER_HOST).

The folder goes there as an archive before the program and comes back after it, so that neither this machine nor the
container that the gateway may itself be in has to share anything with the engine. Containers have a label; what a gateway
that was killed left is removed at the next start.
"""

import asyncio
import contextlib
import hashlib
import io
import os
import secrets
import tarfile
import tempfile
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

import aiodocker
from aiodocker.containers import DockerContainer
from aiodocker.exceptions import DockerError
from aiohttp import ClientError

from ironclaw.errors import Unavailable
from ironclaw.sandbox import folders
from ironclaw.sandbox.protocol import HOME, Excess, Limits, Measure, Program, SandboxUnavailable

_LABEL = "ironclaw.home"
_USERS = range(100_000, 60_000_000)
_MOST_MB = 256  # of a folder: it passes through memory
_LOOK_EVERY = 1.0
_CALL_TIMEOUT = 60.0
_PROBE_TIMEOUT = 60.0
_PROBE_LIMITS = Limits(cpu_seconds=5, memory_mb=64, processes=32, file_mb=1, disk_mb=1)
_FAILURES = (DockerError, ClientError, OSError, TimeoutError)


class Docker:
    """Starts programs in containers of *image*. *home* tells the containers of one gateway from those of others."""

    name = "docker"

    def __init__(self, image: str, home: str, url: str | None = None, readable: Iterable[Path] = ()) -> None:
        self._image = image
        self._url = url
        self._readable = tuple(readable)
        self._mark = hashlib.sha256(home.encode()).hexdigest()[:16]
        self._engine: aiodocker.Docker | None = None
        self._processors = 1
        self._running: set[ContainerProcess] = set()

    async def probe(self) -> None:
        """See *Sandbox*: runs `true` in one, and removes what an earlier process left."""
        try:
            if self._engine is None:
                self._engine = aiodocker.Docker(self._url)
            async with asyncio.timeout(_PROBE_TIMEOUT):
                self._processors = int((await self._engine.system.info()).get("NCPU", 1))
                await self._remove_left(self._engine)
                await self._find_image(self._engine)
                said = await self._try()
        except (*_FAILURES, ValueError, AssertionError) as error:
            await self._close_engine()
            reason = f" ({error})" if str(error) else ""
            raise SandboxUnavailable(
                f"No container engine answers{reason}. Start Docker or podman's service; DOCKER_HOST says where it is."
            ) from None
        except SandboxUnavailable:
            await self._close_engine()
            raise
        if said is not None:
            await self._close_engine()
            raise SandboxUnavailable(f"Containers do not work here: {said}.")

    async def _find_image(self, engine: aiodocker.Docker) -> None:
        try:
            await engine.images.inspect(self._image)
        except DockerError:
            raise SandboxUnavailable(
                f"The container engine has no image {self._image}. Get it there (docker pull {self._image}), or name"
                " another one with SANDBOX_IMAGE."
            ) from None

    async def _remove_left(self, engine: aiodocker.Docker) -> None:
        for container in await engine.containers.list(all=True, filters=_filter(self._mark)):
            with contextlib.suppress(DockerError):
                await container.delete(force=True, v=True)

    async def _try(self) -> str | None:
        """What goes wrong, in its own words; None when nothing does."""
        with tempfile.TemporaryDirectory(prefix="ironclaw-probe-") as folder:
            try:
                program = Program(argv=("/bin/sh", "-c", "echo x > probe"), folder=Path(folder), limits=_PROBE_LIMITS)
                process = await self.start(program)
            except Unavailable as error:
                return error.message.rstrip(".")
            try:
                said = (await process.stdout.read()).decode(errors="replace").strip()
                code = await process.wait()
            finally:
                await process.aclose()
            fine = code == 0 and (Path(folder) / "probe").exists()
            return None if fine else said or f"a shell ended with {code}"

    async def start(self, program: Program) -> "ContainerProcess":
        """See *Sandbox*."""
        if self._engine is None:
            raise SandboxUnavailable("There is no container engine.")
        try:
            container = await self._engine.containers.create(self._config(program))
            process = ContainerProcess(container, program)
            try:
                await process.begin()
            except BaseException:
                await process.aclose()
                raise
        except _FAILURES as error:
            raise Unavailable(f"The container could not be started: {error}.", code="sandbox_failed") from None
        self._running = {one for one in self._running if one.runs} | {process}
        return process

    def _config(self, program: Program) -> dict[str, Any]:
        limits = program.limits
        user = os.geteuid() or secrets.choice(_USERS)
        return {
            "Image": self._image,
            "Cmd": list(program.argv),
            "User": f"{user}:{user}",
            "WorkingDir": HOME,
            "Env": [f"{name}={value}" for name, value in program.environment.items()],
            "Hostname": "job",
            "OpenStdin": program.stdin,
            "StdinOnce": program.stdin,
            "NetworkDisabled": not program.network,
            "Labels": {_LABEL: self._mark},
            "Volumes": {HOME: {}},
            "HostConfig": {
                **({} if program.network else {"NetworkMode": "none"}),
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "Memory": limits.memory_mb << 20,
                "MemorySwap": limits.memory_mb << 20,
                "NanoCpus": max(1, self._processors // 2) * 1_000_000_000,
                "PidsLimit": 2 * limits.processes + 64,
                "ShmSize": max(16, limits.memory_mb // 4) << 20,
                "Tmpfs": {"/tmp": f"rw,nosuid,nodev,size={max(16, limits.memory_mb // 4)}m"},  # noqa: S108 - its own
                "Ulimits": [
                    {"Name": name, "Soft": value, "Hard": value}
                    for name, value in (
                        ("fsize", limits.file_mb << 20),
                        ("cpu", limits.cpu_seconds + 5),
                        ("nproc", 2 * limits.processes + 64),
                        ("nofile", 1024),
                        ("core", 0),
                    )
                ],
                "Mounts": [
                    {"Type": "bind", "Source": str(path), "Target": str(path), "ReadOnly": True}
                    for path in (*self._readable, *program.readable)
                ],
            },
        }

    async def aclose(self) -> None:
        """See *Sandbox*."""
        for process in tuple(self._running):
            await process.aclose()
        self._running.clear()
        await self._close_engine()

    async def _close_engine(self) -> None:
        if self._engine is not None:
            await self._engine.close()
            self._engine = None


class ContainerProcess:
    """One program in a container of its own, which goes with it."""

    def __init__(self, container: DockerContainer, program: Program) -> None:
        self.limits = program.limits
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader
        self.stderr: asyncio.StreamReader | None = None
        self.excess: Excess | None = None
        self._container = container
        self._program = program
        self._last = Measure(0, 0, 0.0, 0)
        self._tasks: list[asyncio.Task[None]] = []
        self._pipes: list[asyncio.BaseTransport] = []
        self._ended: asyncio.Task[int] | None = None
        self._killed = False
        self._removed = False

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._ended is None or not self._ended.done()

    async def begin(self) -> None:
        """Give it its folder, join its streams, start it. Raises what the engine raises."""
        user = int((await self._container.show())["Config"]["User"].partition(":")[0])
        archive = await asyncio.to_thread(_pack, self._program.folder, user)
        await self._container.put_archive("/", archive)  # type: ignore[no-untyped-call]
        self.stdout, out = await self._pipe()
        errors = None
        if self._program.errors:
            self.stderr, errors = await self._pipe()
        output = self._container.attach(stdout=True, stderr=True)
        await output.__aenter__()
        self._spawn(self._pump(output, out, errors))
        if self._program.stdin:
            reading, self.stdin = await self._pipe()
            given = self._container.attach(stdin=True)
            await given.__aenter__()
            self._spawn(self._feed(reading, given))
        await self._container.start()
        self._ended = asyncio.create_task(self._until_end(), name="container")
        self._spawn(self._look_around())

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work, name="container streams"))

    async def _pipe(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Both ends of a pipe: it holds back whoever writes while nobody reads."""
        loop = asyncio.get_running_loop()
        near, far = os.pipe()
        reader = asyncio.StreamReader()
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(near, "rb", 0)
        )
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        writing, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(far, "wb", 0))
        self._pipes += [reading, writing]
        return reader, asyncio.StreamWriter(writing, protocol, None, loop)

    async def _pump(self, stream: Any, out: asyncio.StreamWriter, errors: asyncio.StreamWriter | None) -> None:
        try:
            while (message := await stream.read_out()) is not None:
                writer = errors if errors is not None and message.stream == 2 else out
                writer.write(message.data)
                await writer.drain()
        finally:
            out.close()
            if errors is not None:
                errors.close()
            await stream.close()

    async def _feed(self, reading: asyncio.StreamReader, stream: Any) -> None:
        try:
            with contextlib.suppress(ConnectionError, RuntimeError):
                while data := await reading.read(64 << 10):
                    await stream.write_in(data)
        finally:
            await stream.close()

    async def _until_end(self) -> int:
        code = int((await self._container.wait())["StatusCode"])
        state = (await self._container.show())["State"]
        if state.get("OOMKilled") or (code == 137 and not self._killed):  # not every engine tells of it
            self.excess = "memory"
        with contextlib.suppress(DockerError):
            if self._last.disk <= self._most_disk:
                archive = await self._container.get_archive(f"{HOME}/.")
                await asyncio.to_thread(_unpack, archive, self._program.folder)
        return code

    @property
    def _most_disk(self) -> int:
        return min(self.limits.disk_mb, _MOST_MB) << 20

    async def wait(self) -> int:
        """See *Confined*."""
        assert self._ended is not None
        try:
            return await asyncio.shield(self._ended)
        except _FAILURES as error:
            raise Unavailable(f"The container was lost: {error}.", code="sandbox_failed") from None

    def terminate(self) -> None:
        """See *Confined*."""
        if self.runs:
            self._spawn(_quietly(self._container.kill(signal="SIGTERM")))

    async def kill(self) -> None:
        """See *Confined*."""
        if self._ended is None:
            return
        if self.runs and not self._killed:
            self._killed = True
            await _quietly(self._container.kill())
        await asyncio.gather(asyncio.shield(self._ended), return_exceptions=True)

    async def aclose(self) -> None:
        """See *Confined*."""
        await self.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pipe in self._pipes:
            pipe.close()
        if not self._removed:
            self._removed = True
            await _quietly(self._container.delete(force=True, v=True))

    def measure(self) -> Measure:
        """See *Confined*: what the engine said last."""
        return self._last

    async def _look_around(self) -> None:
        """What the engine holds back by itself, it does not name: what was used is looked at here."""
        while self.runs:
            with contextlib.suppress(*_FAILURES, KeyError, IndexError, ValueError):
                disk = await self._disk()
                stats = (await self._container.stats(stream=False))[0]
                self._last = self._measured(stats, disk)
            await asyncio.sleep(_LOOK_EVERY)

    def _measured(self, stats: dict[str, Any], disk: int) -> Measure:
        processes = int(stats.get("pids_stats", {}).get("current") or 0)
        seconds = int(stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage") or 0) / 1e9
        # A folder that could not come back is too large, whatever the limit says.
        disk = disk if disk <= self._most_disk else max(disk, (self.limits.disk_mb << 20) + 1)
        return Measure(processes if processes > self.limits.processes else 0, 0, seconds, disk)

    async def _disk(self) -> int:
        found = await self._container.exec(["du", "-sk", HOME])
        said = b""
        async with found.start() as stream:
            while (message := await stream.read_out()) is not None:
                said += message.data
        return int(said.split()[0]) << 10


async def _quietly(call: Awaitable[Any]) -> None:
    """A call whose failure means that its aim is reached already."""
    with contextlib.suppress(*_FAILURES):
        async with asyncio.timeout(_CALL_TIMEOUT):
            await call


def _filter(mark: str) -> str:
    return f'{{"label": ["{_LABEL}={mark}"]}}'


def _pack(folder: Path, user: int) -> bytes:
    """The folder as an archive for the engine, everything in it owned by *user*."""

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = user
        entry.uname = entry.gname = ""
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=HOME.lstrip("/"), filter=owned)
        size = archive.offset
    # Without the padding that tarfile adds: podman stops reading at the mark of the end, and takes the rest for an error.
    return buffer.getvalue()[: size + 2 * tarfile.BLOCKSIZE]


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """What has become of the folder, in place of what it was: nothing that leads out of it, no devices, no rights."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            folders.remove(entry)
        else:
            entry.unlink()
    with archive:
        for member in archive:
            with contextlib.suppress(tarfile.FilterError, OSError):
                archive.extract(member, folder, filter="data")
