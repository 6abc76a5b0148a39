"""The page in a real Chromium, against the real program; nothing of the network is intercepted."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from page_ground import say, sign_in
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
LONG = " ".join(f"word{number}" for number in range(400))


@pytest.fixture
def slow(gateway_process: Callable[..., GatewayProcess], tmp_path: Path) -> GatewayProcess:
    """A gateway whose built-in assistant takes its time over `read long.md`."""
    gateway = gateway_process(BUILTIN_WORD_DELAY="0.1")
    workspace = tmp_path / "home" / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "long.md").write_text(f"{LONG}\n")
    return gateway.start()


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process().start()


@pytest.fixture
def problems(page: Page) -> Iterator[list[str]]:
    """What the browser complains about: script errors, refused content. Checked at the end."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    yield found
    # The browser itself notes each request that failed; a server that was killed makes some.
    assert [text for text in found if "Failed to load resource" not in text] == []


def answer(page: Page) -> str:
    return page.locator(".turn .prose").last.inner_text()


def test_point_01_a_link_with_the_token_opens_the_chat_and_leaves_no_token_in_the_address(
    page: Page, gateway: GatewayProcess, problems: list[str]
) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    sign_in(page, gateway)
    assert "token" not in page.url
    assert not [url for url in urls if gateway.token in url]
    assert gateway.token not in gateway.log.replace(f"#token={gateway.token}", "").replace(
        f"Auth token: {gateway.token}", ""
    )


def test_a_wrong_token_is_said_and_the_right_one_comes_in(page: Page, gateway: GatewayProcess) -> None:
    page.goto(gateway.url)
    page.get_by_label("Access token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("refused")
    page.get_by_label("Access token").fill(gateway.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def test_a_message_is_answered_with_its_tool_lines_and_survives_a_reload(
    page: Page, gateway: GatewayProcess, problems: list[str]
) -> None:
    sign_in(page, gateway)
    expect(page.get_by_text("No language model is connected yet")).to_be_visible()
    say(page, "status")
    expect(page.locator(".turn .prose")).to_contain_text("model: none connected")
    expect(page.get_by_role("listitem", name=re.compile("^up"))).to_contain_text("Status")
    before = answer(page)
    page.reload()
    expect(page.locator(".turn .prose")).to_contain_text("model: none connected")
    assert answer(page) == before


def test_what_is_sent_from_a_shell_appears_at_once(page: Page, gateway: GatewayProcess, problems: list[str]) -> None:
    sign_in(page, gateway)
    gateway.send("what time is it?", wait=True)
    expect(page.locator(".mine").last).to_have_text("what time is it?")
    expect(page.locator(".turn .prose").last).to_contain_text("UTC")


def test_s37_markup_in_messages_notes_and_answers_stays_text(
    page: Page, gateway: GatewayProcess, problems: list[str]
) -> None:
    evil = '<img src=x onerror="window.hit=1"><svg onload="window.hit=1"> [x](javascript:window.hit=1) ![](http://evil.test/x)'
    sign_in(page, gateway)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    say(page, f"note: {evil}")
    expect(page.locator(".turn .prose").last).to_contain_text("Added to")
    say(page, "show today")
    expect(page.locator(".turn .prose").last).to_contain_text("onerror")
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main svg[onload], main a[href^=javascript]").count() == 0
    assert all(url.startswith(gateway.url) for url in urls)


def test_point_14_stop_keeps_the_text_and_says_so_only_when_the_server_did(
    page: Page, slow: GatewayProcess, problems: list[str]
) -> None:
    sign_in(page, slow)
    say(page, "read long.md")
    expect(page.locator(".turn .prose")).to_contain_text("word5")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".turn")).to_contain_text("Stopped")
    assert "word399" not in answer(page)
    turns = slow.request("GET", "/api/chat/history")[2]["turns"]
    assert turns[-1]["state"] == "stopped"


def test_a_reload_in_the_middle_of_an_answer_shows_each_word_once(
    page: Page, slow: GatewayProcess, problems: list[str]
) -> None:
    sign_in(page, slow)
    say(page, "read long.md")
    expect(page.locator(".turn .prose")).to_contain_text("word5")
    page.reload()
    expect(page.locator(".turn .prose")).to_contain_text("word399", timeout=20_000)
    assert re.findall(r"word\d+", answer(page)) == LONG.split()


def test_point_15_a_server_that_is_killed_in_the_middle_of_an_answer_is_found_again_without_a_doubled_word(
    page: Page, slow: GatewayProcess, problems: list[str]
) -> None:
    sign_in(page, slow)
    say(page, "read long.md")
    expect(page.locator(".turn .prose")).to_contain_text("word30")
    slow.kill()
    expect(page.get_by_text("Reconnecting")).to_be_visible()
    slow.env["GATEWAY_PORT"] = str(slow.port)
    slow.start()
    expect(page.get_by_text("Reconnecting")).to_be_hidden(timeout=40_000)
    expect(page.locator(".turn")).to_contain_text("gateway stopped", timeout=20_000)
    words = re.findall(r"word\d+", answer(page))
    assert words == LONG.split()[: len(words)]
    say(page, "status")
    expect(page.locator(".turn .prose").last).to_contain_text("model: none connected")


def test_point_09_a_send_that_fails_keeps_its_text_and_can_be_sent_again(
    page: Page, gateway: GatewayProcess, problems: list[str]
) -> None:
    sign_in(page, gateway)
    page.context.set_offline(True)
    say(page, "what time is it?")
    expect(page.get_by_text("Not sent.")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".turn .prose").last).to_contain_text("UTC")
    turns = gateway.request("GET", "/api/chat/history")[2]["turns"]
    assert [turn["user_message"] for turn in turns] == ["what time is it?"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_point_07_at_phone_width_nothing_scrolls_sideways_and_targets_are_large_enough(
    browser: Browser, gateway: GatewayProcess, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True)
    page = context.new_page()
    sign_in(page, gateway)
    say(page, "find " + "x" * 80)
    expect(page.locator(".turn .prose")).to_contain_text("Nothing", ignore_case=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        "[...document.querySelectorAll('button, input, textarea, a')].filter(one => one.checkVisibility())"
        ".filter(one => one.getBoundingClientRect().height < 44).map(one => one.outerHTML)"
    )
    assert small == []
    context.close()


def test_points_03_04_text_fits_the_sizes_of_the_design_and_one_button_is_filled(
    page: Page, gateway: GatewayProcess
) -> None:
    sign_in(page, gateway)
    say(page, "help")
    expect(page.locator(".turn .prose")).to_contain_text("find TODO")
    sizes = page.evaluate(
        "[...new Set([...document.querySelectorAll('body *')].filter(one => one.checkVisibility())"
        ".map(one => getComputedStyle(one).fontSize))]"
    )
    assert set(sizes) <= {"12px", "13px", "15px", "18px", "24px"}
    filled = page.evaluate(
        "[...document.querySelectorAll('button')].filter(one => one.checkVisibility())"
        ".filter(one => getComputedStyle(one).backgroundColor !== 'rgba(0, 0, 0, 0)').length"
    )
    assert filled == 1


def test_s34_nothing_in_the_address_makes_the_page_talk_to_another_server(page: Page, gateway: GatewayProcess) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{gateway.url}/?gatewayUrl=ws://127.0.0.1:9&api=http://evil.test#token={gateway.token}")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    assert all(url.startswith(gateway.url) for url in urls)
