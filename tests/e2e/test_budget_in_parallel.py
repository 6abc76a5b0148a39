"""A budget under load, with a hosted model of known price: what is recorded never passes the cap, whoever sends at once.

The gateway is set up for OpenAI as its owner would do it (a backend, a key, a proxy), so that its prices are the real ones;
the proxy leads to the stand-in, which speaks TLS under OpenAI's name.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, chunk, reply, run_stand_in, sse  # noqa: F401
from process_turns import ENDS, KEY, history, hosted, says, turn

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
MODEL = "gpt-4o-mini"
CENT = 0.01
USAGE = (1500, 4096)  # tokens in, and as many out as a call may have while there is a budget
COST = (1500 * 0.15 + 4096 * 0.60) / 1_000_000  # dollars, at what OpenAI asks for a million of each
SENDERS = 10
_FRONT = Path(__file__).parents[1] / "llm" / "hosted_front.py"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cert.pem and key.pem, for OpenAI's name and signed by themselves."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=stand-in"
    names = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:api.openai.com"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True, timeout=30)
    return folder


@pytest.fixture
def openai(stand_in: StandInProcess, certificate: Path) -> Iterator[dict[str, str]]:
    """The environment of a gateway whose model is OpenAI's, which is the stand-in."""
    command = [sys.executable, str(_FRONT), str(certificate / "cert.pem"), str(certificate / "key.pem")]
    with subprocess.Popen([*command, str(stand_in.port)], stdout=subprocess.PIPE, text=True) as front:
        assert front.stdout is not None
        try:
            yield {
                "LLM_BACKEND": "openai",
                "OPENAI_API_KEY": KEY,
                "LLM_MODEL": MODEL,
                "HTTPS_PROXY": front.stdout.readline().strip(),
                "SSL_CERT_FILE": str(certificate / "cert.pem"),
            }
        finally:
            front.kill()


def cap(gateway: GatewayProcess, day_usd: float | None) -> None:
    assert gateway.request("PUT", "/api/budget", {"day_usd": day_usd, "month_usd": None})[0] == 200


def day(gateway: GatewayProcess) -> dict[str, Any]:
    """Today's budget as it is now, its sums inside the cap."""
    found = gateway.request("GET", "/api/budget")[2]["day"]
    assert found["spent_usd"] + found["reserved_usd"] <= found["limit_usd"]
    return found  # type: ignore[no-any-return]


def held(usage: tuple[int, int]) -> dict[str, Any]:
    """A reply of the model that comes when the test lets it."""
    counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return reply({"hold": "all"}, sse(chunk("Dear."), chunk(finish="stop"), {"choices": [], "usage": counted}))


def wait_until_all_asked_or_refused(gateway: GatewayProcess, stand_in: StandInProcess) -> None:
    """Until each of the turns that were sent has either reached the model or ended."""
    deadline = time.monotonic() + 20
    while True:
        threads = gateway.request("GET", "/api/chat/threads")[2]["threads"]
        failed = [one for one in threads if one["state"] == "failed"]
        if len(failed) + len(stand_in.requests()) == SENDERS:
            return
        assert time.monotonic() < deadline, threads
        time.sleep(0.02)


def test_ten_that_send_at_once_never_pass_a_cap_and_go_on_once_it_is_raised(
    gateway_process: MakeProcess, stand_in: StandInProcess, openai: dict[str, str]
) -> None:
    stand_in.script(MODEL, held(USAGE))
    gateway = gateway_process(**openai).start()
    cap(gateway, CENT)
    with ThreadPoolExecutor(SENDERS) as pool:
        sent = [pool.submit(turn, gateway, "write me a book", f"t{number}") for number in range(SENDERS)]
        try:
            wait_until_all_asked_or_refused(gateway, stand_in)
            assert day(gateway)["reserved_usd"] > 0
        finally:
            stand_in.release("all")
        ends = [one.result()[-1] for one in sent]
    answered = [end for end in ends if end["type"] == "response"]
    check_refused([end for end in ends if end["type"] != "response"])
    asked = stand_in.requests()
    assert len(asked) == len(answered) > 1
    assert {one["body"]["max_completion_tokens"] for one in asked} == {USAGE[1]}
    assert [end["cost_usd"] for end in answered] == [pytest.approx(COST)] * len(answered)
    assert day(gateway)["spent_usd"] == pytest.approx(len(answered) * COST, abs=1e-6)
    assert day(gateway)["reserved_usd"] == 0

    check_refused([turn(gateway, "one more", "t0")[-1]])  # what is left is less than it may cost
    assert len(stand_in.requests()) == len(answered)
    cap(gateway, 2 * CENT)
    assert turn(gateway, "and now?", "t0")[-1]["type"] == "response"
    assert day(gateway)["spent_usd"] == pytest.approx((len(answered) + 1) * COST, abs=1e-6)

    calls = len(answered) + 1
    gateway.terminate()  # at once: what is not on disk yet must get there on the way out
    assert gateway.wait() == 0
    gateway.start()
    check_sums(gateway, calls)
    assert day(gateway)["spent_usd"] == pytest.approx(calls * COST, abs=1e-6)
    states = [one["state"] for number in range(SENDERS) for one in history(gateway, f"t{number}")]
    assert (states.count("completed"), states.count("failed")) == (calls, SENDERS - calls + 2)


