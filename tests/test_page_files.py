"""The files of the page: each is needed somewhere, the gateway's packs hold them, and the first load is small."""

import gzip
import re
import subprocess
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from ironclaw.api.packs import MAIN, Packs, sheet

WEB = Path(__file__).parents[1] / "web"
PLACES = re.findall(r'name: "([a-z]+)", word:', (WEB / "js" / "places.js").read_text())
FIRST, *LATER = PLACES
MOST = 150_000  # bytes over the wire until the page can be used
HEAD = 1_000  # bytes of a reply's head, and a little more


def needed(entry: str) -> set[str]:
    """All modules that *entry* needs, its own and those of the first load."""
    texts = [Packs(WEB).text(name) for name in {MAIN, entry}]
    return set(re.findall(r'^\$need\("([^"]+)", \(\(\) => {$', "".join(texts), re.MULTILINE))


def sheets(page: str) -> list[str]:
    """The stylesheets that *page* names, in its order."""
    return re.findall(r'<link rel="stylesheet" href="\./([^"]+)"', (WEB / page).read_text())


def imported(name: str) -> list[str]:
    """The stylesheets that a stylesheet imports."""
    return [f"css/{found}" for found in re.findall(r'^@import "\./([^"]+)";$', (WEB / name).read_text(), re.MULTILINE)]


def templates(page: str) -> set[str]:
    return set(re.findall(r'<template id="([a-z-]+)-template"', (WEB / page).read_text()))


def asked(entry: str) -> set[str]:
    """The templates that the modules of *entry* ask for."""
    text = "".join((WEB / module).read_text() for module in needed(entry))
    return set(re.findall(r'fromTemplate\("([a-z-]+)"\)', text))


def names_below(folder: str, pattern: str) -> set[str]:
    return {path.relative_to(WEB).as_posix() for path in (WEB / folder).rglob(pattern)}


def test_each_place_but_the_first_is_brought_by_a_pack_of_its_own() -> None:
    assert Packs(WEB).entries() == {MAIN, *(f"js/views/{place}.js" for place in LATER)}
    assert f"js/views/{FIRST}.js" in needed(MAIN)


def test_each_module_is_needed_by_some_place() -> None:
    assert set().union(*(needed(entry) for entry in Packs(WEB).entries())) == names_below("js", "*.js")


@pytest.mark.parametrize("entry", [MAIN, *(f"js/views/{place}.js" for place in LATER)])
def test_a_pack_is_javascript(entry: str, tmp_path: Path) -> None:
    pack = tmp_path / "pack.mjs"
    pack.write_text(Packs(WEB).text(entry))
    subprocess.run(["node", "--check", pack], check=True, timeout=30)


def test_each_stylesheet_belongs_to_a_place_and_what_the_first_has_is_not_brought_again() -> None:
    assert sheets("index.html") == ["css/page.css"]
    first = {"css/page.css", *imported("css/page.css")}
    later = {name for place in LATER for name in sheets(f"places/{place}.html")}
    assert first | later == names_below("css", "*.css")
    assert first.isdisjoint(later)


def test_each_place_has_the_templates_that_its_modules_ask_for_and_no_id_stands_twice() -> None:
    first = templates("index.html")
    assert asked(MAIN) <= first
    seen = set(first)
    for place in LATER:
        own = templates(f"places/{place}.html")
        assert not own & seen
        seen |= own
        assert asked(f"js/views/{place}.js") <= first | own
        assert place in own


def test_each_place_has_its_icon() -> None:
    icons = re.findall(r'<symbol id="([a-z]+)"', (WEB / "icons.svg").read_text())
    assert set(PLACES) <= set(icons)


def test_the_first_load_is_at_most_150_kb_over_the_wire() -> None:
    files = [(WEB / name).read_bytes() for name in ("index.html", "icons.svg", "favicon.svg")]
    files += [Packs(WEB).text(MAIN).encode(), sheet(WEB, "css/page.css").encode()]
    assert sum(HEAD + len(gzip.compress(file, 9)) for file in files) <= MOST


async def test_the_gateway_gives_a_pack_for_an_entry_and_any_other_module_as_it_stands(client: TestClient) -> None:
    for entry in Packs(WEB).entries():
        reply = await client.get(f"/{entry}")
        assert (reply.status, await reply.text()) == (200, Packs(WEB).text(entry))
    reply = await client.get("/js/dom.js")
    assert await reply.text() == (WEB / "js/dom.js").read_text()
    reply = await client.get("/css/page.css")
    assert await reply.text() == sheet(WEB, "css/page.css")
    assert "@import" not in await reply.text()
