"""deploy/: what is written there is parsed, checked against the program, and run as far as it goes without an engine."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import attrs
import pytest
from gateway_process import GatewayProcess
from test_install import InstalledGateway, copy_checkout, see_dependencies

from ironclaw.cli import EXIT_CONFIG
from ironclaw.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
ROOT = DEPLOY.parent
GRACE = attrs.fields(Settings).shutdown_grace.default
VARIABLES = {field.metadata["env"] for field in attrs.fields(Settings)}
Step = tuple[str, str]

# The image


def instructions() -> list[Step]:
    """The Dockerfile as (word, rest), its comments left out and its long lines joined."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    steps = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    assert all(len(step) == 2 and step[0].isupper() for step in steps), steps
    return [(word, rest) for word, rest in steps]


def stages() -> list[list[Step]]:
    """The steps of each stage, its FROM first."""
    found: list[list[Step]] = []
    for step in instructions():
        if step[0] == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def said(word: str) -> list[str]:
    """What the last stage says under a word."""
    return [rest for name, rest in stages()[-1] if name == word]


def image_env() -> dict[str, str]:
    return dict(one.split("=", 1) for rest in said("ENV") for one in shlex.split(rest))


def health_command() -> list[str]:
    (check,) = said("HEALTHCHECK")
    command: list[str] = json.loads(check.partition("CMD ")[2])
    return command


