"""All views of the five places by keys alone, and as a screen reader is told of them: a real Chromium, the real program."""

from collections.abc import Callable
from typing import Any

import page_heard
import page_tour
import pytest
from gateway_process import GatewayProcess
from page_ground import COLOURS, furnish_home, look_at, run_furnished, sign_in  # noqa: F401
from page_tour import Furnished
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]

# Address, button, item of its menu, and what is open then.
OPENED = (
    ("chat", "More about “Garden”", "Rename", "[aria-label=Title]"),
    ("chat", "More about “Garden”", "Delete", "[aria-label='Delete this conversation?']"),
    ("THREAD", "More about this message", "Edit in a new conversation", ".turn form"),
    ("notes", "New note", None, "[aria-label='Name of the new note']"),
    ("notes/bicycle.md", "Edit", None, "[aria-label='Text of the note']"),
    ("notes/bicycle.md", "Versions", None, ".note-acts > button:text-is('Done')"),
    ("notes/bicycle.md", "More about this note", "Rename or move", ".note-form"),
    ("notes/bicycle.md", "More about this note", "Delete", ".note-form"),
    ("JOB", "More about this job", "Delete", ".note-form"),
    ("tools/skills/sourdough", "Edit", None, "[aria-label='Text of the skill']"),
    ("tools/skills/sourdough", "More about this skill", "Remove", ".note-form"),
    ("tools/extensions/github", "More about this extension", "Remove", ".note-form"),
)
# Address, what opens the field, and the field.
COMPOSED = (
    ("chat/THREAD", None, None, "Message"),
    ("chat", "More about “Garden”", "Rename", "Title"),
    ("chat/THREAD", "More about this message", "Edit in a new conversation", "Your message, changed"),
    ("chat", None, None, "Search conversations"),
    ("notes", None, None, "Search notes"),
    ("notes", "New note", None, "Name of the new note"),
    ("notes/bicycle.md", "More about this note", "Rename or move", "New name, with its folder"),
    ("notes/bicycle.md", "Edit", None, "Text of the note"),
    ("jobs", None, None, "Command"),
    ("tools", None, None, "Search tools"),
    ("tools/skills/sourdough", "Edit", None, "Text of the skill"),
    ("system", None, None, "Find in the log"),
)
TOLD = {("jobs", "job"): "Done", ("system", "top"): "All well."}

