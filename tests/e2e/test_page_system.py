"""The place System: how the gateway is, and its log, live, in a real Chromium. A host program logs what it is told."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from page_ground import look_at, place, sign_in  # noqa: F401
from page_measure import WIDE_AND_PHONE, Measure
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
_HOST = Path(__file__).with_name("logging_host.py")
_TOKEN = "logging-token-0123456789abcdef"
_HIT = "<img src=x onerror=window.hit=1>"


class LoggingHost(GatewayProcess):
    """The program of `logging_host.py`, spoken to like any gateway."""

    def spawn(self, *_: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        self.home.mkdir(parents=True, exist_ok=True)
        command = [*prefix, sys.executable, str(_HOST), str(self.home), _TOKEN]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.env, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        return self.process

    def write(self, text: str, level: str = "info", **more: Any) -> None:
        """Let it log *text*."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"level": level, "text": text, **more}).encode() + b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        super().kill()
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def again(self) -> None:
        """Kill it and start it at the same address."""
        self.env["GATEWAY_PORT"] = str(self.port)
        self.kill()
        self.start()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggingHost]:
    host = LoggingHost(tmp_path_factory.mktemp("system") / "home", {"GATEWAY_AUTH_TOKEN": _TOKEN})
    try:
        host.start()
        yield host
    finally:
        host.kill()


def open_system(page: Page, host: LoggingHost, wanted: str = "") -> Page:
    """Signed in, at the place System, with the log's stream open."""
    sign_in(page, host)
    page.goto(f"{host.url}/#/system{wanted}")
    expect(page.get_by_text("All well.")).to_be_visible()
    expect(page.locator(".log-panel").get_by_text("Reading…")).to_be_hidden()
    return page


def lines(page: Page, text: str | re.Pattern[str] = "") -> Locator:
    return page.locator(".log-table tbody tr", has_text=text)


def find(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="Find in the log").fill(text)


