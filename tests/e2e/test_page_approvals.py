"""Tool calls that wait for a person, on the page: a real Chromium, a real gateway, and a model server of its own."""

import re
from collections.abc import Callable

import pytest
from llm.stand_in_process import run_stand_in  # noqa: F401
from page_ground import AskingHost, call, card, look_at, make_thread, place, run_asking, say, sign_in  # noqa: F401
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
COMMAND = "shred --force '" + "/very/long/path" * 60 + "'\nand a second line with <b>markup</b>"


def outcome(page: Page) -> str:
    """The quiet line that is left of the last card."""
    return page.locator(".approval-line").last.inner_text()


@pytest.mark.parametrize("width", [1280, 360])
def test_point_18_a_call_that_waits_shows_the_whole_command_and_is_never_allowed_by_accident(
    look: Callable[..., Page], asking: AskingHost, width: int
) -> None:
    page = sign_in(look(width), asking)
    say(page, call("Shred", command=COMMAND))
    expect(card(page)).to_contain_text("Allow IronClaw to use Shred?")
    subject = card(page).locator("pre")
    assert subject.inner_text() == COMMAND
    assert subject.evaluate("one => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    assert page.locator("#announcer").inner_text().startswith("Allow IronClaw to use Shred?")
    for key in ("Enter", "Space", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type("and now?")
    page.keyboard.press("Enter")
    expect(page.locator(".mine").last).to_have_text("and now?")
    expect(card(page).get_by_role("button", name="Allow once")).to_be_visible()
    assert asking.done == []
    expect(card(page).get_by_role("button", name="Always")).to_have_count(0)
    page.get_by_role("button", name="Allow once").click()
    expect(page.locator(".approval-line")).to_contain_text("Allowed once")
    expect(page.locator(".step").first).to_contain_text("Shred")
    expect(page.locator(".turn").first.locator(".prose")).to_contain_text("Did shred")
    assert asking.done == [f"shred {COMMAND}".splitlines()[0], COMMAND.splitlines()[1]]


def test_point_18_a_denied_call_does_nothing_and_an_always_is_not_asked_again(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page = sign_in(look(), asking)
    say(page, call("Lamp", room="hall"))
    expect(card(page).locator("pre")).to_have_text("lamp in the hall")
    card(page).get_by_text("All of the call").click()
    expect(card(page).locator("dl")).to_contain_text("hall")
    page.get_by_role("button", name="Deny").click()
    expect(page.locator(".approval-line")).to_contain_text("Not allowed")
    expect(page.locator(".approval-line")).to_be_focused()
    expect(page.locator(".turn .meta time")).to_be_visible()
    assert asking.done == []
    say(page, call("Lamp", room="hall"))
    page.get_by_role("button", name="Always").click()
    expect(page.locator(".turn").last.locator(".prose")).to_contain_text("Did lamp hall")
    assert outcome(page).startswith("Always allowed")
    say(page, call("Lamp", room="hall"))
    expect(page.locator(".turn").nth(2).locator(".prose")).to_contain_text("Did lamp hall")
    assert page.locator(".approval").count() == 2


def test_point_11_who_answers_on_a_phone_goes_on_reading_at_the_end(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page = sign_in(look(360), asking)
    say(page, "Some words first. " * 30)
    expect(page.locator(".turn .meta time")).to_be_visible()
    say(page, "\n".join([call("Lamp", room="hall"), call("Lamp", room="attic"), call("Missing", with_much_to_say=1)]))
    for left in (2, 1):
        expect(card(page)).to_have_count(left)
        page.get_by_role("button", name="Deny").locator("visible=true").first.click()
    expect(page.locator(".turn").last.locator(".meta time")).to_be_visible()
    expect(page.locator(".turn").last.locator(".meta time")).to_be_in_viewport()
    expect(page.get_by_role("button", name="New text below")).to_be_hidden()


def test_point_18_what_waits_is_counted_in_the_rail_and_reached_from_any_place(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    thread = make_thread(asking, "Garden")
    page = sign_in(look(), asking)
    place(page, "System").click()
    expect(page.get_by_text("All well")).to_be_visible()
    asking.send(f"{call('Lamp', room='hall')}\n{call('Lamp', room='attic')}", thread_id=thread)
    expect(place(page, "Chat")).to_have_accessible_name(re.compile("2 wait for your answer"))
    page.reload()  # what is asked for stays asked for
    expect(place(page, "Chat")).to_have_accessible_name(re.compile("2 wait for your answer"))
    place(page, "Chat").click()
    expect(card(page)).to_have_count(2)
    expect(card(page, "attic")).to_be_in_viewport()
    expect(page.locator(".row", has_text="Garden")).to_contain_text("Needs your answer")
    card(page, "attic").get_by_role("button", name="Allow once").click()
    expect(place(page, "Chat")).to_have_accessible_name(re.compile("1 waits for your answer"))
    card(page, "hall").get_by_role("button", name="Deny").click()
    expect(page.locator(".turn .prose")).to_contain_text("Did lamp attic")
    expect(place(page, "Chat")).to_have_accessible_name("Chat")
    expect(page.locator(".row", has_text="Garden")).not_to_contain_text("Needs your answer")
    assert asking.done == ["lamp attic"]


def test_a_call_that_is_answered_in_another_tab_or_by_a_word_becomes_a_line_in_all(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page, other = sign_in(look(), asking), sign_in(look(360), asking)
    say(page, call("Lamp", room="hall"))
    expect(card(other)).to_be_visible()
    other.get_by_role("button", name="Allow once").click()
    for one in (page, other):
        expect(one.locator(".approval-line")).to_contain_text("Allowed once")
    say(page, call("Lamp", room="attic"))
    expect(card(other)).to_be_visible()
    say(page, "no")
    for one in (page, other):
        expect(one.locator(".approval-line").last).to_contain_text("Not allowed")
    assert asking.done == ["lamp hall"]


def test_an_answer_that_does_not_arrive_or_comes_too_late_is_said(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page = sign_in(look(), asking)
    say(page, call("Lamp", room="hall"))
    expect(card(page)).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("button", name="Allow once").click()
    expect(card(page)).to_contain_text("Not answered. The gateway can't be reached")
    page.context.set_offline(False)
    # A tab that nobody sees gives its stream back, so it does not hear that somebody else answers.
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true }); document.dispatchEvent(new Event('visibilitychange'))"
    )
    while asking.request("GET", "/api/status")[2]["active_sessions"]:
        page.wait_for_timeout(500)
    (waiting,) = asking.request("GET", "/api/chat/approvals")[2]["approvals"]
    asking.request("POST", "/api/chat/approval", {"request_id": waiting["request_id"], "action": "deny"})
    page.get_by_role("button", name="Allow once").click()
    expect(page.locator(".approval-line")).to_contain_text("answered already: deny")
    assert asking.done == []


def test_stop_ends_a_turn_that_waits_and_its_card_with_it(look: Callable[..., Page], asking: AskingHost) -> None:
    page = sign_in(look(), asking)
    say(page, call("Lamp", room="hall"))
    expect(card(page)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".turn .end")).to_contain_text("Stopped")
    expect(page.locator(".approval-line")).to_contain_text("Not allowed")
    expect(place(page, "Chat")).to_have_accessible_name("Chat")
    assert asking.done == []
