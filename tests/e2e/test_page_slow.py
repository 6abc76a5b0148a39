"""The page over a slow line: what is shown meanwhile, that nothing jumps, and that a press is seen and acts once."""

import contextlib
from collections.abc import Callable, Iterator

import page_tour
import pytest
from gateway_process import GatewayProcess
from page_ground import furnish_home, look_at, place, run_furnished, sign_in  # noqa: F401
from page_tour import Furnished
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
READY = {
    "notes": ".notes .row",
    "jobs": ".job-row",
    "tools": ".tool-link",
    "system": ".log-table tbody tr",
    "chat": ".turn .prose table",
}
# From a click on: how long the place shows no words at all, and how much of it jumps.
WATCHING = """() => {
  window.watch = { shifted: 0, blank: 0, told: null };
  const began = performance.now();
  let since = null;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => { watch.shifted += one.value; }))
    .observe({ type: 'layout-shift' });
  const look = () => {
    const now = performance.now();
    const words = document.querySelector('.places').innerText.trim();
    since = words === '' ? since ?? now : null;
    if (since !== null) watch.blank = Math.max(watch.blank, now - since);
    if (now - began < 30000) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
# Address, what is done before, the button, and what is asked of the gateway.
ACTS = (
    ("chat/THREAD", None, "New conversation", "/api/chat/threads"),
    ("notes/bicycle.md", "Text of the note", "Save", "/api/memory/write"),
    ("jobs", "Command", "Run", "/api/jobs"),
    ("jobs/JOB", None, "Run again", "/restart"),
    ("tools/skills/weekly-review", None, "Install", "/api/skills/install"),
    ("tools/skills/sourdough", None, "Disable", "/disable"),
    ("tools/extensions/github", None, "Disable", "/disable"),
    ("system", "A day, in dollars", "Save", "/api/budget"),
    ("system", None, "Back up now", "/api/backups"),
)


@pytest.fixture
def opened(look: Callable[..., Page], gateway: GatewayProcess, home: Furnished) -> Page:
    """The page, signed in, with all of the chat there."""
    page = sign_in(look(), gateway)
    expect(page.locator(".row", has_text="Garden")).to_be_visible()
    return page


@contextlib.contextmanager
def slow_line(page: Page) -> Iterator[None]:
    """For a while each request takes 400 ms more, and bytes come slowly."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    line = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    session.send("Network.emulateNetworkConditions", line)
    yield
    session.send(
        "Network.emulateNetworkConditions", {**line, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    )
    session.detach()


@pytest.mark.parametrize("name", page_tour.PLACES)
def test_points_02_20_a_place_that_comes_slowly_says_so_and_does_not_jump(opened: Page, name: str) -> None:
    opened.evaluate(WATCHING)
    with slow_line(opened):
        if name == "chat":
            opened.locator(".row-link", has_text="Garden").click()
        else:
            place(opened, name.title()).click()
            expect(place(opened, name.title())).to_have_attribute("aria-current", "page", timeout=200)
        expect(opened.locator(READY[name]).first).to_be_visible(timeout=20_000)
        opened.wait_for_timeout(1000)
    watched = opened.evaluate("watch")
    assert watched["blank"] < 200
    assert watched["shifted"] < 0.02


@pytest.mark.timeout(120)
def test_what_is_pressed_twice_over_a_slow_line_is_done_once_and_said_meanwhile(
    opened: Page, gateway: GatewayProcess, home: Furnished
) -> None:
    gateway.send("status", thread_id=home.blank, wait=True)
    asked: list[str] = []
    opened.on("request", lambda request: request.method != "GET" and asked.append(request.url))
    wrong = {}
    for address, field, name, path in ACTS:
        opened.goto(f"{gateway.url}/#/{address.replace('THREAD', home.thread).replace('JOB', home.job)}")
        if field is not None and field.startswith("Text"):
            opened.get_by_role("button", name="Edit", exact=True).click()
        if field is not None:
            opened.get_by_role("textbox", name=field).fill("7")
        button = opened.locator("main").get_by_role("button", name=name, exact=True).locator("visible=true")
        button.wait_for()
        opened.wait_for_timeout(300)  # what is read by itself has come
        asked.clear()
        before = opened.locator("body").inner_text()
        with slow_line(opened):
            button.dblclick()
            opened.wait_for_timeout(200)
            said = opened.locator("body").inner_text() != before
            opened.wait_for_timeout(600)
        if [path in url for url in asked] != [True] or not said:
            wrong[address, name] = (said, list(asked))
    assert wrong == {}


def test_a_job_that_was_deleted_leaves_the_table_before_it_is_read_again(opened: Page, gateway: GatewayProcess) -> None:
    job = gateway.request("POST", "/api/jobs?wait=60", {"command": "true", "title": "Gone at once"})[2]["id"]
    opened.goto(f"{gateway.url}/#/jobs")
    expect(opened.locator(".job-row", has_text="Gone at once")).to_be_visible()
    opened.goto(f"{gateway.url}/#/jobs/{job}")
    opened.get_by_role("button", name="More about this job").click()
    opened.get_by_role("menuitem", name="Delete").click()
    with slow_line(opened):
        opened.locator("main").get_by_role("button", name="Delete", exact=True).click()
        told = opened.wait_for_function(
            "() => document.querySelector('.jobs .said').innerText.includes('Deleted')"
            " && [...document.querySelectorAll('.job-row')].map(one => one.textContent).join(' ')"
        )
    assert "Gone at once" not in str(told.json_value())
