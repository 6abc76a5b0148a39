"""`ironclaw memory` against a running gateway: plain lines out, exact bytes in and out, exit codes."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process().start()


def memory(gateway: GatewayProcess, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    env = {name: gateway.env[name] for name in ("PATH", "PYTHONPATH", "HOME", "IRONCLAW_HOME")}
    command = [sys.executable, "-m", "ironclaw", "memory", *arguments]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, timeout=30)


def test_write_and_read_keep_every_byte(gateway: GatewayProcess) -> None:
    data = bytes(range(256)) * 40
    written = memory(gateway, "write", "pics/a.bin", stdin=data)
    assert (written.returncode, written.stderr) == (0, b"")
    assert memory(gateway, "read", "pics/a.bin").stdout == data
    etag = written.stdout.decode().strip()
    assert memory(gateway, "write", "pics/a.bin", "--etag", etag, stdin=b"new").returncode == 0
    stale = memory(gateway, "write", "pics/a.bin", "--etag", etag, stdin=b"newer")
    assert (stale.returncode, stale.stdout, b"changed since" in stale.stderr) == (1, b"", True)
    assert memory(gateway, "read", "pics/a.bin").stdout == b"new"


def test_search_gives_path_line_text_and_1_when_nothing_is_found(gateway: GatewayProcess) -> None:
    memory(gateway, "write", "x/a b.md", stdin=b"one\nneedle here\n")
    found = memory(gateway, "search", "needle")
    assert (found.returncode, found.stdout) == (0, b"x/a b.md:2:needle here\n")
    assert memory(gateway, "search", "needle", "--path", "daily").returncode == 1
    assert memory(gateway, "search", "nope").returncode == 1


def test_list_prints_one_path_a_line_over_all_pages(gateway: GatewayProcess) -> None:
    folder = gateway.home / "workspace" / "many"
    folder.mkdir()
    names = sorted(f"{number:04}.md" for number in range(1200))
    for name in names:
        (folder / name).touch()
    (folder / "bad\x1b[31m\n.md").touch()
    lines = memory(gateway, "list", "many/").stdout.decode().splitlines()
    assert lines == [*(f"many/{name}" for name in names), "many/bad\\x1b[31m\\n.md"]
    top = memory(gateway, "list").stdout.decode().splitlines()
    assert top == ["daily/", "many/", "AGENTS.md", "MEMORY.md", "README.md"]
    assert f"many/{names[-1]}" in memory(gateway, "list", "-r").stdout.decode().splitlines()
    assert memory(gateway, "list", "-r", "many").returncode == 2
    assert memory(gateway, "list", "-l", "many").stdout.decode().splitlines()[0].split()[0] == "0"


def test_append_takes_standard_input_or_text_and_says_where(gateway: GatewayProcess) -> None:
    assert memory(gateway, "append", "a.md", stdin="ä\nb\n".encode()).stdout == b"a.md:1\n"
    assert memory(gateway, "append", "a.md", "-m", "c").stdout == b"a.md:3\n"
    assert memory(gateway, "append", "-m", "today").stdout.startswith(b"daily/")
    assert memory(gateway, "read", "a.md").stdout.decode() == "ä\nb\nc\n"
    for refused in (memory(gateway, "append", "a.md"), memory(gateway, "append", "a.md", stdin=b"\xff")):
        assert (refused.returncode, refused.stdout) == (1, b"")


def test_versions_are_listed_compared_and_restored(gateway: GatewayProcess) -> None:
    for text in (b"one\n", b"two\n"):
        memory(gateway, "write", "a.md", stdin=text)
    rows = [line.split("\t") for line in memory(gateway, "versions", "a.md").stdout.decode().splitlines()]
    assert [(row[2], row[3], row[4], row[5]) for row in rows] == [
        ("person", "written", "4", "a.md"), ("person", "created", "4", "a.md"),
    ]  # fmt: skip
    first = rows[-1][0]
    assert memory(gateway, "versions", "a.md", "--diff", first).stdout.endswith(b"-one\n+two\n")
    assert memory(gateway, "restore", "a.md", first).returncode == 0
    assert memory(gateway, "read", "a.md").stdout == b"one\n"
    assert memory(gateway, "restore", "a.md", "999").returncode == 1
    assert memory(gateway, "versions", "--diff", first).returncode == 2


def test_help_names_every_command_and_errors_go_to_stderr(gateway: GatewayProcess) -> None:
    shown = memory(gateway, "--help").stdout.decode()
    for name in ("list", "read", "search", "write", "append", "versions", "restore"):
        assert f"  {name} " in shown
        assert "--url" in memory(gateway, name, "--help").stdout.decode()
    gone = memory(gateway, "read", "nope.md")
    assert (gone.returncode, gone.stdout, gone.stderr) == (1, b"", b"ironclaw: There is no nope.md in the workspace.\n")
