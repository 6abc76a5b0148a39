"""The start: what is damaged, taken, missing or misspelt is said in one clear message, and nothing is harmed by it."""

import contextlib
import json
import os
import re
import shlex
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
CONFIG = 78


def refused(
    gateway: GatewayProcess, *args: str, code: int = CONFIG, seconds: float = 10.0, prefix: tuple[str, ...] = ()
) -> str:
    """Start it, expecting that it ends by itself with *code* and a message; what it printed."""
    begin = len(gateway.log)
    gateway.spawn(*args, prefix=prefix)
    found = gateway.wait(seconds)
    said = gateway.log[begin:]
    assert "Traceback" not in said, said
    assert found == code, said
    assert "ironclaw: " in said, said
    return said


def ask_a_lot(gateway: GatewayProcess, count: int = 8) -> list[str]:
    return [gateway.send(f"message {number}", thread_id="a", wait=True)["message_id"] for number in range(count)]


def turns(gateway: GatewayProcess) -> list[str]:
    status, _, body = gateway.request("GET", "/api/chat/history?thread_id=a")
    assert status in {200, 404}, body
    return [turn["message_id"] for turn in body.get("turns", [])]


# R08: damage


def garble(path: Path, start: int, length: int) -> None:
    data = bytearray(path.read_bytes())
    data[start : start + length] = os.urandom(len(data[start : start + length]))
    path.write_bytes(data)


