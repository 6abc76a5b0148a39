"""The chat of the page against the acceptance points of its design, in a real Chromium and with the real program."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from page_ground import look_at, make_thread, say, sign_in  # noqa: F401
from page_measure import WIDE_AND_PHONE, Measure
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
LONG = " ".join(f"word{number}" for number in range(400))
MANY = "\n".join(f"## Part {number}\n{f'Some **text** of part {number} with `code`. ' * 6}\n" for number in range(18))
RICH = (
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [ ] open\n- [x] done\n\n```py\nprint(1)\n```\n\n> said\n\n"
    + "Some plain words. " * 60
)


@pytest.fixture
def start(gateway_process: Callable[..., GatewayProcess], tmp_path: Path) -> Callable[..., GatewayProcess]:
    """Starts a gateway that has notes to read; a long answer takes its assistant 50 times *delay* seconds."""

    def start_one(delay: float = 0.0) -> GatewayProcess:
        workspace = tmp_path / "home" / "workspace"
        workspace.mkdir(parents=True, exist_ok=True)
        for name, text in {"long": LONG, "many": MANY, "rich": RICH}.items():
            (workspace / f"{name}.md").write_text(f"{text}\n")
        return gateway_process(BUILTIN_WORD_DELAY=str(delay)).start()

    return start_one


@pytest.fixture
def gateway(start: Callable[..., GatewayProcess]) -> GatewayProcess:
    return start()


def row(page: Page, title: str) -> Any:
    return page.locator(".row", has_text=title)


def choose(page: Page, title: str, item: str) -> None:
    """An item of a conversation's menu, by mouse."""
    row(page, title).get_by_role("button").click()
    page.get_by_role("menuitem", name=item).click()


def views(page: Page, gateway: GatewayProcess) -> Iterator[str]:
    """Goes through all views of the chat, and says where it is."""
    make_thread(gateway, "Garden", "what time is it?", "read rich.md")
    thread = make_thread(gateway, "Bicycle", "status", "read rich.md")
    sign_in(page, gateway)
    expect(page.get_by_text("Try one of these")).to_be_visible()
    yield "empty"
    page.goto(f"{gateway.url}/#/chat/{thread}")
    expect(page.get_by_role("table")).to_be_visible()
    page.locator(".step summary").first.click()
    yield "conversation"
    page.locator(".turn .more").last.click()
    yield "menu of a message"
    page.get_by_role("menuitem", name="Edit").click()
    yield "message being edited"
    page.keyboard.press("Escape")
    page.goto(f"{gateway.url}/#/chat")
    expect(row(page, "Garden")).to_be_visible()
    yield "list"
    row(page, "Garden").get_by_role("button").click()
    yield "menu of a conversation"
    page.get_by_role("menuitem", name="Delete").click()
    choose(page, "Bicycle", "Rename")
    yield "asked in the list"
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").fill("plain")
    expect(page.locator("mark").first).to_be_visible()
    yield "search"
    page.get_by_role("searchbox").fill("xyzzy")
    expect(page.get_by_text("Nothing was found")).to_be_visible()
    yield "nothing found"


@pytest.mark.parametrize(("scheme", "width"), WIDE_AND_PHONE)
def test_points_03_04_05_07_19_25_sizes_colours_contrast_targets_and_words_of_every_view(
    look: Callable[..., Page], gateway: GatewayProcess, scheme: str, width: int
) -> None:
    page = look(width, scheme)
    measure = Measure(page, width)
    for view in views(page, gateway):
        measure.view(view)
    measure.together()


