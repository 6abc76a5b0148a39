"""`ironclaw jobs`: run, list, show, logs, stop, restart, files and delete against a real gateway."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("jobs-command") / "home", {})
    yield process.start()
    process.kill()


def jobs(
    gateway: GatewayProcess, *words: str, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ironclaw", "jobs", *words]
    env = {**gateway.env, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, timeout=40, cwd=cwd)


def test_run_prints_as_it_comes_and_ends_as_the_command_does(gateway: GatewayProcess, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("from a file\n")
    ran = jobs(gateway, "run", "--file", "a.txt", "-i", "cat a.txt -; echo err >&2; exit 4", stdin="in\n", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (4, "from a file\nin\nerr\n")
    assert "failed: It ended with the exit code 4." in ran.stderr
    several = jobs(gateway, "run", "--title", "echoes", "--", "echo", "a  b", "$HOME")
    assert (several.returncode, several.stdout) == (0, "a  b $HOME\n")
    listed = jobs(gateway, "list", "-n", "1")
    assert listed.stdout.split()[1] == "completed"
    assert listed.stdout.rstrip().endswith("echoes")


def test_a_detached_job_is_followed_stopped_started_again_and_deleted(gateway: GatewayProcess) -> None:
    job = jobs(gateway, "run", "-d", "echo one; mkdir sub; echo x > sub/x; sleep 60").stdout.strip()
    deadline = time.monotonic() + 20
    while jobs(gateway, "logs", job).stdout != "one\n":
        assert time.monotonic() < deadline
    assert jobs(gateway, "stop", job).stdout == f"{job}  stopped\n"
    shown = jobs(gateway, "show", job).stdout
    assert f"id: {job}\n" in shown
    assert "detail: It was stopped by a person.\n" in shown
    assert "sub/" in jobs(gateway, "files", job).stdout
    assert jobs(gateway, "files", job, "sub").stdout.rstrip().endswith("sub/x")
    assert jobs(gateway, "files", job, "sub/x").stdout == "x\n"
    followed = jobs(gateway, "logs", "-f", job)
    assert (followed.stdout, followed.returncode) == ("one\n", 1)
    again = jobs(gateway, "restart", "-d", job).stdout.strip()
    assert again not in {"", job}
    refused = jobs(gateway, "delete", again)
    assert (refused.returncode, "Stop it first" in refused.stderr) == (1, True)
    jobs(gateway, "stop", again)
    assert jobs(gateway, "delete", job, again).returncode == 0
    assert jobs(gateway, "show", job).returncode == 1


def test_ctrl_c_leaves_the_job_running(gateway: GatewayProcess) -> None:
    command = [sys.executable, "-m", "ironclaw", "jobs", "run", "echo up; sleep 60"]
    env = {**gateway.env, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 75
    job = said.split()[1]
    assert jobs(gateway, "show", job).stdout.count("status: running") == 1
    jobs(gateway, "stop", job)


def test_a_command_or_a_task_must_be_given(gateway: GatewayProcess) -> None:
    for words in (("run",), ("run", "--task", "a", "b")):
        assert jobs(gateway, *words).returncode == 2
    no_model = jobs(gateway, "run", "--task", "think")
    assert (no_model.returncode, "language model" in no_model.stderr) == (1, True)
