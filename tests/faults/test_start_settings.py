"""The start as it is configured: bad values, the order of the sources, the token, what is printed and in which form."""

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
CONFIG = 78
URL = "a URL such as https://ironclaw.example.com"
ORIGINS = "origins such as https://app.example.com, separated by commas, or none"
NETWORKS = "addresses or networks such as 127.0.0.1, 10.0.0.0/8, separated by commas"
RATE = "a whole number from 0 (off) to 1000000"
SECONDS = "seconds, from "
UP_TO_1000 = "a whole number from 1 to 1000"
BAD = [
    ("GATEWAY_PORT", "abc", "a port from 0"),
    ("GATEWAY_PORT", "65536", "a port from 0"),
    ("GATEWAY_PORT", "-1", "a port from 0"),
    ("GATEWAY_PORT", "٣٠٠٠", "a port from 0"),
    ("GATEWAY_PORT", "9" * 5000, "a port from 0"),
    ("GATEWAY_API_RATE", "many", RATE),
    ("GATEWAY_CHAT_RATE", "1.5", RATE),
    ("GATEWAY_LOGIN_RATE", "1000001", RATE),
    ("GATEWAY_MAX_STREAMS", "0", "a whole number from 1 to 100000"),
    ("GATEWAY_CORS_ORIGINS", "app.example.com", ORIGINS),
    ("GATEWAY_CORS_ORIGINS", "https://app.example.com/page", ORIGINS),
    ("GATEWAY_CORS_ORIGINS", "*", ORIGINS),
    ("GATEWAY_CORS_ORIGINS", "http://[", ORIGINS),
    ("GATEWAY_TRUSTED_PROXIES", "nginx", NETWORKS),
    ("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/33", NETWORKS),
    ("GATEWAY_PUBLIC_URL", "ironclaw.example.com", URL),
    ("GATEWAY_PUBLIC_URL", "https://[", URL),
    ("GATEWAY_PUBLIC_URL", "https://a.example:99999", URL),
    ("LOG_LEVEL", "verbose", "trace, debug, info, warn, error"),
    ("LOG_FORMAT", "xml", "text, json"),
    ("AGENT_MAX_TURNS", "0", UP_TO_1000),
    ("AGENT_MAX_TOOL_ITERATIONS", "1001", UP_TO_1000),
    ("BUILTIN_WORD_DELAY", "-1", SECONDS),
    ("GATEWAY_HEARTBEAT", "nan", SECONDS),
    ("GATEWAY_BODY_TIMEOUT", "1e9", SECONDS),
    ("GATEWAY_HEADER_TIMEOUT", "soon", SECONDS),
    ("GATEWAY_SHUTDOWN_GRACE", "inf", SECONDS),
]


def run(gateway: GatewayProcess, *args: str) -> "subprocess.CompletedProcess[str]":
    """A command of the program that ends by itself, in the surroundings of *gateway*."""
    return subprocess.run(
        [sys.executable, "-m", "ironclaw", *args],
        env=gateway.env,
        cwd=gateway.home.parent,
        capture_output=True,
        text=True,
        timeout=15,
    )


def effective_token(gateway: GatewayProcess) -> str:
    """The token that counts, by whatever order settings are read in."""
    result = run(gateway, "token", "show")
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize(("variable", "value", "allowed"), BAD, ids=[f"{one[0]}={one[1][:20]}" for one in BAD])
def test_r10_a_bad_value_is_refused_with_its_variable_what_was_read_and_what_is_allowed(
    gateway_process: MakeProcess, variable: str, value: str, allowed: str
) -> None:
    gateway = gateway_process(**{variable: value})
    result = run(gateway, "run")
    assert "Traceback" not in result.stderr, result.stderr
    assert result.returncode == CONFIG
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"ironclaw: {variable} is {value!r}"[:60])
    assert f", but it must be {allowed}" in result.stderr
    assert not gateway.home.exists()


def test_a_heartbeat_of_0_is_refused_or_off_but_never_spins(gateway_process: MakeProcess) -> None:
    import psutil

    gateway = gateway_process(GATEWAY_HEARTBEAT="0")
    process = gateway.spawn()
    while process.poll() is None and "Open http" not in gateway.log:
        time.sleep(0.02)
    if process.poll() is not None:
        assert "GATEWAY_HEARTBEAT" in gateway.log
        return
    meter = psutil.Process(process.pid)
    before = sum(meter.cpu_times()[:2])
    time.sleep(1.0)  # of which it may use a small part
    assert sum(meter.cpu_times()[:2]) - before < 0.5


# Where settings come from


