"""What a screen reader is told of the page, as Chromium's tree of it says."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page

CONTROLS = {
    "button", "link", "textbox", "searchbox", "checkbox", "combobox", "radio", "menuitem", "switch", "slider",
    "spinbutton", "listbox", "DisclosureTriangle",
}  # fmt: skip
LANDMARKS = {"banner", "navigation", "main", "region", "complementary", "contentinfo", "search"}


def faults(page: Page) -> list[str]:
    """What is wrong with names, headings, landmarks, lists and live regions of what is shown."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    heard = [one for one in nodes if not one["ignored"]]
    known = {one["nodeId"]: one for one in nodes}
    return [*_names(heard), *_headings(heard), *_landmarks(heard), *_lists(heard, known), *_live(heard)]


def _role(node: dict[str, Any]) -> str:
    return str(node["role"]["value"])


def _text(node: dict[str, Any], what: str) -> str:
    return str(node.get(what, {}).get("value", "")).strip()


def _names(heard: list[dict[str, Any]]) -> Iterator[str]:
    said = Counter(
        (_role(one), _text(one, "name"), _text(one, "description")) for one in heard if _role(one) in CONTROLS
    )
    for (role, name, description), count in said.items():
        if not name:
            yield f"{role} without a name"
        if count > 1:
            yield f"{count} times {role} “{name}” ({description})"


def _headings(heard: list[dict[str, Any]]) -> Iterator[str]:
    last = 0
    for node in heard:
        if _role(node) != "heading":
            continue
        (level,) = [one["value"]["value"] for one in node["properties"] if one["name"] == "level"]
        if level > last + 1 or not _text(node, "name"):
            yield f"heading “{_text(node, 'name')}” of level {level} after one of level {last}"
        last = level
    if last == 0:
        yield "no heading"


def _landmarks(heard: list[dict[str, Any]]) -> Iterator[str]:
    found = Counter((_role(one), _text(one, "name")) for one in heard if _role(one) in LANDMARKS)
    for role in ("banner", "main"):
        if sum(count for (other, _), count in found.items() if other == role) != 1:
            yield f"not one {role}"
    for (role, name), count in found.items():
        if count > 1 or (not name and role not in {"banner", "main"}):
            yield f"{count} times {role} “{name}”"


def _lists(heard: list[dict[str, Any]], known: dict[str, dict[str, Any]]) -> Iterator[str]:
    def inside(node: dict[str, Any]) -> Iterator[str]:
        for child in (known[one] for one in node.get("childIds", []) if one in known):
            if child["ignored"] or _role(child) == "generic":
                yield from inside(child)
            else:
                yield _role(child)

    for node in heard:
        if _role(node) == "list" and (other := set(inside(node)) - {"listitem"}):
            yield f"list “{_text(node, 'name')}” with {other}"


def _live(heard: list[dict[str, Any]]) -> Iterator[str]:
    if not any(_role(one) == "status" for one in heard):
        yield "nothing that is told when it changes"
