"""Installed as strangers do it: sdist and wheel, an empty environment far from the checkout, the command on its own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from gateway_process import GatewayProcess
from test_packaging import project, tracked

from ironclaw.api.packs import given
from ironclaw.version import __version__

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What a command prints, in an environment that knows nothing of the checkout."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(cwd), **env}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def copy_checkout(target: Path) -> Path:
    """The files of the repository, without what building and running left among them."""
    for path in tracked():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return target


def see_dependencies(python: Path) -> None:
    """Let an empty environment see what this one has installed; a path in a .pth brings no editable checkout along."""
    folder = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=python.parent)
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(folder) / "dependencies.pth").write_text("".join(f"{place}\n" for place in sorted(places)))


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the build backend that pyproject.toml names can be imported."""
    place = tmp_path_factory.mktemp("builder")
    needed = project()["build-system"]["requires"]
    run(sys.executable, "-m", "pip", "install", "--quiet", "--target", place / "backend", *needed, cwd=place)
    return {"PYTHONPATH": str(place / "backend")}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory, builder: dict[str, str]) -> Path:
    source = copy_checkout(tmp_path_factory.mktemp("source"))
    (source / ".env").write_text("GATEWAY_AUTH_TOKEN=secret-of-the-builder\n")
    code = "from setuptools.build_meta import build_sdist; print(build_sdist('dist'))"
    name = run(sys.executable, "-c", code, cwd=source, **builder).splitlines()[-1]
    return source / "dist" / name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, sdist: Path, builder: dict[str, str]) -> Path:
    """The wheel of the unpacked sdist."""
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    (source,) = place.iterdir()
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(place)]
    run(sys.executable, "-m", "pip", "wheel", *options, source, cwd=place, **builder)
    return next(place.glob("*.whl"))


def test_the_sdist_has_what_a_build_needs_and_nothing_of_the_builder(sdist: Path) -> None:
    assert sdist.name == f"ironclaw-{__version__}.tar.gz"
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    needed = {path.relative_to(ROOT).as_posix() for path in tracked()}
    needed = {name for name in needed if name.startswith(("ironclaw/", "web/"))}
    needed |= {"pyproject.toml", "setup.cfg", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "PKG-INFO"}
    assert needed - names == set()
    hidden = {name for name in names if any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))}
    assert hidden == set()


def test_the_wheel_of_the_sdist_has_every_file_of_the_gateway_and_the_page(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("ironclaw/") and path.suffix == ".py":
            assert archive.read(name) == path.read_bytes()
        elif name.startswith("web/"):
            assert archive.read(name.replace("web/", "ironclaw/static/", 1)) == path.read_bytes()


class InstalledGateway(GatewayProcess):
    """`ironclaw run` by a command of another environment."""

    def __init__(self, home: Path, env: dict[str, str], *command: str) -> None:
        super().__init__(home, {"PYTHONPATH": "", **env})
        self.command = command

    def spawn(self, *args: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, *self.command, *args],
                env=self.env,
                cwd=self.home.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The folder of the commands of an environment with this wheel."""
    place = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    python = place / "venv" / "bin" / "python"
    options = ["install", "--quiet", "--no-deps", "--no-index"]
    run(sys.executable, "-m", "pip", "--python", python, *options, wheel, cwd=place)
    see_dependencies(python)
    return python.parent


@pytest.fixture
def gateway(installed: Path, tmp_path: Path) -> Iterator[InstalledGateway]:
    gateway = InstalledGateway(tmp_path / "home", {}, str(installed / "ironclaw"), "run")
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.kill()


def test_what_is_installed_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import ironclaw, sys; print(ironclaw.__file__, *sys.path, *map(repr, sys.meta_path), sep='\\n')"
    file, *places = run(installed / "python", "-c", code, cwd=tmp_path).splitlines()
    assert Path(file).is_relative_to(installed.parent)
    assert str(ROOT) not in places
    assert not [place for place in places if "editable" in place]


def test_the_command_says_its_version_and_its_help(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "ironclaw", "--version", cwd=tmp_path) == f"ironclaw, version {__version__}"
    assert run(installed / "python", "-m", "ironclaw", "--version", cwd=tmp_path).endswith(__version__)
    assert "--port" in run(installed / "ironclaw", "run", "--help", cwd=tmp_path)


def test_the_page_is_served_with_every_file_that_it_names(gateway: InstalledGateway) -> None:
    seen: dict[str, bytes] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        status, _, body = gateway.request("GET", path, token=None)
        assert status == 200, path
        seen[path] = body
        text = body.decode(errors="replace")  # of a picture, too: it names nothing
        named = re.findall(
            r"""(?:src|href)="(\./[^"#]+)|(?:from|import\()\s*["'](\.[^"']+)|url\(["']?([^"')#]+)""", text
        )
        waiting += [urljoin(path, "".join(one)) for one in named if not "".join(one).startswith("data:")]
    assert {Path(path).suffix for path in seen} >= {"", ".js", ".css", ".svg"}
    assert seen["/js/main.js"] == given(ROOT / "web", "js/main.js")


def test_it_answers_keeps_its_token_and_ends(gateway: InstalledGateway, installed: Path, tmp_path: Path) -> None:
    assert gateway.send("/help", wait=True)["state"] == "completed"
    shown = run(installed / "ironclaw", "token", "show", cwd=tmp_path, IRONCLAW_HOME=str(gateway.home))
    assert shown == gateway.token
    gateway.terminate()
    assert gateway.wait() == 0
    assert "Traceback" not in gateway.log
