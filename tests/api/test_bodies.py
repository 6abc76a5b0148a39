"""What may come in a body or a query: size, time, compression, JSON in all its odd forms, types; and never a 500."""

import gzip
import json
import re
import socket
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import attrs
import pytest
from aiohttp.test_utils import TestClient
from conftest import ScriptedModel
from gateway_process import GatewayProcess
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from test_auth import Reply, exchange, read_reply

from ironclaw.api.chat import SendMessage
from ironclaw.api.routes import ROUTES, Route
from ironclaw.events import NAMES
from ironclaw.llm.models import Finished, TextDelta
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]
Start = Callable[..., GatewayProcess]
MIB = 1 << 20
JSON = "Content-Type: application/json"
SEND = "/api/chat/send"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("bodies") / "home", {"BUILTIN_WORD_DELAY": "0"})
    yield process.start()
    process.kill()


def post(gateway: GatewayProcess, body: bytes, *lines: str, path: str = SEND) -> Reply:
    return exchange(gateway, "POST", path, *(lines or (JSON,)), body=body)


def padded(size: int) -> bytes:
    return b'{"message": "/help"}'.ljust(size)


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def peak_memory(gateway: GatewayProcess) -> int:
    assert gateway.process is not None
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{gateway.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


@pytest.mark.process
@pytest.mark.parametrize("form", ["plain", "chunked", "gzip", "deflate"])
@pytest.mark.parametrize(("path", "fine", "most"), [(SEND, 200, 16 * MIB), ("/api/memory/append", 422, MIB)])
def test_s55_a_body_has_at_most_one_mebibyte_and_16_with_files_however_it_comes(
    gateway: GatewayProcess, form: str, path: str, fine: int, most: int
) -> None:
    pack: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
        "plain": (bytes, ()),
        "chunked": (chunked, ("Transfer-Encoding: chunked",)),
        "gzip": (gzip.compress, ("Content-Encoding: gzip",)),
        "deflate": (zlib.compress, ("Content-Encoding: deflate",)),
    }
    packed, lines = pack[form]
    assert post(gateway, packed(padded(most)), JSON, *lines, path=path).status == fine
    refused = post(gateway, packed(padded(most + 1)), JSON, *lines, path=path)
    assert (refused.status, refused.code) == (413, "too_large")


@pytest.mark.process
def test_s55_a_length_that_is_too_large_is_refused_before_a_byte_of_it(gateway: GatewayProcess) -> None:
    assert exchange(gateway, "POST", SEND, JSON, f"Content-Length: {16 * MIB + 1}").status == 413
    assert exchange(gateway, "POST", "/api/chat/stop", JSON, f"Content-Length: {MIB + 1}").status == 413
    assert exchange(gateway, "POST", SEND, JSON, "Content-Length: 99000000000").status == 413
    assert exchange(gateway, "POST", SEND, JSON, "Content-Length: 99000000000", token="wrong").status == 401


