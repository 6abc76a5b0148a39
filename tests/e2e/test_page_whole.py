"""The five places as one page, list and detail of each, in a real Chromium with nothing intercepted."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import page_tour
import pytest
from gateway_process import GatewayProcess
from page_ground import look_at  # noqa: F401
from page_tour import Furnished
from playwright.sync_api import Page
from test_page_chat import SCREENS, STYLES

pytestmark = [pytest.mark.process, pytest.mark.browser]

# Where the head, the first row and what is beside the list begin; how high heads and rows are.
LINES = """() => {
  const shown = (one) => one.checkVisibility() && one.getClientRects().length > 0;
  const all = (what) => [...document.querySelectorAll(what)].filter(shown);
  const box = (one) => one.getBoundingClientRect();
  return {
    bar: all('.bar').map(one => one.offsetHeight),
    rail: all('.rail-link').map(one => [box(one).x, box(one).y, one.offsetHeight]),
    rows: [...new Set(all('.row, .job-row').map(one => Math.round(box(one).height)))],
    tops: all('.threads-top .field').map(one => [box(one).x, box(one).y, one.offsetHeight]),
    heads: all('.note-head').map(one => [box(one).y, Math.max(48, one.offsetHeight)]),
    text: [...new Set(all('.prose p, .note-text p').map(one => getComputedStyle(one).font))],
    filled: all('.primary, .begin').filter(one => getComputedStyle(one).backgroundColor !== 'rgba(0, 0, 0, 0)').length,
    unnamed: all('button, a, input, textarea, select').filter(one => one.type !== 'hidden' && !one.labels?.length
      && !(one.ariaLabel || one.textContent.trim() || one.title)).map(one => one.outerHTML.slice(0, 120)),
  };
}"""
AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
FOUND_BY_AXE = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  const grave = violations.filter(one => ['serious', 'critical'].includes(one.impact));
  return grave.map(one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 160)).join(' | ')}`);
}"""
JARGON = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-|thread-[0-9a-f]{6}|\dT\d\d:\d\d|\bnull\b|undefined|NaN|N/A|No data|Something went wrong"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("whole") / "home", {"BUILTIN_WORD_DELAY": "0"})
    try:
        yield process.start()
    finally:
        process.kill()


@pytest.fixture(scope="module")
def home(gateway: GatewayProcess) -> Furnished:
    return page_tour.furnish(gateway)


def sign_in(page: Page, gateway: GatewayProcess) -> Page:
    page.goto(f"{gateway.url}/#token={gateway.token}")
    page.get_by_role("textbox", name="Message").wait_for()
    return page


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_points_03_04_05_07_19_20_25_every_view_of_every_place_is_measured_alike_and_axe_finds_nothing_serious(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, scheme: str, width: int
) -> None:
    page = look(width, scheme)
    page.add_init_script(path=AXE)
    sign_in(page, gateway)
    sizes, colours = set[str](), set[str]()
    seen = set[str]()
    lines: dict[str, set[str]] = {"rail": set(), "tops": set(), "heads": set(), "text": set()}
    for view in page_tour.walk(page, gateway.url, home):
        page.wait_for_timeout(150)  # what moves has come to rest
        seen.add(view[0])
        found, measured = page.evaluate(STYLES), page.evaluate(LINES)
        sizes.update(found["sizes"])
        colours.update(found["colours"])
        for name, values in lines.items():
            values.update(map(str, [measured[name]] if name == "rail" else measured[name]))
        assert found["gaps"] == [], view
        assert measured["filled"] == 1, view
        assert found["faint"] == [], view
        assert found["ring"] >= 3, view
        assert found["sideways"] <= 0, view
        assert width > 360 or found["small"] == [], view
        assert found["bar"] == 48, view
        assert measured["rows"] in ([], [52 if width == 360 else 40]), view
        assert measured["unnamed"] == [], view
        if (scheme, width) in {("light", 1440), ("dark", 360)}:
            assert page.evaluate(FOUND_BY_AXE) == [], view
        words = JARGON.search(found["text"]) if view != ("system", "log") else None
        assert words is None, (view, words)
    assert seen == set(page_tour.PLACES)
    assert len(sizes) <= 6
    assert len(colours) <= 16, colours
    assert len(lines["rail"]) == len(lines["text"]) == 1, lines
    assert len(lines["tops"]) == 1, lines
    assert width < 720 or len(lines["heads"]) == 1, lines  # on a phone a long one takes two lines


