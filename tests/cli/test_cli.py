"""The command line as people use it: help, version, the token, and mistakes. Each command is a process of its own."""

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest
from gateway_process import GatewayProcess

from ironclaw.settings import Settings
from ironclaw.version import __version__

pytestmark = pytest.mark.process


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def ironclaw(home: Path, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    clean = {"PATH": os.environ["PATH"], "HOME": str(home.parent), "IRONCLAW_HOME": str(home), "COLUMNS": "120", **env}
    return subprocess.run(
        [sys.executable, "-m", "ironclaw", *args],
        env=clean,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )


def test_help_is_quick_names_the_commands_and_loads_no_server(home: Path) -> None:
    started = time.monotonic()
    result = ironclaw(home, "--help")
    seconds = time.monotonic() - started
    assert result.returncode == 0
    assert result.stderr == ""
    assert all(command in result.stdout for command in ("run", "token"))
    assert seconds < 2.0  # some 0.1 s on a machine with nothing else to do
    code = (
        "import sys\nfrom ironclaw.cli import main\n"
        "try:\n    sys.argv = ['ironclaw', '--help']; main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('aiohttp', 'sqlite3', 'cattrs', 'ironclaw.gateway') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, cwd=home.parent)
    assert loaded.stdout.splitlines()[-1] == "[]"
    assert not home.exists()


def test_help_of_run_has_every_setting_with_its_flag_variable_and_default(home: Path) -> None:
    result = ironclaw(home, "run", "--help")
    assert result.returncode == 0
    text = " ".join(result.stdout.split())
    for field in attrs.fields(Settings):
        assert f"--{field.name.replace('_', '-')} " in text
        assert f"[{field.metadata['env']}" in text
        assert field.metadata["help"] in text
        if isinstance(field.default, int | float | str):
            default = {True: "on", False: "off"}[field.default] if isinstance(field.default, bool) else field.default
            assert f"[{field.metadata['env']}; default {default}]" in text
    assert "--start-empty" in text


def test_version_is_told_by_the_command_and_by_the_module(home: Path) -> None:
    result = ironclaw(home, "--version")
    assert (result.returncode, result.stdout) == (0, f"ironclaw, version {__version__}\n")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("rnu",), "rnu"),
        (("run", "--prot", "3000"), "--prot"),
        (("run", "3000"), "3000"),
        (("run", "--port"), "--port"),
        (("token", "sow"), "sow"),
        ((), "Usage: ironclaw"),
    ],
)
def test_a_misspelt_command_or_option_is_said_with_exit_code_2(home: Path, args: tuple[str, ...], named: str) -> None:
    result = ironclaw(home, *args)
    assert result.returncode == 2
    assert result.stdout == ""
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert not home.exists()


def test_token_show_says_what_to_do_when_there_is_none_and_makes_none(home: Path) -> None:
    result = ironclaw(home, "token", "show")
    assert (result.returncode, result.stdout) == (1, "")
    assert "ironclaw run" in result.stderr
    assert not home.exists()


def test_token_rotate_makes_a_new_one_that_show_prints_alone_on_stdout(home: Path) -> None:
    tokens = []
    for _ in range(2):
        made = ironclaw(home, "token", "rotate")
        assert made.returncode == 0
        assert re.fullmatch(r"[A-Za-z0-9]{32}\n", made.stdout)
        assert "estart" in made.stderr
        shown = ironclaw(home, "token", "show")
        assert (shown.returncode, shown.stdout, shown.stderr) == (0, made.stdout, "")
        tokens.append(made.stdout)
    assert tokens[0] != tokens[1]
    assert stat.S_IMODE((home / "token").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["token"]  # no half-written file is left beside it


def test_a_rotated_token_counts_from_the_next_start_on(home: Path) -> None:
    gateway = GatewayProcess(home, {})
    try:
        old = gateway.start().token
        new = ironclaw(home, "token", "rotate").stdout.strip()
        assert gateway.request("GET", "/api/status", token=old)[0] == 200
        gateway.terminate()
        gateway.wait()
        gateway.start()
        assert gateway.request("GET", "/api/status", token=old)[0] == 401
        assert gateway.request("GET", "/api/status", token=new)[0] == 200
    finally:
        gateway.kill()


def test_a_configured_token_is_shown_but_cannot_be_rotated_here(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("token-of-the-file\n")
    for env, token in (
        ({"GATEWAY_AUTH_TOKEN": "token-of-the-environment"}, "token-of-the-environment"),
        ({"GATEWAY_AUTH_TOKEN_FILE": str(path)}, "token-of-the-file"),
    ):
        assert ironclaw(home, "token", "show", **env).stdout == f"{token}\n"
        refused = ironclaw(home, "token", "rotate", **env)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "GATEWAY_AUTH_TOKEN" in refused.stderr
        assert token not in refused.stderr
    assert path.read_text() == "token-of-the-file\n"


@pytest.mark.parametrize("command", ["show", "rotate"])
def test_token_says_a_home_or_a_setting_that_cannot_be_used_without_a_traceback(
    home: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    no_home = ironclaw(home, "token", command, IRONCLAW_HOME=str(tmp_path / "file" / "home"))
    assert "Traceback" not in no_home.stderr, no_home.stderr
    assert no_home.returncode in {1, 78}
    assert str(tmp_path / "file" / "home") in no_home.stderr
    bad = ironclaw(home, "token", command, GATEWAY_PORT="abc")
    assert (bad.returncode, "Traceback" in bad.stderr) == (78, False)
    assert "GATEWAY_PORT is 'abc'" in bad.stderr
