"""`ironclaw chat` and tools that ask: at a terminal a person answers; without one the call waits, as the exit code says."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess
from test_client import environment, run

pytestmark = pytest.mark.process
ASKS = 'call WebFetch {"url": "http://203.0.113.9/page"}'  # a network for documentation: it is never reached


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess], tmp_path: Path) -> Iterator[GatewayProcess]:
    model = StandInProcess(tmp_path / "stand-in.log")
    yield gateway_process(LLM_BASE_URL=f"{model.url}/v1", LLM_MODEL="obedient").start()
    model.close()


def calls(gateway: GatewayProcess) -> list[dict[str, Any]]:
    turns = gateway.request("GET", "/api/chat/history")[2]["turns"]
    return [call for turn in turns for call in turn["tool_calls"]]


@pytest.mark.parametrize(("answer", "allowed"), [("y", True), ("n", False), ("a", True)])
def test_at_a_terminal_the_person_is_asked_and_the_answer_counts(
    gateway: GatewayProcess, answer: str, allowed: bool
) -> None:
    talk = pexpect.spawn(
        sys.executable,
        ["-m", "ironclaw", "chat", ASKS],
        env={**environment(gateway), "TERM": "xterm", "NO_COLOR": "1"},
        encoding="utf-8",
        timeout=15,
    )
    talk.expect("wants to use WebFetch on:\r\n  http://203.0.113.9\r\n")
    talk.expect(r"\[y\]es, \[n\]o, \[a\]lways")
    assert calls(gateway) == []  # nothing has run before the answer
    talk.sendline("maybe")
    talk.expect("not one of")
    talk.sendline(answer)
    talk.expect("Done: ")
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 0
    (call,) = calls(gateway)
    assert (call["preview"] != "not allowed") is allowed
    again = run(gateway, "chat", ASKS, "--thread", "other")
    assert (again.returncode == 0) is (answer == "a")


def test_without_a_terminal_the_call_waits_and_can_be_refused_beforehand(gateway: GatewayProcess) -> None:
    waits = run(gateway, "chat", ASKS)
    assert (waits.returncode, waits.stdout) == (75, "")
    assert "it waits for your answer" in waits.stderr
    assert gateway.request("GET", "/api/status")[2]["pending_approvals"] == 1
    assert run(gateway, "chat", "no").stdout == "Not allowed: WebFetch.\n"
    refused = run(gateway, "chat", ASKS, "--no-approvals", "--thread", "other")
    assert refused.returncode == 0
    assert "nobody can give one here" in refused.stdout
    assert gateway.request("GET", "/api/status")[2]["pending_approvals"] == 0
