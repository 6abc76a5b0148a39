"""The documented calls, sent as they are printed to the real program: curl, websocat, JavaScript in a real browser."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from playwright.sync_api import Page, expect
from web_site import Site

pytestmark = pytest.mark.process
HERE = Path(__file__).parent
WEBSOCAT = Path(sys.executable).parent / "websocat"


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process().start()


def as_printed(text: str, gateway: GatewayProcess) -> str:
    """The printed text with the one token and the one port of this test."""
    return text.replace("YOUR_TOKEN", gateway.token).replace("localhost:3000", f"localhost:{gateway.port}")


def curl(gateway: GatewayProcess, printed: str) -> tuple[int, Any]:
    """Send a request that is printed as `METHOD /path`, headers, an empty line, a body."""
    head, _, body = printed.strip().partition("\n\n")
    first, *headers = head.split("\n")
    method, path = first.split(" ", 1)
    command = ["curl", "-sS", "-X", method, "-w", "\n%{http_code}", f"{gateway.url}{path}"]
    for header in headers:
        command += ["-H", header]
    if body:
        command += ["--data", body]
    text = subprocess.run([as_printed(part, gateway) for part in command], capture_output=True, text=True, timeout=20)
    assert text.returncode == 0, text.stderr
    answer, _, status = text.stdout.rpartition("\n")
    return int(status), json.loads(answer)


SEND = """POST /api/chat/send
Authorization: Bearer YOUR_TOKEN
Content-Type: application/json

{
  "message": "Hello, agent!",
  "thread_id": "thread-123"
}"""


def test_send_answers_ok_and_a_message_id(gateway: GatewayProcess) -> None:
    status, body = curl(gateway, SEND)
    assert status == 200
    assert body["status"] == "ok"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["message_id"])


def test_the_event_stream_of_curl_has_the_printed_events_in_the_printed_form(gateway: GatewayProcess) -> None:
    command = ["curl", "-sN", f"{gateway.url}/api/chat/events", "-H", f"Authorization: Bearer {gateway.token}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout is not None
        stream.stdout.readline()  # joined
        curl(gateway, SEND.replace("Hello, agent!", "/status"))
        lines: list[str] = []
        while not (lines and lines[-1] == "" and "event: response" in lines):
            lines.append(stream.stdout.readline().rstrip("\n"))
        stream.kill()
    events = {name: json.loads(data) for name, data in re.findall(r"event: (\w+)\ndata: (.*)", "\n".join(lines))}
    assert set(events["thinking"]) >= {"message", "thread_id"}
    assert events["thinking"]["message"] == "Processing your request..."
    assert set(events["tool_started"]) >= {"name", "thread_id"}
    assert set(events["tool_completed"]) >= {"name", "success", "thread_id"}
    assert events["tool_completed"]["success"] is True
    assert set(events["response"]) >= {"content", "thread_id"}
    assert {event["thread_id"] for event in events.values()} == {"thread-123"}
    order = list(events)
    assert (
        order.index("thinking") < order.index("tool_started") < order.index("tool_completed") < order.index("response")
    )


@pytest.mark.parametrize("form", ["header", "query"])
def test_status_has_the_printed_fields(gateway: GatewayProcess, form: str) -> None:
    header = "GET /api/status\nAuthorization: Bearer YOUR_TOKEN"
    status, body = curl(gateway, header if form == "header" else "GET /api/status?token=YOUR_TOKEN")
    assert status == 200
    assert body["status"] == "healthy"
    assert isinstance(body["uptime_seconds"], int)
    assert body["active_sessions"] == 0
    assert body["active_jobs"] == 0
    assert set(body["token_usage"]) >= {"total_tokens", "estimated_cost_usd"}
    assert body["channels"] == [{"name": "gateway", "status": "connected"}]


def test_active_sessions_counts_who_is_connected(gateway: GatewayProcess) -> None:
    readers = [gateway.open_events() for _ in range(3)]
    assert gateway.request("GET", "/api/status")[2]["active_sessions"] == 3
    for reader in readers:
        reader.close()
    deadline = time.monotonic() + 5
    while gateway.request("GET", "/api/status")[2]["active_sessions"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gateway.request("GET", "/api/status")[2]["active_sessions"] == 0


def test_exceeding_the_documented_limits_is_429(gateway_process: Callable[..., GatewayProcess], tmp_path: Path) -> None:
    gateway = gateway_process(tmp_path / "limited", GATEWAY_API_RATE="100", GATEWAY_CHAT_RATE="30").start()
    chats = [gateway.request("POST", "/api/chat/send", {"message": "/help"})[0] for _ in range(32)]
    assert chats[:30] == [200] * 30
    assert 429 in chats[30:]
    calls = [gateway.request("GET", "/api/status")[0] for _ in range(80)]
    assert 429 in calls


def test_echo_into_websocat_prints_the_answer(gateway: GatewayProcess) -> None:
    for query, check in (("", '"type":"response"'), ("&plain=1", "")):
        done = subprocess.run(
            [WEBSOCAT, f"ws://127.0.0.1:{gateway.port}/api/chat/ws?token={gateway.token}{query}"],
            input="/help\n",
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        assert check in done.stdout


WEBSOCKET = """
const ws = new WebSocket('ws://localhost:3000/api/chat/ws?token=YOUR_TOKEN');

