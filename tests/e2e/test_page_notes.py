"""Notes are read, found and looked at: in a real Chromium, against the real program, with nothing intercepted."""

import json
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from notes_ground import PARAGRAPHS, TODAY, address, button, editor, more, put, run_gateway, show  # noqa: F401
from page_ground import look_at, place, say, sign_in  # noqa: F401
from page_measure import WIDE_AND_PHONE, Measure
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
EVIL = '<img src=x onerror="window.hit=1"><svg onload="window.hit=1">'


def test_a_note_is_set_like_a_page_and_leads_to_others(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    put(gateway, "set/seeds.md", "# Seeds\n\nTomato and pea.\n")
    put(gateway, "set/a.md", "# Garden\n\nSee [[Seeds]] and [[No such]].\n\n- [ ] sow\n\nA **word** #herbs-of-set\n")
    put(gateway, "set/b.md", "# B\n\nThyme. #herbs-of-set\n")
    page = show(look(), gateway, "set/a.md")
    text = page.get_by_role("region", name="Text")
    expect(text.get_by_role("heading", name="Garden")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text("a")
    expect(page.locator(".row [aria-current]")).to_contain_text("a")
    text.get_by_role("link", name="Seeds").click()
    expect(text).to_contain_text("Tomato and pea.")
    assert page.url == address(gateway, "set/seeds.md")
    page.go_back()
    text.get_by_role("link", name="#herbs-of-set").click()
    expect(page.get_by_role("list", name="Found").get_by_role("link")).to_have_count(2)
    expect(text).to_contain_text("Garden")  # what was read stays beside it
    page.reload()
    expect(page.get_by_role("searchbox", name="Search notes")).to_have_value("#herbs-of-set")
    page.get_by_role("list", name="Found").get_by_role("link", name="Thyme").click()
    expect(text).to_contain_text("Thyme")
    expect(page.locator(".line-found")).to_contain_text("Thyme")
    page.goto(address(gateway, "set/a.md"))
    text.get_by_role("link", name="No such").click()
    expect(page.get_by_text("There is no note “No such” yet.")).to_be_visible()
    button(page, "Write it").click()
    expect(editor(page)).to_have_value("# No such\n\n")


def test_point_22_back_forward_and_reload_keep_the_place_in_a_note(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    put(gateway, "place/long.md", f"# Long\n\n{PARAGRAPHS}\n")
    put(gateway, "place/short.md", "short\n")
    page = show(look(), gateway, "place/long.md")
    text = page.get_by_role("region", name="Text")
    expect(text.get_by_role("heading", name="Long")).to_be_visible()
    text.evaluate("one => { one.scrollTop = 900 }")
    page.goto(address(gateway, "place/short.md"))
    expect(text).to_contain_text("short")
    page.go_back()
    expect(text.get_by_role("heading", name="Long")).to_be_attached()
    expect(text).to_have_js_property("scrollTop", 900)
    page.go_forward()
    expect(text).to_contain_text("short")
    page.go_back()
    expect(text).to_have_js_property("scrollTop", 900)
    page.reload()
    expect(text).to_have_js_property("scrollTop", 900)


def test_search_is_the_list_and_what_the_agent_writes_appears(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    for number in range(3):
        put(gateway, f"find/n{number}.md", f"# Number {number}\n\nA quokka at number {number}.\n")
    page = show(look(), gateway)
    query = page.get_by_role("searchbox", name="Search notes")
    expect(query).to_be_focused()
    page.keyboard.type("quokka")
    hits = page.get_by_role("list", name="Found").get_by_role("link")
    expect(hits).to_have_count(3)
    expect(page.locator(".hit mark").first).to_have_text("quokka")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".line-found")).to_contain_text("A quokka at number")
    put(gateway, "find/n3.md", "Another quokka.\n")
    expect(hits).to_have_count(4)  # memory_changed: it is looked for again
    query.press("Escape")
    expect(page.locator(".row-link[title='find/n3.md']")).to_be_visible()
    today = f"daily/{page.evaluate(TODAY)}.md"
    (gateway.home / "workspace" / today).unlink(missing_ok=True)
    page.goto(address(gateway, today))
    expect(page.get_by_text("There is no note")).to_be_visible()
    gateway.send("note: water the quokka", wait=True)
    expect(page.locator(".note-text")).to_contain_text("water the quokka")  # the open page
    query.fill("nothing has this word")
    expect(page.get_by_text("Nothing was found for “nothing has this word”.")).to_be_visible()


def test_paths_in_answers_lead_to_notes(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    put(gateway, "said/far.md", "one\n\nthe narwhal\n")
    page = sign_in(look(), gateway)
    say(page, "find narwhal")
    page.locator(".turn .prose").get_by_role("link", name="said/far.md").first.click()
    expect(page.locator(".note-text")).to_contain_text("the narwhal")
    assert page.url == address(gateway, "said/far.md") + "?line=3"
    expect(page.locator(".line-found")).to_have_text("the narwhal")
    page.go_back()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def test_files_that_are_no_text_are_shown_as_such_and_downloaded(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    picture, huge = bytes(range(256)) * 40, b"a line of text\n" * 200_000
    put(gateway, "files/photo.png", picture)
    put(gateway, "files/huge.md", huge)
    page = show(look(), gateway, "files/photo.png")
    expect(page.get_by_text("photo.png · 10.2 kB")).to_be_visible()
    for name, data in (("photo.png", picture), ("huge.md", huge)):
        page.goto(address(gateway, f"files/{name}"))
        expect(page.locator(".note-unread")).to_contain_text(name)
        with page.expect_download() as download:
            button(page, "Download").click()
        assert download.value.suggested_filename == name
        assert Path(download.value.path()).read_bytes() == data


def test_s37_markup_in_texts_names_and_searches_stays_text(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    text = f"# {EVIL}\n\n{EVIL} [[{EVIL}]] [x](javascript:window.hit=1) ![](http://evil.test/x)\n\n- [ ] {EVIL}\n"
    path = "evil/<img src=x onerror=window.hit=1>.md"
    put(gateway, path, text)
    page = look()
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    show(page, gateway)
    page.get_by_role("searchbox", name="Search notes").fill(EVIL)
    page.locator(".hit", has_text="onerror").first.click()
    expect(page.get_by_role("region", name="Text")).to_contain_text("onerror")
    page.get_by_role("checkbox").click()
    expect(page.get_by_role("checkbox")).to_be_checked()
    button(page, "Versions").click()
    page.locator(".note-version summary").first.click()
    expect(page.locator(".note-diff").first).to_contain_text("onerror")
    button(page, "Done").click()
    more(page, "Rename or move")
    page.get_by_label("New name").fill(f"evil/{EVIL.replace('/', '')}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Moved to")).to_contain_text("onerror")
    page.goto(f"{gateway.url}/#/notes/{urllib.parse.quote(EVIL, safe='')}?line=<svg/onload=window.hit=1>")
    expect(page.get_by_text("There is no note")).to_contain_text("onerror")
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main svg[onload], main a[href^=javascript]").count() == 0
    assert all(url.startswith((gateway.url, "blob:")) for url in urls)


def test_point_20_waiting_failing_and_empty_say_what_to_do(
    look: Callable[..., Page], gateway_process: Callable[..., GatewayProcess]
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    page = look()
    for note in (gateway.home / "workspace").rglob("*.md"):
        note.unlink()
    show(page, gateway)
    expect(page.get_by_text("There are no notes yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Write today’s")).to_be_visible()
    put(gateway, "a.md", "text\n")
    expect(page.locator(".notes .row-title")).to_have_text("a")  # an outside change is seen
    page.locator(".notes .row-link").click()
    button(page, "Edit").click()
    editor(page).fill("written meanwhile\n")
    gateway.kill()
    expect(page.locator(".said")).to_contain_text("Reconnecting")
    button(page, "Save").click()
    expect(page.get_by_text("Not saved.")).to_be_visible()
    expect(editor(page)).to_have_value("written meanwhile\n")
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.start()
    expect(page.locator(".said")).to_be_hidden(timeout=40_000)
    button(page, "Save").click()
    expect(page.locator(".note-text")).to_have_text("written meanwhile")
    assert (gateway.home / "workspace" / "a.md").read_text() == "written meanwhile\n"
    gateway.kill()
    page.goto(f"{gateway.url}/#/notes/b.md")
    expect(page.get_by_text("“b” can't be read. The gateway can't be reached.")).to_be_visible()
    expect(button(page, "Try again")).to_be_visible()


def test_on_a_phone_list_and_note_are_two_screens(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    put(gateway, "phone/a.md", "# Hello\n\n- [ ] box\n")
    page = show(look(360), gateway)
    expect(page.locator(".note-place")).to_be_hidden()
    page.locator(".row-link[title='phone/a.md']").tap()
    expect(page.get_by_role("heading", name="Hello")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Search notes")).to_be_hidden()
    page.get_by_role("checkbox", name="box").tap()
    expect(page.get_by_role("checkbox", name="box")).to_be_checked()
    page.get_by_role("link", name="Back").tap()
    expect(page.get_by_role("searchbox", name="Search notes")).to_be_visible()
    assert page.url == f"{gateway.url}/#/notes"
    page.go_back()
    expect(page.get_by_role("heading", name="Hello")).to_be_visible()


def test_point_23_everything_is_reached_by_keys(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    put(gateway, "keys/a.md", "# Keys\n\n- [ ] box\n\n[[keys/b]]\n")
    page = show(look(), gateway, "keys/a.md")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    reached = set()
    place(page, "Chat").focus()
    while "keys/b" not in reached:  # the last one
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_be_visible()
        reached.add(page.evaluate("(document.activeElement.ariaLabel ?? document.activeElement.innerText).trim()"))
    assert {"Search notes", "New note", "Edit", "Versions", "More about this note", "Text", "box", "keys/b"} <= reached
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search notes")).to_be_focused()
    button(page, "Edit").focus()
    page.keyboard.press("Enter")
    expect(editor(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(button(page, "Edit")).to_be_focused()
    button(page, "Versions").focus()
    page.keyboard.press("Enter")
    expect(button(page, "Done")).to_be_focused()
    page.keyboard.press("Escape")
    expect(button(page, "Versions")).to_be_focused()
    page.get_by_role("button", name="More about this note").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(button(page, "Keep")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Delete this note?")).to_be_hidden()
    expect(page.get_by_role("button", name="More about this note")).to_be_focused()


def test_the_list_of_many_notes_grows_as_it_is_scrolled(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    for number in range(250):
        put(gateway, f"many/{number:03}.md", "x\n")
    page = show(look(), gateway)
    rows = page.locator(".notes .row-link")
    expect(rows.first).to_be_visible()
    assert rows.count() <= 100
    scroll = page.locator(".threads-scroll:visible")
    for _ in range(4):
        scroll.evaluate("one => { one.scrollTop = one.scrollHeight }")
        page.wait_for_timeout(100)
    expect(page.locator(".row-link[title='many/000.md']")).to_be_attached()
    listed = json.dumps(rows.evaluate_all("all => all.map(one => one.title)"))
    assert listed.count("many/") == 250


def views(page: Page, gateway: GatewayProcess) -> Iterator[str]:
    """Goes through all that the place shows, and says where it is."""
    put_rich(gateway)
    show(page, gateway)
    yield from views_of_a_note(page)
    yield from views_of_a_conflict(page, gateway)
    page.goto(address(gateway, "rich/photo.png"))
    expect(page.get_by_text("256 bytes")).to_be_visible()
    yield "file"
    page.goto(address(gateway, "rich/none.md"))
    expect(page.get_by_text("There is no note “none” yet.")).to_be_visible()
    yield "no note"
    for name in ("Rich.md", "Rich (mine).md", "photo.png"):
        (gateway.home / "workspace" / "rich" / name).unlink()


RICH = "---\ntags: [a]\n---\n# Rich\n\nSome [[Rich]] and [[none]] #tag `code`\n\n- [ ] open\n- [x] done\n  - [ ] in\n\n"


def put_rich(gateway: GatewayProcess) -> None:
    put(
        gateway,
        "rich/Rich.md",
        f"{RICH}| a | b |\n|---|--:|\n| 1 | 2 |\n\n```py\nprint(1)\n```\n\n> said\n\n{PARAGRAPHS}\n",
    )
    put(gateway, "rich/photo.png", bytes(range(256)))


def views_of_a_note(page: Page) -> Iterator[str]:
    expect(page.locator(".notes .row-link").first).to_be_visible()
    yield "list"
    page.get_by_role("button", name="New note").click()
    yield "name"
    button(page, "Cancel").click()
    page.get_by_role("searchbox", name="Search notes").fill("rich")
    expect(page.locator(".notes .hit").first).to_be_visible()
    yield "found"
    page.locator(".notes .hit[title='rich/Rich.md']").first.click()
    expect(page.get_by_role("region", name="Text").get_by_role("heading", name="Rich")).to_be_visible()
    yield "note"
    more(page, "Rename or move")
    yield "move"
    button(page, "Cancel").click()
    more(page, "Delete")
    yield "delete"
    button(page, "Keep").click()
    button(page, "Versions").click()
    expect(page.get_by_text("Reading…").last).to_be_hidden()
    yield "versions, closed"
    button(page, "Done").click()


def views_of_a_conflict(page: Page, gateway: GatewayProcess) -> Iterator[str]:
    button(page, "Edit").click()
    yield "editor"
    editor(page).press("Control+Home")
    page.keyboard.type("mine ")
    put(gateway, "rich/Rich.md", f"{RICH}theirs\n")
    expect(page.get_by_text("This note was changed elsewhere.")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("region", name="Yours")).to_be_visible()
    yield "conflict"
    button(page, "Keep both").click()
    expect(page.get_by_text("Yours is kept beside it.")).to_be_visible()
    yield "said"
    button(page, "Open it").click()
    expect(page.get_by_role("banner")).to_contain_text("Rich (mine)")
    button(page, "Versions").click()
    page.locator(".note-version summary").first.click()
    expect(page.locator(".note-diff").first).to_be_visible()
    yield "versions"


@pytest.mark.parametrize(("scheme", "width"), WIDE_AND_PHONE)
def test_points_03_04_05_07_19_25_sizes_colours_contrast_targets_and_words_of_notes(
    look: Callable[..., Page], gateway: GatewayProcess, scheme: str, width: int
) -> None:
    page = look(width, scheme)
    measure = Measure(page, width)
    for view in views(page, gateway):
        measure.view(view)
    measure.together()
