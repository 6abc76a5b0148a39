"""A model that can't be connected: each mistake has its own sentence and fix, and some addresses are never reached."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from llm.stand_in_process import StandInProcess, reply
from model_calls import KEY, NOTHING, call, closed_port, listening

from ironclaw.settings import Settings


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandInProcess]:
    process = StandInProcess(tmp_path / "stand-in.log")
    yield process
    process.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return attrs.evolve(settings, llm_connect_timeout=1.0)


async def mistake(client: TestClient, **body: Any) -> dict[str, Any]:
    """The error of a test, which a PUT of the same gives too, and keeps nothing."""
    answer = await call(client, "POST", "/test", body)
    assert answer["ok"] is False
    refused = await call(client, "PUT", body=body, status=502)
    assert refused["error"]["code"] == answer["error"]["code"]
    assert await call(client, "GET") == NOTHING
    return answer["error"]  # type: ignore[no-any-return]


async def test_a_host_that_does_not_exist(client: TestClient) -> None:
    error = await mistake(client, address="no-such-host.invalid")
    assert error == {
        "code": "unreachable",
        "message": "There is no host no-such-host.invalid.",
        "fix": "Check the spelling, or use its IP address.",
    }


async def test_a_port_where_nothing_listens(client: TestClient) -> None:
    port = closed_port()
    error = await mistake(client, address=f"127.0.0.1:{port}")
    assert error["message"] == f"127.0.0.1 is there, but no model server listens on port {port}."
    assert error["fix"] == "Start the model server there, and check the port."


async def test_an_ollama_that_listens_on_its_own_machine_only(client: TestClient) -> None:
    # To 127.0.0.9 a server that is bound to 127.0.0.1 is as deaf as to another machine.
    error = await mistake(client, address="127.0.0.9:11434")
    assert "OLLAMA_HOST=0.0.0.0" in error["fix"]


async def test_a_port_that_a_web_site_has(client: TestClient) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>My router</html>", content_type="text/html")

    async def json_404(_: web.Request) -> web.Response:
        return web.json_response({"error": "no such route"}, status=404)

    for handler in (page, json_404):
        async with listening(handler) as place:
            error = await mistake(client, address=place)
            assert error["message"] == f"Something answers at {place}, but it is no model server."
            assert "11434" in error["fix"]


async def test_a_port_that_speaks_no_http(client: TestClient) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert (await mistake(client, address=place))["message"].endswith("but it is no model server.")
    server.close()


@pytest.mark.parametrize("listed", [True, False])
async def test_a_key_that_is_missing_or_wrong(client: TestClient, stand_in: StandInProcess, listed: bool) -> None:
    """Some servers guard their list of models, others only the models."""

    async def guarded(request: web.Request) -> web.Response:
        assert request.headers.get("Authorization") in {None, f"Bearer {KEY}"}
        return web.json_response({"error": {"message": f"Incorrect API key provided: {KEY}"}}, status=401)

    stand_in.script("hello", reply(json.dumps({"error": f"bad key {KEY}"}), status=401))
    async with listening(guarded) as place:
        address = place if listed else stand_in.url
        without = await mistake(client, address=address)
        wrong = await mistake(client, address=address, api_key=KEY)
    assert (without["code"], wrong["code"]) == ("key_refused", "key_refused")
    assert without["message"] == "127.0.0.1 asks for a key."
    assert wrong["message"] == "127.0.0.1 refuses the key."
    assert wrong["fix"]
    assert KEY not in json.dumps(wrong)


async def test_a_model_that_is_not_there(client: TestClient, stand_in: StandInProcess) -> None:
    error = await mistake(client, address=stand_in.url, model="missing")
    assert error["code"] == "model_missing"
    assert error["message"] == "127.0.0.1 has no model missing."
    assert error["fix"] == "It has hello, echo, count-20, think and obedient."


async def test_a_server_without_models(client: TestClient, stand_in: StandInProcess) -> None:
    stand_in.facts(models=["nomic-embed-text"])
    error = await mistake(client, address=stand_in.url)
    assert (error["code"], "has no model to talk with" in error["message"]) == ("model_missing", True)


async def test_a_redirect_is_not_followed(client: TestClient, stand_in: StandInProcess) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{stand_in.url}{request.path}")

    async with listening(elsewhere) as place:
        error = await mistake(client, address=f"http://{place}/v1", api_key=KEY)
    assert f"sends us on to {stand_in.url}" in error["message"]
    assert stand_in.events("request") == []


@pytest.mark.parametrize(
    "address",
    ["", ".", "two words", "ftp://host", "http://", "host:0", "host:99999", "http://user:pw@host/v1", "http://host/v1?key=x",
     "http://host/#x", "http://[::1", "a\nb", "x" * 2000],
)  # fmt: skip
async def test_what_is_no_address_is_refused_with_the_field(client: TestClient, address: str) -> None:
    for method, path in (("POST", "/test"), ("PUT", "")):
        error = (await call(client, method, path, {"address": address}, 422))["error"]
        assert error["field"] == "address"


@pytest.mark.parametrize("field", ["api_key", "model"])
async def test_a_key_or_a_name_that_no_header_carries_is_refused(client: TestClient, field: str) -> None:
    body = {"address": "127.0.0.1:9", field: "line\nbreak"}
    assert (await call(client, "PUT", body=body, status=422))["error"]["field"] == field


async def test_a_put_without_any_address_says_so(client: TestClient) -> None:
    assert (await call(client, "PUT", body={"model": "x"}, status=422))["error"]["field"] == "address"
    both = {"address": "tower", "base_url": "http://tower"}
    assert (await call(client, "PUT", body=both, status=422))["error"]["field"] == "base_url"


# Where no model may be


FORBIDDEN = ["169.254.10.20", "http://169.254.10.20/v1", "[fe80::1]:11434", "::ffff:169.254.10.20", "100.100.100.200",
             "fd00:ec2::254", "metadata.google.internal", "http://METADATA.google.internal.:80/v1"]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_link_local_and_metadata_addresses_are_refused(client: TestClient, address: str) -> None:
    for method, path in (("POST", "/test"), ("PUT", "")):
        error = (await call(client, method, path, {"address": address, "test": False} if path == "" else
                            {"address": address}, 422))["error"]  # fmt: skip
        assert error["code"] == "address_refused"


async def test_a_name_that_leads_to_one_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "models.test", ["169.254.10.20"])
    for method, path in (("POST", "/test"), ("PUT", "")):
        assert (await call(client, method, path, {"address": "models.test"}, 422))["error"]["code"] == "address_refused"


async def test_a_name_that_leads_to_one_a_moment_later_is_refused_too(
    client: TestClient, stand_in: StandInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "models.test", ["127.0.0.1"], ["169.254.10.20"])
    connect, forbidden = socket.socket.connect, []

    def watched(self: socket.socket, address: Any) -> None:
        if str(address[0]).startswith("169."):
            forbidden.append(address)
            raise OSError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    answer = await call(client, "POST", "/test", {"address": f"models.test:{stand_in.port}"})
    assert answer["ok"] is False
    assert forbidden == []
    assert stand_in.events("request") == []


def resolve_to(monkeypatch: pytest.MonkeyPatch, name: str, *answers: list[str]) -> None:
    """Let the system's resolver give these addresses for *name*, one list a question; the last one stays."""
    real, left = socket.getaddrinfo, list(answers)

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host != name:
            return real(host, port, *args, **more)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port or 0))) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_behind_a_proxy_a_name_need_not_be_known_here(
    client: TestClient, stand_in: StandInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", stand_in.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    answer = await call(client, "POST", "/test", {"address": "http://models.hosted.test/v1"})
    assert (answer["ok"], answer["provider"], answer["model"]) == (True, "models.hosted.test", "hello")
    for forbidden in ("http://100.100.100.200/v1", "http://metadata.goog/v1"):
        refused = await call(client, "POST", "/test", {"address": forbidden}, 422)
        assert refused["error"]["code"] == "address_refused"