# Notes which controls get the focus, and what is wrong with how that is shown. A state is settled when the next key comes.
LISTENING = (
    f"""() => {{ {COLOURS}"""
    + """
  const CONTROLS = 'a[href], button, input, textarea, select, summary, [tabindex="0"]';
  const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length > 0;
  const possible = (one) => shown(one) && !one.disabled && one.type !== 'hidden';
  const words = (one) => (one.ariaLabel || one.innerText || one.placeholder || '').trim();
  const named = (one) => `${one.localName} “${words(one).slice(0, 50)}”`;
  const holders = (one) => [one, one.parentElement, one.parentElement.parentElement];
  // What is drawn around a node: colours, and how far out.
  const rings = (one) => [null, '::after'].flatMap((part) => {
    const { outlineStyle, outlineWidth, outlineOffset, outlineColor, boxShadow } = getComputedStyle(one, part);
    const shadows = boxShadow.match(/[a-z]+\\([^)]*\\)/g) ?? [];
    const outline = { color: outlineColor, out: parseFloat(outlineWidth) + parseFloat(outlineOffset) };
    return [...(outlineStyle === 'none' ? [] : [outline]), ...shadows.map((color) => ({ color, out: 0 }))];
  });
  const key = (one) => JSON.stringify(rings(one));
  const clipping = (one) => style(one).overflowX !== 'visible' || style(one).overflowY !== 'visible';
  const cut = (one, out) => {
    const own = one.getBoundingClientRect();
    for (let node = one.parentElement; node; node = node.parentElement) {
      if (!clipping(node)) continue;
      const box = node.getBoundingClientRect();
      const room = [own.left - box.left, own.top - box.top, box.right - own.right, box.bottom - own.bottom];
      if (room.some((side) => side > -1 && side < out - 1)) return `cut by ${node.className || node.localName}: ${room}`;
    }
    return null;
  };
  const fault = (one) => {
    const holder = holders(one).find((some) => rings(some).length > 0 && key(some) !== rest.get(some));
    if (!holder) return 'no ring';
    const clear = ({ color, out }) => contrast(rgb(color), behind(out > 0 ? holder.parentElement : holder));
    const [clearest] = rings(holder).sort((one, other) => clear(other) - clear(one));
    return clear(clearest) < 3 ? `a faint ring: ${clear(clearest)}` : cut(holder, clearest.out);
  };
  document.activeElement?.blur?.();
  const all = [...document.querySelectorAll(CONTROLS)].filter(possible);
  const rest = new Map(all.flatMap(holders).map((one) => [one, key(one)]));
  const [left, faults] = [new Set(all), new Map()];
  const look = () => {
    const one = document.activeElement;
    if (!left.delete(one)) return;
    const wrong = fault(one);
    if (wrong !== null) faults.set(named(one), wrong);
  };
  window.keysHeard?.abort();
  window.keysHeard = new AbortController();
  document.addEventListener('keydown', look, { capture: true, signal: keysHeard.signal });
  // A list is one stop; from it arrows go from row to row.
  const rows = () => [...document.querySelectorAll('.row-link, .hit')].filter((one) => possible(one) && one.closest('li'));
  window.enterList = () => {
    const stop = rows().find((one) => one.tabIndex === 0 && !left.has(one));
    if (!stop || !rows().some((one) => one.tabIndex === -1)) return [0, 0];
    stop.focus();
    return [rows().length, stop.closest('li').querySelectorAll('button').length];
  };
  window.found = () => {
    look();
    const never = [...left].filter((one) => one.isConnected && possible(one)).map(named);
    return { never, faults: Object.fromEntries(faults) };
  };
  return all.length;
}"""
)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def go_by_keys(page: Page) -> dict[str, Any]:
    """Tab through all that is there, and by arrows through the list; what was never focused, or not seen to be."""
    press(page, *["Tab"] * (page.evaluate(LISTENING) + 6))
    rows, buttons = page.evaluate("enterList()")
    if rows:
        press(page, "Home")
    for _ in range(rows):
        press(page, *["Tab"] * buttons, *["Shift+Tab"] * buttons, "ArrowDown")
    found: dict[str, Any] = page.evaluate("found()")
    return found


def go_through_menus(page: Page, view: tuple[str, str]) -> int:
    """Each kind of menu opens by Enter, arrows reach each item, and Esc gives the focus back."""
    kinds = set[str]()
    for opener in page.locator("[aria-haspopup=menu]").locator("visible=true").all():
        kind = (opener.get_attribute("aria-label") or "").partition("“")[0]
        if kind in kinds:
            continue
        kinds.add(kind)
        opener.focus()
        press(page, "Enter")
        menu = page.get_by_role("menu")
        for item in menu.get_by_role("menuitem").all():
            expect(item, str(view)).to_be_focused()
            press(page, "ArrowDown")
        press(page, "Escape")
        expect(menu, str(view)).to_have_count(0)
        expect(opener, str(view)).to_be_focused()
    return len(kinds)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_points_05_23_keys_reach_everything_in_every_view_and_each_control_has_a_name_of_its_own(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, scheme: str, width: int
) -> None:
    page = sign_in(look(width, scheme), gateway)
    wrong, menus = {}, 0
    for view in page_tour.walk(page, gateway.url, home):
        page.wait_for_timeout(150)  # what comes late has come
        assert page_heard.faults(page) == [], view
        if view in TOLD:
            expect(page.get_by_role("status").filter(has_text=TOLD[view])).to_be_visible()
        found = go_by_keys(page)
        menus += go_through_menus(page, view)
        if found["never"] or found["faults"]:
            wrong[view] = found
    assert wrong == {}
    assert menus >= (6 if width == 360 else 8)  # a phone shows no list beside what is open


