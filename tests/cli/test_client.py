"""The commands that talk to a running gateway: what they print where, and how they end."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process().start()


@pytest.fixture
def slow(gateway_process: Callable[..., GatewayProcess], tmp_path: Path) -> GatewayProcess:
    workspace = tmp_path / "home" / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "long.md").write_text(" ".join(f"word{number}" for number in range(400)) + "\n")
    return gateway_process(BUILTIN_WORD_DELAY="0.3", GATEWAY_SHUTDOWN_GRACE="0.2").start()


def environment(gateway: GatewayProcess, **more: str) -> dict[str, str]:
    keep = {name: gateway.env[name] for name in ("PATH", "PYTHONPATH", "HOME", "IRONCLAW_HOME")}
    return {**keep, **more}


def run(
    gateway: GatewayProcess, *arguments: str, stdin: str | None = None, **env: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ironclaw", *arguments],
        env=environment(gateway, **env),
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_piped_text_goes_behind_the_message_and_only_the_answer_comes_out(gateway: GatewayProcess) -> None:
    done = run(gateway, "chat", "note:", stdin="first line\nsecond line\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Added to daily/")
    turns = gateway.request("GET", "/api/chat/history")[2]["turns"]
    assert turns[-1]["user_message"] == "note:\n\nfirst line\nsecond line"


@pytest.mark.parametrize("arguments", [("chat", "help"), ("chat", "-m", "help"), ("chat", "--thread", "t1", "help")])
def test_text_comes_as_argument_or_option(gateway: GatewayProcess, arguments: tuple[str, ...]) -> None:
    done = run(gateway, *arguments)
    assert done.returncode == 0, done.stderr
    assert "find TODO" in done.stdout
    if "--thread" in arguments:
        assert len(gateway.request("GET", "/api/chat/history?thread_id=t1")[2]["turns"]) == 1


def test_json_is_one_document_with_answer_and_usage(gateway: GatewayProcess) -> None:
    done = run(gateway, "chat", "--json", "--no-approvals", "help")
    reply = json.loads(done.stdout)
    assert (done.returncode, reply["ok"], reply["state"]) == (0, True, "completed")
    assert reply["response"]["usage"]["total_tokens"] > 0


def test_files_go_along_or_it_is_said_why_not(gateway: GatewayProcess, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("milk")
    done = run(gateway, "chat", "-f", str(tmp_path / "list.txt"), "what is it?")
    assert done.returncode == 1
    assert "Connect a language model first" in done.stderr  # it arrived: only a model can read it
    assert run(gateway, "chat", "-f", str(tmp_path / "none.txt"), "what?").returncode == 2


def test_no_text_is_a_usage_error(gateway: GatewayProcess) -> None:
    assert run(gateway, "chat").returncode == 2
    assert run(gateway, "chat", "--nope", "x").returncode == 2


def test_a_gateway_that_is_not_there_ends_with_69(gateway: GatewayProcess, tmp_path: Path) -> None:
    for env in ({"IRONCLAW_URL": "http://127.0.0.1:9"}, {"IRONCLAW_HOME": str(tmp_path / "other")}):
        done = run(gateway, "chat", "x", **env, GATEWAY_AUTH_TOKEN="t")
        assert done.returncode == 69, done.stderr
        assert done.stdout == ""
        assert "ironclaw" in done.stderr


def test_a_refused_token_ends_with_77_and_says_where_the_right_one_is(gateway: GatewayProcess) -> None:
    done = run(gateway, "status", GATEWAY_AUTH_TOKEN="wrong")
    assert done.returncode == 77
    assert "ironclaw token show" in done.stderr
    assert "wrong" not in done.stderr


def test_a_bad_setting_ends_with_78(gateway: GatewayProcess) -> None:
    assert run(gateway, "status", GATEWAY_PORT="many").returncode == 78


def test_an_answer_that_is_cut_off_by_a_shutdown_ends_with_75(slow: GatewayProcess) -> None:
    done: list[subprocess.CompletedProcess[str]] = []
    asking = threading.Thread(target=lambda: done.append(run(slow, "chat", "read long.md")))
    asking.start()
    wait_until_running(slow)
    slow.terminate()
    asking.join(20)
    assert done[0].returncode == 75, done[0].stderr
    assert "word0" in done[0].stdout


def test_an_answer_that_somebody_stops_ends_with_1(slow: GatewayProcess) -> None:
    done: list[subprocess.CompletedProcess[str]] = []
    asking = threading.Thread(target=lambda: done.append(run(slow, "chat", "--thread", "t", "read long.md")))
    asking.start()
    wait_until_running(slow, "?thread_id=t")
    slow.request("POST", "/api/chat/stop", {"thread_id": "t"})
    asking.join(20)
    assert (done[0].returncode, "stopped" in done[0].stderr) == (1, True)


def wait_until_running(gateway: GatewayProcess, query: str = "") -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        status, _, page = gateway.request("GET", f"/api/chat/history{query}")
        if status == 200 and page["in_progress"] and "word0" in page["in_progress"]["content"]:
            return
        time.sleep(0.05)
    raise AssertionError("no turn runs")


def test_status_speaks_and_gives_json(gateway: GatewayProcess) -> None:
    done = run(gateway, "status")
    assert (done.returncode, done.stdout.startswith("healthy: IronClaw")) == (0, True)
    assert json.loads(run(gateway, "status", "--json").stdout)["status"] == "healthy"


def test_config_shows_each_setting_with_its_source_and_masks_the_token(gateway: GatewayProcess) -> None:
    done = run(gateway, "config", "--json", GATEWAY_AUTH_TOKEN="very-secret", GATEWAY_PORT="3999")
    found = json.loads(done.stdout)
    assert found["GATEWAY_PORT"] == {"value": "3999", "source": "environment"}
    assert found["GATEWAY_AUTH_TOKEN"] == {"value": "***", "source": "environment"}
    assert "very-secret" not in done.stdout + run(gateway, "config", GATEWAY_AUTH_TOKEN="very-secret").stdout


def test_completion_scripts_are_printed_for_each_shell(gateway: GatewayProcess) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "ironclaw" in run(gateway, "completion", shell).stdout


def test_help_loads_neither_the_server_nor_the_client_library() -> None:
    code = """
