"""What the tests of the page's place "Tools" share: one gateway for a module, and the ways among its tools.

The fixtures are known where they are imported: with `look_at` of `page_ground`, and `github` with those of `mcp_process`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import skill_calls
from extensions.mcp_process import HostedServer
from gateway_process import GatewayProcess
from playwright.sync_api import Locator, Page, expect

IMAGE = "<img src=x onerror=struck=1>"


@pytest.fixture(name="gateway", scope="module")
def run_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for all of these tests: each uses skills of its own."""
    process = GatewayProcess(tmp_path_factory.mktemp("tools") / "home", {"BUILTIN_WORD_DELAY": "0"})
    try:
        yield process.start()
    finally:
        process.kill()


@pytest.fixture(name="tools")
def open_tools(look: Callable[..., Page], gateway: GatewayProcess) -> Callable[..., Page]:
    """Opens the page at an address among the tools."""

    def open_one(address: str = "", width: int = 1280, scheme: str = "light") -> Page:
        page = look(width, scheme)
        page.goto(f"{gateway.url}/#token={gateway.token}")
        expect(page.get_by_role("textbox", name="Message")).to_be_focused()
        return go(page, gateway, address)

    return open_one


def go(page: Page, gateway: GatewayProcess, address: str = "") -> Page:
    page.goto(f"{gateway.url}/#/tools{address}")
    return page


def ask(gateway: GatewayProcess, method: str, path: str, body: Any = None) -> Any:
    status, _, reply = gateway.request(method, f"/api/skills/{path}", body)
    assert status == 200, reply
    return reply


def own(gateway: GatewayProcess, name: str, body: str = "# Do it\n\n1. Look.\n") -> None:
    ask(gateway, "PUT", name, {"content": skill_calls.text(name, body), "hash": ""})


def installed(gateway: GatewayProcess, name: str, body: str = "Feed the starter.") -> str:
    """Install a skill from elsewhere and enable it; its hash."""
    item = ask(gateway, "POST", "install", {"content": skill_calls.text(name, body)})
    ask(gateway, "POST", f"{name}/enable", {"hash": item["hash"]})
    return str(item["hash"])


def states(gateway: GatewayProcess) -> dict[str, str]:
    return {one["name"]: one["state"] for one in ask(gateway, "GET", "list")["skills"]}


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Tools").locator("li", has_text=name)


def sheet(page: Page) -> Locator:
    return page.locator(".tool:visible")


def act(page: Page, name: str) -> Locator:
    return sheet(page).get_by_role("button", name=name, exact=True)


def paste(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="What to add").fill(text)
    page.get_by_role("button", name="Look at it").click()


@pytest.fixture(name="github")
def install_github(gateway: GatewayProcess, hosted: HostedServer) -> Iterator[HostedServer]:
    """The extension github, installed, at the stand-in's address, without a token; gone after the test."""
    ask_extensions(gateway, "POST", "install", {"name": "github"})
    ask_extensions(gateway, "PUT", "github/config", {"settings": {"url": hosted.url}})
    yield hosted
    gateway.request("DELETE", "/api/extensions/github")


def ask_extensions(gateway: GatewayProcess, method: str, path: str, body: Any = None) -> Any:
    status, _, reply = gateway.request(method, f"/api/extensions/{path}", body)
    assert status == 200, reply
    return reply