def begin(page: Page, opener: Locator, item: str | None) -> None:
    """Open something by keys: at once, or by an item of a menu."""
    opener.focus()
    press(page, "Enter")
    if item is not None:
        page.get_by_role("menuitem", name=item).focus()
        press(page, "Enter")


def test_point_23_esc_closes_what_is_on_top_in_every_place_and_gives_the_focus_back(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished
) -> None:
    page = sign_in(look(), gateway)
    addresses = {"THREAD": f"chat/{home.thread}", "JOB": f"jobs/{home.job}"}
    for address, name, item, opened in OPENED:
        page.goto(f"{gateway.url}/#/{addresses.get(address, address)}")
        opener = page.get_by_role("button", name=name, exact=True).locator("visible=true").first
        opener.wait_for()
        page.wait_for_timeout(100)  # the place has put the focus where it wants it
        begin(page, opener, item)
        what = page.locator(opened).locator("visible=true")
        expect(what, f"{address}: {name}, {item}").to_have_count(1)
        assert what.evaluate("one => one === document.activeElement || one.contains(document.activeElement)"), opened
        press(page, "Escape")
        expect(what, f"{address}: {name}, {item}").to_have_count(0)
        expect(opener, f"{address}: {name}, {item}").to_be_focused()


@pytest.mark.parametrize(
    ("address", "text"), [("notes/bicycle.md", "Text of the note"), ("tools/skills/sourdough", "Text of the skill")]
)
def test_point_23_esc_in_what_was_changed_asks_first_and_a_second_one_goes_back_to_the_text(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, address: str, text: str
) -> None:
    page = sign_in(look(), gateway)
    page.goto(f"{gateway.url}/#/{address}")
    page.get_by_role("button", name="Edit", exact=True).press("Enter")
    area = page.get_by_role("textbox", name=text)
    expect(area).to_be_focused()
    page.keyboard.type("x")
    press(page, "Escape")
    expect(page.get_by_role("button", name="Give up", exact=True)).to_be_visible()
    press(page, "Escape")
    expect(page.get_by_role("button", name="Give up", exact=True)).to_have_count(0)
    expect(area).to_be_focused()
    press(page, "Escape")
    page.get_by_role("button", name="Give up", exact=True).press("Enter")
    expect(area).to_have_count(0)


def test_point_23_keys_that_end_a_composition_neither_send_nor_launch_nor_save_nor_close(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished
) -> None:
    page = sign_in(look(), gateway)
    session = page.context.new_cdp_session(page)
    asked: list[str] = []
    page.on("request", lambda request: request.method != "GET" and asked.append(request.url))
    for address, name, item, field in COMPOSED:
        page.goto(f"{gateway.url}/#/{address.replace('THREAD', home.thread)}")
        page.wait_for_timeout(150)
        if name is not None:
            begin(page, page.get_by_role("button", name=name, exact=True).locator("visible=true").first, item)
        box = page.locator(f"[aria-label='{field}']:visible")
        box.focus()
        before = page.url
        asked.clear()  # what a place asks when it is opened
        # In a field for searches Esc has a meaning of the browser's own.
        for key in ("Enter",) if box.get_attribute("type") == "search" else ("Enter", "Escape"):
            session.send("Input.imeSetComposition", {"text": "nihon", "selectionStart": 5, "selectionEnd": 5})
            # A key that is the input method's own comes without a character.
            session.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "key": key, "code": key})
            session.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": key, "code": key})
            page.wait_for_timeout(50)
            expect(box, f"{address}, {field}: {key}").to_be_focused()
            assert "nihon" in box.input_value(), (address, field, key)
        session.send("Input.insertText", {"text": ""})
        assert (page.url, asked) == (before, []), (address, field)
        box.fill("")
        press(page, "Escape")
