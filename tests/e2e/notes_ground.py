"""What the tests of the place Notes share: one gateway a module, where each test has a folder of its own.

The fixture is known where it is imported: `from notes_ground import run_gateway  # noqa: F401`.
"""

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_process import GatewayProcess
from playwright.sync_api import Locator, Page, expect

PARAGRAPHS = "\n\n".join(f"Paragraph {n}, with enough words to fill more than a line. " * 3 for n in range(40))
TODAY = "new Date().toLocaleDateString('sv')"


@pytest.fixture(name="gateway", scope="module")
def run_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("notes") / "home", {"BUILTIN_WORD_DELAY": "0"})
    (process.home / "workspace").mkdir(parents=True)
    try:
        yield process.start()
    finally:
        process.kill()


def put(gateway: GatewayProcess, path: str, text: str | bytes) -> Path:
    """A file in the workspace, as an editor would write it."""
    file = gateway.home / "workspace" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def address(gateway: GatewayProcess, path: str) -> str:
    return f"{gateway.url}/#/notes/{urllib.parse.quote(path)}"


def show(page: Page, gateway: GatewayProcess, path: str = "") -> Page:
    """Signs in and opens the note *path*, or the list."""
    page.goto(f"{gateway.url}/#token={gateway.token}")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    page.goto(address(gateway, path) if path else f"{gateway.url}/#/notes")
    expect(page.locator(".notes")).to_be_visible()
    return page


def editor(page: Page) -> Locator:
    return page.get_by_label("Text of the note")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def more(page: Page, item: str) -> None:
    page.get_by_role("button", name="More about this note").click()
    page.get_by_role("menuitem", name=item).click()
