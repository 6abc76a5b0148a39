"""Opening the gateway on another device: at which address, and a code that a phone can read and nothing else keeps."""

import json
import re
import socket
import sys
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import pexpect
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from chat_calls import MakeClient
from conftest import TOKEN
from gateway_process import GatewayProcess
from qr_codes import read_address

from ironclaw.auth import OWNER
from ironclaw.gateway import Gateway
from ironclaw.settings import Settings

Start = Callable[..., GatewayProcess]
WITH_CODE = {"code": True}


def own_addresses(family: socket.AddressFamily) -> set[str]:
    """The addresses of this machine that others on its network can use, as the system lists them."""
    found = {one.address for each in psutil.net_if_addrs().values() for one in each if one.family is family}
    return {address for address in found if not address.startswith(("127.", "::1", "fe80"))}


async def ask(client: TestClient, body: dict[str, Any], path: str = "/api/pairing") -> dict[str, Any]:
    reply = await client.post(path, json=body)
    found = await reply.json()
    assert reply.status == 200, found
    return dict(found)


async def test_a_gateway_that_only_its_own_machine_reaches_has_no_address_and_gives_no_code(client: TestClient) -> None:
    for page in (None, "http://localhost:3000/", "http://box.localhost/", "http://127.0.0.2:3000/claw/"):
        assert await ask(client, {"page": page, "code": True}) == {"address": None, "signs_in": True, "code": None}
    for page in ("http://[::1]:3000", "http://0.0.0.0:3000/"):
        assert (await ask(client, {"page": page}))["address"] is None


@pytest.mark.parametrize(
    "page",
    ["http://192.168.1.5:3000/", "https://box.lan/claw/", "http://[2001:db8::7]:3000/claw/", "http://box.local:8080/"],
)
async def test_the_address_at_which_the_page_is_open_is_the_one_that_works(client: TestClient, page: str) -> None:
    found = await ask(client, {"page": page, "code": True})
    assert found["address"] == page
    assert read_address(found["code"]) == f"{page}#token={TOKEN}"