import sys
import ironclaw.cli

sys.argv = ["ironclaw", "--help"]
try:
    ironclaw.cli.main()
except SystemExit:
    pass
assert not {"aiohttp", "asyncio"} & set(sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20).returncode == 0


def test_talking_on_a_terminal_answers_stops_and_remembers(slow: GatewayProcess) -> None:
    slow.send("what time is it?", wait=True)
    talk = pexpect.spawn(
        sys.executable,
        ["-m", "ironclaw", "chat"],
        env={**environment(slow), "TERM": "xterm", "NO_COLOR": "1"},
        encoding="utf-8",
        timeout=30,
    )
    talk.expect("what time is it")  # the last turns are shown
    talk.expect("UTC")
    talk.expect("\n> ")
    talk.sendline("read long.md")
    talk.expect("word3 ")
    talk.sendintr()
    talk.expect("Stopped")
    talk.expect("> ")
    talk.sendline("/status")
    talk.expect("model: none connected")
    talk.expect("> ")
    talk.sendeof()
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 0
    states = [turn["state"] for turn in slow.request("GET", "/api/chat/history")[2]["turns"]]
    assert states == ["completed", "stopped", "completed"]


def test_on_a_terminal_run_shows_a_link_and_a_curl_line_that_works(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IRONCLAW_HOME": str(tmp_path / "home"), "TERM": "xterm"}
    env["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    arguments = ["-m", "ironclaw", "run", "--port", "0", "--host", "127.0.0.1"]
    program = pexpect.spawn(sys.executable, arguments, env=env, encoding="utf-8", timeout=15)
    program.expect(r"Open (http://127\.0\.0\.1:\d+/#token=\w{32})")
    program.expect(r"(curl [^\r\n]+)")
    line = program.match.group(1)
    done = subprocess.run(["sh", "-c", f"{line} -s"], capture_output=True, text=True, timeout=10)
    assert json.loads(done.stdout)["status"] == "healthy"
    program.sendintr()
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == 0