def check_refused(ends: list[dict[str, Any]]) -> None:
    """Turns that were refused for the budget say so in a plain sentence, and have used nothing."""
    assert ends
    for end in ends:
        assert (end["type"], end["code"]) == ("turn_failed", "budget_spent")
        assert "more than is left of today's budget of $0.01" in end["message"]
        assert "Raise it under System, or with PUT /api/budget; it starts anew at midnight." in end["message"]
        assert (end["usage"]["total_tokens"], end["content"]) == (0, "")


def check_sums(gateway: GatewayProcess, calls: int) -> None:
    """The sums are those of what the model has said."""
    sums = gateway.request("GET", "/api/status")[2]["token_usage"]
    assert sums["total_tokens"] == calls * sum(USAGE)
    assert sums["estimated_cost_usd"] == pytest.approx(calls * COST, abs=1e-6)
    assert sums["unpriced_tokens"] == 0
    [model] = gateway.request("GET", "/api/usage")[2]["by_model"]
    assert (model["provider"], model["model"], model["priced_by"]) == ("openai", MODEL, ["prices"])
    assert (model["calls"], model["total_tokens"]) == (calls, calls * sum(USAGE))


def test_senders_that_do_not_stop_spend_up_to_the_cap_and_no_further(
    gateway_process: MakeProcess, stand_in: StandInProcess, openai: dict[str, str]
) -> None:
    stand_in.script(MODEL, says("Dear.", usage=USAGE))
    gateway = gateway_process(**openai).start()
    cap(gateway, 3 * CENT)

    def send(number: int) -> list[str]:
        return [turn(gateway, f"page {page}", f"t{number}")[-1]["type"] for page in range(4)]

    with ThreadPoolExecutor(SENDERS) as pool:
        ends = [end for some in pool.map(send, range(SENDERS)) for end in some]
    assert set(ends) == {"response", "turn_failed"}
    found = day(gateway)
    assert found["spent_usd"] == pytest.approx(ends.count("response") * COST, abs=1e-6)
    assert found["limit_usd"] - found["spent_usd"] < 2 * COST  # and it was made use of
    assert len(stand_in.requests()) == ends.count("response")


def test_a_budget_that_is_spent_refuses_a_message_with_402_before_it_is_kept(
    gateway_process: MakeProcess, stand_in: StandInProcess, openai: dict[str, str]
) -> None:
    stand_in.script(MODEL, says("Dear.", usage=USAGE))
    gateway = gateway_process(**openai).start()
    assert turn(gateway, "hi")[-1]["type"] == "response"
    cap(gateway, 0.002)  # less than is spent
    for query in ("", "?wait"):
        status, _, body = gateway.request("POST", f"/api/chat/send{query}", {"message": "more", "thread_id": "a"})
        assert (status, body["error"]["code"]) == (402, "budget_spent")
        assert body["error"]["message"].startswith("Today's budget of $0.002 is spent ($0.002683).")
    assert len(history(gateway)) == 1
    assert turn(gateway, "/find Dear")[-1]["type"] == "response"  # what costs nothing still works
    cap(gateway, None)
    assert turn(gateway, "hi")[-1]["type"] == "response"


def test_a_model_of_unknown_price_is_not_called_while_there_is_a_budget_unless_that_is_allowed(
    gateway_process: MakeProcess, stand_in: StandInProcess
) -> None:
    gateway = gateway_process(**hosted(stand_in, "hello")).start()
    cap(gateway, CENT)
    end = turn(gateway, "hi")[-1]
    assert (end["type"], end["code"]) == ("turn_failed", "price_unknown")
    assert "BUDGET_UNKNOWN_PRICE=allow" in end["message"]
    assert stand_in.requests() == []
    gateway.terminate()
    assert gateway.wait() == 0
    gateway.env["BUDGET_UNKNOWN_PRICE"] = "allow"
    gateway.start()
    assert turn(gateway, "hi")[-1]["content"] == "Hello from the model."
    assert gateway.request("GET", "/api/status")[2]["token_usage"]["unpriced_tokens"] == 17


def test_a_stopped_reply_frees_what_was_reserved_and_is_counted_by_what_was_read(
    gateway_process: MakeProcess, stand_in: StandInProcess, openai: dict[str, str]
) -> None:
    words = sse(*(chunk("word ") for _ in range(100)), done=False)
    stand_in.script(MODEL, reply(words, {"hang": True}))
    gateway = gateway_process(**openai).start()
    cap(gateway, CENT)
    stream = gateway.open_events()
    gateway.send("hi", thread_id="a")
    stream.until("stream_chunk")
    assert day(gateway)["reserved_usd"] > 0.002
    assert gateway.request("POST", "/api/chat/stop", {"thread_id": "a"})[0] == 200
    stand_in.wait_for("gone", within=2)
    assert stream.until(*ENDS)[-1]["event"] == "stopped"
    stream.close()
    found = day(gateway)
    assert found["reserved_usd"] == 0
    assert 0 < found["spent_usd"] < 0.002
    assert gateway.request("GET", "/api/usage")[2]["totals"]["estimated_calls"] == 1
