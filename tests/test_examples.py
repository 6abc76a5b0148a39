"""The examples, run as their docstrings say, as programs of their own; and typed as strictly as the gateway itself."""

import ast
import http.client
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

import ironclaw

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NAMES = [path.name for path in EXAMPLES]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(home), "TMPDIR": str(home), **more}


def run(name: str, home: Path, *arguments: str) -> str:
    """What an example prints."""
    command = [sys.executable, ROOT / "examples" / name, *arguments]
    done = subprocess.run(command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.iterdir()) == []  # `home=None` keeps nothing
    return done.stdout


def test_library_with_tool_asks_the_built_in_assistant_and_its_agent_calls_the_tool(tmp_path: Path) -> None:
    printed = run("library_with_tool.py", tmp_path)
    assert "`list notes`" in printed
    *_, events = printed.partition("user_message")
    kinds = ["approval_needed", "approval_settled", "tool_started", "tool_completed", "stream_chunk", "response Done."]
    places = [events.index(kind) for kind in kinds]
    assert places == sorted(places)
    assert printed.endswith("In the kitchen it is light.\n")


def test_own_provider_answers_from_its_dictionary(tmp_path: Path) -> None:
    assert run("own_provider.py", tmp_path) == "I know: aiohttp, ironclaw, sse.\n"
    assert run("own_provider.py", tmp_path, "what is", "AIOHTTP?") == "An HTTP client and server for asyncio.\n"


def test_own_provider_prints_words_as_they_come(tmp_path: Path) -> None:
    command = [sys.executable, "-u", ROOT / "examples" / "own_provider.py", "sse and ironclaw"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        times = [time.monotonic() for _ in iter(lambda: program.stdout.read(1), b"")]  # type: ignore[union-attr]
    assert times[-1] - times[0] > 0.2  # 20 words, 20 ms apart


class Host:
    """examples/mounted_with_login.py as a process: its password, and requests to it."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, ROOT / "examples" / "mounted_with_login.py"]
        env = environment(home, PORT="0", PYTHONUNBUFFERED="1")
        self.log = home / "host.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log)
        self.password, self.port = "", 0

    def start(self) -> "Host":
        """Wait until it says where it is."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"Password: (.+)\n.*http://127\.0\.0\.1:(\d+)", self.log.read_text()):
                self.password, self.port = found[1], int(found[2])
                return self
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def request(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()
        finally:
            connection.close()

    def sign_in(self, password: str) -> tuple[int, str]:
        """The status, and the cookie as a browser sends it back."""
        form = urllib.parse.urlencode({"password": password})
        kind = "application/x-www-form-urlencoded"
        status, headers, _ = self.request("POST", "/login", form, Content_Type=kind)
        return status, headers.get("Set-Cookie", "").partition(";")[0]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    try:
        yield host.start()
    finally:
        host.process.kill()
        host.process.wait(10)


def test_mounted_with_login_lets_in_who_knows_the_password_and_nobody_else(host: Host, tmp_path: Path) -> None:
    assert "Password" in host.request("GET", "/")[2]
    assert host.request("GET", "/claw/api/status")[0] == 401
    assert host.sign_in("guessed") == (403, "")
    status, cookie = host.sign_in(host.password)
    assert status == 303
    assert 'href="/claw/"' in host.request("GET", "/", Cookie=cookie)[2]
    assert "<title>IronClaw</title>" in host.request("GET", "/claw/", Cookie=cookie)[2]
    assert host.request("GET", "/claw/api/status", Cookie=cookie)[0] == 200
    origin = f"http://127.0.0.1:{host.port}"
    sent = {"Cookie": cookie, "Content_Type": "application/json", "Origin": origin}
    status, _, answer = host.request("POST", "/claw/api/chat/send?wait", '{"message": "help"}', **sent)
    assert status == 200
    assert "list notes" in answer
    token = (tmp_path / ".ironclaw-mounted" / "token").read_text().strip()
    assert host.request("GET", "/claw/api/status", Authorization=f"Bearer {token}")[0] == 401
    assert host.end() == 0


def test_the_hosts_cookie_is_out_of_reach_for_scripts_and_other_sites(host: Host) -> None:
    kind = "application/x-www-form-urlencoded"
    headers = host.request("POST", "/login", f"password={urllib.parse.quote(host.password)}", Content_Type=kind)[1]
    said = headers["Set-Cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said


# What examples are made of


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_an_example_is_short_says_how_to_run_it_and_uses_public_names_only(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 80
    assert f"    python examples/{path.name}" in (ast.get_docstring(tree) or "")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "ironclaw":
            assert {alias.name for alias in node.names} <= set(ironclaw.__all__)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ironclaw"):
            assert node.module == "ironclaw.llm.models"
        elif isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.startswith("ironclaw")]