@pytest.mark.alone
def test_points_01_02_the_first_second(look: Callable[..., Page], start: Callable[..., GatewayProcess]) -> None:
    gateway = start(0.02)
    for scheme in ("light", "dark"):
        page = look(1280, scheme)
        urls: list[str] = []
        page.on("request", lambda request, urls=urls: urls.append(request.url))
        page.add_init_script(
            "window.shifted = 0; addEventListener('focusin', () => { window.ready ??= performance.now() });"
            "new PerformanceObserver(list => list.getEntries().forEach(one => window.shifted += one.value))"
            ".observe({ type: 'layout-shift', buffered: true })"
        )
        page.goto(f"{gateway.url}/#token={gateway.token}", wait_until="domcontentloaded")
        expect(page.get_by_role("textbox", name="Message")).to_be_focused()
        assert page.evaluate("window.ready") < 1000
        assert "token" not in page.url
        assert not [url for url in urls if gateway.token in url]
        assert page.evaluate("window.shifted") < 0.02
        say(page, "read many.md")
        expect(page.locator(".prose").last).to_contain_text("part 3")
        expect(page.locator(".prose").last).not_to_contain_text("part 17")  # it comes bit by bit
        expect(page.locator(".prose").last).to_contain_text("part 17")
        page.wait_for_timeout(200)
        assert page.evaluate("window.shifted") < 0.02


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_point_06_the_systems_theme_is_there_from_the_first_paint_on(
    look: Callable[..., Page], gateway: GatewayProcess, scheme: str
) -> None:
    page = look(1280, scheme)
    page.goto(f"{gateway.url}/#token={gateway.token}", wait_until="domcontentloaded")
    corner = {"x": 100, "y": 700, "width": 8, "height": 8}
    seen = {page.screenshot(clip=corner) for _ in range(5)}
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    assert seen == {page.screenshot(clip=corner)}


def test_point_07_the_composer_stays_above_a_keyboard(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    page = sign_in(look(360), gateway)
    say(page, "read rich.md")
    expect(page.get_by_role("table")).to_be_attached()
    page.set_viewport_size({"width": 360, "height": 440})
    box = page.locator(".composer").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 440
    assert page.locator(".turn").last.evaluate("one => one.getBoundingClientRect().bottom") <= box["y"]


def test_point_08_lines_are_of_a_length_that_reads_well(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    page = sign_in(look(1440), gateway)
    say(page, "read rich.md")
    expect(page.locator(".meta time")).to_be_visible()
    paragraph = page.locator(".prose > p", has_text="Some plain words").last
    lines = paragraph.evaluate(
        "one => one.textContent.length / one.getBoundingClientRect().height * parseFloat(getComputedStyle(one).lineHeight)"
    )
    assert 45 <= lines <= 75


def test_points_09_14_own_text_is_there_at_once_and_stop_waits_for_the_server(
    look: Callable[..., Page], start: Callable[..., GatewayProcess]
) -> None:
    gateway = start(0.1)
    page = sign_in(look(), gateway)
    page.evaluate(
        "document.addEventListener('keydown', () => { window.pressed = performance.now() }, true);"
        "new MutationObserver(() => { window.shown ??= performance.now() })"
        ".observe(document.querySelector('.turns'), { childList: true })"
    )
    assert gateway.process is not None
    os.kill(gateway.process.pid, signal.SIGSTOP)
    say(page, "read long.md")
    assert page.evaluate("window.shown - window.pressed") < 50
    expect(page.get_by_text("Sending")).to_be_visible()
    time.sleep(2)
    os.kill(gateway.process.pid, signal.SIGCONT)
    expect(page.locator(".prose").last).to_contain_text("word3")
    os.kill(gateway.process.pid, signal.SIGSTOP)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Stopping")).to_be_visible()
    time.sleep(0.5)
    assert "Stopped" not in page.locator(".turn").inner_text()
    os.kill(gateway.process.pid, signal.SIGCONT)
    expect(page.locator(".turn")).to_contain_text("Stopped")
    expect(page.locator(".prose").last).to_contain_text("word3")


@pytest.mark.alone
def test_point_10_a_fast_answer_blocks_nothing_and_keeps_what_is_finished(
    look: Callable[..., Page], start: Callable[..., GatewayProcess]
) -> None:
    page = sign_in(look(), start(0.01))
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    say(page, "read many.md")
    expect(page.locator(".prose").last).to_contain_text("part")  # it streams
    page.evaluate(
        "window.long = [];"
        "new PerformanceObserver(list => list.getEntries().forEach(one => window.long.push(one.duration)))"
        ".observe({ type: 'longtask' })"
    )
    expect(page.locator(".prose h4").nth(3)).to_be_visible()
    page.locator(".prose h4").nth(1).evaluate("one => one.marked = true")
    expect(page.locator(".prose").last).to_contain_text("part 17", timeout=30_000)
    assert page.locator(".prose h4").nth(1).evaluate("one => one.marked")
    assert max(page.evaluate("window.long"), default=0) <= 100


@pytest.mark.alone
def test_points_11_12_reading_and_selecting_are_not_disturbed_by_new_text(
    look: Callable[..., Page], start: Callable[..., GatewayProcess]
) -> None:
    page = sign_in(look(1280, "light", 500), start(0.2))
    say(page, "read many.md")
    expect(page.locator(".prose h4").nth(6)).to_be_visible()
    page.locator(".prose h4").nth(2).evaluate("one => getSelection().selectAllChildren(one)")
    page.mouse.move(700, 250)
    page.mouse.wheel(0, -200)
    expect(page.get_by_role("button", name="New text below")).to_be_visible()
    top = page.locator(".prose h4").nth(4).evaluate("one => one.getBoundingClientRect().top")
    length = len(page.locator(".prose").inner_text())
    page.wait_for_timeout(5000)
    assert len(page.locator(".prose").inner_text()) > length + 200
    assert page.locator(".prose h4").nth(4).evaluate("one => one.getBoundingClientRect().top") == pytest.approx(
        top, abs=1
    )
    assert page.evaluate("String(getSelection())") == "Part 2"
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="New text below")).to_be_hidden()
    assert (
        page.get_by_role("region", name="Messages").evaluate(
            "one => one.scrollHeight - one.scrollTop - one.clientHeight"
        )
        < 2
    )


