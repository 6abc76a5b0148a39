"""Makes the PNG icons of the page from web/icon-maskable.svg. Chromium, the system's, draws them."""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WEB = Path(__file__).resolve().parents[1] / "web"
NAMES = {180: "apple-touch-icon.png", 192: "icon-192.png", 512: "icon-512.png"}


def main() -> None:
    """Draw each size, and keep it in as few colours as it needs."""
    svg = (WEB / "icon-maskable.svg").read_text()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for size, name in NAMES.items():
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(32)
            picture.save(WEB / name, optimize=True)
            print(name, (WEB / name).stat().st_size)
        browser.close()


if __name__ == "__main__":
    main()
