"""`ironclaw doctor` from inside: each fault is made for real, and the doctor names exactly that one and what to do."""

import contextlib
import json
import os
import re
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backup_home import make_home
from command_line import ironclaw, on_a_small_disk, read_only
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, reply, run_stand_in  # noqa: F401
from process_turns import says

pytestmark = pytest.mark.process

KEY = "sk-test-0123456789abcdef0123456789"


@pytest.fixture
def free_port() -> str:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


@pytest.fixture
def env(free_port: str) -> dict[str, str]:
    """Surroundings in which all is well."""
    return {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": free_port}


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home as a gateway has left it."""
    await make_home(tmp_path / "home", "help")
    return tmp_path / "home"


def examine(home: Path, *arguments: str, prefix: tuple[str, ...] = (), **env: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the findings by their check. The sandbox is another test's matter."""
    done = ironclaw(home, "doctor", "--json", *arguments, prefix=prefix, **env)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    found = {one["check"]: one for one in report["findings"] if one["check"] != "sandbox"}
    return done.returncode, found


def ill(found: dict[str, Any]) -> dict[str, str]:
    return {name: one["state"] for name, one in found.items() if one["state"] != "ok"}


def assert_names(finding: dict[str, Any], what: str, fix: str) -> None:
    assert re.search(what, finding["what"]), finding
    assert re.search(fix, finding["fix"]), finding


def test_a_home_that_is_well_has_no_finding_running_or_not(
    home: Path, gateway_process: Callable[..., GatewayProcess], env: dict[str, str]
) -> None:
    code, found = examine(home, **env)
    assert (code in {0, 1}, ill(found)) == (True, {})  # 1 where there is no sandbox
    gateway = gateway_process(home, GATEWAY_PORT=env["GATEWAY_PORT"]).start()
    code, found = examine(home, **env)
    assert ill(found) == {}
    assert f"answers at {gateway.url}" in found["port"]["what"]


def test_a_machine_where_nothing_was_ever_started_is_well(tmp_path: Path, env: dict[str, str]) -> None:
    _, found = examine(tmp_path / "new", **env)
    assert ill(found) == {}
    assert not (tmp_path / "new").exists()  # looking changes nothing


def test_a_taken_port(home: Path, env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(env["GATEWAY_PORT"]))):
        code, found = examine(home, **env)
    assert (code, ill(found)) == (2, {"port": "failure"})
    assert_names(found["port"], f"Port {env['GATEWAY_PORT']} is taken by another program", "GATEWAY_PORT")


def test_r10_a_read_only_home(home: Path, env: dict[str, str]) -> None:
    code, found = examine(home, prefix=read_only(home), **env)
    assert code == 2
    assert ill(found) == {"home": "failure", "workspace": "failure"}  # the notes are in it
    assert_names(found["home"], "can't be written: Read-only file system", "Mount that disk writable")
    assert found["database"]["state"] == "ok"  # it was read all the same


def test_r05_a_full_disk(home: Path, env: dict[str, str]) -> None:
    code, found = examine(home, prefix=on_a_small_disk(home, "4m", full=True), **env)
    assert code == 2
    assert ill(found) == {"home": "failure", "workspace": "failure", "disk": "failure"}
    assert_names(found["disk"], r"full \(0 MB free\)", "Free some")
    assert_names(found["home"], "No space left on device", "Free space")


def test_a_disk_that_is_nearly_full_is_a_warning(home: Path, env: dict[str, str]) -> None:
    code, found = examine(home, prefix=on_a_small_disk(home, "100m"), **env)
    assert (code, ill(found)) == (1, {"disk": "warning"})
    assert_names(found["disk"], r"Only \d+ MB are free", "Free some")


def test_r04_a_disk_that_fails_to_sync(home: Path, env: dict[str, str]) -> None:
    failing = ("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO")
    code, found = examine(home, prefix=failing, **env)
    assert (code, ill(found)) == (2, {"home": "failure", "workspace": "failure"})
    assert_names(found["home"], "Input/output error", "dmesg")


