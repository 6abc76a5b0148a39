"""Extensions in the page: installed, given what they need, tested, confirmed, in a real Chromium."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from extensions.mcp_process import (  # noqa: F401
    TOKEN_OF_SERVER,
    HostedServer,
    run_hosted,
    run_hosted_process,
)
from gateway_process import GatewayProcess
from page_ground import look_at  # noqa: F401
from playwright.sync_api import Page, expect
from tools_ground import (  # noqa: F401
    IMAGE,
    act,
    ask_extensions,
    install_github,
    open_tools,
    paste,
    row,
    run_gateway,
    sheet,
)

pytestmark = [pytest.mark.process, pytest.mark.browser]


def enter_token(page: Page, token: str) -> None:
    page.get_by_label("Personal access token").fill(token)
    page.get_by_role("button", name="Save the token").click()


def test_an_extension_is_installed_given_its_token_tested_and_removed(
    tools: Callable[..., Page], gateway: GatewayProcess, hosted: HostedServer
) -> None:
    page = tools("/extensions/github")
    expect(sheet(page)).to_contain_text("Not installed.")
    expect(sheet(page)).to_contain_text("goes only to api.githubcopilot.com")
    expect(page.get_by_role("textbox", name="Personal access token")).to_be_hidden()
    act(page, "Install").click()
    expect(row(page, "GitHub")).to_contain_text("needs a token")
    expect(page.locator("button.primary:visible")).to_have_text("Save the token")
    expect(page.get_by_role("banner")).to_contain_text("GitHub")
    address = page.get_by_role("textbox", name="Address")
    address.fill("not an address")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_text("Not saved.")).to_be_visible()
    expect(address).to_be_focused()
    address.fill(hosted.url)
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    expect(sheet(page).locator("pre")).to_have_text(hosted.url)
    enter_token(page, TOKEN_OF_SERVER)
    expect(row(page, "GitHub")).to_contain_text("enabled")
    expect(sheet(page)).to_contain_text("One is kept.")
    act(page, "Test").click()
    expect(page.get_by_text(re.compile("It works: 3 tools"))).to_be_visible()
    sheet(page).locator("summary", has_text="get_issue").click()
    expect(page.get_by_text("One issue.")).to_be_visible()
    act(page, "Disable").click()
    expect(row(page, "GitHub")).to_contain_text("disabled")
    act(page, "Enable").click()
    expect(act(page, "Test")).to_be_focused()
    sheet(page).get_by_role("button", name="More about this extension").click()
    page.get_by_role("menuitem", name="Remove").click()
    act(page, "Remove").click()
    expect(sheet(page)).to_contain_text("Not installed.")
    assert ask_extensions(gateway, "GET", "list")["extensions"] == []


def test_s20_a_token_is_sent_once_and_stays_nowhere_on_the_page(
    tools: Callable[..., Page], github: HostedServer
) -> None:
    page = tools("/extensions/github")
    sent: list[str] = []
    got: list[str] = []
    page.on("request", lambda one: TOKEN_OF_SERVER in (one.post_data or "") and sent.append(one.url))
    page.on("response", lambda one: "/api/extensions" in one.url and got.append(one.text()))
    enter_token(page, "ghp_wrong_wrong_wrong")
    expect(page.get_by_text("does not take the token")).to_be_visible()
    expect(page.get_by_label("Personal access token")).to_have_value("")
    expect(row(page, "GitHub")).to_contain_text("needs a token")
    enter_token(page, TOKEN_OF_SERVER)
    expect(page.get_by_text("It was taken.")).to_be_visible()
    assert len(sent) == 1
    assert sent[0].endswith("/api/extensions/github/auth")
    values = "[...document.querySelectorAll('input, textarea')].map(one => one.value)"
    kept = "[document.documentElement.outerHTML, location.href, {...localStorage}, {...sessionStorage}, history.state"
    assert TOKEN_OF_SERVER not in page.evaluate(f"JSON.stringify({kept}, {values}])")
    assert got
    assert not [text for text in got if TOKEN_OF_SERVER in text]


def test_how_an_extension_is_comes_by_itself(
    tools: Callable[..., Page], gateway: GatewayProcess, github: HostedServer
) -> None:
    page = tools()
    expect(row(page, "GitHub")).to_contain_text("needs a token")
    ask_extensions(gateway, "POST", "github/auth", {"token": TOKEN_OF_SERVER})
    expect(row(page, "GitHub")).to_contain_text("enabled")
    row(page, "GitHub").get_by_role("link").click()
    expect(act(page, "Test")).to_be_visible()
    github.set(token="another-token-by-now")
    assert not ask_extensions(gateway, "POST", "github/test")["ok"]
    expect(page.get_by_text("needs a token").first).to_be_visible()
    expect(page.locator("button.primary:visible")).to_have_text("Save the token")
    gateway.request("DELETE", "/api/extensions/github")
    expect(sheet(page)).to_contain_text("Not installed.")


def test_s80_a_pasted_command_is_shown_to_the_letter_and_runs_only_after_it_was_confirmed(
    tools: Callable[..., Page], gateway: GatewayProcess, tmp_path: Path
) -> None:
    trace = tmp_path / "it ran"
    code = f"open({str(trace)!r}, 'w')"
    clock = {
        "command": "/usr/bin/python3",
        "args": ["-c", code, "\u202egpj"],
        "env": {"API_KEY": "secret-of-the-clock"},
    }
    page = tools("/add")
    paste(page, json.dumps({"mcpServers": {f"Clock {IMAGE}": clock, "": 1}}))
    expect(page.get_by_text("names no server")).to_be_visible()
    paste(page, json.dumps({"mcpServers": {f"Clock {IMAGE}": clock}}))
    expect(sheet(page)).to_contain_text("nothing of it runs before you have confirmed")
    expect(sheet(page).locator("pre")).to_contain_text("/usr/bin/python3 -c 'open(")
    expect(sheet(page).locator("pre")).to_contain_text(r"'\u{202e}gpj'")
    expect(sheet(page)).to_contain_text("It may reach any address.")
    expect(sheet(page)).to_contain_text("It is given API_KEY.")
    assert (
        page.evaluate("JSON.stringify([document.documentElement.outerHTML, {...sessionStorage}])").count("secret-of")
        == 0
    )
    expect(row(page, "Clock")).to_contain_text("to be confirmed")
    act(page, "Enable").click()
    expect(page.locator("button.primary:visible")).to_have_text("Allow and enable")
    page.keyboard.press("Escape")
    expect(act(page, "Enable")).to_be_focused()
    assert not trace.exists()
    act(page, "Enable").click()
    act(page, "Allow and enable").click()
    expect(act(page, "Disable")).to_be_visible()
    expect(sheet(page)).to_contain_text("It does not work.")
    assert page.locator("img").count() == 0
    assert page.evaluate("window.struck") is None
    name = ask_extensions(gateway, "GET", "list")["extensions"][0]["name"]
    assert page.url.endswith(f"#/tools/extensions/{name}")
    sheet(page).get_by_role("button", name="More about this extension").click()
    page.get_by_role("menuitem", name="Remove").click()
    act(page, "Remove").click()
    expect(page.get_by_text("Choose one, or add one of your own.")).to_be_visible()
