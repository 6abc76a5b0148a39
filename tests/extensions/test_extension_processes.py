"""The real program with real MCP servers that nobody here wrote, over stdio and streamable HTTP; how they end with it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from extensions.stdio_ground import is_alive, kill, starts, until, write_manifest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
MakeGateway = Callable[..., GatewayProcess]
BIN = Path(sys.executable).parent
EVERYTHING = Path(__file__).parents[1] / "e2e/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
_WAIT = 60.0


def api(gateway: GatewayProcess, method: str, path: str, body: Any = None) -> Any:
    status, _, reply = gateway.request(method, f"/api/extensions/{path}", body, timeout=_WAIT)
    assert status == 200, reply
    return reply


def write(gateway: GatewayProcess, name: str, server: str) -> None:
    """A manifest of the user's own."""
    folder = gateway.home / "extensions"
    folder.mkdir(parents=True, exist_ok=True)
    text = f'name = "{name}"\nversion = "1"\ntitle = "{name}"\ndescription = "Real."\n[server]\n{server}\n'
    (folder / f"{name}.toml").write_text(text + '[tools]\nread = ["*"]\n')


def install(gateway: GatewayProcess, name: str) -> dict[str, Any]:
    item = api(gateway, "POST", "install?wait=60", {"name": name})
    assert item["state"] == "running", item
    return item  # type: ignore[no-any-return]


def ask(gateway: GatewayProcess, *calls: str) -> str:
    """What the model says after the results of the calls that it was told to make."""
    sent = gateway.request(
        "POST", "/api/chat/send?wait=60", {"message": "\n".join(f"call {one}" for one in calls)}, timeout=_WAIT + 5
    )[2]
    return str(sent["response"]["content"])


def children(gateway: GatewayProcess) -> list[psutil.Process]:
    assert gateway.process is not None
    return psutil.Process(gateway.process.pid).children(recursive=True)


@pytest.fixture
def gateway(gateway_process: MakeGateway, stand_in: StandInProcess) -> GatewayProcess:
    """The program, with a model that does what it is told."""
    made = gateway_process(LLM_BASE_URL=f"{stand_in.url}/v1", LLM_MODEL="obedient")
    return made.start()


