"""`ironclaw backup`, `export`, `import` and `support` as people use them."""

import json
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import ironclaw
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, reply, run_stand_in  # noqa: F401

pytestmark = pytest.mark.process

MakeProcess = Callable[..., GatewayProcess]
KEY = "sk-canary-0123456789abcdef01234567"
TOKEN = "canary-token-89abcdef0123456789"


@pytest.fixture
def gateway(gateway_process: MakeProcess) -> GatewayProcess:
    process = gateway_process(BUILTIN_WORD_DELAY="0").start()
    process.send("note: buy milk", thread_id="a", wait=True)
    process.send("help", thread_id="b", wait=True)
    return process


def test_a_backup_is_made_listed_checked_and_put_back(gateway: GatewayProcess, tmp_path: Path) -> None:
    made = ironclaw(gateway.home, "backup", "create")
    path = Path(made.stdout.strip())
    assert (made.returncode, path.parent) == (0, gateway.home / "backups")
    assert re.search(r"\d+ files, .* without secrets", made.stderr)
    secret = ironclaw(gateway.home, "backup", "create", "--with-secrets", str(tmp_path / "all.tar.gz"))
    assert (secret.returncode, secret.stdout) == (0, f"{tmp_path}/all.tar.gz\n")
    assert "where you keep passwords" in ironclaw(gateway.home, "backup", "verify", str(tmp_path / "all.tar.gz")).stdout
    listed = ironclaw(gateway.home, "backup", "list")
    assert listed.stdout.splitlines()[0].endswith(str(path))
    (one,) = json.loads(ironclaw(gateway.home, "backup", "list", "--json").stdout)["backups"]
    assert (one["name"], one["size"]) == (path.name, path.stat().st_size)
    verified = ironclaw(gateway.home, "backup", "verify", path.name)  # a name is looked for among the backups
    assert (verified.returncode, verified.stdout.startswith("good: ")) == (0, True)
    running = ironclaw(gateway.home, "backup", "restore", "--force", path.name)
    assert (running.returncode, "Stop it first" in running.stderr) == (1, True)
    gateway.terminate()
    gateway.wait()
    refused = ironclaw(gateway.home, "backup", "restore", path.name)
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    done = ironclaw(gateway.home, "backup", "restore", "--force", path.name)
    assert done.returncode == 0, done.stderr
    assert "before-restore-" in done.stderr
    assert "Traceback" not in made.stderr + refused.stderr + running.stderr + done.stderr
    assert gateway.start().request("GET", "/api/chat/history?thread_id=a")[2]["turns"]


