"""The page's conversations: list, search, forks, addresses, keys; a real Chromium against the real program."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from page_front import Front, run_front  # noqa: F401
from page_ground import look_at, make_thread, say, sign_in  # noqa: F401
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
EVIL = (
    '<img src=x onerror="window.hit=1"><svg onload="window.hit=1"> [x](javascript:window.hit=1) ![](http://evil.test/x)'
)


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process(BUILTIN_WORD_DELAY="0").start()


def row(page: Page, title: str) -> Locator:
    return page.locator(".row", has_text=title)


def titles(page: Page) -> list[str]:
    return page.locator(".row-title").all_inner_texts()


def choose(page: Page, title: str, item: str) -> None:
    row(page, title).get_by_role("button").click()
    page.get_by_role("menuitem", name=item).click()


def turns(gateway: GatewayProcess, thread: str) -> list[str]:
    history = gateway.request("GET", f"/api/chat/history?thread_id={thread}")[2]
    return [turn["user_message"] for turn in history["turns"]]


def thread_of(page: Page) -> str:
    return page.url.rpartition("/")[2]


@pytest.mark.parametrize("width", [1280, 360])
def test_conversations_are_renamed_pinned_exported_and_deleted_and_a_second_tab_sees_it(
    look: Callable[..., Page], gateway: GatewayProcess, width: int
) -> None:
    make_thread(gateway, "Garden", "what time is it?")
    make_thread(gateway, "Bicycle", "status")
    page, other = sign_in(look(width), gateway), sign_in(look(), gateway)
    page.goto(f"{gateway.url}/#/chat")
    expect(row(other, "Garden")).to_be_visible()
    choose(page, "Garden", "Rename")
    page.get_by_label("Title").fill("Vegetables & <b>flowers</b>")
    page.keyboard.press("Enter")
    for one in (page, other):
        expect(row(one, "Vegetables & <b>flowers</b>")).to_be_visible()
    choose(page, "Vegetables", "Pin")
    for one in (page, other):
        expect(one.get_by_role("heading", name="Pinned")).to_be_visible()
        expect(one.locator(".row-title").first).to_have_text("Vegetables & <b>flowers</b>")
    for item, ending in (("Export as Markdown", "md"), ("Export as JSON", "json")):
        with page.expect_download() as download:
            choose(page, "Vegetables", item)
        assert download.value.suggested_filename == f"Vegetables-b-flowers-b.{ending}"
        text = Path(download.value.path()).read_text()
        assert "what time is it?" in text
        assert ending == "md" or json.loads(text)["thread"]["title"] == "Vegetables & <b>flowers</b>"
    choose(page, "Bicycle", "Delete")
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.get_by_role("button", name="Keep").click()
    expect(row(page, "Bicycle")).to_be_visible()
    choose(page, "Bicycle", "Delete")
    page.get_by_role("button", name="Delete", exact=True).click()
    for one in (page, other):
        expect(row(one, "Bicycle")).to_have_count(0)
        assert titles(one) == ["Vegetables & <b>flowers</b>"]


def test_a_conversation_that_is_deleted_while_it_is_open_makes_way(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    thread = make_thread(gateway, "Garden", "what time is it?")
    page = sign_in(look(), gateway)
    page.goto(f"{gateway.url}/#/chat/{thread}")
    expect(page.locator(".mine")).to_have_text("what time is it?")
    gateway.request("DELETE", f"/api/chat/threads/{thread}")
    expect(page.get_by_text("Try one of these")).to_be_visible()
    page.go_back()
    page.goto(f"{gateway.url}/#/chat/{thread}")
    expect(page.get_by_text("This conversation is not there any more")).to_be_visible()
    page.get_by_role("button", name="New conversation").last.click()
    expect(page.get_by_text("Try one of these")).to_be_visible()


def test_an_answer_elsewhere_is_marked_new_until_it_is_opened(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    make_thread(gateway, "Bicycle", "status")
    thread = make_thread(gateway, "Garden")
    page = sign_in(look(), gateway)
    expect(row(page, "Bicycle")).to_be_visible()
    gateway.send("what time is it?", wait=True, thread_id=thread)
    expect(row(page, "Garden")).to_contain_text("new")
    page.reload()
    expect(row(page, "Garden")).to_contain_text("new")
    row(page, "Garden").get_by_role("link").click()
    expect(page.locator(".mine")).to_have_text("what time is it?")
    expect(row(page, "Garden")).not_to_contain_text("new")


def test_search_stands_in_for_the_list_and_opens_the_place(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    many = [f"note: line {number}" for number in range(70)]
    make_thread(gateway, "Garden", "note: call the plumber", *many)
    page = sign_in(look(), gateway)
    page.keyboard.press("Control+k")
    page.keyboard.type("plumb")
    hit = page.locator(".hit", has_text="You:")
    expect(hit.locator("mark")).to_have_text("plumb")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    found = page.locator(".turn.found")
    expect(found).to_be_in_viewport()
    expect(found).to_contain_text("call the plumber")
    page.keyboard.press("Escape")
    expect(row(page, "Garden")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


def test_an_own_message_is_retried_and_edited_in_a_new_conversation(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    thread = make_thread(gateway, "Garden", "what time is it?", "help", "todos")
    page = sign_in(look(), gateway)
    page.goto(f"{gateway.url}/#/chat/{thread}")
    page.locator(".turn", has_text="help").get_by_role("button", name="More about this message").first.click()
    page.get_by_role("menuitem", name="Retry").click()
    expect(page.locator(".turn .meta time")).to_have_count(2)
    retried = thread_of(page)
    assert turns(gateway, retried) == ["what time is it?", "help"]
    page.get_by_role("button", name="More about this message").last.click()
    page.get_by_role("menuitem", name="Edit").click()
    expect(page.get_by_label("Your message, changed")).to_have_value("help")
    page.get_by_label("Your message, changed").fill("status")
    page.get_by_role("button", name="Send in a new conversation").click()
    expect(page.locator(".mine").last).to_have_text("status")
    expect(page.locator(".prose").last).to_contain_text("model: none connected")
    assert turns(gateway, thread_of(page)) == ["what time is it?", "status"]
    assert turns(gateway, thread) == ["what time is it?", "help", "todos"]
    page.go_back()
    expect(page.locator(".mine").last).to_have_text("help")


def test_point_22_back_forward_and_reload_keep_conversation_and_draft_below_a_prefix_and_without_a_token(
    look: Callable[..., Page], gateway: GatewayProcess, front: Front
) -> None:
    thread = make_thread(gateway, "Garden", "what time is it?")
    other = make_thread(gateway, "Bicycle", "help")
    page = look()
    page.goto(front.url)
    message = page.get_by_role("textbox", name="Message")
    expect(message).to_be_focused()
    assert not page.get_by_role("button", name="Sign out").is_visible()
    row(page, "Garden").get_by_role("link").click()
    message.fill("half a thought")
    row(page, "Bicycle").get_by_role("link").click()
    expect(page.locator(".mine")).to_have_text("help")
    expect(message).to_have_value("")
    page.go_back()
    assert page.url == f"{front.url}#/chat/{thread}"
    expect(message).to_have_value("half a thought")
    page.reload()
    expect(page.locator(".mine")).to_have_text("what time is it?")
    expect(message).to_have_value("half a thought")
    page.go_forward()
    assert page.url == f"{front.url}#/chat/{other}"
    say(page, "status")
    expect(page.locator(".prose").last).to_contain_text("model: none connected")
    assert page.title() == "Bicycle · IronClaw"


def test_point_22_on_a_phone_list_and_conversation_are_two_screens(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    make_thread(gateway, "Garden", "what time is it?")
    page = sign_in(look(360), gateway)
    page.get_by_role("link", name="Back").tap()
    expect(page.get_by_role("textbox", name="Message")).to_be_hidden()
    row(page, "Garden").get_by_role("link").tap()
    expect(page.locator(".mine")).to_have_text("what time is it?")
    expect(page.get_by_role("banner")).to_contain_text("Garden")
    expect(page.get_by_role("searchbox")).to_be_hidden()
    page.go_back()
    expect(row(page, "Garden")).to_be_visible()


def test_point_23_everything_is_done_by_keys_and_the_focus_can_be_seen(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    make_thread(gateway, "Bicycle", "status")
    page = sign_in(look(), gateway)
    expect(row(page, "Bicycle")).to_be_visible()

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)
            # The focus may move only when what the key asked for has come.
            ring = "getComputedStyle(one.closest('.composer') ?? one).outlineStyle !== 'none'"
            page.wait_for_function(f"() => {{ const one = document.activeElement; return {ring}; }}", timeout=3000)

    page.keyboard.type("what time is it?")
    page.locator(":focus").evaluate(
        "one => one.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))"
    )
    expect(page.locator(".turn")).to_have_count(0)
    press("Enter")
    expect(page.locator(".turn .meta time")).to_have_count(1)
    press("Alt+n")
    expect(page.get_by_text("Try one of these")).to_be_visible()
    press("Control+k", "Tab", "Tab", "ArrowDown", "ArrowDown")
    expect(page.get_by_role("link", name="Bicycle")).to_be_focused()
    press("Tab", "Enter", "ArrowDown", "ArrowUp")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    press("Escape")
    expect(row(page, "Bicycle").get_by_role("button")).to_be_focused()
    press("Enter", "Enter")
    page.keyboard.type("Tandem")
    press("Enter")
    expect(row(page, "Tandem").get_by_role("button")).to_be_focused()
    press("Enter", "ArrowDown", "Enter")
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    expect(row(page, "Tandem").get_by_role("button")).to_be_focused()
    press("Shift+Tab", "Enter")
    expect(page.locator(".mine")).to_have_text("status")
    press("Escape", "Shift+Tab")
    expect(page.get_by_role("region", name="Messages")).not_to_be_focused()
    page.locator(".step summary").focus()
    press("Enter")
    expect(page.locator(".facts")).to_be_visible()
    press("Escape")
    expect(page.locator(".facts")).to_be_hidden()
    expect(page.locator(".step summary")).to_be_focused()
    assert page.locator(".meta").evaluate("one => getComputedStyle(one).opacity") == "1"


def test_s37_s38_markup_in_titles_messages_and_search_results_stays_text(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    thread = make_thread(gateway, EVIL, EVIL)
    page = sign_in(look(), gateway)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{gateway.url}/#/chat/{thread}")
    expect(page.locator(".mine")).to_have_text(EVIL)
    expect(page.get_by_role("banner")).to_contain_text("<img")
    row(page, "<img").get_by_role("button").click()
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").fill("onerror")
    expect(page.locator(".hit mark").first).to_have_text("onerror")
    assert page.evaluate("window.hit") is None
    assert page.locator("img, svg[onload], a[href^=javascript]").count() == 0
    assert all(re.match(rf"{gateway.url}/|blob:", url) for url in urls)


def test_code_is_copied_also_where_the_browser_gives_no_clipboard(
    look: Callable[..., Page], gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    workspace = tmp_path / "home" / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "code.md").write_text("```py\nprint('a < b')\n```\n")
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    page = look()
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    sign_in(page, gateway)
    say(page, "read code.md")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.get_by_role("textbox", name="Message").press("Control+v")
    expect(page.get_by_role("textbox", name="Message")).to_have_value("print('a < b')")
