"""The places of the page and the way between them: a real Chromium against the real program."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401
from page_ground import (  # noqa: F401
    AskingHost,
    call,
    card,
    connect,
    look_at,
    make_thread,
    place,
    run_asking,
    say,
    sign_in,
)
from page_measure import WIDE_AND_PHONE, Measure
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process(BUILTIN_WORD_DELAY="0").start()


def spend(gateway: GatewayProcess) -> None:
    """Two weeks of use on disk, with prices and without, put there while the gateway is down."""
    gateway.terminate()
    gateway.wait()
    with sqlite3.connect(gateway.home / "ironclaw.db") as database:
        for age in range(12):
            day = datetime.now(UTC) - timedelta(days=age)
            cost = None if age == 3 else age * 0.07
            database.execute(
                "INSERT INTO usage (created_at, scope, provider, model, input_tokens, output_tokens, cost_usd)"
                " VALUES (?, 'thread', 'openai', 'gpt', 1000, 234, ?)",
                (day.strftime("%Y-%m-%dT%H:%M:%SZ"), cost),
            )
    database.close()
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.start()


def views(page: Page, asking: AskingHost, stand_in: StandInProcess) -> Iterator[str]:
    """Goes through all that the places show beside the conversations, and says where it is."""
    sign_in(page, asking)
    thread = make_thread(asking, "Kitchen")
    page.goto(f"{asking.url}/#/chat/{thread}")
    asking.send(f"{call('Lamp', room='hall')}\n{call('Shred', command='rm -rf ~/old')}", thread_id=thread)
    expect(card(page)).to_have_count(2)
    yield "approvals"
    page.goto(f"{asking.url}/#/chat")
    expect(page.locator(".row", has_text="Kitchen")).to_contain_text("Needs your answer")
    yield "list with what waits"
    page.goto(f"{asking.url}/#/chat/{thread}")
    card(page, "Lamp").get_by_role("button", name="Always").click()
    expect(page.locator(".approval-line:visible")).to_have_count(1)
    yield "one answered"
    card(page, "Shred").get_by_role("button", name="Deny").click()
    expect(page.locator(".turn .prose")).to_contain_text("Did lamp")
    connect(asking, stand_in, "think")
    asking.send("Hello?", thread_id=thread, wait=True)
    page.locator(".reasoning:visible summary").click()
    yield "reasoning"
    connect(asking, stand_in, "missing")
    asking.send("Hello?", thread_id=thread)
    expect(page.get_by_role("link", name="Model settings").last).to_be_visible()
    yield "no answer"
    page.goto(f"{asking.url}/#/system")
    expect(page.get_by_text("One thing is not well")).to_be_visible()
    expect(page.get_by_role("combobox", name="Model")).to_be_visible()
    yield "system with a model"
    page.get_by_role("button", name="Change").click()
    yield "system, another model"
    asking.request("DELETE", "/api/model")
    expect(page.get_by_text("All well.")).to_be_visible()
    yield "system without a model"
    page.get_by_label("Address").fill("127.0.0.1:1")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_text("no model server listens")).to_be_visible()
    yield "a wrong address"


@pytest.mark.parametrize(("scheme", "width"), WIDE_AND_PHONE)
def test_points_03_04_05_07_19_25_sizes_colours_contrast_targets_and_words_of_every_place(
    look: Callable[..., Page], asking: AskingHost, stand_in: StandInProcess, scheme: str, width: int
) -> None:
    page = look(width, scheme)
    measure = Measure(page, width)
    for view in views(page, asking, stand_in):
        measure.view(view)
    measure.together()


def test_point_13_five_calls_of_one_name_are_five_rows_that_fold_after_the_answer(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page = sign_in(look(), asking)
    for number in (1, 2, 4, 5):
        (asking.home / "workspace" / f"n{number}.md").write_text("a line\n" * number)
    page.evaluate(
        "window.rows = 0; new MutationObserver(() => { window.rows = Math.max(window.rows,"
        " document.querySelectorAll('.step-list[data-part=live] .step').length) })"
        ".observe(document.querySelector('main'), { subtree: true, childList: true })"
    )
    say(page, "\n".join(call("FileRead", path=f"n{number}.md") for number in range(1, 6)))
    fold = page.locator(".turn summary", has_text=re.compile(r"^5 steps · 1 failed · \d"))
    expect(fold).to_be_visible()
    assert page.evaluate("window.rows") == 5
    expect(page.locator(".step")).to_have_count(5)
    expect(page.locator(".step").first).to_be_hidden()
    fold.click()
    rows = [one.inner_text() for one in page.locator(".step").all()]
    assert all("Read a note" in one for one in rows)
    for one in page.locator(".step").all():
        one.locator("summary").click()
        asked = re.search(r"n(\d)\.md", one.locator(".facts").inner_text())
        assert asked
        result = "There is no n3.md" if asked[1] == "3" else f"{asked[1]} line"
        expect(one.locator(".facts")).to_contain_text(result)


@pytest.mark.parametrize("width", [1280, 360])
def test_point_22_places_keep_what_they_had_and_have_addresses(
    look: Callable[..., Page], gateway: GatewayProcess, tmp_path: Path, width: int
) -> None:
    (tmp_path / "home" / "workspace" / "long.md").write_text("a line\n\n" * 200)
    thread = make_thread(gateway, "Garden")
    for _ in range(3):
        gateway.send("read long.md", thread_id=thread, wait=True)
    page = sign_in(look(width), gateway)
    page.goto(f"{gateway.url}/#/chat/{thread}")
    page.get_by_role("textbox", name="Message").fill("half a thought")
    log = page.get_by_role("region", name="Messages")
    expect(page.locator(".turn")).to_have_count(3)
    log.evaluate("one => { one.scrollTop = 700 }")
    page.wait_for_timeout(200)
    top = page.locator(".turn").nth(0).evaluate("one => one.getBoundingClientRect().top")
    place(page, "System").click()
    expect(page.get_by_text("All well.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message")).to_be_hidden()
    expect(page.get_by_role("banner")).to_contain_text("System")
    assert page.title() == "System · IronClaw"
    gateway.send("what time is it?", thread_id=thread, wait=True)
    place(page, "Chat").click()
    assert page.url == f"{gateway.url}/#/chat/{thread}"
    expect(page.get_by_role("textbox", name="Message")).to_have_value("half a thought")
    expect(page.get_by_role("banner")).to_contain_text("Garden")
    expect(page.locator(".turn")).to_have_count(4)
    assert page.locator(".turn").nth(0).evaluate("one => one.getBoundingClientRect().top") == pytest.approx(top, abs=1)
    page.go_back()
    expect(page.get_by_text("All well.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("All well.")).to_be_visible()
    expect(place(page, "System")).to_have_attribute("aria-current", "page")
    page.goto(f"{gateway.url}/#/chat/{thread}")
    expect(page.locator(".turn")).to_have_count(4)
    page.wait_for_function(
        "top => Math.abs(document.querySelector('.turn').getBoundingClientRect().top - top) <= 1", arg=top
    )
    place(page, "System").click()
    place(page, "Chat").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def test_point_21_one_stream_feeds_all_places_and_begins_in_any_of_them(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = look()
    streams: list[str] = []
    page.on("request", lambda request: "/api/chat/events" in request.url and streams.append(request.url))
    sign_in(page, gateway)
    place(page, "System").click()
    expect(page.get_by_text("All well.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("All well.")).to_be_visible()
    place(page, "Chat").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    gateway.send("what time is it?", wait=True)
    expect(page.locator(".turn .prose")).to_contain_text("UTC")
    assert len(streams) == 2  # one before the reload, one after it


def test_a_place_is_brought_when_it_is_first_gone_to_and_once(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = look()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(gateway.url)))
    sign_in(page, gateway)
    assert not [path for path in asked if "system" in path or "notes.html" in path]
    place(page, "System").click()
    expect(page.get_by_text("All well.")).to_be_visible()
    place(page, "Chat").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    place(page, "System").click()
    expect(page.get_by_text("All well.")).to_be_visible()
    assert asked.count("/places/system.html") == asked.count("/js/views/system.js") == 1


def test_a_place_that_cannot_be_brought_says_so_and_comes_when_the_gateway_is_there_again(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = sign_in(look(), gateway)
    page.get_by_role("textbox", name="Message").fill("half a thought")
    gateway.kill()
    place(page, "System").click()
    expect(page.get_by_text("This part of the page can’t be read.")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("This part of the page can’t be read.")).to_be_visible()
    place(page, "Chat").click()  # what is there can be used
    expect(page.get_by_role("textbox", name="Message")).to_have_value("half a thought")
    place(page, "System").click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.start()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("All well.")).to_be_visible()
    place(page, "Chat").click()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("half a thought")


def test_a_break_is_said_in_any_place_and_what_was_missed_is_there_afterwards(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = sign_in(look(), gateway)
    place(page, "System").click()
    page.reload()
    expect(page.get_by_text("All well.")).to_be_visible()
    while not gateway.request("GET", "/api/status")[2]["active_sessions"]:
        page.wait_for_timeout(50)
    gateway.kill()
    expect(page.get_by_text("Reconnecting")).to_be_visible()
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.start()
    gateway.send("what time is it?", wait=True)
    expect(page.get_by_text("Reconnecting")).to_be_hidden(timeout=40_000)
    place(page, "Chat").click()
    expect(page.locator(".turn .prose")).to_contain_text("UTC")


def test_what_is_asked_during_a_break_is_counted_though_no_event_came_before_it(
    look: Callable[..., Page], asking: AskingHost
) -> None:
    page = sign_in(look(), asking)
    place(page, "System").click()
    page.reload()
    expect(page.get_by_text("All well.")).to_be_visible()
    while not asking.request("GET", "/api/status")[2]["active_sessions"]:
        page.wait_for_timeout(50)
    asking.kill()
    expect(page.get_by_text("Reconnecting")).to_be_visible()
    page.wait_for_timeout(2500)  # so that the page's next attempt is some seconds away
    asking.env["GATEWAY_PORT"] = str(asking.port)
    asking.start()
    asking.send(call("Lamp", room="hall"))
    expect(page.get_by_text("Reconnecting")).to_be_hidden(timeout=40_000)
    expect(place(page, "Chat")).to_have_accessible_name(re.compile("1 waits for your answer"))


def test_the_costs_of_two_weeks_are_one_row_of_bars_from_a_zero_line(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    spend(gateway)
    page = sign_in(look(360), gateway)
    place(page, "System").click()
    expect(page.locator(".days li")).to_have_count(14)
    expect(page.get_by_text("at most $0.77 a day")).to_be_visible()
    expect(page.get_by_text("price is not known")).to_have_count(2)  # in all, and on the one day
    heights = page.locator(".day-bar").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert max(heights) == heights[2]
    assert heights[13] == heights[0] == heights[10] == 0
    assert page.locator(".days").evaluate("one => getComputedStyle(one).borderBottomWidth") == "1px"
    expect(page.get_by_text("All well.")).to_be_visible()


def test_point_23_places_are_reached_by_keys(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    page = sign_in(look(), gateway)
    place(page, "System").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("All well.")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_be_visible()
    page.keyboard.press("/")  # a key of the chat
    assert page.url.endswith("#/system")
    place(page, "Chat").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