class Line:
    """A TCP line to the gateway that can be cut: all its connections break, and new ones can be made at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut(self) -> None:
        opened, self._open = self._open, []
        for one in opened:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


@pytest.fixture
def line(gateway: GatewayProcess) -> Iterator[Line]:
    line = Line(gateway.port)
    yield line
    line.close()


# All timers that will still fire, and all listeners that were added and not taken away from what outlives a view.
COUNTING = """() => {
  setInterval(() => dispatchEvent(new Event('online')), 50);  // as of a browser whose network is back
  const timers = window.timers = new Map(), listeners = window.listeners = new Map();
  for (const kind of ['Timeout', 'Interval']) {
    const [set, clear] = [window[`set${kind}`], window[`clear${kind}`]];
    window[`set${kind}`] = (act, wait, ...more) => {
      const id = set((...all) => { if (kind === 'Timeout') timers.delete(id); act(...all); }, wait, ...more);
      timers.set(id, `${kind} of ${wait}: ${act}`);
      return id;
    };
    window[`clear${kind}`] = (id) => { timers.delete(id); clear(id); };
  }
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  const key = (type, act) => `${type} ${act}`;
  const lasting = (one) => [window, document, visualViewport].includes(one) || one instanceof MediaQueryList;
  const count = (name, by) => listeners.set(name, (listeners.get(name) ?? 0) + by);
  EventTarget.prototype.addEventListener = function (type, act, options) {
    if (lasting(this ?? window)) {
      count(key(type, act), 1);
      options?.signal?.addEventListener('abort', () => count(key(type, act), -1));
    }
    return addEventListener.call(this, type, act, options);
  };
  EventTarget.prototype.removeEventListener = function (type, act, options) {
    if (lasting(this ?? window)) count(key(type, act), -1);
    return removeEventListener.call(this, type, act, options);
  };
}"""


def left(page: Page) -> dict[str, int]:
    """What the page holds once its garbage is gone: listeners of all nodes and signals, and timers."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: int(one["value"]) for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    counts = page.evaluate("() => [window.timers.size, [...window.listeners.values()].reduce((a, b) => a + b, 0)]")
    return {"all listeners": metrics["JSEventListeners"], "timers": counts[0], "lasting listeners": counts[1]}


def reconnect(page: Page, line: Line, times: int) -> None:
    """Break the line until the page has come back, that often."""
    for _ in range(times):
        with page.expect_response(lambda response: "/api/chat/events" in response.url, timeout=20_000):
            line.cut()


def test_fifty_reconnects_leave_no_timer_and_no_listener(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, line: Line
) -> None:
    page = look()
    page.add_init_script(f"({COUNTING})()")
    page.goto(f"http://127.0.0.1:{line.port}/#token={gateway.token}")
    page.get_by_role("textbox", name="Message").wait_for()
    for place in ("notes", "jobs", "tools", "system", "chat"):
        page.goto(f"http://127.0.0.1:{line.port}/#/{place}")
        page.wait_for_timeout(300)
    reconnect(page, line, 3)
    page.wait_for_timeout(1500)
    before = left(page)
    assert before["timers"] > 0
    assert before["lasting listeners"] > 0
    reconnect(page, line, 50)
    page.wait_for_timeout(1500)
    after = left(page)
    assert all(after[name] <= before[name] + 2 for name in before), (
        before,
        after,
        page.evaluate("[...timers.values()]"),
    )