def test_mcp_server_time_and_git_answer_in_a_turn_survive_a_kill_and_go_with_the_gateway(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    git = shutil.which("git")
    assert git
    for command in (
        ["init", "-q", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "First words", "--allow-empty"],
    ):
        repository.mkdir(exist_ok=True)
        subprocess.run([git, *command], cwd=repository, check=True)
    reads = f'reads = ["{sys.prefix}", "{sys.base_prefix}"]'
    write(
        gateway,
        "clock",
        f'kind = "command"\ncommand = "{BIN}/mcp-server-time"\nargs = ["--local-timezone=UTC"]\n{reads}',
    )
    write(
        gateway,
        "code",
        f'kind = "command"\ncommand = "{BIN}/mcp-server-git"\nargs = ["--repository", "{repository}"]'
        f'\nfolders = ["{repository}"]\n{reads}',
    )
    assert install(gateway, "clock")["tool_count"] == 2
    assert install(gateway, "code")["tool_count"] > 5
    answer = ask(
        gateway,
        'clock__convert_time {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}',
        f'code__git_log {{"repo_path": "{repository}"}}',
    )
    assert "21:00" in answer
    assert "First words" in answer
    for child in children(gateway):
        with contextlib.suppress(psutil.NoSuchProcess):  # one of a sandbox goes with the first of it
            child.kill()
    again = ask(gateway, 'clock__get_current_time {"timezone": "Asia/Tokyo"}')
    assert "Asia/Tokyo" in again
    servers = children(gateway)
    assert servers
    gateway.terminate()
    assert gateway.wait() == 0
    assert not [one for one in servers if is_alive(one.pid)]


def test_server_everything_works_over_stdio_and_over_streamable_http(
    gateway: GatewayProcess, everything_over_http: str
) -> None:
    write(
        gateway,
        "local",
        f'kind = "command"\ncommand = "node"\nargs = ["{EVERYTHING}", "stdio"]\nreads = ["{EVERYTHING.parents[3]}"]',
    )
    write(gateway, "far", f'kind = "http"\nurl = "{everything_over_http}"')
    assert install(gateway, "local")["tool_count"] > 5
    assert install(gateway, "far")["tool_count"] > 5
    answer = ask(gateway, 'local__get-sum {"a": 2, "b": 3}', 'far__echo {"message": "over the wire"}')
    assert "2 and 3 is 5" in answer
    assert "over the wire" in answer
    assert api(gateway, "POST", "far/test")["ok"] is True


@pytest.fixture
def everything_over_http() -> Iterator[str]:
    """The same server, listening."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    node = shutil.which("node")
    assert node
    process = subprocess.Popen(
        [node, str(EVERYTHING), "streamableHttp"],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/mcp"

    def answers() -> bool:
        assert process.poll() is None
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return True  # it wants a POST
        except OSError:
            return False
        return True

    until(answers, within=30)
    yield url
    process.kill()
    process.wait(10)


def test_a_server_is_gone_when_the_gateway_was_killed(gateway: GatewayProcess) -> None:
    notes = write_manifest(gateway.home, "stubborn")
    install(gateway, "local")
    server = starts(notes)[0]
    assert is_alive(server)
    assert gateway.process is not None
    kill(gateway.process.pid)  # the gateway alone: nobody is left who could clean up
    gateway.process.wait(10)
    until(lambda: not is_alive(server))


def test_what_is_installed_is_there_after_a_restart_and_starts_when_it_is_called(gateway: GatewayProcess) -> None:
    notes = write_manifest(gateway.home, "good")
    install(gateway, "local")
    gateway.terminate()
    assert gateway.wait() == 0
    gateway.start()
    assert api(gateway, "GET", "list")["extensions"][0]["state"] == "ready"
    assert len(starts(notes)) == 1
    assert "You said hello." in ask(gateway, 'local__say {"text": "hello"}')
    assert len(starts(notes)) == 2


SDK = ("mcp", "mcp_types", "pydantic", "httpx2", "anyio")


def test_start_and_idle_without_a_call_load_none_of_the_sdk(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "home", {"PYTHONPROFILEIMPORTTIME": "1"})
    try:
        gateway.start()
        assert api(gateway, "GET", "list") == {"extensions": []}
        api(gateway, "GET", "registry")
        api(gateway, "POST", "install", {"name": "github"})
        assert gateway.request("GET", "/api/status")[0] == 200
        gateway.terminate()
        gateway.wait()
    finally:
        gateway.kill()
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in gateway.log.splitlines() if "import time" in line
    }
    assert "ironclaw" in loaded
    assert loaded.isdisjoint(SDK)


def test_without_the_sdk_an_install_works_and_a_test_says_what_to_install(tmp_path: Path) -> None:
    blocker = tmp_path / "site"
    blocker.mkdir()
    # As in an environment without the extra: the package is not found.
    (blocker / "sitecustomize.py").write_text(
        "import importlib.abc, sys\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('mcp', 'mcp_types'):\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    gateway = GatewayProcess(tmp_path / "home", {"PYTHONPATH": str(blocker)})
    try:
        gateway.start()
        assert api(gateway, "POST", "install", {"name": "github"})["enabled"] is True
        answer = api(gateway, "POST", "github/test")
        assert (answer["ok"], answer["error"]["code"]) == (False, "sdk_missing")
        assert "pip install 'ironclaw[mcp]'" in answer["error"]["message"]
        status, _, reply = gateway.request("POST", "/api/extensions/github/enable", {})
        assert (status, reply["error"]["code"]) == (503, "sdk_missing")
        kept = api(gateway, "POST", "github/auth", {"token": "ghp_abc123xyz456"})
        assert (kept["authenticated"], kept["error"]["code"]) == (False, "sdk_missing")
    finally:
        gateway.kill()