def test_r08_a_corrupt_database_with_and_without_a_backup_to_put_back(home: Path, env: dict[str, str]) -> None:
    assert ironclaw(home, "backup", "create").returncode == 0
    backup = next((home / "backups").iterdir())
    data = bytearray((home / "ironclaw.db").read_bytes())
    data[8192:40_000] = os.urandom(40_000 - 8192)
    (home / "ironclaw.db").write_bytes(data)
    code, found = examine(home, **env)
    assert (code, ill(found)) == (2, {"database": "failure"})
    assert_names(found["database"], r"ironclaw\.db is damaged", f"ironclaw backup restore --force {backup.name}")
    backup.unlink()
    code, found = examine(home, **env)
    assert_names(found["database"], "damaged", "no backup.*--start-empty")
    # The start sets it aside; the command that the doctor names is then still the right one.
    (home / "ironclaw.db").rename(home / "ironclaw.db.corrupt-20261125T000000")
    code, found = examine(home, **env)
    assert_names(found["database"], "kept as ironclaw.db.corrupt-20261125T000000", "--start-empty")


def test_r11_a_database_of_a_newer_version(home: Path, env: dict[str, str]) -> None:
    with contextlib.closing(sqlite3.connect(home / "ironclaw.db")) as db, db:
        db.execute("INSERT INTO migrations VALUES (9001, 'from the future', '2030-01-01')")
    code, found = examine(home, **env)
    assert (code, ill(found)) == (2, {"database": "failure"})
    assert_names(found["database"], "newer version .schema 9001", "Upgrade")