def test_the_log_is_a_table_that_grows_and_its_lines_have_level_time_logger_and_text(
    look: Callable[..., Page], host: LoggingHost
) -> None:
    host.write("written before")
    page = open_system(look(), host)
    expect(lines(page, "written before")).to_have_count(1)
    host.write("the lamp is on", "warning")
    row = page.get_by_role("row", name=re.compile(r"^Warn \d\d:\d\d:\d\d ironclaw\.pump the lamp is on$"))
    expect(row).to_be_visible()
    assert re.match(r"\w+day \d", row.locator("time").get_attribute("title") or "")
    heads = page.locator(".log-panel").get_by_role("columnheader")
    assert heads.all_inner_texts() == ["Level", "Time", "Logger", "Text"]
    host.write("it broke", "error", trace="the fuse has blown")
    broken = lines(page, "it broke")
    expect(broken.get_by_text("the fuse has blown")).to_be_hidden()
    broken.get_by_text("Traceback", exact=True).click()
    expect(broken.get_by_text("the fuse has blown")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
def test_what_is_shown_of_the_log_stands_in_the_address_and_stays(
    look: Callable[..., Page], host: LoggingHost, width: int
) -> None:
    host.write("Pump one runs")
    host.write("Pump two is hot", "warning")
    host.write("Pump two has stopped", "error")
    page = open_system(look(width), host)
    find(page, "pump TWO")
    expect(lines(page, "Pump two").last).to_be_visible()
    expect(lines(page, "Pump one")).to_have_count(0)
    page.get_by_role("combobox", name="Levels that are shown").select_option("Errors")
    expect(lines(page, "has stopped").last).to_be_visible()
    expect(lines(page, "is hot")).to_have_count(0)
    address = page.url
    assert address.endswith("#/system?level=error&find=pump+TWO")
    host.write(f"pump two is hot again, at {width}", "warning")
    host.write(f"pump two has stopped again, at {width}", "error")
    expect(lines(page, f"again, at {width}")).to_have_count(1)
    page.reload()
    expect(lines(page, "has stopped").last).to_be_visible()
    expect(lines(page, "is hot")).to_have_count(0)
    place(page, "Chat").click()
    expect(lines(page).last).to_be_hidden()
    page.go_back()
    assert page.url == address
    expect(lines(page, "has stopped").last).to_be_visible()
    place(page, "Chat").click()
    place(page, "System").click()
    assert page.url == address
    find(page, "no such pump")
    expect(page.get_by_text("No line is like that.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    assert page.url.endswith("#/system")
    expect(lines(page, "is hot again").last).to_be_visible()


def test_thousands_of_lines_leave_few_rows_and_a_page_that_answers(
    look: Callable[..., Page], host: LoggingHost
) -> None:
    page = open_system(look(), host)
    page.evaluate(
        "window.most = window.frames_ = 0; const body = document.querySelector('.log-table tbody');"
        "new MutationObserver(() => { window.most = Math.max(window.most, body.children.length) })"
        ".observe(body, { childList: true });"
        "(function tick() { window.frames_ += 1; requestAnimationFrame(tick) })()"
    )
    for burst in range(12):
        host.write(f"flood {burst}.{{}}", count=500)
        page.wait_for_timeout(50)
    expect(lines(page, "flood 11.499")).to_be_visible(timeout=30_000)
    assert 0 < page.evaluate("window.most") <= 150
    assert page.evaluate("window.frames_") > 10
    # What has gone by can be read: more rows come as they are scrolled to.
    scroller = page.get_by_role("region", name="Lines of the log")
    for _ in range(5):
        scroller.evaluate("one => { one.scrollTop = 0 }")
        page.wait_for_timeout(100)
    first = lines(page).first.inner_text()
    assert "flood 11.499" not in first
    expect(lines(page, "flood 11.499")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("flood 11.49")
    expect(lines(page)).to_have_count(11)


def test_who_reads_further_up_is_not_moved_by_new_lines(look: Callable[..., Page], host: LoggingHost) -> None:
    host.write("some line {}", count=120)
    page = open_system(look(), host)
    find(page, "some line")
    expect(lines(page, "some line 119").last).to_be_visible()
    scroller = page.get_by_role("region", name="Lines of the log")
    scroller.evaluate("one => { one.scrollTop -= 300 }")
    page.wait_for_timeout(200)
    seen = "[...document.querySelectorAll('.log-table tbody tr')].find(one => one.getBoundingClientRect().top"
    seen += " >= document.querySelector('.log-scroll').getBoundingClientRect().top + 40)"
    text, before = page.evaluate(
        f"(() => {{ window.kept = {seen}; return [kept.innerText, kept.getBoundingClientRect().top] }})()"
    )
    for burst in range(3):
        host.write(f"some line, later {burst} {{}}", count=100)
        page.wait_for_timeout(100)
    pill = page.get_by_role("button", name="New lines below")
    expect(pill).to_be_visible()
    assert page.evaluate("[window.kept.isConnected, window.kept.innerText]") == [True, text]
    assert page.evaluate("window.kept.getBoundingClientRect().top") == pytest.approx(before, abs=1)
    # It is found again, too.
    place(page, "Chat").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    page.reload()
    place(page, "System").click()
    find(page, "some line")
    expect(lines(page, "some line").last).to_be_visible()
    page.get_by_role("region", name="Lines of the log").press("End")
    expect(lines(page, "later 2 99").last).to_be_in_viewport()
    expect(pill).to_be_hidden()


def test_paused_the_log_stands_still_and_nothing_is_missed(look: Callable[..., Page], host: LoggingHost) -> None:
    page = open_system(look(), host)
    host.write("before the pause")
    expect(lines(page, "before the pause")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("What is written meanwhile comes when you go on.")).to_be_visible()
    host.write("in the pause {}", count=20)
    until_written(host, "in the pause 19")
    expect(lines(page, "in the pause")).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(lines(page, "in the pause")).to_have_count(20)
    expect(lines(page, "before the pause")).to_have_count(1)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def until_written(host: LoggingHost, text: str) -> None:
    """Wait until the gateway has the line."""
    path = f"/api/logs/stream?follow=0&query={text.replace(' ', '%20')}"
    while text.encode() not in host.request("GET", path)[2]:
        time.sleep(0.05)


def test_the_level_from_which_lines_are_written_is_set_and_shown(look: Callable[..., Page], host: LoggingHost) -> None:
    page = open_system(look(), host)
    written = page.get_by_role("combobox", name="Written from")
    expect(written).to_have_value("info")
    written.select_option("Debug")
    expect(page.get_by_text("Lines of the level debug and graver ones are written")).to_be_visible()
    assert host.request("GET", "/api/logs/level")[2] == {"level": "debug"}
    host.write("finer than before", "debug")
    expect(lines(page, "finer than before").locator("td").first).to_have_text("Debug")
    page.reload()
    expect(written).to_have_value("debug")
    written.select_option("Info")
    expect(page.get_by_text("Lines of the level info and graver ones are written")).to_be_visible()


def test_the_log_is_downloaded(look: Callable[..., Page], host: LoggingHost) -> None:
    host.write("to be kept", "warning")
    page = open_system(look(), host)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "ironclaw.log"
    assert "ironclaw.pump: to be kept" in download.value.path().read_text()


def test_what_a_line_says_is_text(look: Callable[..., Page], host: LoggingHost) -> None:
    page = open_system(look(), host)
    host.write(f"{_HIT} \x1b[31mred\x1b[0m \u202egnp", "error", trace=f"</pre>{_HIT}")
    row = lines(page, "onerror").last
    expect(row.locator("[data-part=text]")).to_contain_text(_HIT)
    row.get_by_text("Traceback", exact=True).click()
    expect(row.locator("pre")).to_contain_text(f"</pre>{_HIT}")
    find(page, _HIT)
    expect(lines(page, "onerror").last).to_be_visible()
    page.reload()
    expect(lines(page, "onerror").last).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.hit") is None


def test_the_stream_of_the_log_is_open_only_while_system_is_looked_at(
    look: Callable[..., Page], host: LoggingHost
) -> None:
    page = look()
    asked: list[str] = []
    page.on("request", lambda request: "/api/logs/stream" in request.url and asked.append(request.url))
    sign_in(page, host)
    place(page, "System").click()
    host.write("seen")
    expect(lines(page, "seen").last).to_be_visible()
    sessions(page, host, 2)
    assert len(asked) == 1
    place(page, "Chat").click()
    sessions(page, host, 1)
    host.write("not looked at")
    place(page, "System").click()
    expect(lines(page, "not looked at")).to_have_count(1)
    expect(page.get_by_role("cell", name="seen", exact=True)).to_have_count(1)
    assert len(asked) == 2
    assert "after=" in asked[1]


def sessions(page: Page, host: LoggingHost, count: int) -> None:
    while host.request("GET", "/api/status")[2]["active_sessions"] != count:
        page.wait_for_timeout(50)


def test_after_a_break_the_log_goes_on_and_no_line_stands_twice(look: Callable[..., Page], host: LoggingHost) -> None:
    page = open_system(look(), host)
    host.write("before the break")
    expect(lines(page, "before the break")).to_have_count(1)
    host.again()
    host.write("after the break {}", count=3)
    expect(lines(page, "after the break")).to_have_count(3, timeout=40_000)
    expect(lines(page, "before the break")).to_have_count(1)
    expect(page.get_by_text("Reconnecting").locator("visible=true")).to_have_count(0, timeout=40_000)


def test_what_is_not_well_is_named_with_what_to_do_and_gone_when_it_is_well(
    look: Callable[..., Page], host: LoggingHost
) -> None:
    page = open_system(look(), host)
    workspace = host.home / "workspace"
    shutil.move(workspace, host.home / "elsewhere")
    try:
        page.wait_for_timeout(1100)  # a look at the parts is good for a second
        page.reload()
        expect(page.get_by_text("One thing is not well. Up")).to_be_visible()
        line = page.get_by_role("listitem").filter(has_text="Workspace:")
        expect(line).to_contain_text("is not there. Put it back or mount it.")
    finally:
        shutil.move(host.home / "elsewhere", workspace)
    page.wait_for_timeout(1100)
    page.reload()
    expect(page.get_by_text("All well.")).to_be_visible()
    expect(page.get_by_text("Workspace:")).to_have_count(0)


def test_the_last_backup_is_told_and_one_is_made_now(look: Callable[..., Page], host: LoggingHost) -> None:
    page = open_system(look(), host)
    backups = page.get_by_role("region", name="Backup")
    expect(backups.get_by_text("There is no backup yet.")).to_be_visible()
    backups.get_by_role("button", name="Back up now").click()
    expect(backups.get_by_text(re.compile(r"^The last one: \d\d:\d\d, [\d.]+ kB\."))).to_be_visible(timeout=30_000)
    expect(backups.get_by_role("button", name="Back up now")).to_be_visible()
    assert len(host.request("GET", "/api/backups")[2]["backups"]) == 1


@pytest.mark.parametrize(("scheme", "width"), WIDE_AND_PHONE)
def test_points_03_04_05_07_of_the_log(look: Callable[..., Page], host: LoggingHost, scheme: str, width: int) -> None:
    page = open_system(look(width, scheme), host)
    measure = Measure(page, width)
    host.write("a long " + "line " * 60, "error", trace="the fuse has blown")
    host.write("averyveryverylongword" * 20, "warning")
    lines(page, "a long line").last.get_by_text("Traceback", exact=True).click()
    page.get_by_role("region", name="Lines of the log").evaluate("one => { one.scrollTop = 0 }")
    host.write("one more")
    expect(page.get_by_role("button", name="New lines below")).to_be_visible()
    measure.view()
    page.get_by_role("button", name="Pause").click()
    find(page, "no such line")
    expect(page.get_by_text("No line is like that.")).to_be_visible()
    measure.view()
    measure.together()


def test_point_23_the_log_is_reached_and_left_by_keys(look: Callable[..., Page], host: LoggingHost) -> None:
    page = open_system(look(), host)
    host.write("by keys")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Find in the log")).to_be_focused()
    page.keyboard.type("by keys")
    expect(lines(page)).to_have_count(lines(page, "by keys").count())
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox", name="Find in the log")).to_have_value("")
    for name in ("Levels that are shown", "Pause", "Download", "Written from", "Lines of the log"):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_accessible_name(re.compile(name))
