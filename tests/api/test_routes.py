"""One table: what the router serves, what openapi.json describes, what is documented, and what is answered are the same."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from conftest import TOKEN
from every_request import page_paths
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401
from noun_calls import noun_calls, openai_calls, upkeep_calls
from test_auth import UPGRADE, Reply, exchange

from ironclaw.api.openapi import describe
from ironclaw.api.route import Route
from ironclaw.api.routes import ROUTES
from ironclaw.gateway import Gateway
from ironclaw.settings import Settings
from ironclaw.version import __version__

ROOT = Path(__file__).parents[2]
STREAMS = [row for row in ROUTES if "text/event-stream" in row.streams]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    env = {"BUILTIN_WORD_DELAY": "0", "GATEWAY_LOGIN_RATE": "0"}
    process = GatewayProcess(tmp_path_factory.mktemp("routes") / "home", env)
    yield process.start()
    process.kill()


def test_the_router_serves_the_table_and_the_page_and_nothing_else(settings: Settings) -> None:
    app = Gateway(settings).app()
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    table = {(row.method, row.path) for row in ROUTES}
    assert len(table) == len(ROUTES)
    # HEAD goes with each GET that ends by itself.
    heads = {("HEAD", row.path) for row in ROUTES if row.method == "GET" and not row.streams and row.status == 200}
    page = {(method, path) for path in page_paths() for method in ("GET", "HEAD")}
    assert served == table | heads | page
    assert {("HEAD", "/api/chat/events"), ("HEAD", "/api/chat/ws")}.isdisjoint(served)


def test_openapi_describes_each_body_by_its_own_class() -> None:
    document = describe(ROUTES, "")
    for row in ROUTES:
        if row.body is None or not attrs.has(row.body):
            continue
        content = document["paths"][row.path][row.method.lower()]["requestBody"]["content"]
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        described = set(document["components"]["schemas"][name]["properties"])
        assert described == {field.name for field in attrs.fields(row.body)}, (
            f"{row.path}: two classes are called {name}"
        )


def test_openapi_describes_the_table_and_nothing_else() -> None:
    document = describe(ROUTES, "")
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert described == {(row.method, row.path) for row in ROUTES}
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(ROUTES)
    for row in ROUTES:
        one = document["paths"][row.path][row.method.lower()]
        assert (one["security"] == []) == row.open
        assert set(one.get("requestBody", {}).get("content", {})) == {
            *row.takes, *(["application/json"] if row.body else []),
        }  # fmt: skip
        in_path = [parameter["name"] for parameter in one.get("parameters", []) if parameter["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", row.path)
        in_query = {each["name"]: each["required"] for each in one.get("parameters", []) if each["in"] == "query"}
        fields = attrs.fields(row.query) if row.query else ()
        assert in_query == {field.name: field.default is attrs.NOTHING for field in fields}, row.path
        content = one["responses"][str(row.status)].get("content", {})
        assert set(content) == {*row.streams, *row.also, *(["application/json"] if row.reply else [])}


def test_every_reference_of_openapi_leads_somewhere_and_every_schema_is_used() -> None:
    document = describe(ROUTES, "")
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"])
    assert document["info"]["version"] == __version__
    assert document["openapi"].startswith("3.1")


def test_each_route_has_a_noun_and_each_noun_its_place() -> None:
    table = re.findall(r"^\| (\w+) \| (.+?) \| (.+?) \| (.+?) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    nouns = {noun for noun, *_ in table if noun != "noun"}
    assert {row.noun for row in ROUTES} <= nouns
    for _, package, module, _ in table[1:]:
        assert (ROOT / package.strip("`")).exists(), package
        assert (ROOT / module.strip("`")).is_file(), module


# Checking replies against their schemas. JSON Schema as far as `openapi.py` writes it; anything else is an error here.

KNOWN = {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "$ref", "description"}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,), "object": (dict,),
    "null": (type(None),),
}  # fmt: skip


def problems(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str = "reply") -> list[str]:
    """How *value* differs from *schema*, with the place of each difference."""
    if "$ref" in schema:
        return problems(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, where)
    if unknown := set(schema) - KNOWN:
        return [f"{where}: the schema says {unknown}"]
    if "anyOf" in schema:
        tried = [problems(value, one, schemas, where) for one in schema["anyOf"]]
        return [] if [] in tried else min(tried, key=len)
    kind = TYPES[schema["type"]] if "type" in schema else (object,)
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind and object not in kind):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    if isinstance(value, list) and "items" in schema:
        return [
            one for n, item in enumerate(value) for one in problems(item, schema["items"], schemas, f"{where}[{n}]")
        ]
    return _object_problems(value, schema, schemas, where) if isinstance(value, dict) else []


def _object_problems(value: dict[str, Any], schema: dict[str, Any], schemas: dict[str, Any], where: str) -> list[str]:
    found = [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
    more = schema.get("additionalProperties", True)
    for name, item in value.items():
        inner = schema.get("properties", {}).get(name, more)
        if inner is False:
            found.append(f"{where}: {name} is not described")
        elif isinstance(inner, dict):
            found += problems(item, inner, schemas, f"{where}.{name}")
    return found


def test_the_check_of_replies_sees_every_kind_of_difference() -> None:
    schemas = describe(ROUTES, "")["components"]["schemas"]
    thread = {
        "id": "a",
        "title": "",
        "pinned": False,
        "created_at": "",
        "updated_at": "",
        "turn_count": 0,
        "state": "idle",
    }
    good = {"threads": [thread], "default_thread_id": "a", "next_cursor": None}
    one = {"$ref": "#/components/schemas/ThreadList"}
    assert problems(good, one, schemas) == []
    bad_threads = [{**thread, "pinned": 0}, {**thread, "turn_count": True}, {**thread, "turn_count": "1"}, 1]
    without = {key: value for key, value in good.items() if key != "default_thread_id"}
    for bad in (
        *({**good, "threads": [thread, one]} for one in bad_threads), {**good, "threads": {}}, {**good, "x": 1}, without,
        {**good, "next_cursor": 1}, [], None,
    ):  # fmt: skip
        assert len(problems(bad, one, schemas)) == 1, bad
    assert problems(
        "done", {"$ref": "#/components/schemas/TurnState"}, {"TurnState": {"type": "string", "enum": ["x"]}}
    )


def keeping_calls(call: Callable[..., Any]) -> None:
    """One good call of what keeps it all: conversations as a file, and backups."""
    call("POST", "/api/chat/import", call("GET", "/api/chat/export"))
    call("POST", "/api/backups")
    call("GET", "/api/backups")


def happy_calls(gateway: GatewayProcess, model: StandInProcess) -> list[tuple[Route, Reply]]:
    """One good call of every route that ends by itself, in an order in which they can work."""
    rows = {(row.method, row.path): row for row in ROUTES}
    replies: list[tuple[Route, Reply]] = []

    def call(method: str, path: str, body: Any = None, *, id_: str = "", query: str = "") -> Any:
        row = rows[method, path]
        target = path.replace("{id}", id_).replace("{name}", id_) + query
        data = b"" if body is None else json.dumps(body).encode()
        reply = exchange(gateway, method, target, body=data, token=None if row.open else "")
        replies.append((row, reply))
        return reply.json()

    thread = call("POST", "/api/chat/threads", {"title": "Plans", "thread_id": "a"})["id"]
    call("POST", "/api/chat/send", {"message": "/status"})
    call("POST", "/api/chat/send", {"message": "/status", "thread_id": thread}, query="?wait")
    sent = call("POST", "/api/chat/send", {"message": "help me", "thread_id": thread}, query="?wait=20")
    call("POST", "/api/chat/send", {"message": "/help", "ephemeral": True}, query="?wait=20")
    call("GET", "/api/chat/history", query=f"?thread_id={thread}&limit=1&pretty")
    call("GET", "/api/chat/history", query=f"?thread_id={thread}")
    call("POST", "/api/chat/threads/{id}/fork", {"message_id": sent["message_id"]}, id_=thread)
    call("GET", "/api/chat/threads", query="?limit=1")
    call("GET", "/api/chat/threads")
    call("PATCH", "/api/chat/threads/{id}", {"title": "Other", "pinned": True}, id_=thread)
    call("POST", "/api/chat/stop", {"thread_id": thread})
    call("GET", "/api/chat/search", query="?query=help&limit=1")
    call("GET", "/api/chat/threads/{id}/export", id_=thread)
    keeping_calls(call)
    call("DELETE", "/api/chat/threads/{id}", id_=thread)
    noun_calls(call)
    call("PUT", "/api/model", {"address": f"{model.url}/v1", "model": "obedient"})
    openai_calls(call)
    asks = json.dumps({"message": 'call WebFetch {"url": "http://a.example"}'}).encode()
    sent = exchange(gateway, "POST", "/api/chat/send?wait", body=asks)
    assert sent.json()["pending_approval"]["subject"] == "http://a.example"
    request_id = call("GET", "/api/chat/approvals")["approvals"][0]["request_id"]
    call("POST", "/api/chat/approval", {"request_id": request_id, "action": "deny"})
    call("POST", "/api/model/test", {"address": "127.0.0.1:9"})
    call("PUT", "/api/model", {"address": "127.0.0.1:9", "api_key": "sk-1", "model": "m", "test": False})
    call("GET", "/api/model", query="?pretty")
    call("DELETE", "/api/model")
    for path in ("/api/model", "/api/model/available", "/api/model/discover"):
        call("GET", path)
    upkeep_calls(call)
    for path in ("/api/logs/level", "/api/status", "/api/health", "/healthz", "/readyz", "/api", "/api/openapi.json"):
        call("GET", path)
    return replies


@pytest.mark.process
def test_every_reply_is_as_openapi_says(gateway: GatewayProcess, stand_in: StandInProcess) -> None:
    document = gateway.request("GET", "/api/openapi.json")[2]
    assert document == json.loads(json.dumps(describe(ROUTES, "")))
    schemas = document["components"]["schemas"]
    replies = happy_calls(gateway, stand_in)
    assert {(row.method, row.path) for row, _ in replies} == {
        (row.method, row.path)
        for row in ROUTES
        if row.status != 101 and (row.method == "POST" or not row.streams) and row.also != ("*/*",)
        if row.path != "/metrics"  # Prometheus has its own text
    }
    for row, reply in replies:
        assert reply.status == row.status, (row.path, reply.body)
        assert reply.headers["content-type"] == "application/json"
        assert reply.body.endswith(b"\n") or row.noun == "openai"  # those may be a provider's own bytes
        if row.path != "/api/openapi.json":
            content = document["paths"][row.path][row.method.lower()]["responses"][str(row.status)]["content"]
            assert problems(reply.json(), content["application/json"]["schema"], schemas) == [], row.path


@pytest.mark.process
def test_a_reply_of_another_media_type_is_described_too(gateway: GatewayProcess) -> None:
    assert gateway.request("POST", "/api/chat/threads", {"thread_id": "kept"})[0] == 201
    reply = exchange(gateway, "GET", "/api/chat/threads/kept/export?format=markdown")
    content = describe(ROUTES, "")["paths"]["/api/chat/threads/{id}/export"]["get"]["responses"]["200"]["content"]
    assert reply.headers["content-type"].partition(";")[0] in content


@pytest.mark.process
@pytest.mark.parametrize("row", [row for row in ROUTES if not row.open], ids=lambda row: f"{row.method} {row.path}")
def test_every_failure_is_as_openapi_says(gateway: GatewayProcess, row: Route) -> None:
    document = describe(ROUTES, "")
    responses = document["paths"][row.path][row.method.lower()]["responses"]
    path = row.path.replace("{id}", "nothing").replace("{name}", "nothing")
    failures = [exchange(gateway, row.method, path, token="wrong")]
    if row.body is not None:
        failures += [exchange(gateway, row.method, path, body=body) for body in (b"{", b"[]", b'{"zzz": 1}', b"\xff")]
    for reply in failures:
        schema = responses[str(reply.status)]["content"]["application/json"]["schema"]
        assert reply.status >= 400
        assert problems(reply.json(), schema, document["components"]["schemas"]) == []


@pytest.mark.process
@pytest.mark.parametrize("row", STREAMS, ids=lambda row: row.path)
def test_a_stream_answers_in_each_of_its_media_types(gateway: GatewayProcess, row: Route) -> None:
    body = b'{"message": "/help"}' if row.body else b""
    if row.noun == "openai":
        body = b'{"model": "ironclaw", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "stream": true}'
    path = row.path
    if row.noun == "jobs":
        path = path.replace("{id}", gateway.request("POST", "/api/jobs", {"command": "echo hi"})[2]["id"])
    for kind in row.streams:
        reply = exchange(gateway, row.method, path, f"Accept: {kind}", body=body, whole=False)
        assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (200, kind)


@pytest.mark.process
def test_the_socket_of_the_table_is_a_websocket(gateway: GatewayProcess) -> None:
    for row in ROUTES:
        if row.status == 101:
            assert exchange(gateway, row.method, row.path, *UPGRADE).status == 101
            refused = exchange(gateway, row.method, row.path)
            assert (refused.status, "WebSocket" in refused.json()["error"]["message"]) == (400, True)


@pytest.mark.process
@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("/api/chat/sendd", "/api/chat/send"), ("/api/chat/send/", "/api/chat/send"), ("/api/", "/api"),
        ("/api/chat/event", "/api/chat/events"), ("/api/chat/thread", "/api/chat/threads"), ("/api/statuss", "/api/status"),
        ("/chat/history", "/api/chat/history"), ("/api/openapi.yaml", "/api/openapi.json"), ("/status", "/api/status"),
        ("/zzz", "/api/openapi.json"),
    ],
)  # fmt: skip
def test_404_names_the_nearest_route(gateway: GatewayProcess, asked: str, near: str) -> None:
    reply = exchange(gateway, "GET", asked)
    assert (reply.status, reply.code) == (404, "not_found")
    assert re.search(rf" {re.escape(near)}[? ]", reply.json()["error"]["message"] + " ")


async def test_404_under_a_prefix_names_the_route_with_it(settings: Settings) -> None:
    host = web.Application()
    host.add_subapp("/claw", Gateway(settings).app())
    async with TestClient(TestServer(host)) as client:
        reply = await client.get("/claw/api/statuss", headers={"Authorization": f"Bearer {TOKEN}"})
        assert reply.status == 404
        assert " /claw/api/status?" in (await reply.json())["error"]["message"]


@pytest.mark.process
def test_405_says_what_is_allowed(gateway: GatewayProcess) -> None:
    by_path: dict[str, set[str]] = {}
    for row in ROUTES:
        by_path.setdefault(row.path, set()).add(row.method)
        if row.method == "GET" and not row.streams and row.status == 200:
            by_path[row.path].add("HEAD")
    for path, methods in by_path.items():
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - methods:
            reply = exchange(gateway, method, re.sub(r"{\w+}", "x", path))
            assert (reply.status, reply.headers["allow"]) == (405, ", ".join(sorted(methods))), (method, path)
            if method != "HEAD":
                assert ", ".join(sorted(methods)) in reply.json()["error"]["message"]


@pytest.mark.process
def test_the_greetings_curl_lines_run_as_they_stand(gateway: GatewayProcess) -> None:
    about = gateway.request("GET", "/api")[2]
    assert (about["name"], about["version"]) == ("ironclaw", __version__)
    assert gateway.request("GET", about["openapi"])[0] == 200
    assert len(about["examples"]) == 5
    answers = []
    for line in about["examples"]:
        assert line.startswith("curl ")
        # failglob does what zsh does by itself: an unquoted ? that matches no file is an error.
        endless = line.endswith("/api/chat/events")
        more = f"--silent --show-error --fail --max-time {1 if endless else 20}"
        ran = subprocess.run(
            ["bash", "-O", "failglob", "-c", f"{line} {more}"],
            env={**gateway.env, "TOKEN": gateway.token}, capture_output=True, text=True, cwd=gateway.home.parent,
        )  # fmt: skip
        assert ran.returncode == (28 if endless else 0), f"{line}\n{ran.stderr}"
        answers.append(ran.stdout)
    status, help_text, waited, stream, history = answers
    assert json.loads(status)["status"] == "healthy"
    assert help_text.strip()
    assert json.loads(waited)["response"]["content"]
    assert stream.startswith("retry: ")
    assert [turn["user_message"] for turn in json.loads(history)["turns"]][-2:] == ["help", "status"]


def test_help_and_the_readme_name_every_setting() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "ironclaw", "run", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", text.partition("| Variable ")[2].partition("\n\n")[0], re.M)
    fields = attrs.fields(Settings)
    assert [variable for variable, *_ in rows] == [field.metadata["env"] for field in fields]
    for field, (_, default, what) in zip(fields, rows, strict=True):
        assert f"--{field.name.replace('_', '-')} " in shown
        assert f"[{field.metadata['env']}" in shown
        assert what == field.metadata["help"]
        if isinstance(field.default, bool):
            assert default == ("`on`" if field.default else "`off`")
        elif isinstance(field.default, str | int | float):
            assert default.strip("`") == (
                f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
            )
