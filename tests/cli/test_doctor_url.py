"""`ironclaw doctor --url`: each thing that can stand wrongly between is put there, a real nginx, and is named by itself."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from command_line import ironclaw
from gateway_process import GatewayProcess

from ironclaw.doctor.address import Door, examine_address
from ironclaw.doctor.finding import Finding

pytestmark = pytest.mark.process

TOKEN = "a-token-of-the-test-0123456789"
WATCH = 3.0
UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
FORWARDED = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
GOOD = f"{UPGRADE} {FORWARDED}"
# What stands between, and which finding tells it: check, state, what is said.
PROXIES = {
    "good": (GOOD, "trusting", None),
    # Over HTTP 1.0, which is nginx's own choice, what comes is held until a buffer is full.
    "buffering": (f"{GOOD} }} location /api/chat/events {{ proxy_pass http://127.0.0.1:GATEWAY; {FORWARDED}"
                  " proxy_ignore_headers X-Accel-Buffering;", "trusting", ("events", "failure", "buffers streams")),
    "dropping Upgrade": (f"proxy_http_version 1.1; {FORWARDED}", "trusting", ("websocket", "failure", "drops the Upgrade")),
    "impatient": (f"{GOOD} proxy_read_timeout 1s;", "slow", ("events", "failure", "cut after 1 s")),
    "silent about the caller": (UPGRADE, "trusting", ("client address", "warning", "does not tell who calls")),
    "not believed": (GOOD, "wary", ("client address", "warning", "does not believe the proxy at 127.0.0.1")),
    "without Authorization": (f'{GOOD} proxy_set_header Authorization "";', "trusting",
                              ("token there", "failure", r"refused there \(401\)")),
    "of a dead gateway": (GOOD, "dead", ("address", "failure", "does not reach the gateway")),
}  # fmt: skip


class Nginx:
    """One nginx with a server for each block, on ports of its own."""

    def __init__(self, folder: Path, blocks: dict[str, str]) -> None:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in blocks]
        self.ports = {name: one.getsockname()[1] for name, one in zip(blocks, sockets, strict=True)}
        for one in sockets:
            one.close()
        servers = "".join(
            f"server {{ {block.replace('PORT', f'127.0.0.1:{self.ports[name]}')} }}\n" for name, block in blocks.items()
        )
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; {paths}\n{servers}}}\n"
        )
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen(
            [program, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log"], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", max(self.ports.values()))):
                return
            assert self.process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)


def certificate(folder: Path, days: int) -> Path:
    """cert.pem and key.pem for localhost, signed by themselves."""
    folder.mkdir()
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days {days}"
    more = [
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run([*command.split(), *more], cwd=folder, check=True, capture_output=True, timeout=30)
    return folder


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The ports of three gateways, and one where nobody listens."""
    common = {"GATEWAY_AUTH_TOKEN": TOKEN, "GATEWAY_LOGIN_RATE": "0"}
    kinds = {
        "trusting": {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1", "GATEWAY_HEARTBEAT": "0.5"},
        "wary": {"GATEWAY_HEARTBEAT": "0.5"},
        "slow": {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1", "GATEWAY_HEARTBEAT": "60"},
    }
    started = {}
    for name, env in kinds.items():
        started[name] = GatewayProcess(tmp_path_factory.mktemp("gateway") / "home", {**common, **env})
    try:
        ports = {name: process.start().port for name, process in started.items()}
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports["dead"] = free.getsockname()[1]
        yield ports
    finally:
        for process in started.values():
            process.kill()


@pytest.fixture(scope="module")
def nginx(gateways: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """All proxies of PROXIES, those with TLS, and one that redirects."""
    folder = tmp_path_factory.mktemp("nginx")
    blocks = {
        name: f"listen PORT; location / {{ proxy_pass http://127.0.0.1:{gateways[kind]}; {lines} }}".replace(
            "GATEWAY;", f"{gateways[kind]};"
        )
        for name, (lines, kind, _) in PROXIES.items()
    }
    for days in (2, 10, 90):
        pem = certificate(folder / f"tls {days}", days)
        tls = f'listen PORT ssl; ssl_certificate "{pem}/cert.pem"; ssl_certificate_key "{pem}/key.pem";'
        blocks[f"tls {days}"] = f"{tls} location / {{ proxy_pass http://127.0.0.1:{gateways['trusting']}; {GOOD} }}"
    blocks["redirecting"] = "listen PORT; return 301 https://ironclaw.example.com$request_uri;"
    blocks["something else"] = 'listen PORT; return 200 "hello";'
    server = Nginx(folder, blocks)
    server.folder = folder  # type: ignore[attr-defined]
    yield server
    server.process.kill()
    server.process.wait()


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


@pytest.fixture(scope="module")
def through(gateways: dict[str, int], nginx: Nginx) -> dict[str, dict[str, Finding]]:
    """What is found through each proxy, all at once: they are watched for seconds."""
    doors = {name: Door(f"http://127.0.0.1:{nginx.ports[name]}", TOKEN, WATCH) for name in PROXIES}
    doors["direct"] = Door(f"http://127.0.0.1:{gateways['trusting']}", TOKEN, WATCH)

    async def examine_all() -> list[list[Finding]]:
        return await asyncio.gather(*map(examine_address, doors.values()))

    return dict(zip(doors, map(by_check, asyncio.run(examine_all())), strict=True))


@pytest.mark.parametrize("name", PROXIES)
def test_what_stands_between_is_named_and_nothing_else(through: dict[str, dict[str, Finding]], name: str) -> None:
    fault = PROXIES[name][2]
    ill = {check: finding for check, finding in through[name].items() if finding.state != "ok"}
    if name == "impatient":  # it cuts both kinds of connections
        assert set(ill) == {"events", "websocket"}
        assert "proxy_read_timeout" in ill["websocket"].fix
        ill.pop("websocket")
    if fault is None:
        assert ill == {}
        assert set(through[name]) == {"address", "clock", "websocket", "events", "client address", "redirects"}
        return
    check, state, said = fault
    assert list(ill) == [check], ill
    assert ill[check].state == state
    assert re.search(said, ill[check].what), ill[check]
    assert ill[check].fix


def test_without_a_proxy_all_is_well(through: dict[str, dict[str, Finding]]) -> None:
    assert {finding.state for finding in through["direct"].values()} == {"ok"}


def run(tmp_path: Path, url: str, **env: str) -> tuple[int, dict[str, Any]]:
    done = ironclaw(
        tmp_path / "home", "doctor", "--json", "--watch", "0.5", "--url", url, **{"GATEWAY_AUTH_TOKEN": TOKEN, **env}
    )
    assert done.stdout, done.stderr
    return done.returncode, {one["check"]: one for one in json.loads(done.stdout)["findings"]}


@pytest.mark.parametrize(("days", "state"), [(2, "failure"), (10, "warning"), (90, "ok")])
def test_a_certificate_that_ends_soon(nginx: Nginx, tmp_path: Path, days: int, state: str) -> None:
    trusted = {"SSL_CERT_FILE": f"{nginx.folder}/tls {days}/cert.pem"}  # type: ignore[attr-defined]
    code, found = run(tmp_path, f"https://localhost:{nginx.ports[f'tls {days}']}/", **trusted)
    assert found["certificate"]["state"] == state
    assert found["websocket"]["state"] == "ok"
    assert f"{days - 1} " in found["certificate"]["what"]
    assert code >= {"ok": 0, "warning": 1, "failure": 2}[state]


def test_a_certificate_that_browsers_refuse_is_named_and_the_rest_is_looked_at_all_the_same(
    nginx: Nginx, tmp_path: Path
) -> None:
    code, found = run(tmp_path, f"https://localhost:{nginx.ports['tls 90']}")
    assert (code, found["certificate"]["state"]) == (2, "failure")
    assert "self" in found["certificate"]["what"]
    assert {found[name]["state"] for name in ("address", "websocket", "events")} == {"ok"}


async def test_addresses_where_no_gateway_is(nginx: Nginx, gateways: dict[str, int]) -> None:
    for url, said in {
        f"http://127.0.0.1:{gateways['dead']}": "Nothing listens",
        "http://ironclaw.invalid": "There is no host ironclaw.invalid",
        "ironclaw.example.com": "is no address",
        f"http://127.0.0.1:{nginx.ports['something else']}": "Something else answers",
        f"https://127.0.0.1:{gateways['trusting']}": "",
    }.items():
        found = await examine_address(Door(url, TOKEN, WATCH))
        ill = [finding for finding in found if finding.state == "failure"]
        assert len(ill) == 1, (url, found)
        assert said in ill[0].what
        assert ill[0].fix


async def test_a_redirect_that_carries_the_token_on(nginx: Nginx) -> None:
    found = by_check(await examine_address(Door(f"http://127.0.0.1:{nginx.ports['redirecting']}", TOKEN, WATCH)))
    assert "redirects to https://ironclaw.example.com" in found["address"].what
    assert "ironclaw.example.com carries the token" in found["redirects"].what
    assert TOKEN not in str(list(map(attrs.asdict, found.values())))


async def test_a_clock_that_is_wrong_and_a_token_that_nobody_knows(gateways: dict[str, int]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"status":"ok"}\n'
        head = f"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 08:00:00 GMT\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = by_check(await examine_address(Door(f"http://127.0.0.1:{port}", None, WATCH)))
    server.close()
    assert (found["clock"].state, "timedatectl" in found["clock"].fix) == ("failure", True)
    assert (found["token there"].state, "GATEWAY_AUTH_TOKEN" in found["token there"].fix) == ("warning", True)
    found = by_check(await examine_address(Door(f"http://127.0.0.1:{gateways['trusting']}", "wrong", WATCH)))
    assert (found["token there"].state, found["clock"].state) == ("failure", "ok")
