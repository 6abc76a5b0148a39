"""What the tests of the page's places share: browser pages that complain aloud, a gateway with tools that ask, a model.

The fixtures are known where they are imported: `from page_ground import run_asking, look_at  # noqa: F401`.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

_HOST = Path(__file__).with_name("asking_host.py")
_TOKEN = "asking-token-0123456789abcdef"


class AskingHost(GatewayProcess):
    """The program of `asking_host.py`, spoken to like any gateway."""

    def spawn(self, *_: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        self.home.mkdir(parents=True, exist_ok=True)
        command = [*prefix, sys.executable, str(_HOST), str(self.home), self.token]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return self.process

    @property
    def done(self) -> list[str]:
        """What its tools did."""
        path = self.home / "done.txt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(name="asking")
def run_asking(tmp_path: Path, stand_in: StandInProcess) -> Iterator[AskingHost]:
    """A gateway with tools that ask, and a model that calls what it is told to: `call NAME {json}`."""
    host = AskingHost(tmp_path / "home", {"GATEWAY_AUTH_TOKEN": _TOKEN})
    try:
        host.start()
        connect(host, stand_in, "obedient")
        yield host
    finally:
        host.kill()


@pytest.fixture(name="look")
def look_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of any width and theme; what the browser complains about fails the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_one(width: int = 1280, scheme: str = "light", height: int = 740) -> Page:
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=width < 720)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield open_one
    for context in contexts:
        context.close()
    # The browser itself notes each request that was refused.
    assert [text for text in problems if "Failed to load resource" not in text] == []


def connect(gateway: GatewayProcess, stand_in: StandInProcess, model: str) -> None:
    """Let *model* of the stand-in answer from now on."""
    body = {"address": f"{stand_in.url}/v1", "model": model, "test": False}
    status, _, reply = gateway.request("PUT", "/api/model", body)
    assert status == 200, reply


def sign_in(page: Page, gateway: GatewayProcess) -> Page:
    page.goto(f"{gateway.url}/#token={gateway.token}")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    return page


def say(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")


def call(name: str, **arguments: Any) -> str:
    """A message that makes the obedient model call a tool."""
    return f"call {name} {json.dumps(arguments)}"


def card(page: Page, words: str = "") -> Locator:
    """The cards that ask, of which the text has *words*."""
    return page.get_by_role("group", name=re.compile("^Allow IronClaw")).filter(has_text=words)


def place(page: Page, name: str) -> Locator:
    """The link of a place in the rail."""
    return page.get_by_role("navigation", name="Places").get_by_role("link", name=name)


def make_thread(gateway: GatewayProcess, title: str) -> str:
    return str(gateway.request("POST", "/api/chat/threads", {"title": title})[2]["id"])
