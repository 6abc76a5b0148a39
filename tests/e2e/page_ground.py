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

import page_tour
import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

_HOST = Path(__file__).with_name("asking_host.py")
_TOKEN = "asking-token-0123456789abcdef"

# For scripts in the page: the contrast of two colours, and what is seen behind a node.
COLOURS = """
  const style = (one) => getComputedStyle(one);
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (one) => {
    const layers = [];
    for (let node = one; node; node = node.parentElement) layers.push(rgb(style(node).backgroundColor));
    const over = (below, [r, g, b, a]) => [r, g, b].map((c, i) => c * a / 255 + below[i] * (1 - a / 255));
    return layers.reverse().reduce(over, [0, 0, 0]);
  };
  const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const contrast = (one, two) => {
    const [dark, bright] = [light(one), light(two)].sort((a, b) => a - b);
    return (bright + .05) / (dark + .05);
  };
"""


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


@pytest.fixture(name="gateway", scope="module")
def run_furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for all tests of a file; `home` fills it."""
    env = {"BUILTIN_WORD_DELAY": "0", **page_tour.FOR_SHOW}
    process = GatewayProcess(tmp_path_factory.mktemp("furnished") / "home", env)
    try:
        yield process.start()
    finally:
        process.kill()


@pytest.fixture(name="home", scope="module")
def furnish_home(gateway: GatewayProcess) -> page_tour.Furnished:
    """Something of everything in it."""
    return page_tour.furnish(gateway)


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
    complaints = [text for text in problems if "Failed to load resource" not in text]
    assert complaints == [], complaints


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


def make_thread(gateway: GatewayProcess, title: str, *messages: str) -> str:
    """A conversation in which *messages* were answered."""
    thread = str(gateway.request("POST", "/api/chat/threads", {"title": title})[2]["id"])
    for message in messages:
        gateway.send(message, wait=True, thread_id=thread)
    return thread