def test_point_24_a_thread_of_2000_messages_opens_at_its_end_and_is_read_upward_without_jumps(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    thread = make_thread(gateway, "Endless")
    fill(gateway, thread, 1000)
    page = look()
    sign_in(page, gateway)
    expect(row(page, "Endless")).to_be_visible()
    page.evaluate(
        "const there = () => document.querySelector('.turns')?.textContent.includes('Answer 999');"
        "new MutationObserver(() => { if (there()) window.opened ??= performance.now() })"
        ".observe(document.querySelector('main'), { subtree: true, childList: true });"
        f"window.began = performance.now(); location.hash = '#/chat/{thread}'"
    )
    expect(page.get_by_text("Answer 999")).to_be_visible()
    assert page.evaluate("window.opened - window.began") < 500
    log = page.get_by_role("region", name="Messages")
    for _ in range(8):
        page.wait_for_timeout(150)
        before = log.evaluate(
            "log => { log.scrollTop = 900; const turns = [...document.querySelectorAll('.turn')];"
            " window.held = turns.find(one => one.getBoundingClientRect().top > 100);"
            " return [window.held.getBoundingClientRect().top, turns[0].textContent] }"
        )
        expect(page.locator(".turn").first).not_to_have_text(before[1])
        assert page.evaluate("window.held.getBoundingClientRect().top") == pytest.approx(before[0], abs=1)
        assert page.locator(".mine, .turn .prose").count() <= 300
    assert not page.get_by_text("Answer 999").is_visible()
    place = page.evaluate("window.held.querySelector('.mine').textContent")
    page.reload()
    expect(page.get_by_text(place, exact=True)).to_be_in_viewport()
    page.get_by_role("textbox", name="Message").press("End")
    expect(page.get_by_text("Answer 999")).to_be_in_viewport()


def fill(gateway: GatewayProcess, thread: str, count: int) -> None:
    """Put turns into the thread while the gateway is down: sent one by one they would take minutes."""
    gateway.terminate()
    gateway.wait()
    with sqlite3.connect(gateway.home / "ironclaw.db") as database:
        database.executemany(
            "INSERT INTO turns (message_id, thread_id, state, user_message, response, created_at, ended_at)"
            " VALUES (?, ?, 'completed', ?, ?, '2026-03-03T14:02:00Z', '2026-03-03T14:02:01Z')",
            [
                (f"m{number}", thread, f"Question {number}", f"Answer {number}\n\n" + "more " * (number % 90))
                for number in range(count)
            ],
        )
    database.close()
    gateway.start()
