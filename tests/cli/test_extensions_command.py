"""`ironclaw extensions`: finds, installs with progress, sets up, tries and removes; packages get their own environment."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from extensions.mcp_process import TOKEN_OF_SERVER, HostedServer, run_hosted, run_hosted_process  # noqa: F401
from extensions.packages import NpmRegistry, write_wheel
from extensions.stdio_ground import PROGRAM, SECRET, starts
from gateway_process import GatewayProcess
from test_client import environment, run

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process().start()


def test_search_install_config_auth_list_show_test_and_remove(gateway: GatewayProcess, hosted: HostedServer) -> None:
    found = run(gateway, "extensions", "search", "issues")
    assert (found.returncode, found.stdout[:13]) == (0, "github 1.0.0:")
    assert run(gateway, "extensions", "search", "no-such-thing").returncode == 1
    done = run(gateway, "extensions", "install", "github")
    assert (done.returncode, done.stdout) == (0, "github 1.0.0 needs a token\n")
    assert done.stderr == "Enter its token: ironclaw extensions auth github\n"
    set_up = run(gateway, "extensions", "config", "github", f"url={hosted.url}")
    assert (set_up.returncode, set_up.stdout) == (0, f"url={hosted.url}\n")
    wrong = run(gateway, "extensions", "config", "github", "adress=x")
    assert (wrong.returncode, "it has url" in wrong.stderr) == (1, True)
    refused = run(gateway, "extensions", "auth", "github", "--token-stdin", stdin="ghp_wrongwrong\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "does not take the token" in refused.stderr
    taken = run(gateway, "extensions", "auth", "github", "--token-stdin", stdin=f"{TOKEN_OF_SERVER}\n")
    assert (taken.returncode, taken.stdout) == (0, "github 1.0.0 is ready, 3 tools\n")
    assert json.loads(run(gateway, "extensions", "list", "--json").stdout)["extensions"][0]["authenticated"] is True
    shown = run(gateway, "extensions", "show", "github").stdout
    for part in (
        f'reaches: "{hosted.url}"',
        "secret token: Personal access token, kept",
        "github__create_issue (asks): ",
    ):
        assert part in shown
    tested = run(gateway, "extensions", "test", "github")
    assert (tested.returncode, tested.stdout.splitlines()[0]) == (0, "github__get_issue: One issue.")
    assert run(gateway, "extensions", "disable", "github").stdout == "github 1.0.0 is disabled, 3 tools\n"
    assert run(gateway, "extensions", "remove", "github").stdout == "github: removed\n"
    assert run(gateway, "extensions", "list").stdout == ""
    assert run(gateway, "extensions", "show", "github").returncode == 1


def test_a_token_is_asked_for_on_the_terminal_and_not_shown(gateway: GatewayProcess, hosted: HostedServer) -> None:
    run(gateway, "extensions", "install", "github")
    run(gateway, "extensions", "config", "github", f"url={hosted.url}")
    command = [sys.executable, "-m", "ironclaw", "extensions", "auth", "github"]
    terminal = pexpect.spawn(command[0], command[1:], env=environment(gateway), timeout=30, encoding="utf-8")
    terminal.expect("Personal access token, from https://github.com/settings/personal-access-tokens")
    terminal.sendline(TOKEN_OF_SERVER)
    terminal.expect("is ready, 3 tools")
    assert TOKEN_OF_SERVER not in terminal.before
    terminal.close()


def test_pasted_servers_are_shown_and_asked_about_before_they_run(gateway: GatewayProcess, tmp_path: Path) -> None:
    notes = tmp_path / "starts"
    entry = {"command": sys.executable, "args": [str(PROGRAM), "good", str(notes)], "env": {"KEY": SECRET}}
    pasted = json.dumps({"mcpServers": {"one": entry, "two": {"url": "http://127.0.0.1:9/mcp"}}})
    done = run(gateway, "extensions", "install", "--file", "-", stdin=pasted)
    assert done.stdout.splitlines() == [
        f"{name} 0 waits until you have confirmed what it runs" for name in ("one", "two")
    ]
    alone = run(gateway, "extensions", "enable", "one", stdin="")
    assert (alone.returncode, "--confirm" in alone.stderr) == (1, True)
    assert f'runs: "{sys.executable}" "{PROGRAM}" "good" "{notes}"' in alone.stdout
    assert SECRET not in alone.stdout
    assert starts(notes) == []
    hash_ = json.loads(run(gateway, "extensions", "show", "one", "--json").stdout)["command"]["confirm"]
    allowed = run(gateway, "extensions", "enable", "one", "--confirm", hash_)
    assert allowed.returncode == 0
    tested = run(gateway, "extensions", "test", "one")
    assert "one__say (asks): say it" in tested.stdout
    assert len(starts(notes)) >= 1


@pytest.fixture
def npm(tmp_path: Path) -> Iterator[NpmRegistry]:
    registry = NpmRegistry(tmp_path / "trace")
    yield registry
    registry.close()


MANIFEST = """
name = "tiny"
version = "1.0"
title = "Tiny"
description = "A package."
[server]
kind = "{}"
package = "{}"
{}
"""


def write(gateway: GatewayProcess, kind: str, package: str, more: str = "") -> None:
    (gateway.home / "extensions").mkdir(exist_ok=True)
    (gateway.home / "extensions/tiny.toml").write_text(MANIFEST.format(kind, package, more))


def test_a_python_package_gets_an_environment_once_and_a_failing_one_says_why(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    write_wheel(tmp_path / "wheels")
    gateway = gateway_process(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "wheels")).start()
    write(gateway, "python", "tiny-mcp", f'command = "tiny-mcp"\nargs = ["good", "{tmp_path}/starts"]')
    done = run(gateway, "extensions", "install", "tiny")
    assert done.returncode == 0, done.stderr
    assert "tiny: installing tiny-mcp ..." in done.stderr
    place = gateway.home / "extensions/tiny"
    assert (place / "python/bin/tiny-mcp").is_file()
    (tmp_path / "wheels/tiny_mcp-1.0-py3-none-any.whl").unlink()  # nothing is fetched any more
    tested = run(gateway, "extensions", "test", "tiny")
    assert "tiny__say (asks): say it" in tested.stdout, tested.stderr
    (place / "python/bin/tiny-mcp").unlink()  # as after a restored backup, which holds no packages
    assert "ironclaw extensions enable tiny" in run(gateway, "extensions", "test", "tiny").stderr
    assert run(gateway, "extensions", "list").stdout.startswith("tiny 1.0 could not be installed")
    assert run(gateway, "extensions", "remove", "tiny").returncode == 0
    assert not place.exists()
    failed = run(gateway, "extensions", "install", "tiny")
    assert failed.returncode == 1
    assert "could not be installed: Installing failed: " in failed.stdout
    assert "No matching distribution found for tiny-mcp" in failed.stdout
    assert "Try again: ironclaw extensions enable tiny" in failed.stderr
    write_wheel(tmp_path / "wheels")
    assert run(gateway, "extensions", "enable", "tiny").returncode == 0


def test_a_node_package_gets_an_environment_and_its_install_scripts_do_not_run(
    gateway_process: Callable[..., GatewayProcess], npm: NpmRegistry, tmp_path: Path
) -> None:
    gateway = gateway_process(npm_config_registry=npm.url, npm_config_cache=str(tmp_path / "cache")).start()
    write(gateway, "node", "tiny-mcp")
    done = run(gateway, "extensions", "install", "tiny")
    assert done.returncode == 0, done.stderr + done.stdout
    tested = run(gateway, "extensions", "test", "tiny")
    assert tested.stdout == "tiny__say (asks): say it\n"
    assert not (tmp_path / "trace").exists()


def test_without_npm_it_says_what_to_install(gateway_process: Callable[..., GatewayProcess], tmp_path: Path) -> None:
    gateway = gateway_process(PATH=str(tmp_path)).start()
    write(gateway, "node", "tiny-mcp")
    done = run(gateway, "extensions", "install", "tiny")
    assert done.returncode == 1
    assert "tiny-mcp needs npm, which is not installed. Install Node.js" in done.stdout
