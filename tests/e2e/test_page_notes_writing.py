"""Notes are written and nothing is lost: in a real Chromium, against the real program, with nothing intercepted."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from notes_ground import PARAGRAPHS, TODAY, address, button, editor, more, put, run_gateway, show  # noqa: F401
from page_ground import look_at, place  # noqa: F401
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]


def test_a_box_is_ticked_in_the_file_and_an_outside_change_is_kept(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    file = put(gateway, "tick/list.md", "# List\r\n\r\n- [ ] one\r\n- [ ] two\r\n")
    page = show(look(), gateway, "tick/list.md")
    page.get_by_role("checkbox", name="one").click()
    expect(page.get_by_role("checkbox", name="one")).to_be_checked()
    expect(page.get_by_role("checkbox", name="one")).to_be_focused()
    file_says(page, file, b"# List\r\n\r\n- [x] one\r\n- [ ] two\r\n")
    file.write_bytes(b"# List, longer\r\n\r\n- [x] one\r\n- [ ] two\r\n- [ ] three\r\n")
    page.get_by_role("checkbox", name="two").click()
    expect(page.get_by_role("checkbox", name="three")).to_be_visible()
    file_says(page, file, b"# List, longer\r\n\r\n- [x] one\r\n- [x] two\r\n- [ ] three\r\n")
    expect(
        page.get_by_role("heading", name="List, longer")
    ).to_be_visible()  # memory_changed, or what the tick has read


def file_says(page: Page, file: Path, data: bytes) -> None:
    """Waits until the file has these bytes."""
    for _ in range(200):
        if file.read_bytes() == data:
            return
        page.wait_for_timeout(50)
    assert file.read_bytes() == data


@pytest.mark.parametrize("width", [1280, 360])
def test_writing_begins_where_one_reads_and_is_saved_by_key(
    look: Callable[..., Page], gateway: GatewayProcess, width: int
) -> None:
    file = put(gateway, f"edit/long{width}.md", f"# Top\n\n{PARAGRAPHS}\n\n## Middle\n\nHere.\n\n{PARAGRAPHS}\n")
    page = show(look(width), gateway, f"edit/long{width}.md")
    page.get_by_role("heading", name="Middle").evaluate("one => one.scrollIntoView()")
    before = page.get_by_role("heading", name="Middle").bounding_box()
    assert before
    size = page.locator(".note-text p").first.evaluate("one => getComputedStyle(one).font")
    button(page, "Edit").click()
    expect(editor(page)).to_be_focused()
    assert editor(page).evaluate("one => getComputedStyle(one).font") == size
    caret = editor(page).evaluate("one => one.value.slice(one.selectionStart, one.selectionStart + 9)")
    assert caret == "## Middle"
    assert line_top(page, "## Middle") == pytest.approx(before["y"], abs=12)
    page.keyboard.type("Text. ")
    expect(editor(page)).to_have_value(re.compile("Text. ## Middle"))
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert "Text. ## Middle" in file.read_text()
    editor(page).press("Home")
    for _ in "Text. ":
        page.keyboard.press("Delete")
    button(page, "Save").click()
    expect(page.get_by_role("heading", name="Middle")).to_be_visible()
    after = page.get_by_role("heading", name="Middle").bounding_box()
    assert after
    assert after["y"] == pytest.approx(before["y"], abs=12)
    assert "Text." not in file.read_text()


def line_top(page: Page, line: str) -> float:
    """Where a line of the editor stands on the page, measured by a copy of the text before it."""
    script = """(area, line) => {
      const copy = document.createElement('div');
      const { font, lineHeight, width, overflowWrap } = getComputedStyle(area);
      Object.assign(copy.style, { font, lineHeight, width, overflowWrap, whiteSpace: 'pre-wrap', position: 'fixed' });
      copy.textContent = area.value.slice(0, area.value.indexOf(line));
      document.body.append(copy);
      const height = copy.getBoundingClientRect().height;
      copy.remove();
      return area.getBoundingClientRect().top + height;
    }"""
    return float(editor(page).evaluate(script, line))


def test_what_was_written_survives_a_reload_another_place_and_another_note(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    file = put(gateway, "draft/a.md", "first\n")
    put(gateway, "draft/b.md", "other\n")
    page = show(look(), gateway, "draft/a.md")
    button(page, "Edit").click()
    editor(page).fill("first and more\n")
    page.reload()
    expect(editor(page)).to_have_value("first and more\n")
    page.goto(address(gateway, "draft/b.md"))
    expect(page.locator(".note-text")).to_contain_text("other")
    page.go_back()
    expect(editor(page)).to_have_value("first and more\n")
    place(page, "System").click()
    expect(page.get_by_text("All well.")).to_be_visible()
    place(page, "Notes").click()
    expect(editor(page)).to_have_value("first and more\n")
    assert page.url == address(gateway, "draft/a.md")
    assert file.read_text() == "first\n"
    page.keyboard.press("Escape")
    expect(page.get_by_text("Give up what you changed?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(editor(page)).to_be_focused()
    page.keyboard.press("Escape")
    button(page, "Give up").click()
    expect(page.locator(".note-text")).to_have_text("first")
    page.reload()
    expect(page.locator(".note-text")).to_have_text("first")


def conflict(page: Page, gateway: GatewayProcess, path: str) -> Path:
    """Writes "mine" into a note that an editor has changed to "theirs" meanwhile, and saves."""
    file = put(gateway, path, "same\nold\nend\n")
    page.goto(address(gateway, path))
    button(page, "Edit").click()
    editor(page).fill("same\nmine\nend\n")
    file.write_text("same\ntheirs\nend\n")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("region", name="Yours")).to_be_visible()
    assert page.locator(".note-conflict mark").all_inner_texts() == ["mine\n", "theirs\n"]
    return file


def test_a_stale_save_shows_both_texts_and_nothing_is_lost(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    page = show(look(), gateway)
    file = conflict(page, gateway, "torn/a.md")
    mine, theirs = (page.get_by_role("region", name=name).bounding_box() for name in ("Yours", "Theirs"))
    assert mine
    assert theirs
    assert mine["y"] == theirs["y"]
    assert mine["x"] + mine["width"] <= theirs["x"]
    page.keyboard.press("Escape")  # back to the text
    expect(editor(page)).to_have_value("same\nmine\nend\n")
    page.reload()  # which is still stale, and still there
    expect(page.get_by_text("This note was changed elsewhere.")).to_be_visible()
    button(page, "Save").click()
    button(page, "Keep mine").click()
    expect(page.locator(".note-text")).to_contain_text("mine")
    assert file.read_text() == "same\nmine\nend\n"
    file = conflict(page, gateway, "torn/b.md")
    button(page, "Keep theirs").click()
    expect(page.locator(".note-text")).to_contain_text("theirs")
    button(page, "Undo").click()
    expect(editor(page)).to_have_value("same\nmine\nend\n")
    assert file.read_text() == "same\ntheirs\nend\n"
    editor(page).press("Control+s")
    expect(page.get_by_text("Saved.")).to_be_visible()  # it is known by now what theirs was
    file = conflict(page, gateway, "torn/c.md")
    button(page, "Keep both").click()
    button(page, "Open it").click()
    expect(page.locator(".note-text")).to_contain_text("mine")
    assert file.read_text() == "same\ntheirs\nend\n"
    assert file.with_name("c (mine).md").read_text() == "same\nmine\nend\n"


def test_a_note_that_was_deleted_while_one_wrote_is_not_lost_either(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    file = put(gateway, "gone/a.md", "old\n")
    page = show(look(), gateway, "gone/a.md")
    button(page, "Edit").click()
    editor(page).fill("mine\n")
    file.unlink()
    editor(page).press("Control+s")
    expect(page.get_by_role("region", name="Theirs")).to_contain_text("It was deleted.")
    button(page, "Keep mine").click()
    expect(page.locator(".note-text")).to_contain_text("mine")
    assert file.read_text() == "mine\n"


def test_versions_are_compared_and_restored_and_that_is_taken_back(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    file = put(gateway, "old/a.md", "one\ntwo\n")
    for text in ("one\n2\n", "one\n2\nthree\n"):
        assert gateway.request("POST", "/api/memory/write", {"path": "old/a.md", "content": text})[0] == 200
    page = show(look(), gateway, "old/a.md")
    button(page, "Versions").click()
    rows = page.locator(".note-version")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("changed by you · as it is now")
    rows.nth(1).locator("summary").click()
    expect(rows.nth(1).locator("ins")).to_have_text(["+ 2"])
    expect(rows.nth(1).locator("del")).to_have_text(["− two"])
    rows.nth(1).get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Restored.")).to_be_visible()
    assert file.read_text() == "one\n2\n"
    expect(page.locator(".note-text")).not_to_contain_text("three")
    button(page, "Undo").click()
    expect(page.locator(".note-text")).to_contain_text("three")
    assert file.read_text() == "one\n2\nthree\n"


def test_delete_and_move_are_asked_for_and_can_be_taken_back(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    file = put(gateway, "acts/a.md", "text\n")
    page = show(look(), gateway, "acts/a.md")
    page.get_by_role("button", name="More about this note").click()
    put(gateway, "acts/a.md", "changed text\n")
    expect(page.locator(".note-text")).to_have_text("changed text")
    page.get_by_role("menuitem", name="Delete").click()  # the menu has stayed open
    put(gateway, "acts/a.md", "text\n")
    expect(page.locator(".note-text")).to_have_text("text")
    button(page, "Keep").click()
    assert file.exists()
    more(page, "Delete")
    button(page, "Delete").click()
    expect(page.get_by_text("Deleted “a”.")).to_be_visible()
    assert not file.exists()
    assert page.url == f"{gateway.url}/#/notes"
    expect(page.locator(".row-link[title='acts/a.md']")).to_have_count(0)
    button(page, "Undo").click()
    expect(page.locator(".note-text")).to_have_text("text")
    assert file.read_text() == "text\n"
    more(page, "Rename or move")
    page.get_by_label("New name").fill("acts/deep/b")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Moved to acts/deep/b.md.")).to_be_visible()
    assert page.url == address(gateway, "acts/deep/b.md")
    expect(page.locator(".row-link[title='acts/deep/b.md']")).to_have_attribute("aria-current", "page")
    button(page, "Undo").click()
    expect(page.get_by_text("Moved to acts/a.md.")).to_be_visible()
    assert page.url == address(gateway, "acts/a.md")
    assert file.read_text() == "text\n"
    put(gateway, "acts/there.md", "taken\n")
    more(page, "Rename or move")
    page.get_by_label("New name").fill("acts/there.md")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not moved.")).to_be_visible()
    assert file.exists()


def test_a_new_note_and_todays_are_made_when_they_are_saved(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    page = show(look(), gateway)
    page.keyboard.press("Alt+n")
    page.get_by_label("Name of the new note").fill("new/bread")
    page.keyboard.press("Enter")
    expect(editor(page)).to_be_focused()
    expect(editor(page)).to_have_value("# bread\n\n")
    file = gateway.home / "workspace" / "new" / "bread.md"
    assert not file.exists()
    page.keyboard.type("Flour and water.")
    button(page, "Save").click()
    expect(page.locator(".note-text")).to_contain_text("Flour and water.")
    assert file.read_text() == "# bread\n\nFlour and water."
    expect(page.locator(".notes .row-title").first).to_have_text("bread")
    made = gateway.home / "workspace" / "daily" / f"{page.evaluate(TODAY)}.md"
    made.unlink(missing_ok=True)
    expect(page.locator(f".row-link[title='daily/{made.name}']")).to_have_count(0)
    button(page, "Today").click()
    expect(page.get_by_role("banner")).to_contain_text(made.stem)
    expect(editor(page)).to_have_value(re.compile(rf"^# \w+day \d+ \w+ {made.stem[:4]}\n\n$"))
    button(page, "Cancel").click()
    expect(page.get_by_role("searchbox", name="Search notes")).to_be_visible()
    assert not made.exists()
    page.get_by_role("button", name="New note").click()
    page.get_by_label("Name of the new note").fill("../outside")
    page.keyboard.press("Enter")
    expect(page.get_by_text("A note can't be called that")).to_be_visible()
