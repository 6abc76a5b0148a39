"""The index of SKILLS_REGISTRY_URL and what is fetched from the net: over real TLS, from a server in another process."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from gateway_process import GatewayProcess
from skill_calls import ask, member, refused, tar_of, text, zip_of

from ironclaw.settings import Settings
from ironclaw.skills.finding import is_older

MakeProcess = Callable[..., GatewayProcess]


class Web:
    """The server and its files; `folder` is what it serves."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        self.folder = folder
        self.certificate = certificate / "cert.pem"
        program = Path(__file__).with_name("index_server.py")
        command = [sys.executable, str(program), str(folder), str(self.certificate), str(certificate / "key.pem")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.url = f"https://localhost:{self.port}"

    def publish(self, name: str = "sourdough", data: bytes | None = None, **entry: Any) -> dict[str, Any]:
        """Put a skill's file there; its entry of the index."""
        version = entry.get("version", "1.0.0")
        data = zip_of({f"{name}/SKILL.md": text(name, version=version)}) if data is None else data
        (self.folder / f"{name}.zip").write_bytes(data)
        about = {"description": "Plan a bake.", "version": version, "tags": ["kitchen"], "url": f"{name}.zip"}
        return {"name": name, **about, "sha256": hashlib.sha256(data).hexdigest(), **entry}

    def index(self, *entries: Any, **more: Any) -> None:
        (self.folder / "index.json").write_text(json.dumps({"version": 1, "skills": entries, **more}))

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem"
    command += " -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def web(tmp_path: Path, certificate: Path) -> Iterator[Web]:
    (tmp_path / "web").mkdir()
    server = Web(tmp_path / "web", certificate)
    yield server
    server.close()


@pytest.fixture
def gateway(web: Web, gateway_process: MakeProcess) -> GatewayProcess:
    """A gateway that trusts the server's certificate, and may reach it at home."""
    return gateway_process(
        SKILLS_REGISTRY_URL=f"{web.url}/index.json",
        SSL_CERT_FILE=str(web.certificate),
        WEB_FETCH_ALLOW=f"localhost:{web.port}",
    )


def install(gateway: GatewayProcess, **body: Any) -> tuple[int, Any]:
    status, _, reply = gateway.request("POST", "/api/skills/install", body)
    return status, reply if status == 200 else reply["error"]["code"]


@pytest.mark.process
def test_what_the_index_lists_is_found_looked_at_and_installed(web: Web, gateway: GatewayProcess) -> None:
    web.index(web.publish(), web.publish("journal", version="9.0.0"))
    gateway.start()
    (found,) = gateway.request("GET", "/api/skills/search?query=kitchen")[2]["skills"]
    assert (found["name"], found["source"], found["trust"], found["installed"]) == (
        "sourdough", "remote", "untrusted", False,
    )  # fmt: skip
    shown = gateway.request("POST", "/api/skills/preview", {"name": "sourdough"})[2]
    assert shown["instructions"] == "Feed the starter."
    status, item = install(gateway, name="sourdough", hash=shown["skill"]["hash"])
    assert (status, item["state"], item["origin"]) == (200, "disabled", f"{web.url}/sourdough.zip")
    names = [one["name"] for one in gateway.request("GET", "/api/skills/search")[2]["skills"]]
    assert sorted(names) == sorted(set(names))
    journal = gateway.request("POST", "/api/skills/install", {"name": "journal"})[2]
    assert (journal["source"], journal["version"]) == (
        "builtin",
        "1.0.0",
    )  # what the index calls so never takes its place


@pytest.mark.process
def test_s78_what_is_not_as_the_index_says_is_refused_and_nothing_is_kept(web: Web, gateway: GatewayProcess) -> None:
    good = web.publish("good", version="2.0.0")
    entries = [
        good,
        web.publish("wrong-hash", sha256="0" * 64),
        web.publish("other-name", zip_of({"SKILL.md": text("something")})),
        web.publish("other-version", zip_of({"SKILL.md": text("other-version", version="1.0.0")}), version="3.0.0"),
        web.publish("gone", url="nothing-here.zip"),
        web.publish("evil", tar_of((member("SKILL.md"), text("evil").encode()), (member("../x"), b"x"))),
        web.publish("plain-http", url=f"http://localhost:{web.port}/plain-http.zip"),
        web.publish("to-http", url=f"/to/http://localhost:{web.port}/good.zip"),
        web.publish("to-loopback", url="/to/https://127.0.0.1:1/good.zip"),
        web.publish("pyth0n-debugger"),
        web.publish("no-hash", sha256=""),
        {**good, "name": "../../x"},
        "rubbish",
    ]
    web.index(*entries)
    gateway.start()
    listed = {
        one["name"] for one in gateway.request("GET", "/api/skills/search")[2]["skills"] if one["source"] == "remote"
    }
    assert listed == {
        "good", "wrong-hash", "other-name", "other-version", "gone", "evil", "to-http", "to-loopback",
    }  # fmt: skip
    refusals = {
        "wrong-hash": (403, "wrong_hash"), "other-name": (403, "wrong_file"), "other-version": (403, "wrong_file"),
        "gone": (503, "unavailable"), "evil": (422, "bad_archive"), "plain-http": (404, "not_found"),
        "to-http": (403, "forbidden"), "to-loopback": (403, "forbidden"), "no-hash": (404, "not_found"),
        "pyth0n-debugger": (403, "lookalike"),
    }  # fmt: skip
    assert {name: install(gateway, name=name) for name in refusals} == refusals
    assert not (gateway.home / "skills").exists()
    assert install(gateway, name="good")[0] == 200
    web.index(web.publish("good", version="2.1.0"))
    gateway.kill()
    gateway.start()
    shown = gateway.request("POST", "/api/skills/preview", {"name": "good", "update": True})[2]
    assert (shown["skill"]["version"], shown["replaces"]) == ("2.1.0", "2.0.0")
    assert install(gateway, name="good", update=True, hash=shown["skill"]["hash"])[1]["version"] == "2.1.0"
    web.index(web.publish("good", version="1.9.0"))
    gateway.kill()
    gateway.start()  # reads the index anew
    assert install(gateway, name="good", update=True) == (409, "older_version")


@pytest.mark.process
def test_an_index_that_is_away_or_no_index_does_no_harm(web: Web, gateway: GatewayProcess) -> None:
    (web.folder / "index.json").write_text('{"version": 2}')
    gateway.start()
    reply = gateway.request("GET", "/api/skills/search?query=python")[2]
    assert [one["name"] for one in reply["skills"]] == ["python-debugger"]
    assert "no index of version 1" in reply["registry_error"]
    web.close()
    assert install(gateway, name="journal")[0] == 200
    assert install(gateway, name="nothing") == (404, "not_found")


@pytest.mark.process
def test_a_skill_is_installed_from_an_address(web: Web, gateway: GatewayProcess) -> None:
    web.publish()
    (web.folder / "SKILL.md").write_text(text("plain"))
    (web.folder / "x.tar.gz").write_bytes(tar_of((member("packed/SKILL.md"), text("packed").encode())))
    (web.folder / "page").write_text("<html>not found</html>")
    (web.folder / "fat").write_bytes(b"\0" * (11 << 20))
    gateway.start()
    for path, name in (
        ("sourdough.zip", "sourdough"),
        ("SKILL.md", "plain"),
        ("x.tar.gz", "packed"),
        ("to//SKILL.md", ""),
    ):
        status, reply = install(gateway, url=f"{web.url}/{path}")
        assert (status, reply["name"] if status == 200 else reply) == (200, name or "plain")
    assert install(gateway, url=f"{web.url}/page") == (422, "bad_skill")
    assert install(gateway, url=f"{web.url}/fat") == (413, "too_large")
    assert install(gateway, url=f"{web.url}/nothing") == (503, "unavailable")


async def test_s68_private_addresses_and_plain_http_are_refused(client: TestClient) -> None:
    for url in ("https://127.0.0.1/x.zip", "https://[::1]/x.zip", "https://localhost/x.zip", "https://10.0.0.1/x"):
        await refused(client, "POST", "install", {"url": url}, 403, "forbidden")
        await refused(client, "POST", "preview", {"url": url}, 403, "forbidden")
    for url in ("http://example.com/x.zip", "file:///etc/passwd", "https://user:pw@example.com/x", "x"):
        await refused(client, "POST", "install", {"url": url}, 422, "invalid")


async def test_an_index_over_http_is_never_asked(make_client: Any, settings: Settings) -> None:
    import attrs

    client = await make_client(attrs.evolve(settings, skills_registry_url="http://127.0.0.1:9/index.json"))
    assert "https only" in (await ask(client, "GET", "search"))["registry_error"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9.0", "1.10.0"), ("1.0", "1.0.1"), ("1.0.0-rc1", "1.0.0"), ("1.0.0-rc1", "1.0.0-rc2"), ("v1.2", "1.3"),
        ("0.0.0", "0.1"), ("2025-12-31", "2026-01-01"),
    ],
)  # fmt: skip
def test_versions_have_an_order(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)


def test_equal_versions_are_not_older() -> None:
    for one, other in (("1.0", "1.0.0"), ("1.0+x", "1.0+y"), ("v1", "1")):
        assert not is_older(one, other)
        assert not is_older(other, one)
