"""The sandbox of a container engine against a real one: podman's service, which speaks Docker's API, on a store of its own.

The only tests that are skipped where they can't be run: they need podman, runc and busybox, and the right to use them.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from ironclaw.errors import Unavailable
from ironclaw.sandbox.docker import Docker
from ironclaw.sandbox.protocol import Confined, Limits, Program, SandboxUnavailable

LIMITS = Limits(cpu_seconds=30, memory_mb=64, processes=32, file_mb=20, disk_mb=40)
IMAGE = "localhost/ironclaw-test:latest"
CONFIG = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=256:256"]
"""
PROGRAMS = "sh ls cat id sleep du mkdir echo touch head tail true rm env ln grep"


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """The address of a podman service with one small image. Its folder has a short name: podman takes no long ones."""
    for program in ("podman", "runc", "busybox"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: apt install podman runc busybox-static)")
    if os.geteuid() != 0:
        pytest.skip("podman is only set up for root here")
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as folder:
        yield from _serve(Path(folder))


def _serve(folder: Path) -> Iterator[str]:
    (folder / "containers.conf").write_text(CONFIG)
    image = folder / "image"
    (image / "bin").mkdir(parents=True)
    (image / "tmp").mkdir()
    shutil.copy(str(shutil.which("busybox")), image / "bin" / "busybox")
    for name in PROGRAMS.split():
        (image / "bin" / name).symlink_to("busybox")
    env = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    podman = ["podman", "--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
    subprocess.run(["tar", "-C", str(image), "-cf", f"{folder}/image.tar", "."], check=True)
    made = subprocess.run([*podman, "import", f"{folder}/image.tar", IMAGE], env=env, capture_output=True, text=True)
    ran = subprocess.run(
        [*podman, "run", "--rm", "--network", "none", IMAGE, "/bin/true"], env=env, capture_output=True
    )
    if made.returncode or ran.returncode:
        pytest.skip(f"podman can't run containers here: {made.stderr}{ran.stderr.decode(errors='replace')}"[:300])
    address = f"unix://{folder}/podman.sock"
    service = subprocess.Popen(
        [*podman, "system", "service", "--time", "0", address],
        env=env,
        stderr=subprocess.DEVNULL,
        cwd=folder,  # where its monitor leaves a file when memory runs out
    )
    deadline = time.monotonic() + 20
    while not (folder / "podman.sock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield address
    subprocess.run([*podman, "rm", "-fa"], env=env, capture_output=True)
    service.terminate()
    service.wait(20)


@contextlib.asynccontextmanager
async def docker(engine: str, home: str = "/a/home") -> AsyncIterator[Docker]:
    sandbox = Docker(IMAGE, home, engine)
    try:
        await sandbox.probe()
        yield sandbox
    finally:
        await sandbox.aclose()


async def start(sandbox: Docker, folder: Path, script: str, limits: Limits = LIMITS, **more: Any) -> Confined:
    return await sandbox.start(Program(argv=("/bin/sh", "-c", script), folder=folder, limits=limits, **more))


async def until_excess(process: Confined) -> str | None:
    """The limit that the looks see passed, or that has ended it."""
    async with asyncio.timeout(50):
        while process.excess is None and process.measure().excess(process.limits) is None:
            await asyncio.sleep(0.1)
    return process.excess or process.measure().excess(process.limits)


async def test_a_program_gets_its_folder_and_streams_and_nothing_else(engine: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("in the folder")
    script = (
        "cat in.txt; cat; echo made > out.txt; rm in.txt; ln -s /etc/passwd link; touch /new; echo err >&2;"
        "grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /sys/class/net; env; exit 3"
    )
    async with docker(engine) as sandbox:
        process = await start(sandbox, tmp_path, script, stdin=True, errors=True, env={"MORE": "1"})
        async with contextlib.aclosing(process):
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(b" and from stdin\n")
            process.stdin.close()
            said, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
            assert await process.wait() == 3
    lines = said.decode().splitlines()
    assert lines[:4] == ["in the folder and from stdin", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "lo"]
    assert {"HOME=/home/job", "MORE=1"} <= set(lines)
    assert str(Path.home()) not in said.decode()
    assert b"Read-only file system" in errors
    assert {path.name for path in tmp_path.iterdir()} == {"out.txt"}  # a link that leads out does not come back


async def test_j8_kill_ends_it_at_once_and_nothing_is_left(engine: str, tmp_path: Path) -> None:
    async with docker(engine) as sandbox:
        process = await start(sandbox, tmp_path, "echo up; trap '' TERM; while true; do sleep 1; done")
        assert await process.stdout.readline() == b"up\n"
        process.terminate()
        began = time.monotonic()
        await process.kill()
        assert await process.wait() == 137
        assert time.monotonic() - began < 10
        await process.aclose()
        assert sandbox._engine is not None
        assert await sandbox._engine.containers.list(all=True) == []


@pytest.mark.parametrize(
    ("excess", "script"),
    [
        ("memory", "exec tail /dev/zero"),
        ("processes", "for i in 1 2 3 4 5 6 7 8 9 0; do for j in 1 2 3 4; do sleep 60 & done; done; wait"),
        ("disk", "for i in 1 2 3 4; do head -c 15000000 /dev/zero > $i; done; sleep 60"),
        ("cpu_time", "while true; do true; done"),
    ],
)
async def test_limits_end_it_each_with_its_name(engine: str, tmp_path: Path, excess: str, script: str) -> None:
    limits = attrs.evolve(LIMITS, processes=16, cpu_seconds=2 if excess == "cpu_time" else 30)
    async with docker(engine) as sandbox:
        process = await start(sandbox, tmp_path, script, limits)
        async with contextlib.aclosing(process):
            assert await until_excess(process) == excess


async def test_what_a_killed_gateway_left_is_removed_and_others_are_let_be(engine: str, tmp_path: Path) -> None:
    async with docker(engine, "/one") as one, docker(engine, "/other") as other:
        left = await start(one, tmp_path, "sleep 60")
        kept = await start(other, tmp_path, "sleep 60")
        async with docker(engine, "/one") as again:
            assert again._engine is not None
            assert len(await again._engine.containers.list(all=True)) == 1
        with contextlib.suppress(Unavailable):
            await left.wait()
        await left.aclose()
        await kept.aclose()


async def test_an_image_that_is_not_there_and_an_engine_that_does_not_answer_say_what_to_do(
    engine: str, tmp_path: Path
) -> None:
    missing = Docker("localhost/nothing:latest", "/home", engine)
    with pytest.raises(SandboxUnavailable, match="docker pull localhost/nothing"):
        await missing.probe()
    await missing.aclose()
    nobody = Docker(IMAGE, "/home", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(SandboxUnavailable, match="DOCKER_HOST"):
        await nobody.probe()
    await nobody.aclose()
