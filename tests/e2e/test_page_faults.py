"""The page when things go wrong, and many tools at once: real kills, real limits, nothing intercepted."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from page_ground import say, sign_in
from page_line import line_to
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
TABS = 12


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process().start()


# When the line above the composer says something, and what.
NOTICES = """() => {
  window.noticed = [];
  const line = document.querySelector('.conversation .notice');
  const look = () => line.textContent && noticed.push([performance.now(), line.textContent]);
  new MutationObserver(look).observe(line, { childList: true, characterData: true, subtree: true });
}"""


def restart(gateway: GatewayProcess, seconds: float = 0.0) -> None:
    """Pull the plug, and start again on the same port after a while."""
    gateway.kill()
    time.sleep(seconds)
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.start()


def test_point_13_parallel_calls_of_one_name_end_each_on_their_own_and_fold(
    page: Page, gateway: GatewayProcess
) -> None:
    sign_in(page, gateway)
    say(page, "what did I do last week?")
    expect(page.locator(".turn .prose")).to_contain_text("No note for")
    folded = page.locator(".turn summary", has_text="7 steps")
    expect(folded).to_be_visible()
    folded.click()
    rows = page.locator(".turn").get_by_text("Read a note", exact=False)
    expect(rows).to_have_count(7)


def test_point_15_a_short_break_is_mended_and_a_longer_one_is_one_quiet_line(
    page: Page, gateway: GatewayProcess
) -> None:
    with line_to(gateway) as line:
        page.goto(f"http://127.0.0.1:{line.port}/#token={gateway.token}")
        expect(page.get_by_role("textbox", name="Message")).to_be_visible()
        page.evaluate(NOTICES)
        with page.expect_response(lambda response: "/api/chat/events" in response.url):
            line.cut()
            page.wait_for_timeout(50)
            page.evaluate("dispatchEvent(new Event('online'))")  # as of a browser whose network is back
        gateway.send("what time is it?", wait=True)
        expect(page.locator(".turn .prose").last).to_contain_text("UTC")
        assert page.evaluate("window.noticed") == []  # it was over before anyone could have read of it
    sign_in(page, gateway)
    page.evaluate(NOTICES)
    before = page.evaluate("performance.now()")
    gateway.kill()
    expect(page.get_by_text("Reconnecting")).to_be_visible(timeout=5_000)
    assert 1000 <= page.evaluate("window.noticed[0][0]") - before < 3000
    assert page.locator("[role=alert]:visible, .toast").count() == 0
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.start()
    expect(page.get_by_text("Reconnecting")).to_be_hidden(timeout=40_000)


def test_r19_after_a_restart_all_tabs_come_back_by_themselves_within_the_limit(
    browser: Browser, gateway_process: Callable[..., GatewayProcess]
) -> None:
    gateway = gateway_process(GATEWAY_API_RATE="100").start()
    # Headless pages all count as seen, and a browser has six connections for one server: so each is a browser of its own.
    contexts = [browser.new_context() for _ in range(TABS)]
    tabs = [context.new_page() for context in contexts]
    for tab in tabs:
        sign_in(tab, gateway)
    restart(gateway, 3.0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if gateway.request("GET", "/api/status")[2].get("active_sessions") == TABS:
            break
        tabs[0].wait_for_timeout(1000)
    for tab in tabs:
        expect(tab.get_by_text("Reconnecting")).to_be_hidden(timeout=20_000)
    gateway.send("what time is it?", wait=True)
    for tab in tabs:
        expect(tab.locator(".turn .prose").last).to_contain_text("UTC", timeout=20_000)
    for context in contexts:
        context.close()


def test_a_tab_that_nobody_sees_gives_its_connection_back_and_catches_up_when_it_is_seen(
    page: Page, gateway: GatewayProcess
) -> None:
    sign_in(page, gateway)
    see(page, hidden=True)
    deadline = time.monotonic() + 20
    while gateway.request("GET", "/api/status")[2]["active_sessions"] and time.monotonic() < deadline:
        page.wait_for_timeout(500)
    assert gateway.request("GET", "/api/status")[2]["active_sessions"] == 0
    gateway.send("what time is it?", wait=True)
    see(page, hidden=False)
    expect(page.locator(".turn .prose").last).to_contain_text("UTC")


def see(page: Page, *, hidden: bool) -> None:
    """What a browser tells a page that goes to the background or comes back."""
    page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_point_21_a_forced_429_counts_down_and_recovers_alone(
    page: Page, gateway_process: Callable[..., GatewayProcess]
) -> None:
    gateway = gateway_process(GATEWAY_CHAT_RATE="6").start()
    sign_in(page, gateway)
    for _ in range(6):
        gateway.send("/help", thread_id="elsewhere")
    say(page, "what time is it?")
    expect(page.locator("body")).to_contain_text(re.compile(r"\b\d+ s\b|seconds"), timeout=5_000)
    expect(page.locator(".turn .prose")).to_contain_text("UTC", timeout=30_000)
    turns = gateway.request("GET", "/api/chat/history")[2]["turns"]
    assert [turn["user_message"] for turn in turns] == ["what time is it?"]


def test_point_20_a_thread_that_is_not_there_says_what_and_what_to_do(page: Page, gateway: GatewayProcess) -> None:
    sign_in(page, gateway)
    page.goto(f"{gateway.url}/#/chat/no-such-thread")
    expect(page.locator("main")).to_contain_text(re.compile("deleted|not there|no longer|gone", re.IGNORECASE))
    assert page.locator("main").get_by_role("button").count() >= 1
    assert "{" not in page.locator("main").inner_text()


def test_s39_the_page_forbids_everything_that_is_not_its_own(gateway: GatewayProcess) -> None:
    for path in ("/", "/api/status", "/nope"):
        policy = gateway.request("GET", path)[1]["content-security-policy"]
        rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    html = gateway.request("GET", "/", token=None)[2].decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_s33_no_get_changes_anything(gateway: GatewayProcess, tmp_path: Path) -> None:
    sent = gateway.send("note: call the plumber", wait=True)

    def state() -> tuple[object, object, object]:
        history = gateway.request("GET", f"/api/chat/history?thread_id={sent['thread_id']}")[2]
        threads = gateway.request("GET", "/api/chat/threads")[2]
        notes = {path: path.read_bytes() for path in sorted((tmp_path / "home" / "workspace").rglob("*.md"))}
        return {**history, "last_id": 0}, threads, notes

    before = state()
    paths = gateway.request("GET", "/api/openapi.json")[2]["paths"]
    queries = (
        "",
        "?thread_id=x",
        f"?thread_id={sent['thread_id']}&limit=1",
        "?query=plumber",
        "?cursor=1",
        "?format=markdown",
    )
    for path, methods in paths.items():
        for query in queries if "get" in methods and not path.endswith(("/events", "/ws", "/stream")) else ():
            named = {re.sub(r"\{\w+\}", id_, path) for id_ in ("x", sent["thread_id"], "..", "%00")}
            for one in sorted(named):
                assert gateway.request("GET", one + query)[0] < 500, one
    assert state() == before