def test_the_image_is_slim_unprivileged_and_says_how_it_is_used() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert set(bases) == {"python:3.13-slim"}  # unqualified, one base, and no `latest`
    (user,) = said("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # a number: known not to be root without looking inside
    assert said("VOLUME") == ["/data"]
    assert image_env()["IRONCLAW_HOME"] == "/data"
    assert said("STOPSIGNAL") == ["SIGTERM"]
    assert said("EXPOSE") == [str(attrs.fields(Settings).port.default)]
    assert json.loads(said("ENTRYPOINT")[0]) + json.loads(said("CMD")[0]) == ["ironclaw", "run"]
    order = [word for word, _ in stages()[-1]]
    assert order.index("USER") > max(number for number, word in enumerate(order) if word in {"RUN", "COPY"})
    assert health_command()[0] == "python"
    settings = {name for name in image_env() if name.startswith(("GATEWAY_", "IRONCLAW_", "AGENT_", "LOG_"))}
    assert settings <= VARIABLES


def test_nothing_that_builds_and_no_download_is_left_in_the_image() -> None:
    text = " ".join(rest for _, rest in instructions())
    assert not re.search(r"\b(apt-get|apt|curl|wget|git|gcc|build-essential|https?://(?!127\.0\.0\.1))\b", text)
    copied = [rest for word, rest in stages()[-1] if word == "COPY"]
    assert copied == ["--from=build /opt/ironclaw /opt/ironclaw"]  # the environment alone, none of the sources
    assert "ADD" not in {word for word, _ in instructions()}
    assert "pip uninstall" in said("RUN")[0]


def test_the_builder_gets_what_it_copies_and_no_secrets() -> None:
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {source for rest in (r for w, r in stages()[0] if w == "COPY") for source in rest.split()[:-1]}
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)
    assert not [name for name in let_in if fnmatch(".env", name) or fnmatch(".git", name)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first stage was run as it is written: /src and /opt lie below it. No root, no engine."""
    place = tmp_path_factory.mktemp("image")
    checkout = copy_checkout(tmp_path_factory.mktemp("context"))
    commands = Path(sys.executable).parent
    env = {"PATH": f"{commands}:{os.environ['PATH']}", "HOME": str(place), "PIP_NO_DEPS": "1"}
    where = place
    for word, rest in stages()[0][1:]:
        if word == "WORKDIR":
            where = place / rest.lstrip("/")
            where.mkdir(parents=True)
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (checkout / source).is_dir():
                    shutil.copytree(checkout / source, where / target)
                else:
                    shutil.copy(checkout / source, where / target)
        else:
            assert word == "RUN", word
            script = rest.replace("/opt/", f"{place}/opt/")
            done = subprocess.run(
                ["sh", "-ec", script], cwd=where, env=env, capture_output=True, text=True, timeout=200
            )
            assert done.returncode == 0, done.stdout + done.stderr
    see_dependencies(place / "opt/ironclaw/bin/python")
    return place


@pytest.fixture
def container(image: Path, tmp_path: Path) -> Iterator[InstalledGateway]:
    """The image's command with the image's variables, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {name: value.replace("/opt/", f"{image}/opt/") for name, value in image_env().items()}
    path = env["PATH"].replace("$PATH", os.environ["PATH"])
    settings = {"IRONCLAW_HOME": str(tmp_path / "data"), "PATH": path, "GATEWAY_PORT": str(port)}
    command = json.loads(said("ENTRYPOINT")[0]) + json.loads(said("CMD")[0])
    command[0] = shutil.which(command[0], path=path) or "not in the image"
    gateway = InstalledGateway(tmp_path / "data", {**env, **settings}, *command)
    try:
        yield gateway.start()  # type: ignore[misc]
    finally:
        gateway.kill()


def healthy(gateway: InstalledGateway) -> int:
    command, *arguments = health_command()
    program = shutil.which(command, path=gateway.env["PATH"])
    assert program
    env = {**gateway.env, "HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    return subprocess.run([program, *arguments], env=env, capture_output=True, timeout=30).returncode


@pytest.mark.process
@pytest.mark.timeout(240)
def test_the_images_commands_build_run_check_and_stop_it(container: InstalledGateway, image: Path) -> None:
    assert healthy(container) == 0
    assert container.send("/help", wait=True)["state"] == "completed"
    made = {path.name for path in (image / "opt/ironclaw/bin").iterdir()}
    assert "ironclaw" in made
    assert not [name for name in made if name.startswith("pip")]
    assert container.process is not None
    (name,) = said("STOPSIGNAL")
    container.process.send_signal(signal.Signals[name])
    assert container.wait(9) == 0  # an engine kills after 10 s unless told otherwise
    assert healthy(container) == 1


# The compose file


def read_yaml(text: str) -> Any:
    """The plain YAML that compose.yaml keeps to: maps, lists, words. Anything else is an error here."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()]
    return _block([(depth, line) for depth, line in lines if line and not line.startswith("#")], 0)[0]


def _block(lines: list[tuple[int, str]], at: int) -> tuple[Any, int]:
    depth, first = lines[at]
    found: Any = [] if first.startswith("- ") else {}
    while at < len(lines) and lines[at][0] == depth:
        line = lines[at][1]
        item = re.fullmatch(r"- (.+)", line)
        if item and isinstance(found, list):
            if re.match(r"[\w-]+: ", item[1]):  # a map that begins on the line of its dash
                lines[at] = (depth + 2, item[1])
                value, at = _block(lines, at)
                found.append(value)
            else:
                found.append(item[1].strip('"'))
                at += 1
            continue
        pair = re.fullmatch(r"([\w.-]+):(?: (.+))?", line)
        assert pair, line
        assert isinstance(found, dict), line
        assert pair[1] not in found, line
        at += 1
        if pair[2] is None and at < len(lines) and lines[at][0] > depth:
            found[pair[1]], at = _block(lines, at)
        else:
            found[pair[1]] = pair[2] and pair[2].strip('"')
    assert at == len(lines) or lines[at][0] < depth, lines[at]
    return found, at


def test_the_reader_of_yaml_reads_and_refuses() -> None:
    read = read_yaml('a:\n  b: "x y"\n  c:\n    - d: 1\n      e: 2\n    - f:3\ng:\n')
    assert read == {"a": {"b": "x y", "c": [{"d": "1", "e": "2"}, "f:3"]}, "g": None}
    for wrong in ("a\n", "a: 1\na: 2\n", "a:\n  - b\n  c: d\n", "a: 1\n  b: 2\n"):
        with pytest.raises(AssertionError):
            read_yaml(wrong)


@pytest.fixture
def service() -> dict[str, Any]:
    text = (DEPLOY / "compose.yaml").read_text()
    read = read_yaml(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))  # with no variable set
    assert read["volumes"] == {"data": None}
    (service,) = read["services"].values()
    found: dict[str, Any] = service
    return found


def test_compose_builds_this_image_and_opens_it_to_this_machine_only(service: dict[str, Any]) -> None:
    context = (DEPLOY / service["build"]["context"]).resolve()
    assert context == ROOT
    assert context / service["build"]["dockerfile"] == DEPLOY / "Dockerfile"
    assert service["ports"] == ["127.0.0.1:3000:3000"]
    assert service["environment"]["GATEWAY_PORT"] == "3000" == said("EXPOSE")[0]
    assert service["environment"]["GATEWAY_HOST"] == "0.0.0.0"
    assert service["volumes"] == [f"data:{said('VOLUME')[0]}"]
    assert service["extra_hosts"] == ["host.docker.internal:host-gateway"]
    assert service["restart"] == "unless-stopped"
    assert {name for name in service["environment"] if name != "TZ"} <= VARIABLES
    assert service["env_file"] == [{"path": ".env", "required": "false"}]


def test_compose_takes_all_rights_that_are_not_needed(service: dict[str, Any]) -> None:
    assert service["read_only"] == "true"
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "user"} & set(service)
    assert int(service["stop_grace_period"].removesuffix("s")) > GRACE + 2


# The units


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / name)
    return parser


UNITS = ["ironclaw.service", "ironclaw-user.service"]


def analyzer() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here (Debian: apt install systemd)")
    return program


@pytest.fixture
def analyze(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs systemd-analyze on a copy of a unit in which only the program's path is this environment's."""
    program = analyzer()
    command = Path(sys.executable).parent / "ironclaw"

    def run(name: str, *arguments: str) -> tuple[int, str]:
        copy = tmp_path / "ironclaw.service"
        copy.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={command}", (DEPLOY / name).read_text(), flags=re.M))
        for path in (tmp_path / "runtime", tmp_path / "home"):
            path.mkdir(mode=0o700, exist_ok=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "runtime")}
        line = [program, "--no-pager", *arguments, str(copy)]
        done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=50)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize(("name", "scope"), [(UNITS[0], "--system"), (UNITS[1], "--user")])
