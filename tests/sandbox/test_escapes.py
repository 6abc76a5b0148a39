"""What a program in a sandbox can't do. Each attempt first succeeds outside, so that its failure inside says something."""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from confined import LIMITS, inside, outside, python, sandboxes

from ironclaw.sandbox.protocol import Program

SECRET = "canary-7d1f0c9a5b"
REACHED = "reached it"
SAYS_SO = 'print("reached", "it")'  # in other words: a traceback may hold the line that it never came to


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A home with a secret, a job's folder in it, and another job's."""
    home = tmp_path / "home"
    for job in ("job-1", "job-2"):
        (home / "jobs" / job / "work").mkdir(parents=True)
    for path in ("token", "ironclaw.db", "jobs/job-2/work/own.txt", "jobs/job-1/given.json"):
        (home / path).write_text(f"{SECRET}\n")
    return home / "jobs" / "job-1" / "work"


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this host on which something listens, as the gateway does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


READS = {
    "the token": "cat {home}/token",
    "the database": "cat {home}/ironclaw.db",
    "another job's files": "cat {home}/jobs/job-2/work/own.txt",
    "what lies beside its own folder": "cat {home}/jobs/job-1/given.json || cat ../given.json",
    "a link out of its folder": "ln -sf {home}/token link && cat link",
    "a file of the host's /tmp or /dev/shm": "cat {shared}",
    "its root over /proc": "cat /proc/self/root{home}/token /proc/1/root{home}/token",
}


@pytest.mark.parametrize("what", READS)
async def test_s82_nothing_of_the_host_can_be_read(ground: Path, what: str) -> None:
    shared = Path("/dev/shm") / f"shared-{os.getpid()}"
    shared.write_text(SECRET)
    try:
        script = READS[what].format(home=ground.parents[2], shared=shared)
        assert SECRET in outside(ground, script).stdout
        for left in ground.iterdir():
            left.unlink()
        assert SECRET not in (await inside(ground, script)).text
    finally:
        shared.unlink()


ENVIRONMENT = (
    "cat /proc/self/environ /proc/1/environ /proc/$PPID/environ; env; cat /proc/[0-9]*/cmdline; ls -l /proc/self/fd"
)


async def test_s23_j1_j5_no_secret_and_no_path_shows_in_environments_command_lines_and_descriptors(
    ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_AUTH_TOKEN", SECRET)
    with (ground.parents[2] / "token").open() as token:
        os.set_inheritable(token.fileno(), True)
        assert SECRET in outside(ground, ENVIRONMENT, pass_fds=(token.fileno(),)).stdout
        assert str(token.name) in outside(ground, ENVIRONMENT, pass_fds=(token.fileno(),)).stdout
        shown = (await inside(ground, ENVIRONMENT)).text
    assert "HOME=/home/job" in shown
    assert SECRET not in shown
    assert str(ground.parents[2]) not in shown
    assert str(Path.home()) not in shown.replace("/home/job", "")
    descriptors = [line for line in shown.splitlines() if " -> " in line]
    assert [line.partition(" -> ")[0].rpartition(" ")[2] for line in descriptors] == ["0", "1", "2", "3"]  # 3 is of ls


async def test_s82_the_gateways_port_and_the_network_can_t_be_reached_unless_allowed(
    ground: Path, listener: int
) -> None:
    script = python(
        f'import socket; socket.create_connection(("127.0.0.1", {listener}), 3); {SAYS_SO};'
        'print(sorted(name for _, name in socket.if_nameindex()))'
    )  # fmt: skip
    assert REACHED in outside(ground, script).stdout
    refused = await inside(ground, script)
    assert REACHED not in refused.text
    assert "ConnectionRefusedError" in refused.text
    alone = await inside(ground, python("import socket; print([name for _, name in socket.if_nameindex()])"))
    assert alone.text == "['lo']\n"
    assert REACHED in (await inside(ground, script, network=True)).text


async def test_s82_abstract_sockets_of_the_host_can_t_be_reached(ground: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{SECRET}")
        server.listen()
        script = python(f'import socket; socket.socket(socket.AF_UNIX).connect("\\0{SECRET}"); {SAYS_SO}')
        assert REACHED in outside(ground, script).stdout
        assert REACHED not in (await inside(ground, script)).text


async def test_processes_of_the_host_are_neither_seen_nor_signalled(ground: Path) -> None:
    script = f"kill -0 {os.getpid()} && echo {REACHED}; ls /proc | grep -c '^[0-9]'"
    assert REACHED in outside(ground, script).stdout
    ended = await inside(ground, script)
    assert REACHED not in ended.text
    assert int(ended.text.split()[-1]) < 8


async def test_only_its_folder_and_scratch_space_can_be_written(ground: Path, tmp_path: Path) -> None:
    script = "touch {0} && echo wrote {0}"
    assert "wrote" in outside(ground, script.format(tmp_path / "new")).stdout
    for place in (tmp_path / "newer", "/new", "/usr/new", "/etc/new", "/dev/new", "/proc/sys/kernel/hostname"):
        assert "wrote" not in (await inside(ground, script.format(place))).text, place
    for place in ("/home/job/new", "/tmp/new", "/dev/shm/new"):
        assert "wrote" in (await inside(ground, script.format(place))).text, place
    assert [path.name for path in ground.iterdir()] == ["new"]
    assert not Path("/tmp/new").exists()


CALLS = {
    "trace another process": 'print("REACHED" if libc.ptrace(0, 0, 0, 0) == 0 else "")',
    "make a user namespace": 'print("REACHED" if libc.unshare(0x10000000) == 0 else "")',
    "make one by clone": (
        "pid = libc.syscall(CLONE, 0x10000000 | 17, 0, 0, 0, 0); pid or os._exit(0);"
        ' print("REACHED" if pid > 0 else "")'
    ),
}  # fmt: skip
NUMBERS = {"x86_64": {"CLONE": 56, "KEYCTL": 250}, "aarch64": {"CLONE": 220, "KEYCTL": 219}}[os.uname().machine]


@pytest.mark.parametrize("what", CALLS)
async def test_j6_system_calls_that_reach_around_namespaces_are_refused(ground: Path, what: str) -> None:
    code = f"import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); {CALLS[what].replace('REACHED', REACHED)}"
    for name, number in NUMBERS.items():
        code = code.replace(name, str(number))
    assert REACHED in outside(ground, python(code)).stdout
    ended = await inside(ground, python(code))
    assert REACHED not in ended.text


async def test_j6_keys_and_foreign_socket_families_are_refused(ground: Path) -> None:
    code = (
        'import ctypes, os, errno; libc = ctypes.CDLL(None, use_errno=True); '
        f'print(libc.syscall({NUMBERS["KEYCTL"]}, 0, -2, 1), errno.errorcode[ctypes.get_errno()]); '
        'print(libc.socket(40, 1, 0), errno.errorcode[ctypes.get_errno()]); print(libc.socket(2, 1, 0) > 0)'
    )  # fmt: skip
    assert (await inside(ground, python(code))).text == "-1 EPERM\n-1 EAFNOSUPPORT\nTrue\n"


async def test_a_program_has_no_rights_and_can_t_get_any(ground: Path) -> None:
    shown = (await inside(ground, "id; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status")).text.split()
    assert shown[0] == "uid=1000(job)"
    assert shown[3:] == ["CapBnd:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"] or shown[3:] == [
        "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2",
    ]  # fmt: skip


async def test_j7_what_it_leaves_belongs_to_nobody_who_could_run_it_as_root(ground: Path) -> None:
    outcome = await inside(ground, "cp /bin/true . && chmod u+s true && mkfifo pipe && ls -l true")
    assert outcome.code == 0
    info = (ground / "true").stat()
    if os.geteuid() == 0:
        assert info.st_uid > 60_000  # never root, and no user of this host
    else:
        assert info.st_uid == os.geteuid()
    assert stat.S_ISFIFO((ground / "pipe").stat().st_mode)


async def test_more_of_the_host_can_be_read_where_it_is_named(ground: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.txt").write_text(REACHED)
    script = f"cat {tmp_path}/more/a.txt; echo x > {tmp_path}/more/b.txt"
    assert REACHED not in (await inside(ground, script)).text
    assert REACHED in (await inside(ground, script, readable=(tmp_path / "more",))).text
    assert not (tmp_path / "more" / "b.txt").exists()


async def test_two_programs_at_once_are_two_users_where_the_gateway_is_root(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        assert (await inside(tmp_path, "id -u", limits=LIMITS)).text == "1000\n"
        return
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    async with sandboxes() as opened:
        running = [
            await opened.start(Program(argv=("/bin/sh", "-c", "touch mine; sleep 0.5"), folder=folder, limits=LIMITS))
            for folder in folders
        ]
        await asyncio.gather(*(process.wait() for process in running))
        for process in running:
            await process.aclose()
    assert len({(folder / "mine").stat().st_uid for folder in folders}) == 2
