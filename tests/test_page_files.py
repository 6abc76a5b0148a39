"""The files of the page: what is named to be fetched at once is what is needed, and the first load is small."""

import gzip
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

WEB = Path(__file__).parents[1] / "web"
PLACES = re.findall(r'name: "([a-z]+)", word:', (WEB / "js" / "places.js").read_text())
FIRST, *LATER = PLACES
MOST = 150_000  # bytes over the wire until the page can be used


def linked(page: str, kind: str) -> list[str]:
    """The files that *page* names as *kind*, in its order."""
    return re.findall(rf'<link rel="{kind}" href="\./([^"]+)"', (WEB / page).read_text())


def needed(*modules: str) -> set[str]:
    """These modules and all that they import, but not what is brought later."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            imported = re.findall(r'^(?:import|export) .*from "(\.[^"]+)";$', (WEB / module).read_text(), re.MULTILINE)
            waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(module), one)) for one in imported]
    return found


def first_load() -> set[str]:
    return needed("js/main.js", f"js/views/{FIRST}.js")


def templates(page: str) -> set[str]:
    return set(re.findall(r'<template id="([a-z-]+)-template"', (WEB / page).read_text()))


def packed(names: Iterable[str]) -> int:
    return sum(len(gzip.compress((WEB / name).read_bytes(), 9)) for name in names)


def test_the_first_load_names_all_its_modules_and_no_other() -> None:
    assert set(linked("index.html", "modulepreload")) | {"js/main.js"} == first_load()


@pytest.mark.parametrize("place", LATER)
def test_a_place_names_all_modules_that_it_needs_beyond_the_first_load(place: str) -> None:
    listed = linked(f"places/{place}.html", "modulepreload")
    assert set(listed) == needed(f"js/views/{place}.js") - first_load()
    assert len(listed) == len(set(listed))


def test_each_module_and_each_stylesheet_belongs_to_a_place_and_what_the_first_has_is_not_brought_again() -> None:
    pages = ["index.html", *(f"places/{place}.html" for place in LATER)]
    modules = {"js/main.js"}.union(*(linked(page, "modulepreload") for page in pages))
    first, *later = (linked(page, "stylesheet") for page in pages)
    assert modules == {path.relative_to(WEB).as_posix() for path in (WEB / "js").rglob("*.js")}
    assert set(first).union(*later) == {path.relative_to(WEB).as_posix() for path in (WEB / "css").iterdir()}
    assert set(first).isdisjoint(sheet for sheets in later for sheet in sheets)


def test_each_place_has_the_templates_that_its_modules_ask_for_and_no_id_stands_twice() -> None:
    first = templates("index.html")
    seen = set(first)
    for place in LATER:
        own = templates(f"places/{place}.html")
        assert not own & seen
        seen |= own
        text = "".join((WEB / module).read_text() for module in needed(f"js/views/{place}.js"))
        asked = set(re.findall(r'fromTemplate\("([a-z-]+)"\)', text))
        assert asked <= first | own
        assert place in own
    first_text = "".join((WEB / module).read_text() for module in first_load())
    assert set(re.findall(r'fromTemplate\("([a-z-]+)"\)', first_text)) <= first


def test_each_place_has_its_icon() -> None:
    icons = re.findall(r'<symbol id="([a-z]+)"', (WEB / "icons.svg").read_text())
    assert set(PLACES) <= set(icons)


def test_the_first_load_is_at_most_150_kb_over_the_wire() -> None:
    files = {"index.html", "icons.svg", "favicon.svg", *linked("index.html", "stylesheet"), *first_load()}
    assert packed(files) <= MOST
