"""`ironclaw model`: shows, tries, connects and forgets a model of the running gateway; a key is never an argument."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, reply
from test_client import environment, run

pytestmark = pytest.mark.process
KEY = "canary-key-5b1d77aa02"


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process().start()


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandInProcess]:
    process = StandInProcess(tmp_path / "stand-in.log")
    yield process
    process.close()


def test_without_a_model_it_says_how_to_connect_one(gateway: GatewayProcess) -> None:
    shown = run(gateway, "model")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("No model is connected")
    assert "ironclaw model use ADDRESS" in shown.stdout
    assert json.loads(run(gateway, "model", "--json").stdout)["state"] == "none"
    listed = run(gateway, "model", "list")
    assert (listed.returncode, listed.stdout) == (0, "")


def test_a_model_is_tried_connected_listed_and_forgotten(gateway: GatewayProcess, stand_in: StandInProcess) -> None:
    tried = run(gateway, "model", "test", stand_in.url)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.startswith(f"hello of 127.0.0.1 at {stand_in.url}/v1 answers (")
    assert gateway.request("GET", "/api/model")[2]["state"] == "none"
    used = run(gateway, "model", "use", stand_in.url, "--model", "echo", "--key-stdin", stdin=f"{KEY}\n")
    assert (used.returncode, used.stderr) == (0, "")
    assert used.stdout == f"ready: echo of 127.0.0.1 at {stand_in.url}/v1 (set by the page)\n"
    assert stand_in.requests()[-1]["headers"]["Authorization"] == f"Bearer {KEY}"
    assert run(gateway, "model").stdout == used.stdout
    assert run(gateway, "model", "list").stdout.split() == ["hello", "echo", "count-20", "think", "obedient"]
    assert run(gateway, "model", "use", "-m", "hello").stdout.startswith("ready: hello of")
    assert run(gateway, "chat", "hi").stdout == "Hello from the model.\n"
    forgotten = run(gateway, "model", "forget")
    assert (forgotten.returncode, forgotten.stdout[:21]) == (0, "No model is connected")
    assert gateway.request("GET", "/api/model")[2]["has_key"] is False


def test_what_does_not_work_ends_with_1_and_says_why_and_the_fix(gateway: GatewayProcess) -> None:
    for command in ("test", "use"):
        done = run(gateway, "model", command, "no-such-host.invalid")
        assert (done.returncode, done.stdout) == (1, "")
        assert "There is no host no-such-host.invalid. Check the spelling" in done.stderr
    assert run(gateway, "model", "use", "two words").returncode == 1
    kept = run(gateway, "model", "use", "127.0.0.1:9", "--no-test")
    assert kept.returncode == 0
    gateway.send("hi")
    gateway.request("POST", "/api/chat/send?wait=20", {"message": "and now"})
    shown = run(gateway, "model")
    assert (shown.returncode, shown.stdout.startswith("unreachable: ")) == (1, True)


@pytest.mark.parametrize("command", ["test", "use"])
def test_a_key_that_is_wanted_is_asked_for_without_showing_it(
    gateway: GatewayProcess, stand_in: StandInProcess, command: str
) -> None:
    stand_in.script("hello", reply('{"error": "key, please"}', status=401), _answer())
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "ironclaw", "model", command, stand_in.url],
        env=environment(gateway),
        encoding="utf-8",
        timeout=20,
    )
    terminal.expect("asks for a key.*Key")
    terminal.waitnoecho()
    terminal.sendline(KEY)
    terminal.expect("ready: hello|hello of 127.0.0.1")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert KEY not in terminal.before
    assert stand_in.requests()[-1]["headers"]["Authorization"] == f"Bearer {KEY}"


def _answer() -> dict[str, object]:
    return reply('data: {"choices": [{"delta": {"content": "OK"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')


def test_without_a_terminal_nothing_is_asked(gateway: GatewayProcess, stand_in: StandInProcess) -> None:
    stand_in.script("hello", reply('{"error": "key, please"}', status=401))
    done = run(gateway, "model", "use", stand_in.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "asks for a key" in done.stderr


def test_a_locked_model_can_not_be_changed(gateway_process: Callable[..., GatewayProcess]) -> None:
    gateway = gateway_process(LLM_BACKEND="builtin").start()
    for arguments in (("use", "tower", "--no-test"), ("forget",)):
        done = run(gateway, "model", *arguments)
        assert (done.returncode, "environment" in done.stderr) == (1, True)


def test_a_gateway_that_is_away_ends_with_69_and_a_refused_token_with_77(gateway: GatewayProcess) -> None:
    for arguments in ((), ("test", "x"), ("use", "x"), ("list",), ("forget",)):
        assert run(gateway, "model", *arguments, IRONCLAW_URL="http://127.0.0.1:9").returncode == 69
        assert run(gateway, "model", *arguments, GATEWAY_AUTH_TOKEN="wrong").returncode == 77


def test_help_says_all_and_no_option_takes_a_key(gateway: GatewayProcess) -> None:
    whole = run(gateway, "model", "--help").stdout
    assert all(word in whole for word in ("test", "use", "list", "forget", "Exit codes", "openrouter", "--json"))
    for command in ("test", "use"):
        shown = run(gateway, "model", command, "--help").stdout
        assert "--key-stdin" in shown
        assert "--model" in shown
        assert run(gateway, "model", command, "x", "--key", KEY).returncode == 2
        assert run(gateway, "model", command, "x", "--api-key", KEY).returncode == 2
