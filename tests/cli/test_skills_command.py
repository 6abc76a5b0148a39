"""`ironclaw skills` against a running gateway: lines for people and programs, exit codes, the question before enabling."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from gateway_process import GatewayProcess
from skill_calls import EVIL, text, zip_of

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One for all: each test has skills of other names."""
    process = GatewayProcess(tmp_path_factory.mktemp("skills") / "home", {}).start()
    yield process
    process.kill()


def environment(gateway: GatewayProcess) -> dict[str, str]:
    return {name: gateway.env[name] for name in ("PATH", "PYTHONPATH", "HOME", "IRONCLAW_HOME")}


def skills(gateway: GatewayProcess, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ironclaw", "skills", *arguments]
    return subprocess.run(command, env=environment(gateway), input=stdin, capture_output=True, text=True, timeout=60)


def test_a_builtin_skill_from_search_to_remove(gateway: GatewayProcess) -> None:
    found = skills(gateway, "search", "python")
    assert found.stdout == "python-debugger\t1.0.0\tavailable\tbuiltin\tDebug Python code\n"
    assert skills(gateway, "search", "quantum").returncode == 1
    assert skills(gateway, "install", "python-debugger").stdout == "python-debugger 1.0.0: enabled\n"
    listed = json.loads(skills(gateway, "list", "--json").stdout)
    assert [one["name"] for one in listed["skills"]] == ["python-debugger"]
    assert skills(gateway, "disable", "python-debugger").stdout == "python-debugger: disabled\n"
    assert skills(gateway, "enable", "python-debugger").stdout == "python-debugger 1.0.0: enabled, tools: all\n"
    assert "Read the traceback from below" in skills(gateway, "show", "python-debugger").stdout
    assert skills(gateway, "remove", "python-debugger").stdout == "python-debugger: removed\n"
    gone = skills(gateway, "remove", "python-debugger")
    assert (gone.returncode, gone.stdout, gone.stderr) == (
        1,
        "",
        "ironclaw: The skill python-debugger is not installed.\n",
    )


def test_one_from_elsewhere_is_shown_and_asked_about(gateway: GatewayProcess, tmp_path: Path) -> None:
    folder = tmp_path / "sourdough"
    folder.mkdir()
    (folder / "SKILL.md").write_text(text(body=f"{EVIL}\x1b[2J"))
    (folder / ".hidden").write_text("x")
    shown = skills(gateway, "preview", str(folder))
    assert "DANGER SKILL.md:7 pipe-to-shell" in shown.stdout
    assert "\\x1b[2J" in shown.stdout
    assert ".hidden" not in shown.stdout
    installed = skills(gateway, "install", str(folder))
    assert installed.stdout.startswith("sourdough 1.0.0: disabled\nDANGER")
    assert "skills enable sourdough" in installed.stderr
    unseen = skills(gateway, "enable", "sourdough")
    assert (unseen.returncode, "--hash" in unseen.stderr) == (2, True)
    for answer, state in (("n", "disabled"), ("y", "enabled")):
        command = ["-m", "ironclaw", "skills", "enable", "sourdough", "--tools", "read"]
        talk = pexpect.spawn(sys.executable, command, env=environment(gateway), encoding="utf-8", timeout=20)
        talk.expect("pipe-to-shell")
        talk.expect("Enable it")
        talk.sendline(answer)
        talk.expect(pexpect.EOF)
        talk.close()
        assert json.loads(skills(gateway, "show", "sourdough", "--json").stdout)["skill"]["state"] == state


def test_a_source_is_a_zip_a_file_or_standard_input(gateway: GatewayProcess, tmp_path: Path) -> None:
    (tmp_path / "two.zip").write_bytes(zip_of({"aa/SKILL.md": text("sourdough"), "bb/SKILL.md": text("rye-bread")}))
    (tmp_path / "plain.md").write_text(text("baguette"))
    several = skills(gateway, "install", str(tmp_path / "two.zip"))
    assert (several.returncode, "aa, bb" in several.stderr) == (1, True)
    assert skills(gateway, "install", str(tmp_path / "two.zip"), "--name", "bb").stdout == "rye-bread 1.0.0: disabled\n"
    assert skills(gateway, "install", str(tmp_path / "plain.md")).stdout == "baguette 1.0.0: disabled\n"
    assert skills(gateway, "install", "-", stdin=text("focaccia")).stdout == "focaccia 1.0.0: disabled\n"
    newer = text("focaccia", version="1.1.0")
    assert skills(gateway, "install", "-", stdin=newer).returncode == 1
    assert skills(gateway, "install", "-", "--update", stdin=newer).stdout == "focaccia 1.1.0: disabled\n"
    missing = skills(gateway, "install", str(tmp_path / "nothing.zip"))
    assert (missing.returncode, "there is no" in missing.stderr) == (1, True)
    hash_ = json.loads(skills(gateway, "show", "focaccia", "--json").stdout)["skill"]["hash"]
    enabled = skills(gateway, "enable", "focaccia", "--hash", hash_, "--tools", "all")
    assert enabled.stdout == "focaccia 1.1.0: enabled, tools: all\n"


def test_a_new_skill_is_a_file_for_any_editor(gateway: GatewayProcess) -> None:
    made = skills(gateway, "new", "water-plants", "-d", 'When: the "plants" are dry')
    assert (made.returncode, made.stderr) == (0, "")
    file = gateway.home / "skills/water-plants/SKILL.md"
    assert "# Water plants" in file.read_text()
    assert 'When: the "plants" are dry' in skills(gateway, "list").stdout
    again = skills(gateway, "new", "water-plants")
    assert again.returncode == 1
    file.write_text("broken")
    assert "front matter" in skills(gateway, "list").stderr
    removed = skills(gateway, "remove", "water-plants").stdout
    kept = gateway.home / removed.partition("kept as ")[2].strip()
    assert (kept / "SKILL.md").read_text() == "broken"
    assert skills(gateway, "new", "from-file", "--file", "-", stdin=text("from-file")).returncode == 0