def test_what_is_no_backup_is_said_in_a_line(gateway: GatewayProcess, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"no")
    for command, said in (
        (("verify", "none.tar.gz"), "There is no"),
        (("verify", str(tmp_path / "x.tar.gz")), "damaged or no backup"),
        (("restore", "--force", str(tmp_path / "x.tar.gz")), "damaged or no backup"),
        (("create", str(tmp_path / "x.tar.gz")), "exists already"),
    ):
        done = ironclaw(gateway.home, "backup", *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_conversations_go_from_one_gateway_to_another(
    gateway: GatewayProcess, gateway_process: MakeProcess, tmp_path: Path
) -> None:
    other = gateway_process(tmp_path / "other").start()
    all_of_it = tmp_path / "all.json"
    assert ironclaw(gateway.home, "export", "-o", str(all_of_it)).returncode == 0
    assert stat.S_IMODE(all_of_it.stat().st_mode) == 0o600
    assert ironclaw(gateway.home, "export", "-o", str(all_of_it)).returncode == 1  # never over a file
    done = ironclaw(other.home, "import", str(all_of_it))
    assert (done.returncode, done.stdout.count("created")) == (0, 2), done.stderr
    again = ironclaw(other.home, "import", "-", stdin=all_of_it.read_text())
    assert (again.returncode, again.stdout.count("unchanged")) == (0, 2)
    back = json.loads(ironclaw(other.home, "export").stdout)
    assert back["threads"] == json.loads(all_of_it.read_text())["threads"]
    one = ironclaw(gateway.home, "export", "a")
    assert [thread["thread"]["id"] for thread in json.loads(one.stdout)["threads"]] == ["a"]
    of_the_page = tmp_path / "page.json"  # what the page's own export writes: one thread alone
    of_the_page.write_text(json.dumps(json.loads(one.stdout)["threads"][0]))
    assert "unchanged" in ironclaw(other.home, "import", str(of_the_page)).stdout
    markdown = ironclaw(gateway.home, "export", "--format", "markdown")
    assert "**You**" in markdown.stdout
    (tmp_path / "all.md").write_text(markdown.stdout)
    refused = ironclaw(other.home, "import", str(tmp_path / "all.md"))
    assert (refused.returncode, "Markdown is for reading" in refused.stderr) == (1, True)
    assert ironclaw(gateway.home, "export", "no-such-thread").returncode == 1


def test_s20_a_support_bundle_says_what_is_in_it_and_holds_nothing_private(
    gateway_process: MakeProcess, stand_in: StandInProcess, tmp_path: Path
) -> None:
    stand_in.facts(models=["m1"])
    error = json.dumps({"error": {"message": f"key {KEY} is not good"}})
    stand_in.script("m1", reply(error, status=401, content_type="application/json"))
    env = {"GATEWAY_AUTH_TOKEN": TOKEN, "LLM_BASE_URL": f"{stand_in.url}/v1", "LLM_MODEL": "m1", "LLM_API_KEY": KEY}
    gateway = gateway_process(**env, LOG_LEVEL="trace", GATEWAY_API_RATE="1000").start()
    gateway.request("GET", f"/api/status?token={TOKEN}")
    gateway.send("CANARYMESSAGE of mine", wait=False)
    gateway.request("POST", "/api/memory/write", {"path": "diary.md", "content": "CANARYNOTE of mine"})
    gateway.request("GET", "/api/memory/search?query=CANARYQUERY")
    target = tmp_path / "s.zip"
    misplaced = {"SEARXNG_URL": "http://me:canary-password@search.lan", "GATEWAY_USER_ID": f"{KEY}-in-the-wrong-place"}
    done = ironclaw(gateway.home, "support", "-o", str(target), **env, **misplaced)
    assert (done.returncode, done.stdout) == (0, f"{target}\n"), done.stderr
    names = [
        "README.txt",
        "version.txt",
        "settings.txt",
        "doctor.txt",
        "status.json",
        "log.txt",
        "database.txt",
        "sizes.txt",
    ]
    with zipfile.ZipFile(target) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert list(parts) == names
    assert all(name in done.stderr for name in names)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    for canary in (KEY, TOKEN, "CANARYMESSAGE", "CANARYNOTE", "CANARYQUERY", "canary-password", "diary"):
        assert [name for name, text in parts.items() if canary in text] == [], canary
    assert "LLM_API_KEY = ***" in parts["settings.txt"]
    assert '"version"' in parts["status.json"]
    assert "Web Gateway started" in parts["log.txt"]
    assert re.search(r"failure +model", parts["doctor.txt"])
    assert re.search(r"turns: 1 rows", parts["database.txt"])
    assert "migration 30 chat" in parts["database.txt"]
    assert "workspace/: " in parts["sizes.txt"]


def test_a_support_bundle_is_written_where_nothing_runs_or_can_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = ironclaw(home, "support", "-o", str(tmp_path / "a.zip"))
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert "no gateway runs" in archive.read("log.txt").decode()
    done = ironclaw(home, "support", "-o", str(tmp_path / "b.zip"), GATEWAY_PORT="abc")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert "GATEWAY_PORT" in archive.read("settings.txt").decode()
    assert ironclaw(home, "support", "-o", str(tmp_path / "b.zip")).returncode == 1
    assert not home.exists()
