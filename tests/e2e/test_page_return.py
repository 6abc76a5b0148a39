"""Back, forward and reload in all places, also below a prefix, and the one stream that feeds them."""

from collections.abc import Callable
from typing import Any

import page_tour
import pytest
from gateway_process import GatewayProcess
from page_front import Front, run_front  # noqa: F401
from page_ground import furnish_home, look_at, place, run_furnished, sign_in  # noqa: F401
from page_tour import Furnished
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
# What is asked or searched has no address; that of the list names none of the conversations that stand beside it. A code
# that signs in is taken away when its place is left.
PASSING = {("chat", "search"), ("notes", "asked whether to delete"), ("chat", "list"), ("system", "code")}
# What is pasted to be added may hold tokens: it is kept nowhere.
DRAFTS = "Message", "Text of the note", "Command", "Text of the skill"
LEARN = """() => {
  const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length > 0;
  const seen = (what) => [...document.querySelectorAll(what)].filter(shown);
  const scrolls = (one) => ['auto', 'scroll'].includes(getComputedStyle(one).overflowY);
  window.scrolling = () => seen('main :not(.log-scroll)')
    .filter((one) => scrolls(one) && one.scrollHeight > one.clientHeight + 40);
  const words = (one) => one.innerText.replace(/Up .*/, '');
  // Times and what the log says go on by themselves.
  window.here = () => ({
    hash: location.hash,
    title: document.title,
    things: seen('main :is(h2, h3, strong, .mine, .row-title, button:not(.pill))').map(words),
    texts: seen('main :is(textarea, input)').map((one) => `${one.ariaLabel}: ${one.value}`),
    places: scrolling().map((one) => [one.className, one.scrollTop]),
  });
}"""


def leave_marks(page: Page, view: tuple[str, str]) -> Any:
    """Write and scroll where that is possible; what the view is then."""
    for name in DRAFTS:
        field = page.get_by_role("textbox", name=name).locator("visible=true")
        if field.count() == 1:
            field.fill("half a thought of " + "-".join(view) + "\nand more" * 40 * name.startswith("Text"))
    if view == ("chat", "empty"):  # where nothing was said yet there is no message to go back to
        return page.evaluate("here()")
    page.evaluate(
        "scrolling().forEach(one => { one.scrollTop = Math.round((one.scrollHeight - one.clientHeight) / 3) })"
    )
    page.wait_for_timeout(250)  # a place is kept once the scrolling is over
    return page.evaluate("here()")


def compare(page: Page, before: Any, what: str) -> list[str]:
    """How the view differs from what it was, once it has had time to come back."""
    now: Any = None
    for _ in range(30):
        page.wait_for_function("() => 'here' in window")
        now = page.evaluate("here()")
        if now == before:
            return []
        page.wait_for_timeout(100)
    return [f"{what}: {name} is {now[name]}, was {before[name]}" for name in before if now[name] != before[name]]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("width", [1280, 360], ids=["wide", "phone"])
def test_point_22_reload_back_and_forward_keep_view_thing_scroll_and_draft_in_all_places_below_a_prefix(
    look: Callable[..., Page], home: Furnished, front: Front, width: int
) -> None:
    page = look(width)
    page.add_init_script(f"({LEARN})()")
    base = front.url.rstrip("/")
    page.goto(front.url)
    page.get_by_role("textbox", name="Message").wait_for()
    wrong: dict[tuple[str, str], list[str]] = {}
    for view in page_tour.walk(page, base, home):
        if view in PASSING:
            continue
        page.wait_for_timeout(150)
        before = leave_marks(page, view)
        page.reload()
        found = compare(page, before, "reload")
        other = "system" if view[0] == "chat" else "chat"
        page.goto(f"{base}/#/{other}")
        page.wait_for_timeout(100)
        page.go_back()
        found += compare(page, before, "back")
        page.go_forward()
        expect(place(page, other.title())).to_have_attribute("aria-current", "page")
        page.go_back()
        found += compare(page, before, "forward and back")
        assert page.url.startswith(f"{base}/#/")
        if found:
            wrong[view] = found
    assert wrong == {}


def test_point_21_one_stream_feeds_all_five_places_and_none_of_them_asks_again_and_again(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished
) -> None:
    page = look()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    open_now, most, asked = set[str](), [0], list[str]()

    def begun(event: Any) -> None:
        url = event["request"]["url"]
        if "/api/" in url:
            asked.append(url)
        if "/api/chat/events" in url:
            open_now.add(event["requestId"])
            most[0] = max(most[0], len(open_now))

    session.on("Network.requestWillBeSent", begun)
    for ended in ("Network.loadingFinished", "Network.loadingFailed"):
        session.on(ended, lambda event: open_now.discard(event["requestId"]))
    sockets: list[str] = []
    session.on("Network.webSocketCreated", lambda event: sockets.append(event["url"]))
    page.clock.install()
    sign_in(page, gateway)
    quiet: dict[str, list[str]] = {}
    for name in page_tour.PLACES:
        place(page, name.title()).click()
        expect(place(page, name.title())).to_have_attribute("aria-current", "page")
        gateway.send("status", thread_id=home.blank, wait=True)
        page.wait_for_timeout(500)
        page.clock.fast_forward(6_000)  # what follows from the turn has been read
        page.wait_for_timeout(500)
        asked.clear()
        for _ in range(3):
            page.clock.fast_forward(10_000)  # in all less than a silence that makes the page look after its stream
            page.wait_for_timeout(150)
        quiet[name] = list(asked)
        assert len(open_now) == 1, name
    assert quiet == {name: [] for name in page_tour.PLACES}
    gateway.send("what time is it?", thread_id=home.blank, wait=True)
    gateway.request("POST", "/api/jobs", {"command": "true", "title": "Told by the stream"})
    (gateway.home / "workspace" / "told.md").write_text("# Told by the stream\n")
    for name, words in {"Jobs": "Told by the stream", "Notes": "told"}.items():
        place(page, name).click()
        expect(page.get_by_text(words).locator("visible=true").first).to_be_visible()
    assert (most, len(open_now), sockets) == ([1], 1, [])
