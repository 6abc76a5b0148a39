"""Pictures and text files go along with a message: in a real Chromium, to a model outside the machine."""

import base64
from collections.abc import Callable

import page_tour
import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401
from page_ground import AskingHost, look_at, run_asking, say, sign_in  # noqa: F401
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
PICTURE = {"name": "rust.png", "mimeType": "image/png", "buffer": page_tour.picture()}
TEXT = {"name": "list.txt", "mimeType": "text/plain", "buffer": b"eggs\nleek\n"}


def choose(page: Page, *files: dict[str, object]) -> None:
    page.locator(".composer input[type=file]").set_input_files(list(files))  # type: ignore[arg-type]


def waiting(page: Page) -> Locator:
    """What goes along with the message that is being written."""
    return page.locator(".composer").get_by_role("listitem")


def sent(page: Page) -> Locator:
    return page.locator(".turn").get_by_role("list", name="Attached").get_by_role("listitem")


@pytest.mark.parametrize("width", [1280, 360])
def test_files_are_chosen_seen_sent_and_stand_in_the_history(
    look: Callable[..., Page], asking: AskingHost, width: int
) -> None:
    page = sign_in(look(width), asking)
    expect(page.get_by_role("button", name="Attach a file")).to_be_visible()
    choose(page, PICTURE, TEXT, {**TEXT, "name": "other.txt"})
    expect(waiting(page)).to_have_count(3)
    expect(waiting(page).get_by_role("img", name="rust.png")).to_be_visible()
    page.get_by_role("button", name="Remove other.txt").click()
    expect(waiting(page)).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Write a few words to go with it.")).to_be_visible()
    say(page, "Look at these")
    expect(waiting(page)).to_have_count(0)
    expect(page.locator(".turn[data-state=completed]")).to_have_count(1)
    for _ in range(2):
        expect(sent(page)).to_have_count(2)
        expect(sent(page).get_by_role("img", name="rust.png")).to_be_visible()
        expect(sent(page).filter(has_text="list.txt")).to_be_visible()
        assert sent(page).get_by_role("img").evaluate("one => one.naturalWidth") == 48
        page.reload()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    thread = page.url.rpartition("/")[2]
    turn = asking.request("GET", f"/api/chat/history?thread_id={thread}")[2]["turns"][0]
    assert [one["name"] for one in turn["attachments"]] == ["rust.png", "list.txt"]


@pytest.mark.parametrize("width", [1280, 360])
def test_in_the_history_a_picture_is_shown_large_and_a_text_is_saved(
    look: Callable[..., Page], asking: AskingHost, width: int
) -> None:
    page = sign_in(look(width), asking)
    choose(page, PICTURE, TEXT)
    say(page, "Look at these")
    expect(page.locator(".turn[data-state=completed]")).to_have_count(1)
    for _ in range(2):
        opens = sent(page).get_by_role("button", name="Show rust.png")
        opens.focus()
        page.keyboard.press("Enter")
        large = page.get_by_role("dialog", name="rust.png")
        expect(large.get_by_role("img", name="rust.png")).to_be_visible()
        with page.expect_download() as saved:
            large.get_by_role("button", name="Download").click()
        assert saved.value.path().read_bytes() == PICTURE["buffer"]
        page.keyboard.press("Escape")
        expect(large).to_have_count(0)
        expect(opens).to_be_focused()
        with page.expect_download() as saved:
            sent(page).get_by_role("button", name="Download list.txt").click()
        assert (saved.value.suggested_filename, saved.value.path().read_bytes()) == ("list.txt", TEXT["buffer"])
        page.reload()


def test_a_file_that_can_not_be_read_any_more_says_so_where_it_stands(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page = sign_in(look(), asking)
    choose(page, PICTURE, TEXT)
    say(page, "Look at these")
    expect(page.locator(".turn[data-state=completed]")).to_have_count(1)
    page.reload()
    expect(sent(page).get_by_role("img", name="rust.png")).to_be_visible()
    page.context.set_offline(True)
    sent(page).get_by_role("button", name="Download list.txt").click()
    expect(sent(page).filter(has_text="list.txt can’t be read. The gateway can't be reached.")).to_be_visible()
    page.context.set_offline(False)


def test_a_picture_is_pasted_or_dropped_and_what_is_neither_picture_nor_text_is_refused(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page = sign_in(look(), asking)
    data = base64.b64encode(page_tour.picture()).decode()
    for kind, name in (("paste", "clipboardData"), ("drop", "dataTransfer")):
        page.get_by_role("textbox", name="Message").evaluate(
            """(one, [kind, name, data]) => {
              const files = new DataTransfer();
              const bytes = Uint8Array.from(atob(data), one => one.charCodeAt(0));
              files.items.add(new File([bytes], `${kind}.png`, { type: 'image/png' }));
              const Kind = kind === 'paste' ? ClipboardEvent : DragEvent;
              one.dispatchEvent(new Kind(kind, { [name]: files, bubbles: true, cancelable: true }));
            }""",
            [kind, name, data],
        )
        expect(waiting(page).get_by_role("img", name=f"{kind}.png")).to_be_visible()
    choose(page, {"name": "song.mp3", "mimeType": "audio/mpeg", "buffer": b"x"})
    expect(page.get_by_text("song.mp3 can’t be sent")).to_be_visible()
    expect(waiting(page)).to_have_count(2)


def test_without_a_model_the_refusal_says_what_to_do_and_edit_gives_all_back(
    look: Callable[..., Page], gateway_process: Callable[..., GatewayProcess]
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0").start()
    page = sign_in(look(), gateway)
    choose(page, PICTURE)
    expect(waiting(page)).to_have_count(1)
    say(page, "What is this?")
    expect(page.get_by_text("Connect a language model first.")).to_be_visible()
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("What is this?")
    expect(waiting(page).get_by_role("img", name="rust.png")).to_be_visible()
    say(page, "And now?")
    expect(page.get_by_text("Connect a language model first.")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Attach its files again")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("And now?")
