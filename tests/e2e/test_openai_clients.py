"""Programs that were written for OpenAI, pointed at the real program: the documented calls, and the official clients.

The Python clients run in environments of their own, which are made once; each check of theirs is a test here.
"""

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, chunk, reply, sse

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]  # the first test of a client waits until it is installed
HERE = Path(__file__).parent

Results = dict[str, str | None]


def refusal(status: int, message: str, *, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}})
    return reply(body, status=status, Content_Type="application/json", **(headers or {}))


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInProcess]:
    server = StandInProcess(tmp_path_factory.mktemp("upstream") / "log")
    server.script("busy", refusal(429, "Slow down.", headers={"Retry_After": "60"}))
    server.script("broken", refusal(500, "I broke."))
    server.script("picky", refusal(400, "There is no top_k.", param="top_k", code="unknown_parameter"))
    broke = {"error": {"message": "The model tripped.", "type": "server_error", "code": "server_error"}}
    server.script("torn", reply(sse(chunk("one "), broke, done=False)))
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(upstream: StandInProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    model = {"LLM_BACKEND": "openai_compatible", "LLM_BASE_URL": f"{upstream.url}/v1", "LLM_MODEL": "obedient"}
    process = GatewayProcess(tmp_path_factory.mktemp("gateway") / "home", model)
    yield process.start()
    process.kill()


@pytest.fixture(scope="module")
def make_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes an environment of its own with one package; the Python in it."""

    def make(package: str) -> Path:
        folder = tmp_path_factory.mktemp("client")
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package], check=True)
        return python

    return make


def run(gateway: GatewayProcess, *program: str | Path) -> Results:
    """What a program of checks has found."""
    env = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [*program, f"{gateway.url}/v1", gateway.token], capture_output=True, text=True, timeout=90, env=env
    )
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    return {line["check"]: line["problem"] for line in lines}


def checks(program: str) -> list[str]:
    """The names of a program's checks."""
    return re.findall(r"^(?:def|  async) (check_\w+)", (HERE / program).read_text(), re.M)


@pytest.fixture(scope="module")
def current_python(gateway: GatewayProcess, make_python: Callable[[str], Path]) -> Results:
    return run(gateway, make_python("openai"), HERE / "openai_client.py")


@pytest.fixture(scope="module")
def old_python(make_python: Callable[[str], Path]) -> Path:
    return make_python("openai==0.28.*")


@pytest.fixture(scope="module")
def old_client(gateway: GatewayProcess, old_python: Path) -> Results:
    return run(gateway, old_python, HERE / "openai_client_0_28.py")


@pytest.fixture(scope="module")
def current_javascript(gateway: GatewayProcess) -> Results:
    assert (HERE / "node_modules" / "openai").is_dir(), "npm install --prefix tests/e2e (make test does it)"
    return run(gateway, "node", HERE / "openai_client.mjs")


@pytest.mark.parametrize("check", checks("openai_client.py"))
def test_the_current_python_client(current_python: Results, check: str) -> None:
    assert current_python[check] is None, current_python[check]


@pytest.mark.parametrize("check", checks("openai_client_0_28.py"))
def test_the_old_python_client(old_client: Results, check: str) -> None:
    assert old_client[check] is None, old_client[check]


@pytest.mark.parametrize("check", checks("openai_client.mjs"))
def test_the_current_javascript_client(current_javascript: Results, check: str) -> None:
    assert current_javascript[check] is None, current_javascript[check]


# The documented calls, on a fresh home


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("fresh") / "home", {})
    yield process.start()
    process.kill()


def as_printed(text: str, gateway: GatewayProcess) -> str:
    """The printed text with the one token and the one port of this test."""
    return text.replace("YOUR_TOKEN", gateway.token).replace("localhost:3000", f"localhost:{gateway.port}")