def test_settings_come_from_flag_environment_local_env_file_and_that_of_the_home_in_this_order(
    gateway_process: MakeProcess,
) -> None:
    gateway = gateway_process()
    gateway.home.mkdir()
    (gateway.home / "token").write_text("token-of-the-default\n")
    assert effective_token(gateway) == "token-of-the-default"
    (gateway.home / ".env").write_text("GATEWAY_AUTH_TOKEN=token-of-the-home\n")
    assert effective_token(gateway) == "token-of-the-home"
    (gateway.home.parent / ".env").write_text("GATEWAY_AUTH_TOKEN=token-of-the-folder\n")
    assert effective_token(gateway) == "token-of-the-folder"
    gateway.env["GATEWAY_AUTH_TOKEN"] = "token-of-the-environment"
    assert effective_token(gateway) == "token-of-the-environment"
    gateway.start("--auth-token", "token-of-the-flag")
    assert gateway.request("GET", "/api/status", token="token-of-the-flag")[0] == 200
    for other in ("environment", "folder", "home", "default"):
        assert gateway.request("GET", "/api/status", token=f"token-of-the-{other}")[0] == 401


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GATEWAY_AUTH_TOKEN=plain-token", "plain-token"),
        ("export GATEWAY_AUTH_TOKEN=exported-token", "exported-token"),
        ("GATEWAY_AUTH_TOKEN='single quoted # token'", "single quoted # token"),
        ('GATEWAY_AUTH_TOKEN="double quoted # token"', "double quoted # token"),
        ("GATEWAY_AUTH_TOKEN=commented-token # said aside", "commented-token"),
        ("# GATEWAY_AUTH_TOKEN=no\n\n  GATEWAY_AUTH_TOKEN = spaced-token  ", "spaced-token"),
        ("GATEWAY_AUTH_TOKEN='no-${HOME}-$(id)-expansion'", "no-${HOME}-$(id)-expansion"),
        ("GATEWAY_AUTH_TOKEN=first-token\r\nGATEWAY_AUTH_TOKEN=windows-token\r\n", "windows-token"),
    ],
)
def test_an_env_file_may_have_quotes_comments_and_export_and_nothing_in_it_is_run(
    gateway_process: MakeProcess, line: str, expected: str
) -> None:
    gateway = gateway_process()
    (gateway.home.parent / ".env").write_bytes(line.encode())
    assert effective_token(gateway) == expected


def test_a_home_named_in_the_local_env_file_is_where_the_other_env_file_is_looked_for(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    gateway = gateway_process()
    del gateway.env["IRONCLAW_HOME"]
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / ".env").write_text(f"IRONCLAW_HOME={other}\n")
    (other / ".env").write_text("GATEWAY_AUTH_TOKEN=token-of-the-other-home\n")
    assert effective_token(gateway) == "token-of-the-other-home"


def test_without_any_setting_the_home_is_in_the_users_home(gateway_process: MakeProcess, tmp_path: Path) -> None:
    gateway = gateway_process()
    del gateway.env["IRONCLAW_HOME"]
    assert run(gateway, "token", "rotate").returncode == 0
    assert (tmp_path / ".ironclaw" / "token").exists()


def test_an_empty_value_counts_as_not_set(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_MAX_STREAMS="", GATEWAY_AUTH_TOKEN="  ", GATEWAY_PUBLIC_URL="", LOG_LEVEL=" ")
    (gateway.home.parent / ".env").write_text("GATEWAY_AUTH_TOKEN=\nGATEWAY_HEARTBEAT\nGATEWAY_CHAT_RATE=\n")
    gateway.start()
    del gateway.env["GATEWAY_AUTH_TOKEN"]
    assert re.fullmatch(r"[A-Za-z0-9]{32}", gateway.token)
    assert gateway.request("GET", "/api/status")[0] == 200


def test_an_env_file_that_is_no_text_is_named(gateway_process: MakeProcess) -> None:
    gateway = gateway_process()
    path = gateway.home.parent / ".env"
    path.write_bytes(b"GATEWAY_USER_ID=\xff\n")
    result = run(gateway, "run")
    assert result.returncode == CONFIG
    assert str(path) in result.stderr
    assert "Traceback" not in result.stderr


# The token


def test_s04_an_empty_token_never_lets_anyone_in(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN="").start()
    for header in ("Bearer ", "Bearer", "Bearer  ", "bearer \t"):
        assert gateway.request("GET", "/api/status", token=None, headers={"Authorization": header})[0] == 401
    for query in ("?token=", "?token", "?token=%20", ""):
        assert gateway.request("GET", f"/api/status{query}", token=None)[0] == 401


