"""What programs may use together: each limit ends all of a program, and is named."""

import asyncio
import contextlib
import os
from pathlib import Path

import attrs
import pytest
from confined import LIMITS, gone, inside, python, sandboxes

from ironclaw.sandbox.protocol import Program

QUICK = 20.0  # seconds; the looks come four times a second, the rest is for a machine that is busy

EATS = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(8 << 20))\n    time.sleep(0.01)"


def source(folder: Path, code: str) -> str:
    (folder / "program.py").write_text(code)
    return f"{python('')[:-6]} program.py"


@pytest.fixture
def mark() -> str:
    return f"mark-of-a-limit-5e1c-{os.getpid()}."


async def test_r30_memory_of_one_process(tmp_path: Path) -> None:
    ended = await inside(tmp_path, source(tmp_path, EATS))
    assert (ended.excess, ended.code) == ("memory", 137)
    assert ended.seconds < QUICK


async def test_j4_memory_of_many_processes_is_counted_together(tmp_path: Path) -> None:
    code = """
import os, time
for _ in range(7):
    if os.fork() == 0:
        break
kept = bytearray(b'x') * (48 << 20)
time.sleep(30)
"""
    assert (await inside(tmp_path, source(tmp_path, code))).excess == "memory"


async def test_memory_that_is_shared_counts_once(tmp_path: Path) -> None:
    code = """
import mmap, os, time
shared = mmap.mmap(-1, 100 << 20)
shared.write(bytes(100 << 20))
for _ in range(5):
    if os.fork() == 0:
        sum(shared[::4096])
        time.sleep(1.5)
        os._exit(0)
time.sleep(1.5)
"""
    ended = await inside(tmp_path, source(tmp_path, code))
    assert (ended.excess, ended.code) == (None, 0), ended.text


@pytest.mark.parametrize("where", ["os.memfd_create('x')", "os.open('gone', os.O_RDWR | os.O_CREAT)"])
async def test_j3_what_is_deleted_but_open_counts_too(tmp_path: Path, where: str) -> None:
    code = (
        f"import os, time\nkept = []\nfor _ in range(12):\n    kept.append({where})\n"
        "    if os.path.exists('gone'):\n        os.unlink('gone')\n    os.write(kept[-1], bytes(32 << 20))\ntime.sleep(30)"
    )
    assert (await inside(tmp_path, source(tmp_path, code))).excess == ("memory" if "memfd" in where else "disk")


async def test_scratch_space_is_small(tmp_path: Path) -> None:
    for place in ("/tmp/a", "/dev/shm/a"):
        ended = await inside(tmp_path, f"head -c 200000000 /dev/zero > {place}; stat -c %s {place}")
        assert int(ended.text.split()[-1]) <= 64 << 20, ended.text


async def test_j2_r30_a_fork_bomb(tmp_path: Path, mark: str) -> None:
    code = """
import os, time
for _ in range(10_000):
    try:
        if os.fork() == 0:
            time.sleep(30)
    except OSError:
        pass
    time.sleep(0.001)
"""
    ended = await inside(tmp_path, f"{source(tmp_path, code)} {mark}")
    assert ended.excess == "processes"
    assert ended.seconds < QUICK
    assert gone(mark)


async def test_j2_the_kernel_holds_a_bomb_that_is_faster_than_the_looks(tmp_path: Path) -> None:
    code = """
import os, time
count = 0
try:
    while count < 2000:
        if os.fork() == 0:
            time.sleep(30)
        count += 1
except OSError:
    pass
print(count, flush=True)
time.sleep(30)
"""
    command = ("/bin/sh", "-c", source(tmp_path, code))
    program = Program(argv=command, folder=tmp_path, limits=attrs.evolve(LIMITS, processes=20))
    async with sandboxes() as opened, contextlib.aclosing(await opened.start(program)) as process:
        async with asyncio.timeout(30):
            assert 20 <= int(await process.stdout.readline()) < 500  # nobody looks: this is the kernel alone


async def test_threads_count_as_processes(tmp_path: Path) -> None:
    code = """
import threading, time
for _ in range(70):
    threading.Thread(target=time.sleep, args=(30,)).start()
time.sleep(30)
"""
    assert (await inside(tmp_path, source(tmp_path, code))).excess == "processes"


async def test_j3_r30_many_files_fill_the_disk(tmp_path: Path) -> None:
    script = "i=0; while :; do head -c 9000000 /dev/zero > $i; i=$((i+1)); sleep 0.01; done"
    ended = await inside(tmp_path, script)
    assert ended.excess == "disk"
    assert ended.seconds < QUICK


async def test_a_folder_that_hides_its_content_is_counted_all_the_same(tmp_path: Path) -> None:
    script = "mkdir in; for i in 1 2 3 4; do head -c 50000000 /dev/zero > in/$i; done; chmod 000 in; sleep 30"
    assert (await inside(tmp_path, script)).excess == "disk"


async def test_folders_nested_without_end_count_as_too_much(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 400 ]; do mkdir d && cd d; i=$((i+1)); done; sleep 30"
    assert (await inside(tmp_path, script)).excess == "disk"


async def test_one_file_is_cut_at_its_size(tmp_path: Path) -> None:
    ended = await inside(tmp_path, "head -c 90000000 /dev/zero > big; stat -c %s big")
    assert ended.text.split()[-1] == str(64 << 20)


async def test_processor_time_of_all_processes_is_counted_together(tmp_path: Path) -> None:
    script = "for i in 1 2 3; do (while :; do :; done) & done; sleep 60"
    ended = await inside(tmp_path, script, limits=attrs.evolve(LIMITS, cpu_seconds=1))
    assert ended.excess == "cpu_time"


async def test_short_processes_that_follow_each_other_are_counted_too(tmp_path: Path) -> None:
    script = "while :; do sh -c 'i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done'; done"
    ended = await inside(tmp_path, script, limits=attrs.evolve(LIMITS, cpu_seconds=1))
    assert ended.excess == "cpu_time"


async def test_a_modest_program_is_left_alone(tmp_path: Path) -> None:
    ended = await inside(tmp_path, "head -c 1000000 /dev/zero > a; sleep 0.7; cat a | wc -c")
    assert (ended.code, ended.excess, ended.text.strip()) == (0, None, "1000000")