def test_r08_flipped_bytes_are_refused_with_two_commands_and_the_file_is_kept(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    ask_a_lot(gateway)
    gateway.terminate()
    assert gateway.wait() == 0
    database = gateway.home / "ironclaw.db"
    garble(database, 4096, 3 * 4096)
    damaged = database.read_bytes()
    for _ in range(2):  # nor does the second start begin anew
        said = refused(gateway)
        kept = re.search(r"kept as (\S+\.corrupt-\S+);", said)
        assert kept
        assert Path(kept[1]).read_bytes() == damaged
        assert f"cp YOUR-COPY {database}" in said
        assert "ironclaw run --start-empty" in said
        assert not database.exists()
    gateway.start("--start-empty")
    assert turns(gateway) == []
    assert Path(kept[1]).read_bytes() == damaged
    assert gateway.send("hello", wait=True)["state"] == "completed"


def test_r08_a_copy_put_back_as_the_message_says_is_taken_up(gateway_process: MakeProcess, tmp_path: Path) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    sent = ask_a_lot(gateway, 2)
    gateway.terminate()
    gateway.wait()
    database = gateway.home / "ironclaw.db"
    copy = tmp_path / "copy.db"
    copy.write_bytes(database.read_bytes())
    garble(database, 0, 100)
    command = re.search(r"(cp YOUR-COPY \S+) &&", refused(gateway))
    assert command
    subprocess.run(command[1].replace("YOUR-COPY", str(copy)).split(), check=True)
    gateway.start()
    assert turns(gateway) == sent


@pytest.mark.parametrize("damage", ["garbage", "garbage in the middle", "cut in half", "emptied", "gone"])
def test_r08_a_damaged_write_ahead_log_never_loses_messages_silently(gateway_process: MakeProcess, damage: str) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    sent = ask_a_lot(gateway)
    gateway.kill()
    wal = gateway.home / "ironclaw.db-wal"
    size = wal.stat().st_size
    match damage:
        case "garbage":
            garble(wal, 0, size)
        case "garbage in the middle":
            garble(wal, size // 2, 4096)
        case "cut in half":
            os.truncate(wal, size // 2)
        case "emptied":
            os.truncate(wal, 0)
        case "gone":
            wal.unlink()
    begin = len(gateway.log)
    process = gateway.spawn()
    while process.poll() is None and "Open http" not in gateway.log[begin:]:
        time.sleep(0.02)
    said = gateway.log[begin:]
    assert "Traceback" not in said
    if process.poll() is None:
        gateway.kill()
        gateway.start()
        if turns(gateway) != sent:
            assert re.search(r"\[(WARN|ERROR)\]", said), "it began anew, or lost messages, without a word"
    else:
        assert process.returncode == CONFIG
        assert "--start-empty" in said
        assert list(gateway.home.glob("ironclaw.db.corrupt-*"))


def test_r08_a_torn_end_of_the_write_ahead_log_costs_nothing(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    sent = ask_a_lot(gateway)
    gateway.kill()
    with (gateway.home / "ironclaw.db-wal").open("ab") as wal:
        wal.write(os.urandom(3000))  # a commit that was under way when the power went
    gateway.start()
    assert turns(gateway) == sent


def test_a_program_that_looks_into_the_database_and_leaves_takes_nothing_away(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    gateway.start()
    ask_a_lot(gateway, 2)
    with contextlib.closing(sqlite3.connect(gateway.home / "ironclaw.db")) as other:
        assert other.execute("SELECT count(*) FROM turns").fetchone() == (2,)
    sent = ask_a_lot(gateway, 2)
    gateway.kill()
    gateway.start()
    assert len(turns(gateway)) == 4
    assert turns(gateway)[-2:] == sent


def test_r11_a_database_of_a_newer_version_is_refused_and_left_as_it_is(gateway_process: MakeProcess) -> None:
    gateway = gateway_process().start()
    gateway.terminate()
    gateway.wait()
    database = gateway.home / "ironclaw.db"
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT INTO migrations VALUES (9001, 'from the future', '2030-01-01')")
    said = refused(gateway)
    assert "newer version" in said
    assert "9001" in said
    with contextlib.closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT count(*) FROM migrations WHERE number = 9001").fetchone()[0] == 1
    assert not list(gateway.home.glob("*.corrupt-*"))


# R09: taken


def test_r09_a_second_gateway_on_one_home_is_told_the_pid_of_the_first_which_goes_on(
    gateway_process: MakeProcess,
) -> None:
    first = gateway_process(BUILTIN_WORD_DELAY="0").start()
    sent = ask_a_lot(first, 1)
    second = gateway_process()
    second.env["IRONCLAW_HOME"] = str(first.home)
    second.log_path = first.home.parent / "second.log"
    assert first.process is not None
    started = time.monotonic()
    said = refused(second, seconds=5)
    assert time.monotonic() - started < 2.0
    assert f"pid {first.process.pid}" in said
    assert json.loads((first.home / "gateway.json").read_text())["pid"] == first.process.pid
    assert turns(first) == sent
    assert first.send("still there?", wait=True)["state"] == "completed"


@contextlib.contextmanager
def taken_ports(how: str) -> Iterator[int]:
    """One port that is taken; with *how* `two in a row` the next one too, with `the last` it is the highest there is."""
    with contextlib.ExitStack() as stack:
        if how == "the last":
            stack.enter_context(socket.create_server(("127.0.0.1", 65535)))
            yield 65535
            return
        for _ in range(100):
            port = int(stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1])
            try:
                next_one = stack.enter_context(socket.create_server(("127.0.0.1", port + 1)))
            except (OSError, OverflowError):
                continue
            if how.startswith("one"):
                next_one.close()
            yield port
            return
        raise AssertionError("no two free ports in a row")


@pytest.mark.parametrize("how", ["one", "two in a row", "the last", "one, for the command of a venv"])
def test_r09_a_taken_port_is_said_in_one_line_whose_command_works(
    gateway_process: MakeProcess, tmp_path: Path, how: str
) -> None:
    gateway = gateway_process()
    prefix: tuple[str, ...] = ()
    if "venv" in how:  # what pip puts into a venv's bin, which is not in the PATH of whoever says `make run`
        script = tmp_path / "ironclaw"
        script.write_text(f"#!{sys.executable}\nfrom ironclaw.cli import main\nmain()\n")
        script.chmod(0o755)
        prefix = ("sh", "-c", f"exec {script} run")
    with taken_ports(how) as port:
        gateway.env["GATEWAY_PORT"] = str(port)
        said = refused(gateway, code=1, prefix=prefix)
        lines = [line for line in said.splitlines() if line.startswith("ironclaw: ")]
        assert len(lines) == 1
        assert f"port {port} is taken" in lines[0]
        assert_command_starts(gateway, lines[0])


def test_an_address_that_is_not_ours_is_said_in_one_line_whose_command_works(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_HOST="192.0.2.1")
    said = refused(gateway, code=1)
    assert "192.0.2.1" in said
    assert_command_starts(gateway, said.splitlines()[-1])


def assert_command_starts(gateway: GatewayProcess, line: str) -> None:
    """Run the command at the end of *line* as a person would, in the shell that started the gateway."""
    command = re.search(r": ([^:]*\brun --\S+ \S+)$", line)
    assert command, line
    with gateway.log_path.open("ab") as log:
        gateway.process = subprocess.Popen(
            shlex.split(command[1]),
            env=gateway.env,
            cwd=gateway.home.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 10
    while "Open http" not in gateway.log:
        assert gateway.process.poll() is None, gateway.log
        assert time.monotonic() < deadline
        time.sleep(0.02)
    gateway.terminate()
    assert gateway.wait() == 0


def test_a_host_that_is_no_name_is_said_without_a_traceback(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_HOST="bad..host")
    gateway.spawn()
    assert gateway.wait() in {1, CONFIG}
    assert "Traceback" not in gateway.log
    assert "bad..host" in gateway.log


# R10: the home, and values (which values are bad is in test_settings.py)


def test_r10_a_missing_home_is_made_for_its_owner_only(gateway_process: MakeProcess, tmp_path: Path) -> None:
    gateway = gateway_process(home=tmp_path / "deep" / "er")
    gateway.home.parent.mkdir()  # the log of the test stands there; the home itself is missing
    gateway.start()
    assert stat.S_IMODE(gateway.home.stat().st_mode) == 0o700


@pytest.mark.parametrize("home", ["file/home", "/proc/ironclaw", "~nobody-of-this-name/x"])
def test_r10_a_home_that_cannot_be_written_is_named_with_its_variable(
    gateway_process: MakeProcess, tmp_path: Path, home: str
) -> None:
    (tmp_path / "file").touch()
    gateway = gateway_process()
    gateway.env["IRONCLAW_HOME"] = home
    said = refused(gateway)
    assert "IRONCLAW_HOME" in said
    assert home.removeprefix("~") in said


@pytest.mark.parametrize("part", ["ironclaw.db", "token", "lock"])
def test_r10_a_folder_where_a_file_belongs_is_named(gateway_process: MakeProcess, part: str) -> None:
    gateway = gateway_process()
    (gateway.home / part).mkdir(parents=True)
    said = refused(gateway)
    assert str(gateway.home) in said
    assert "listen" not in said  # the address is not to blame


def test_r10_a_workspace_that_is_a_file_is_named_with_its_variable(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    said = refused(gateway_process(IRONCLAW_WORKSPACE=str(tmp_path / "file")))
    assert "IRONCLAW_WORKSPACE" in said


def test_r10_a_token_file_that_is_no_text_is_named(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    gateway.home.mkdir()
    (gateway.home / "token").write_bytes(b"\xff\xfe\x00")
    assert str(gateway.home / "token") in refused(gateway)


def test_r10_a_bad_value_stops_the_start_with_variable_value_and_what_is_allowed(gateway_process: MakeProcess) -> None:
    said = refused(gateway_process(GATEWAY_PORT="abc"))
    assert said == "ironclaw: GATEWAY_PORT is 'abc', but it must be a port from 0 (any free one) to 65535.\n"


def test_r10_a_bad_flag_is_named_as_it_was_given(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    said = refused(gateway, "--log-level", "loud")
    assert "--log-level (LOG_LEVEL) is 'loud'" in said
    assert "trace, debug, info, warn, error" in said
    assert not gateway.home.exists()  # nothing was touched yet


# R07, R27: surroundings


def test_r07_a_log_that_nobody_reads_does_not_stop_it(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN="a-token-of-the-test", BUILTIN_WORD_DELAY="0")
    gateway.process = subprocess.Popen(
        [sys.executable, "-m", "ironclaw", "run"],
        env=gateway.env,
        cwd=gateway.home.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert gateway.process.stderr is not None
    assert b"Web Gateway started" in gateway.process.stderr.readline()
    gateway.process.stderr.close()  # `2>&1 | head -1`
    deadline = time.monotonic() + 10
    while not (gateway.home / "gateway.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    gateway.port = int(json.loads((gateway.home / "gateway.json").read_text())["url"].rpartition(":")[2])
    for number in range(20):
        gateway.request("GET", f"/api/{number}")
        assert gateway.send("help", wait=True)["state"] == "completed"
        time.sleep(0.02)  # over several flushes of the request log
    gateway.terminate()
    assert gateway.wait() == 0


def test_r27_with_few_descriptors_it_says_how_many_streams_there_are_and_keeps_that_word(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process().start(prefix=("sh", "-c", 'ulimit -n 128; exec "$@"', "sh"))
    announced = re.search(r"\[WARN\] Only 128 open files are allowed, so at most (\d+) streams are", gateway.log)
    assert announced
    most = int(announced[1])
    assert 16 <= most < 128
    streams = [gateway.open_events() for _ in range(most)]
    status, headers, body = gateway.request("GET", "/api/chat/events")
    assert (status, body["error"]["code"]) == (503, "too_many_streams")
    assert int(headers["retry-after"]) >= 1
    assert gateway.send("help", wait=True)["state"] == "completed"
    assert gateway.request("GET", "/")[0] == 200
    streams.pop().close()
    deadline = time.monotonic() + 5
    while gateway.request("GET", "/api/status")[2]["active_sessions"] == most:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    streams.append(gateway.open_events())
    for stream in streams:
        stream.close()
    assert "Traceback" not in gateway.log
    assert "Too many open files" not in gateway.log


def test_a_workspace_with_something_in_it_is_never_seeded(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    workspace = gateway.home / "workspace"
    workspace.mkdir(parents=True)
    (workspace / ".hidden").write_text("mine")
    gateway.start()
    assert [(path.name, path.read_text()) for path in workspace.iterdir()] == [(".hidden", "mine")]