def test_s05_a_made_token_has_32_letters_and_digits_differs_between_homes_and_stays_for_one(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    gateways = [gateway_process(tmp_path / name).start() for name in ("one", "two")]
    tokens = [gateway.token for gateway in gateways]
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", token) for token in tokens)
    assert tokens[0] != tokens[1]
    gateways[0].terminate()
    gateways[0].wait()
    assert gateways[0].start().token == tokens[0]
    assert gateways[0].log.count(tokens[0]) == 2  # told once, as text and in the link; not again


def test_s20_the_token_file_is_for_its_owner_only_whatever_the_umask(gateway_process: MakeProcess) -> None:
    gateway = gateway_process().start(prefix=("sh", "-c", 'umask 000; exec "$@"', "sh"))
    assert stat.S_IMODE(gateway.home.stat().st_mode) == 0o700
    for path in (*gateway.home.glob("token"), *gateway.home.glob("ironclaw.db*"), gateway.home / "gateway.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_token_from_a_file_is_used_never_shown_and_missing_or_empty_is_said(
    gateway_process: MakeProcess, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    gateway = gateway_process(GATEWAY_AUTH_TOKEN_FILE=str(path))
    for content in (None, b"", b" \n", b"\xff"):
        if content is not None:
            path.write_bytes(content)
        result = run(gateway, "run")
        assert (result.returncode, "Traceback" in result.stderr) == (CONFIG, False)
        assert f"GATEWAY_AUTH_TOKEN_FILE is {path}" in result.stderr
    path.write_text("token-of-the-file\n")
    gateway.start()
    assert gateway.request("GET", "/api/status", token="token-of-the-file")[0] == 200
    assert not (gateway.home / "token").exists()
    assert "token-of-the-file" not in gateway.log


# What is printed


def test_the_documented_lines_are_printed_and_the_link_opens_the_page(gateway_process: MakeProcess) -> None:
    gateway = gateway_process().start()
    lines = gateway.log.splitlines()
    assert lines[0] == f"[INFO] Web Gateway started at http://127.0.0.1:{gateway.port}"
    assert lines[1] == f"[INFO] Auth token: {gateway.token}"
    assert lines[2] == f"[INFO] Open http://127.0.0.1:{gateway.port}/#token={gateway.token}"
    assert gateway.request("GET", "/", token=None)[0] == 200


def test_a_configured_token_is_never_printed(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(GATEWAY_AUTH_TOKEN="configured-canary-1234", LOG_LEVEL="trace").start()
    gateway.request("GET", "/api/status?token=configured-canary-1234", token=None)
    gateway.request("GET", "/api/nothing?token=configured-canary-1234", token=None)
    gateway.send("configured-canary-1234", wait=True)
    gateway.terminate()
    assert gateway.wait() == 0
    assert "GET /api/status 200" in gateway.log
    assert "configured-canary-1234" not in gateway.log


@pytest.mark.parametrize("configured", [True, False])
def test_on_a_terminal_a_made_token_is_told_at_each_start_and_a_configured_one_never(
    gateway_process: MakeProcess, configured: bool
) -> None:
    gateway = gateway_process(**({"GATEWAY_AUTH_TOKEN": "configured-canary-1234"} if configured else {}))
    for _ in range(2):
        ours, its = os.openpty()
        gateway.process = subprocess.Popen(
            [sys.executable, "-m", "ironclaw", "run"],
            env=gateway.env,
            cwd=gateway.home.parent,
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)
        said = b""
        while b"[INFO] Open http" not in said or not said.endswith(b"\n"):
            said += os.read(ours, 4096)
        gateway.port = int(said.split(b"127.0.0.1:")[1].split()[0])
        assert gateway.request("GET", "/healthz")[0] == 200
        gateway.terminate()
        assert gateway.wait() == 0
        with contextlib.suppress(OSError):  # which is how a terminal says that its other side has gone
            while rest := os.read(ours, 4096):
                said += rest
        os.close(ours)
        assert (gateway.token.encode() in said) is not configured


def test_log_format_json_makes_every_line_a_json_object(gateway_process: MakeProcess) -> None:
    gateway = gateway_process(LOG_FORMAT="json", GATEWAY_AUTH_TOKEN="configured-token-1").start()
    gateway.request("GET", "/api/nothing")
    gateway.send("help", wait=True)
    gateway.terminate()
    assert gateway.wait() == 0
    records = [json.loads(line) for line in gateway.log.splitlines()]
    assert all({"level", "message", "timestamp"} <= record.keys() for record in records)
    assert any(record["message"].startswith("Web Gateway started at http://127.0.0.1:") for record in records)
    assert any("POST /api/chat/send 200" in record["message"] for record in records)