ws.onmessage = (event) => {
  const data = JSON.parse(event.data);
  console.log(data);
};
"""
WEBSOCKET_SEND = """
ws.send(JSON.stringify({
  message: "Hello, agent!",
  thread_id: "thread-123"
}));
"""


@pytest.mark.browser
def test_the_printed_websocket_lines_work_in_a_browser_on_another_port(
    gateway: GatewayProcess, page: Page, site: Site
) -> None:
    script = as_printed(WEBSOCKET, gateway).replace("console.log(data)", "console.log(data); seen.push(data)")
    script = f"const seen = [];{script}; ws.onopen = () => {{ {WEBSOCKET_SEND} }};"
    site.files["/"] = ("text/html", f"<!doctype html><title>x</title><script>{script}</script>".encode())
    page.goto(f"http://localhost:{site.port}/")
    page.wait_for_function("seen.some(data => data.type === 'response' && data.thread_id === 'thread-123')")


@pytest.mark.browser
def test_the_printed_react_sample_chats_from_another_port(gateway: GatewayProcess, page: Page, site: Site) -> None:
    modules = HERE / "node_modules"
    scripts = {
        "/react.js": modules / "react/umd/react.development.js",
        "/react-dom.js": modules / "react-dom/umd/react-dom.development.js",
        "/babel.js": modules / "@babel/standalone/babel.min.js",
    }
    for path, file in scripts.items():
        site.files[path] = ("text/javascript", file.read_bytes())
    sample = as_printed((HERE / "contract_sample.jsx").read_text(), gateway)
    site.files["/sample.jsx"] = ("text/plain", sample.encode())
    start = """
        const source = await (await fetch('/sample.jsx')).text();
        const { code } = Babel.transform(source, { presets: ['env', 'react'] });
        const Chat = new Function('require', 'React', code + '; return Chat;')(() => React, React);
        ReactDOM.createRoot(document.getElementById('root')).render(React.createElement(Chat));
    """
    tags = "".join(f'<script src="{path}"></script>' for path in scripts)
    html = f'<!doctype html><title>x</title>{tags}<div id="root"></div><script type="module">{start}</script>'
    site.files["/"] = ("text/html", html.encode())
    page.goto(f"http://localhost:{site.port}/")
    page.fill("input", "/help")
    page.click("button")
    expect(page.locator("strong", has_text="user:")).to_be_visible()
    expect(page.locator("strong", has_text="assistant:")).to_be_visible()
    expect(page.locator("input")).to_have_value("")


@pytest.fixture(autouse=True)
def no_trace_of_an_inner_error(gateway: GatewayProcess) -> Iterator[None]:
    yield
    assert "Traceback" not in gateway.log, gateway.log
