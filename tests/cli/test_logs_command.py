"""`ironclaw logs` against a running gateway: the last lines, those that come, filters, and the level."""

import json
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("logs") / "home", {"BUILTIN_WORD_DELAY": "0"})
    yield process.start()
    process.kill()


def command(gateway: GatewayProcess, *arguments: str) -> "tuple[list[str], dict[str, str]]":
    env = {name: gateway.env[name] for name in ("PATH", "PYTHONPATH", "HOME", "IRONCLAW_HOME")}
    return [sys.executable, "-m", "ironclaw", "logs", *arguments], env


def logs(gateway: GatewayProcess, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    line, env = command(gateway, *arguments)
    return subprocess.run(line, env={**env, **more}, capture_output=True, text=True, timeout=30)


def test_the_last_lines_are_printed_as_on_the_terminal_and_as_json(gateway: GatewayProcess) -> None:
    shown = logs(gateway)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert " ironclaw: Web Gateway started at " in shown.stdout
    as_json = [json.loads(line) for line in logs(gateway, "--json").stdout.splitlines()]
    assert as_json[0]["message"].startswith("Web Gateway started")
    assert list(as_json[0]) == ["level", "message", "timestamp", "logger", "id"]
    assert len(logs(gateway, "-n", "1").stdout.splitlines()) == 1
    assert logs(gateway, "-n", "0").stdout == ""


def test_the_level_is_shown_and_set_and_lines_are_chosen(gateway: GatewayProcess) -> None:
    assert logs(gateway, "level").stdout == "info\n"
    assert logs(gateway, "level", "DEBUG").stdout == "debug\n"
    assert logs(gateway, "level").stdout == "debug\n"
    gateway.send("help", wait=True)
    found = logs(gateway, "--level", "debug", "--query", "PROCESSING").stdout.splitlines()
    assert found
    assert all(line.startswith("[DEBUG] ") and "Processing message" in line for line in found)
    assert logs(gateway, "--level", "error").stdout == ""
    assert all(" ironclaw.chat." in line for line in logs(gateway, "--logger", "ironclaw.chat").stdout.splitlines())
    wrong = logs(gateway, "level", "loud")
    assert (wrong.returncode, "trace" in wrong.stderr) == (2, True)
    coloured = logs(gateway, "--level", "debug", "--query", "processing", FORCE_COLOR="1").stdout
    assert coloured.startswith("\x1b[2m[DEBUG] ")


def test_following_goes_on_until_it_is_interrupted(gateway: GatewayProcess) -> None:
    line, env = command(gateway, "-f", "-n", "0", "--logger", "ironclaw.requests", "--query", "(no route) 404")
    with subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        for _ in range(3):
            come: list[object] = []
            while not come:  # it says nothing of when it begins to listen
                assert gateway.request("GET", "/api/nowhere")[0] == 404
                come, _, _ = select.select([following.stdout], [], [], 1.0)
            assert "GET (no route) 404" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=20)
        assert (following.returncode, said) == (0, "")


def test_without_a_gateway_it_says_so(gateway_process: Callable[..., GatewayProcess]) -> None:
    gone = logs(gateway_process(GATEWAY_AUTH_TOKEN="t" * 20))
    assert gone.returncode == 69
    assert "no gateway runs on" in gone.stderr