def test_systemd_understands_every_line_of_the_units(
    analyze: Callable[..., tuple[int, str]], name: str, scope: str
) -> None:
    assert analyze(name, scope, "verify") == (0, "")  # what it does not know it only mentions


def test_systemd_understands_what_jobs_add_to_the_unit_which_stays_well_closed(
    analyze: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    added = (DEPLOY / "ironclaw-jobs.conf").read_text().partition("[Service]\n")[2]
    both = (DEPLOY / "ironclaw.service").read_text().replace("[Install]", f"{added}\n[Install]")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "both.service").write_text(both)
    monkeypatch.setitem(globals(), "DEPLOY", tmp_path / "deploy")
    assert analyze("both.service", "--system", "verify") == (0, "")
    code, told = analyze("both.service", "security", "--offline=true", "--threshold=40")
    assert code == 0, told


def test_compose_for_jobs_opens_what_namespaces_need_and_nothing_else() -> None:
    (name,), more = zip(*read_yaml((DEPLOY / "compose.jobs.yaml").read_text())["services"].items(), strict=True)
    assert name == "gateway"
    unconfined = [f"{one}=unconfined" for one in ("seccomp", "apparmor", "systempaths")]
    assert more == ({"security_opt": ["no-new-privileges:true", *unconfined]},)


def test_systemd_finds_the_machines_unit_hardly_exposed(analyze: Callable[..., tuple[int, str]]) -> None:
    code, told = analyze("ironclaw.service", "security", "--offline=true", "--threshold=20")  # 2.0 of 10
    assert code == 0, told


@pytest.mark.parametrize("name", UNITS)
def test_units_give_time_to_stop_and_do_not_retry_a_configuration_that_cannot_work(name: str) -> None:
    service = unit(name)["Service"]
    assert float(service["TimeoutStopSec"]) > GRACE + 2
    assert service["RestartPreventExitStatus"] == str(EXIT_CONFIG)
    assert service["Restart"] == "on-failure"
    assert service["ExecStart"].endswith("/bin/ironclaw run")
    assert not {"KillSignal", "SuccessExitStatus"} & set(service)


def test_the_machines_unit_has_its_own_user_and_keeps_its_state_where_it_may_write() -> None:
    service = unit("ironclaw.service")["Service"]
    assert service["User"] == service["Group"] == "ironclaw"
    home = f"/var/lib/{service['StateDirectory']}"
    assert f"IRONCLAW_HOME={home}" in service["Environment"].split()
    assert service["WorkingDirectory"] == home
    assert service["StateDirectoryMode"] == "0700"


def system_calls(*groups: str) -> set[str]:
    """All calls of systemd's groups, those of groups within them too."""
    told = subprocess.run([analyzer(), "syscall-filter", *groups], capture_output=True, text=True, timeout=20).stdout
    words = {line.strip() for line in told.splitlines() if line.startswith("    ") and "#" not in line}
    inner = {word for word in words if word.startswith("@")}
    return (words - inner) | (system_calls(*inner) if inner else set())


@pytest.mark.process
@pytest.mark.timeout(120)
def test_the_gateway_writes_at_home_only_and_needs_no_call_that_the_unit_forbids(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = gateway_process(PYTHONDONTWRITEBYTECODE="1", TMPDIR=str(scratch))
    gateway = process.start(prefix=("strace", "-f", "-qq", "-o", str(trace)))
    assert gateway.send("note: buy screws", wait=True)["state"] == "completed"
    gateway.open_events().close()
    os.kill(json.loads((gateway.home / "gateway.json").read_text())["pid"], signal.SIGTERM)
    assert gateway.wait(30) == 0
    traced = [found for line in trace.read_text().splitlines() if (found := re.match(r"\d+\s+(\w+)\((.*)", line))]
    used = {found[1] for found in traced}
    assert "accept4" in used
    if os.geteuid() == 0:
        used.discard("fchown")  # SQLite's, which it does as root only
    filters = re.findall(r"^SystemCallFilter=(.+)$", (DEPLOY / "ironclaw.service").read_text(), re.M)
    assert filters == ["@system-service", "~@privileged"]
    assert used - (system_calls("@system-service") - system_calls("@privileged")) == set()
    writes = [found[2] for found in traced if found[1] == "openat" and re.search(r"O_(WRONLY|RDWR|CREAT)", found[2])]
    places = {found[1] for call in writes if (found := re.match(r'AT_FDCWD, "([^"]+)"', call))}
    assert {str(gateway.home / "token"), str(gateway.home / "ironclaw.db")} & places
    allowed = (f"{gateway.home}/", f"{scratch}/", "/dev/null")
    assert [place for place in sorted(places) if not place.startswith(allowed)] == []