async def test_the_address_that_was_set_comes_before_all_others(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(attrs.evolve(settings, public_url="https://claw.example.com/at"))
    for page in (None, "http://192.168.1.5:3000/"):
        found = await ask(client, {"page": page, "code": True})
        assert found["address"] == "https://claw.example.com/at/"
        assert read_address(found["code"]) == f"https://claw.example.com/at/#token={TOKEN}"


async def test_a_code_is_made_only_when_it_is_asked_for(client: TestClient) -> None:
    assert await ask(client, {"page": "http://box.lan/"}) == {
        "address": "http://box.lan/",
        "signs_in": True,
        "code": None,
    }


async def test_what_is_no_address_of_a_page_or_makes_too_long_a_link_is_refused_by_name(client: TestClient) -> None:
    for page in ("javascript:alert(1)", "http://", "http://box/#token=other", "http://box/?a=b", "http://[", "box", ""):
        reply = await client.post("/api/pairing", json={"page": page, "code": True})
        assert (reply.status, (await reply.json())["error"]["field"]) == (422, "page"), page
    reply = await client.post("/api/pairing", json={"page": f"http://box/{'a' * 3000}", "code": True})
    assert reply.status == 422
    assert "too long for a QR code" in (await reply.json())["error"]["message"]


@pytest.mark.parametrize("login", [False, True])
async def test_below_a_prefix_the_link_leads_there_and_has_no_token_where_a_host_program_signs_in(
    settings: Settings, login: bool
) -> None:
    host = web.Application()
    Gateway(settings, authenticate=(lambda _: OWNER) if login else None).mount(host, "/claw")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with TestClient(TestServer(host, host="0.0.0.0"), headers=headers) as client:
        headers["Origin"] = str(client.make_url("/").origin())
        sent = {"headers": headers, "json": WITH_CODE}
        found = await (await client.post("/claw/api/pairing", **sent)).json()  # type: ignore[arg-type]
        own = {f"http://{address}:{client.port}/claw/" for address in own_addresses(socket.AF_INET)}
        assert found["address"] in (own or {None})
        assert found["signs_in"] is not login
        if own:
            assert read_address(found["code"]) == found["address"] + ("" if login else f"#token={TOKEN}")
            assert TOKEN not in json.dumps(found)


@pytest.mark.parametrize(("listens", "family"), [("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)])
@pytest.mark.process
def test_on_a_network_the_address_is_one_at_which_the_gateway_answers(
    gateway_process: Start, listens: str, family: socket.AddressFamily
) -> None:
    gateway = gateway_process(GATEWAY_HOST="127.0.0.1").start()
    assert gateway.request("POST", "/api/pairing", WITH_CODE)[2]["address"] is None
    gateway.terminate()
    gateway.wait()
    gateway = gateway_process(GATEWAY_HOST=listens)
    gateway.spawn()
    base = wait_for_address(gateway)
    own = own_addresses(family)
    found = post(f"{base}/api/pairing", gateway.token, {"page": f"{base}/", "code": True})
    if not own:
        assert found["address"] is None
        return
    assert urlsplit(found["address"]).hostname in own
    assert urlsplit(found["address"]).port == urlsplit(base).port
    assert read_address(found["code"]) == f"{found['address']}#token={gateway.token}"
    with urllib.request.urlopen(f"{found['address']}healthz", timeout=10) as reply:
        assert reply.status == 200


def wait_for_address(gateway: GatewayProcess) -> str:
    """Where it listens on this machine, of any family, once it does."""
    while True:
        path = gateway.home / "gateway.json"
        assert gateway.process is not None
        assert gateway.process.poll() is None, gateway.log
        if path.exists() and path.read_text():
            facts = json.loads(path.read_text())
            if facts["pid"] == gateway.process.pid:
                return str(facts["url"]).replace(
                    "localhost", "[::1]" if gateway.env["GATEWAY_HOST"] == "::" else "127.0.0.1"
                )


def post(url: str, token: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST"), timeout=10
    ) as reply:
        return json.load(reply)


@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0", "::"])
@pytest.mark.process
def test_the_terminal_tells_the_same_link_where_there_is_one(gateway_process: Start, listens: str) -> None:
    gateway = gateway_process(GATEWAY_HOST=listens)
    gateway.home.mkdir(parents=True)
    command = ["-m", "ironclaw", "run"]
    terminal = pexpect.spawn(sys.executable, command, env=gateway.env, cwd=str(gateway.home.parent), encoding="utf-8")  # type: ignore[arg-type]
    terminal.expect("Try:  curl .*:([0-9]+)/api/status", timeout=20)
    assert terminal.match
    port, said = terminal.match[1], terminal.before or ""
    links = re.findall(r"On your phone or another device: (\S+)", said)
    terminal.terminate()
    terminal.expect(pexpect.EOF)
    own = {
        "127.0.0.1": set[str](),
        "0.0.0.0": {f"http://{address}:{port}/" for address in own_addresses(socket.AF_INET)},
        "::": {f"http://[{address}]:{port}/" for address in own_addresses(socket.AF_INET6)},
    }[listens]
    assert len(links) == min(1, len(own))
    assert set(links) <= {f"{address}#token={gateway.token}" for address in own}
    assert ("█" in said) is bool(own)


@pytest.mark.process
def test_s16_the_token_is_in_the_code_alone_for_who_has_it_and_nothing_keeps_it(gateway_process: Start) -> None:
    token = "odd&canary#1%2F/+=012345"
    gateway = gateway_process(GATEWAY_AUTH_TOKEN=token, LOG_LEVEL="trace", GATEWAY_LOGIN_RATE="0").start()
    asked = {"page": "http://192.168.1.5:3000/", "code": True}
    status, headers, found = gateway.request("POST", "/api/pairing", asked)
    assert (status, headers["cache-control"]) == (200, "no-store")
    link = read_address(found["code"])
    assert unquote(link.partition("#token=")[2]) == token
    assert link.partition("#token=")[2].isascii()
    assert "&" not in link
    picture = found.pop("code")
    for refused in (None, "wrong"):
        status, _, reply = gateway.request("POST", "/api/pairing", asked, token=refused)
        assert (status, list(reply)) == (401, ["error"])
    assert gateway.request("POST", f"/api/pairing?token={'x'}", asked, token=None)[0] == 401
    status, _, reply = gateway.request("POST", "/api/pairing", asked, headers={"Origin": "http://evil.test"})
    assert (status, reply["error"]["code"]) == (403, "foreign_origin")
    told = [found, gateway.request("GET", "/api/openapi.json")[2], gateway.request("GET", "/api/status")[2]]
    gateway.terminate()
    assert gateway.wait() == 0
    assert "POST /api/pairing 200" in gateway.log
    kept = {path.name: path.read_bytes() for path in [gateway.log_path, *gateway.home.rglob("*")] if path.is_file()}
    kept["replies"] = json.dumps(told).encode()
    for secret in (token, link, picture):
        assert [name for name, data in kept.items() if secret.encode() in data] == []