def curl(gateway: GatewayProcess, printed: str) -> str:
    """The reply to a request that is printed as `METHOD /path`, headers, an empty line, a body."""
    head, _, body = as_printed(printed, gateway).partition("\n\n")
    first, *headers = head.split("\n")
    method, path = first.split(" ", 1)
    command = ["curl", "-sSN", "--fail-with-body", "-X", method, f"{gateway.url}{path}", "--data", body]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PLAIN = """POST /v1/chat/completions
Authorization: Bearer YOUR_TOKEN
Content-Type: application/json

{
  "model": "gpt-4",
  "messages": [
    {"role": "user", "content": "Hello!"}
  ],
  "stream": false
}"""

STREAMING = """POST /v1/chat/completions
Authorization: Bearer YOUR_TOKEN
Content-Type: application/json

{
  "model": "gpt-4",
  "messages": [{"role": "user", "content": "Hello!"}],
  "stream": true
}"""

SAMPLE = """import openai

openai.api_key = "YOUR_TOKEN"
openai.api_base = "http://localhost:3000/v1"

response = openai.ChatCompletion.create(
    model="gpt-4",
    messages=[{"role": "user", "content": "Hello!"}]
)

print(response.choices[0].message.content)
"""


def test_the_documented_completion_has_the_printed_form_on_a_fresh_home(fresh: GatewayProcess) -> None:
    body = json.loads(curl(fresh, PLAIN))
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"], type(body["created"])) == ("chat.completion", "gpt-4", int)
    (choice,) = body["choices"]
    assert (choice["index"], choice["message"]["role"], choice["finish_reason"]) == (0, "assistant", "stop")
    assert "IronClaw" in choice["message"]["content"]
    usage = body["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"] > 0
    assert body["system_fingerprint"] == "ironclaw-builtin"


def test_the_documented_stream_has_the_printed_form_on_a_fresh_home(fresh: GatewayProcess) -> None:
    events = curl(fresh, STREAMING).strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert {one["object"] for one in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    said = [one["choices"][0]["delta"].get("content", "") for one in chunks]
    assert len(said) > 5
    assert "IronClaw" in "".join(said)


def test_the_documented_program_runs_as_printed_on_a_fresh_home(fresh: GatewayProcess, old_python: Path) -> None:
    program = as_printed(SAMPLE, fresh)
    env = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run([old_python, "-c", program], capture_output=True, text=True, timeout=30, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "IronClaw" in done.stdout


def test_no_call_leaves_a_thread_but_those_that_name_one(
    gateway: GatewayProcess, fresh: GatewayProcess, current_python: Results, current_javascript: Results
) -> None:
    assert None in {*current_python.values(), *current_javascript.values()}
    _, _, listed = gateway.request("GET", "/api/chat/threads")
    assert [thread["id"] for thread in listed["threads"]] == ["from-the-client"]
    _, _, history = gateway.request("GET", "/api/chat/history?thread_id=from-the-client")
    assert [turn["user_message"] for turn in history["turns"]] == ["Hi there", "again"]
    assert fresh.request("GET", "/api/chat/threads")[2]["threads"] == []


def test_pictures_and_functions_of_a_response_reach_the_model_as_a_chat_completion(
    upstream: StandInProcess, current_python: Results
) -> None:
    assert current_python
    bodies = [one["body"] for one in upstream.requests()]
    shown = [body for body in bodies if '"detail": "low"' in json.dumps(body["messages"])]
    parts = shown[0]["messages"][-1]["content"]
    assert parts[1] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
    }
    (answered, *_) = [body for body in bodies if body["messages"][-1]["role"] == "tool" and body["model"] == "obedient"]
    assert answered["messages"][-2]["tool_calls"][0]["id"] == answered["messages"][-1]["tool_call_id"]


def test_the_programs_run_with_the_interpreter_of_their_own_environment(old_python: Path) -> None:
    assert not old_python.is_relative_to(Path(sys.prefix))
    shown = subprocess.run([old_python, "-m", "pip", "show", "openai"], capture_output=True, text=True, timeout=30)
    assert "\nVersion: 0.28." in shown.stdout
