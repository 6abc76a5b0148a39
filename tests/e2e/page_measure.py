"""What the design asks of every view, measured in the browser: points 3 to 5, 7, 19, 20 and 25 of its acceptance.

Sizes, colours, spaces, contrast, targets, one filled button, the height of bar and rows, and words that are for people.
"""

import re

from page_ground import COLOURS
from playwright.sync_api import Page

SCREENS = [("light", 1440), ("dark", 1440), ("light", 768), ("light", 360), ("dark", 360)]
# For states between the views: the walk through all views is made on all screens.
WIDE_AND_PHONE = [("light", 1440), ("dark", 360)]
JARGON = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-|(thread|job)-[0-9a-f]{6}|\dT\d\d:\d\d|sha256"
    r"|\bnull\b|undefined|NaN|N/A|No data|Something went wrong"
)
STYLES = (
    f"() => {{ {COLOURS}"
    + """
  const shown = (one) => one.checkVisibility() && one.getClientRects().length > 0;
  const seen = [...document.querySelectorAll('body, body *')].filter(shown);
  const size = (one, name) => Math.abs(parseFloat(style(one)[name]) || 0);
  const page = behind(document.body);
  const ink = (one) => contrast(rgb(style(one).color), behind(one));
  const texts = seen.filter(one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const sides = ['Top', 'Right', 'Bottom', 'Left'];
  const spaces = [...sides.map(side => `padding${side}`), 'marginTop', 'marginBottom', 'rowGap', 'columnGap'];
  const inks = (one) => ['color', 'backgroundColor', ...(size(one, 'borderTopWidth') ? ['borderTopColor'] : [])];
  const targets = seen.filter(one => one.matches('button, input, textarea, summary, .row-link, .hit'));
  const controls = seen.filter(one => one.matches('input, select, textarea, .composer, .outlined'));
  const framed = controls.filter(one => size(one, 'borderTopWidth'));
  const edge = (one) => contrast(rgb(style(one).borderTopColor), behind(one.parentElement));
  const scrollers = '.system, .log-scroll, .jobs-list, .job-scroll, .job-files, [data-part=scroll], [data-part=scroller]';
  const cut = (nodes) => nodes.map(one => one.outerHTML.slice(0, 120));
  return {
    sizes: [...new Set(seen.map(one => style(one).fontSize))],
    colours: [...new Set(seen.flatMap(one => inks(one).map(name => style(one)[name])))],
    gaps: seen.flatMap(one => spaces.map(name => [size(one, name), name, one.className || one.tagName]))
      .filter(([space]) => ![0, 1, 2, 4, 8, 12, 16, 24, 32].includes(space)),
    filled: seen.filter(one => one.matches('button') && contrast(behind(one), page) > 2).length,
    faint: cut(texts.filter(one => style(one).opacity === '1' && ink(one) < 4.5)),
    edges: cut(framed.filter(one => edge(one) < 3)),
    ring: contrast(rgb(style(document.documentElement).getPropertyValue('--accent')), page),
    sideways: cut([document.documentElement, ...seen.filter(one => one.matches(scrollers))]
      .filter(one => one.scrollWidth > one.clientWidth)),
    small: cut(targets.filter(one => Math.min(one.getBoundingClientRect().height, one.getBoundingClientRect().width) < 44)),
    bar: document.querySelector('.bar').offsetHeight,
    rows: [...new Set(seen.filter(one => one.matches('.row, .job-row'))
      .map(one => Math.round(one.getBoundingClientRect().height)))],
    text: document.body.innerText,
  };
}"""
)


class Measure:
    """Measures the views of one page, one after another, and all of them together at the end."""

    def __init__(self, page: Page, width: int) -> None:
        self._page = page
        self._phone = width == 360
        self._sizes: set[str] = set()
        self._colours: set[str] = set()

    def view(self, name: object = "", *, words: bool = True) -> None:
        """What is shown now. *words* False: a log may say anything."""
        self._page.wait_for_timeout(150)  # what moves has come to rest
        found = self._page.evaluate(STYLES)
        self._sizes.update(found["sizes"])
        self._colours.update(found["colours"])
        assert found["gaps"] == [], name
        assert found["filled"] == 1, name
        assert found["faint"] == [], name
        assert found["edges"] == [], name
        assert found["ring"] >= 3, name
        assert found["sideways"] == [], name
        assert not self._phone or found["small"] == [], name
        assert found["bar"] == 48, name
        assert found["rows"] in ([], [52 if self._phone else 40]), name
        jargon = JARGON.search(found["text"]) if words else None
        assert jargon is None, (name, jargon)

    def together(self) -> None:
        """All that was shown so far."""
        assert len(self._sizes) <= 6, self._sizes
        assert len(self._colours) <= 16, self._colours
