"""Takes pictures of every view, in light, dark and on a phone, from a real gateway on a home made for it.

`make screenshots` writes them into build/screenshots; with --readme also those that the README shows, into docs/.
Chromium is the system's. Nothing is judged here: the tests measure, and people look.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "e2e")]

import page_tour  # noqa: E402
from gateway_process import GatewayProcess  # noqa: E402

SCREENS = {
    "light": (1440, 900),
    "dark": (1440, 900),
    "tablet": (768, 900),
    "phone": (360, 740),
    "phone-dark": (360, 740),
}
README = {("chat", "conversation"), ("notes", "note"), ("system", "top")}


def main() -> None:
    """Make a home, walk through it once a screen, and leave the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "screenshots", help="the folder for the pictures")
    parser.add_argument("--readme", action="store_true", help="also take the pictures of the README, into docs/")
    parser.add_argument("--screens", default=",".join(SCREENS), help="which, by name: %(default)s")
    asked = parser.parse_args()
    asked.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ironclaw-") as folder, sync_playwright() as playwright:
        gateway = GatewayProcess(Path(folder) / "home", {"BUILTIN_WORD_DELAY": "0", **page_tour.FOR_SHOW})
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            home = page_tour.furnish(gateway.start())
            page_tour.spend(gateway)
            for screen in filter(None, asked.screens.split(",")):
                take(browser, gateway, home, screen, asked.into)
            if asked.readme:
                take_for_readme(browser, gateway, home)
        finally:
            browser.close()
            gateway.kill()
    print(f"{len(list(asked.into.glob('*.png')))} pictures in {asked.into}")


def take(browser: Browser, gateway: GatewayProcess, home: page_tour.Furnished, screen: str, into: Path) -> None:
    """All views on one screen."""
    width, height = SCREENS[screen]
    scheme = "dark" if "dark" in screen else "light"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 720, is_mobile=width < 720
    )
    page = context.new_page()
    page.goto(f"{gateway.url}/#token={gateway.token}")
    page.get_by_role("textbox", name="Message").wait_for()
    for place, view in page_tour.walk(page, gateway.url, home):
        page.wait_for_timeout(200)  # what moves has come to rest
        page.screenshot(path=into / f"{place}-{view.replace(' ', '-')}-{screen}.png")
    context.close()


def take_for_readme(browser: Browser, gateway: GatewayProcess, home: page_tour.Furnished) -> None:
    """Three views, small enough to stand in a README."""
    target = ROOT / "docs" / "screenshots"
    target.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1120, "height": 700}, color_scheme="light")
    page = context.new_page()
    page.goto(f"{gateway.url}/#token={gateway.token}")
    page.get_by_role("textbox", name="Message").wait_for()
    for place, view in page_tour.walk(page, gateway.url, home):
        if (place, view) in README:
            page.wait_for_timeout(200)
            page.screenshot(path=target / f"{place}.png")
    context.close()


if __name__ == "__main__":
    main()