@pytest.mark.parametrize("token", ["secret", "12345678", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"])
def test_a_weak_token_is_a_warning_at_home_and_a_failure_on_the_network(
    home: Path, env: dict[str, str], token: str
) -> None:
    code, found = examine(home, **{**env, "GATEWAY_AUTH_TOKEN": token})
    assert (code, ill(found)) == (1, {"token": "warning"})
    code, found = examine(home, **{**env, "GATEWAY_AUTH_TOKEN": token, "GATEWAY_HOST": "0.0.0.0"})
    assert (code, ill(found)) == (2, {"token": "failure"})
    assert_names(found["token"], "can be guessed", "openssl rand")
    assert token not in json.dumps(found)


def test_s20_a_home_that_others_can_read(home: Path, env: dict[str, str]) -> None:
    home.chmod(0o755)
    code, found = examine(home, **env)
    assert (code, ill(found)) == (1, {"home": "warning"})
    assert_names(found["home"], "Other users can look into", "chmod 700")
    home.chmod(0o700)
    (home / "ironclaw.db").chmod(0o644)
    assert_names(examine(home, **env)[1]["home"], "Other users can read .*ironclaw.db", "chmod 600")


def test_r27_few_open_files(home: Path, env: dict[str, str]) -> None:
    code, found = examine(home, prefix=("sh", "-c", 'ulimit -n 128; exec "$@"', "sh"), **env)
    assert (code, ill(found)) == (1, {"open files": "warning"})
    assert_names(found["open files"], "Only 128 files.*64 streams", "LimitNOFILE")


def test_a_setting_that_is_not_allowed_and_so_stops_the_start(home: Path) -> None:
    code, found = examine(home, GATEWAY_PORT="abc")
    assert (code, ill(found)) == (2, {"settings": "failure"})
    assert_names(found["settings"], "GATEWAY_PORT is 'abc'", "ironclaw config")


def test_a_part_of_the_running_gateway_that_is_not_well_is_named_with_its_reason(
    home: Path, env: dict[str, str], gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    (tmp_path / "backups").write_text("a file where the folder should be")
    gateway_process(home, BACKUP_DIR=str(tmp_path / "backups"), BACKUP_DELAY="0").start()
    deadline = time.monotonic() + 20
    while "part backup" not in (found := examine(home, **env)[1]):
        assert time.monotonic() < deadline
    assert found["part backup"]["state"] == "warning"
    assert "The last backup failed" in found["part backup"]["what"]


def test_the_sandbox_is_really_tried(home: Path, env: dict[str, str]) -> None:
    def sandbox(prefix: tuple[str, ...] = (), **more: str) -> dict[str, Any]:
        done = ironclaw(home, "doctor", "--json", prefix=prefix, **env, **more)
        return {one["check"]: one for one in json.loads(done.stdout)["findings"]}["sandbox"]  # type: ignore[no-any-return]

    assert "locks a program in" in sandbox()["what"]
    assert "off" in sandbox(SANDBOX="off")["what"]
    missing = sandbox(SANDBOX_READ="/no/such/folder")
    assert missing["state"] == "warning"
    assert "/no/such/folder" in missing["fix"]


# The model


def test_a_model_that_answers(home: Path, env: dict[str, str], stand_in: StandInProcess) -> None:
    stand_in.facts(models=["m1"])
    stand_in.script("m1", says("OK"))
    _, found = examine(home, LLM_BASE_URL=f"{stand_in.url}/v1", LLM_MODEL="m1", LLM_API_KEY=KEY, **env)
    assert ill(found) == {}
    assert "m1 of" in found["model"]["what"]


def test_a_wrong_key(home: Path, env: dict[str, str], stand_in: StandInProcess) -> None:
    stand_in.facts(models=["m1"])
    stand_in.script("m1", reply('{"error": {"message": "bad key"}}', status=401, content_type="application/json"))
    code, found = examine(home, LLM_BASE_URL=f"{stand_in.url}/v1", LLM_MODEL="m1", LLM_API_KEY=KEY, **env)
    assert (code, ill(found)) == (2, {"model": "failure"})
    assert_names(found["model"], "refuses the key", r"\w")
    assert KEY not in json.dumps(found)


def test_a_missing_model(home: Path, env: dict[str, str], stand_in: StandInProcess) -> None:
    stand_in.facts(models=["m1", "m2"])
    stand_in.script(
        "gone", reply('{"error": {"message": "no such model"}}', status=404, content_type="application/json")
    )
    code, found = examine(home, LLM_BASE_URL=f"{stand_in.url}/v1", LLM_MODEL="gone", **env)
    assert (code, ill(found)) == (2, {"model": "failure"})
    assert_names(found["model"], "has no model gone", "m1 and m2")


def test_a_model_that_is_away_and_one_whose_key_is_missing(home: Path, env: dict[str, str], free_port: str) -> None:
    code, found = examine(home, LLM_BASE_URL="http://127.0.0.1:9/v1", **env)
    assert (code, ill(found)) == (2, {"model": "failure"})
    assert_names(found["model"], "no model server listens on port 9", "Start")
    code, found = examine(home, LLM_BACKEND="openai", **env)
    assert_names(found["model"], "needs a key", "does not start")


def test_the_model_of_the_page_is_tried_with_its_stored_key(
    home: Path, env: dict[str, str], stand_in: StandInProcess, gateway_process: Callable[..., GatewayProcess]
) -> None:
    stand_in.facts(models=["m1"])
    stand_in.script("m1", says("OK"))
    gateway = gateway_process(home).start()
    body = {"address": f"{stand_in.url}/v1", "model": "m1", "api_key": KEY}
    assert gateway.request("PUT", "/api/model", body)[0] == 200
    before = len(stand_in.requests())
    _, found = examine(home, **env)
    assert found["model"]["state"] == "ok"
    asked = stand_in.requests()[before:]
    assert [one["headers"].get("authorization", one["headers"].get("Authorization")) for one in asked] == [
        f"Bearer {KEY}"
    ]


# How it is said


def test_each_finding_is_one_line_and_colours_are_for_terminals_only(home: Path, env: dict[str, str]) -> None:
    done = ironclaw(home, "doctor", GATEWAY_AUTH_TOKEN="secret", **env)
    lines = done.stdout.splitlines()
    assert all(re.match(r"(ok  |WARN|FAIL)  \S", line) for line in lines)
    assert any(line.startswith("WARN  token") for line in lines)
    assert "\x1b" not in done.stdout
    assert "warning" in done.stderr
    assert done.returncode == 1
    colored = ironclaw(home, "doctor", GATEWAY_AUTH_TOKEN="secret", FORCE_COLOR="1", **env)
    assert "\x1b[" in colored.stdout
