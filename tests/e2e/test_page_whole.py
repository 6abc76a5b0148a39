"""The five places as one page, list and detail of each, in a real Chromium with nothing intercepted."""

import re
from collections.abc import Callable, Iterator

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
def test_points_03_04_05_07_19_20_25_every_view_of_every_place_is_measured_alike(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, scheme: str, width: int
) -> None:
    page = sign_in(look(width, scheme), gateway)
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
        words = JARGON.search(found["text"]) if view != ("system", "log") else None
        assert words is None, (view, words)
    assert seen == set(page_tour.PLACES)
    assert len(sizes) <= 6
    assert len(colours) <= 16, colours
    assert len(lines["rail"]) == len(lines["text"]) == 1, lines
    assert len(lines["tops"]) == 1, lines
    assert width < 720 or len(lines["heads"]) == 1, lines  # on a phone a long one takes two lines