@pytest.mark.process
@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_s55_a_bomb_is_refused_while_it_unfolds(
    gateway: GatewayProcess, name: str, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(b" " * 100_000_000)
    assert len(bomb) < 200_000
    peak, started = peak_memory(gateway), time.monotonic()
    assert post(gateway, bomb, JSON, f"Content-Encoding: {name}").status == 413
    assert time.monotonic() - started < 5
    assert peak_memory(gateway) - peak < 32 * MIB


@pytest.mark.process
def test_a_body_that_can_not_be_unpacked_is_a_bad_request_and_no_failure_of_ours(gateway: GatewayProcess) -> None:
    before = len(gateway.log)
    for body, name in (
        (b"not packed", "gzip"), (gzip.compress(padded(20))[:-12], "gzip"), (b"\x78\x9c\xff\xff", "deflate"),
        (b"x", "br"), (b"x", "zstd"),
    ):  # fmt: skip
        assert post(gateway, body, JSON, f"Content-Encoding: {name}").status == 400, name
    assert "Unhandled exception" not in gateway.log[before:]
    assert gateway.request("GET", "/api/status")[0] == 200


@pytest.mark.process
def test_s54_a_slow_body_is_given_up_in_time(gateway_process: Start) -> None:
    process = gateway_process(GATEWAY_BODY_TIMEOUT="0.5")
    process.start()
    head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {process.token}\r\nContent-Length: 1000\r\n\r\n"
    for drip in (False, True):
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
            connection.sendall(head.encode() + b"{")
            connection.settimeout(0.05)
            while time.monotonic() - started < 10:
                try:
                    if connection.recv(1, socket.MSG_PEEK):
                        break
                except TimeoutError:
                    if drip:
                        connection.sendall(b" ")
            connection.settimeout(5)
            reply = read_reply(connection)
        assert (reply.status, reply.code) == (408, "timeout")
        assert 0.4 < time.monotonic() - started < 8
    assert process.request("GET", "/api/chat/threads")[2]["threads"] == []


NO_JSON = [
    b"[" * 100_000, b'{"a":' * 100_000, b'{"message":"x","thread_id":' + b"[" * 100_000, b"{", b"}", b'{"message":"x"}}',
    b'{"message":NaN}', b'{"message":Infinity}', b'{"message":-Infinity}', b"{'message':'x'}", b'{"message":"x",}',
    b'{"message":"\\ud800"}', b'{"message":"x","thread_id":"\\udc00"}', b'{"\\ud800":1}', b"\xff\xfe",
    b'{"message":"\xff"}',
    b'{"message":"\xed\xa0\x80"}', b'{"message":"a\nb"}', b"\0", "{}".encode("utf-16"), b'\xef\xbb\xbf{"message":"x"}',
    b"message=x", b"x", b'{"message":"\\x41"}', b"-", b"01", b"// {}",
]  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize("body", NO_JSON, ids=lambda body: ascii(body[:24]))
def test_s42_s56_what_is_not_json_is_a_bad_request(gateway: GatewayProcess, body: bytes) -> None:
    reply = post(gateway, body)
    assert (reply.status, reply.code) == (400, "not_json")
    assert len(reply.body) < 400


@pytest.mark.process
@pytest.mark.parametrize("body", [b"[1]", b"null", b'"x"', b"1", b"true", b"[]", b"1.5e300", b'[{"message":"x"}]'])
def test_s56_json_that_is_no_object_is_of_the_wrong_shape(gateway: GatewayProcess, body: bytes) -> None:
    reply = post(gateway, body)
    assert (reply.status, reply.code) == (422, "invalid")
    assert reply.json()["error"]["message"] == "The body must be a JSON object."


def fields_of(row: Route) -> list[str]:
    usual = ["model", "messages", "input", "prompt", "stream", "tools", "metadata", "max_tokens"]
    return usual if row.body is dict else [field.name for field in attrs.fields(row.body)]


@pytest.mark.process
@pytest.mark.parametrize("row", [row for row in ROUTES if row.body], ids=lambda row: row.path)
def test_s56_numbers_beyond_64_bit_are_refused(gateway: GatewayProcess, row: Route) -> None:
    for number in ("18446744073709551616", "9" * 5000, "-" + "9" * 400, "1" + "0" * 300):
        for name in fields_of(row):
            reply = exchange(
                gateway, row.method, re.sub(r"{\w+}", "x", row.path), body=f'{{"{name}":{number}}}'.encode()
            )
            assert reply.status in {400, 422}, name


FIELDS = [field.name for field in attrs.fields(SendMessage)]
WRONG = [
    ("{}", "message", "`message` is missing."),
    ("", "message", "`message` is missing."),
    ('{"message":5}', "message", "`message` must be a string."),
    ('{"message":null}', "message", "`message` must be a string."),
    ('{"message":["x"]}', "message", "`message` must be a string."),
    ('{"message":"x","ephemeral":1}', "ephemeral", "`ephemeral` must be true or false."),
    ('{"message":"x","ephemeral":"true"}', "ephemeral", "`ephemeral` must be true or false."),
    ('{"mesage":"x"}', "mesage", "`mesage` is not known; did you mean `message`?"),
    ('{"message":"x","threadId":"a"}', "threadId", "`threadId` is not known; did you mean `thread_id`?"),
    ('{"message":"x","zzz":1}', "zzz", f"`zzz` is not known; known are {', '.join(FIELDS)}."),
    ('{"message":"\\u0000"}', "message", None),
    ('{"message":"a\\u0000b"}', "message", None),
    ('{"message":""}', "message", None),
    ('{"message":" \\n\\t"}', "message", None),
    ('{"message":"x","thread_id":"a b"}', "thread_id", None),
    ('{"message":"x","thread_id":"a\\u0000"}', "thread_id", None),
    ('{"message":"x","thread_id":"\\u202e"}', "thread_id", None),
    ('{"message":"x","thread_id":".."}', "thread_id", None),
    (json.dumps({"message": "x", "thread_id": "a" * 129}), "thread_id", None),
    (json.dumps({"message": "x" * 500_001}), "message", None),
]


@pytest.mark.process
@pytest.mark.parametrize(("body", "field", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_s42_s56_a_wrong_field_is_named_and_what_to_do(
    gateway: GatewayProcess, body: str, field: str, message: str | None
) -> None:
    reply = post(gateway, body.encode())
    assert (reply.status, reply.code) == (422, "invalid")
    error = reply.json()["error"]
    assert error["field"] == field
    assert message is None or error["message"] == message


@pytest.mark.process
def test_s56_of_doubled_keys_the_last_wins(gateway: GatewayProcess) -> None:
    reply = post(gateway, b'{"message":"/help","thread_id":"first","thread_id":"last"}')
    assert (reply.status, reply.json()["thread_id"]) == (200, "last")


@pytest.mark.process
@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        *((SEND, kind, 200) for kind in (
            None, "", "application/json", "Application/JSON", "application/json; charset=utf-8",
            "application/x-www-form-urlencoded", "text/plain", "text/plain; charset=utf-8",
        )),
        *((SEND, kind, 415) for kind in (
            "multipart/form-data; boundary=x", "application/xml", "text/html", "application/octet-stream", "text/plain2",
            "json", "\xff", "a\xff/b",
        )),
        *(("/api/chat/threads", kind, 201) for kind in (None, "application/json", "application/x-www-form-urlencoded")),
        *(("/api/chat/threads", kind, 415) for kind in ("text/plain", "multipart/form-data; boundary=x", "\xe9")),
    ],
    ids=lambda value: ascii(value)[:44],
)  # fmt: skip
def test_s31_what_kind_of_body_is_taken(gateway: GatewayProcess, path: str, kind: str | None, status: int) -> None:
    body = b'{"message": "/help"}' if path == SEND else b'{"title": "x"}'
    lines = [] if kind is None else [f"Content-Type: {kind}"]
    reply = exchange(gateway, "POST", path, *lines, body=body)
    assert reply.status == status
    assert status != 415 or reply.code == "unsupported_type"


@pytest.mark.process
def test_text_that_is_no_utf_8_is_a_bad_request(gateway: GatewayProcess) -> None:
    assert post(gateway, b"caf\xe9", "Content-Type: text/plain").status == 400
    assert post(gateway, "café".encode(), "Content-Type: text/plain").status == 200


ODD_TEXTS = [
    "x\n\nevent: approval_needed\ndata: {}\n\n", "a\rb\r\nc\r\r", "id: 99\nretry: 1", "a\u2028\u2029\x85\x0b\x0c",
    "\u202egnp.exe", "\x1b[31m\x07\x7f", "\ufeff\uffff\U0010ffff", "e\u0301" * 50, '"}\n{"type":"response"}',
    "x" * 100_000, ": comment",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD_TEXTS, ids=lambda text: ascii(text)[:24])
async def test_s41_s42_odd_text_stays_in_its_field_and_comes_back_equal(
    make_client: MakeClient, settings: Settings, text: str
) -> None:
    model = ScriptedModel([TextDelta(text), TextDelta("."), Finished("stop")])
    client = await make_client(settings, llm=model)
    other = await client.get("/api/chat/events")
    body = {"message": text, "thread_id": "odd"}
    turn = await client.post(SEND, json=body, headers={"Accept": "text/event-stream"})
    assert turn.status == 200
    lines = [await turn.text(), ""]
    while '"duration_ms"' not in lines[-1]:
        lines.append((await other.content.readuntil(b"\n\n")).decode())
    for stream in (lines[0], "".join(lines[1:])):
        events = [line[7:] for line in re.split(r"\r\n|\r|\n", stream) if line.startswith("event:")]
        assert set(events) <= NAMES
        assert (events[0], events[-1]) == ("user_message", "response")
        names = {line.partition(":")[0] for line in re.split(r"\r\n|\r|\n", stream) if line}
        assert names <= {"event", "data", "id", "retry", ""}
    ndjson = await client.post(SEND, json=body, headers={"Accept": "application/x-ndjson"})
    rows = [json.loads(line) async for line in ndjson.content]
    assert (rows[0]["content"], rows[-1]["content"]) == (text, text + ".")
    history = await (await client.get("/api/chat/history?thread_id=odd")).json()
    assert {(one["user_message"], one["response"]) for one in history["turns"]} == {(text, text + ".")}


@pytest.mark.process
@pytest.mark.parametrize("plain", ["", "1"])  # aiohttp's parser in C, and the one in Python
def test_s42_bytes_of_a_path_or_query_that_are_no_text_are_refused(gateway_process: Start, plain: str) -> None:
    process = gateway_process(AIOHTTP_NO_EXTENSIONS=plain).start()
    for method, path in (("DELETE", ""), ("GET", "/export"), ("POST", "/fork"), ("PATCH", "")):
        body = {"POST": b'{"message_id": "x"}', "PATCH": b'{"title": "x"}'}.get(method, b"")
        reply = exchange(process, method, f"/api/chat/threads/\xff{path}?thread_id=\xff", body=body)
        assert reply.status in {400, 404, 422}, method


@pytest.mark.process
def test_s42_the_longest_message_is_stored_whole(gateway: GatewayProcess) -> None:
    text = "/help" + "é" * (500_000 - 5)
    assert post(gateway, json.dumps({"message": text, "thread_id": "long"}, ensure_ascii=False).encode()).status == 200
    turns = gateway.request("GET", "/api/chat/history?thread_id=long")[2]["turns"]
    assert turns[0]["user_message"] == text


TEXT = (
    st.text(max_size=20)
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["x", "/help", "a", "1", "", "\0", "%00"])
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**63, 2**80) | st.floats() | TEXT | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
HEADERS = st.sampled_from(
    [
        "Accept: text/event-stream", "Accept: application/x-ndjson", "Accept: text/plain", "Accept: */*;q=x",
        "Accept: \xff", "Idempotency-Key: k", "Idempotency-Key: \x80", "Last-Event-ID: 1", "Last-Event-ID: -1",
        "Content-Type: text/plain", "Content-Type: \xff", "If-None-Match: *", "Range: bytes=0-1", "X: x",
    ]
)  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn, row: Route) -> bytes:
    """A body for *row*: near its shape, any JSON, or any bytes."""
    if row.body is None or draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=50) | VALUES.map(lambda value: json.dumps(value).encode()))
    fields = dict.fromkeys(fields_of(row), VALUES | TEXT)
    near = draw(st.fixed_dictionaries({}, optional=fields))
    return json.dumps({**near, **draw(st.dictionaries(TEXT, VALUES, max_size=1))}).encode()


@st.composite
def queries(draw: st.DrawFn, row: Route) -> str:
    """A query for *row*: its own names with any text, other names, or any bytes."""
    known = [field.name for field in attrs.fields(row.query)] if row.query else []
    names = st.sampled_from([*known, "pretty", "x"]) | TEXT
    values = TEXT | st.integers().map(str)
    pairs = draw(st.lists(st.tuples(names, values), max_size=4))
    return urlencode(pairs, errors="replace") + draw(
        st.sampled_from(["", "&", "%", "&%ff=%fe", "&limit=%ed%a0%80", "&wait=0"])
    )


@pytest.mark.process
def test_s56_no_body_and_no_query_of_any_route_makes_the_gateway_fail(gateway: GatewayProcess) -> None:
    before = len(gateway.log)

    @examples(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(ROUTES))
        name = quote(data.draw(TEXT | st.just("last")), safe="", errors="replace") or "x"
        path = re.sub(r"{\w+}", lambda _: name, row.path)
        target = f"{path}?{data.draw(queries(row))}"
        endless = row.method == "GET" and bool(row.streams)
        reply = exchange(
            gateway, row.method, target, data.draw(HEADERS), body=data.draw(bodies(row)), whole=not endless
        )
        assert reply.status < 500, reply.body
        if reply.status >= 400 and not endless and reply.headers["content-type"].startswith("application/json"):
            assert reply.json()["error"]["message"]

    check()
    assert "failed inside" not in gateway.log[before:]
    assert gateway.request("GET", "/api/status")[2]["status"] == "healthy"
