"""The page as a thing that is installed: its manifest as Chromium reads it, its icons, and the colour around it."""

import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from page_ground import look_at  # noqa: F401
from PIL import Image
from playwright.sync_api import Page
from test_examples import Host

pytestmark = [pytest.mark.process, pytest.mark.browser]
WEB = Path(__file__).parents[2] / "web"
MANIFEST = json.loads((WEB / "manifest.webmanifest").read_text())
PNGS = sorted(path.name for path in WEB.rglob("*.png"))
# A colour of the tokens as a browser paints it, in the form of the metas.
PAINTED = """(name) => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d');
  canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return '#' + [red, green, blue].map(one => one.toString(16).padStart(2, '0')).join('');
}"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("installed") / "home", {})
    try:
        yield process.start()
    finally:
        process.kill()


def as_chromium_reads_it(page: Page, url: str) -> dict[str, Any]:
    """The manifest of the page at *url*, which has no fault and can be installed."""
    page.goto(url)
    session = page.context.new_cdp_session(page)
    found = session.send("Page.getAppManifest")
    assert found["errors"] == []
    failing = {one["errorId"] for one in session.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert failing - {"in-incognito"} == set()  # as each context of a test is
    return {**found["manifest"], "at": found["url"]}


def test_chromium_finds_a_manifest_without_fault_and_would_install_the_page(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    found = as_chromium_reads_it(look(), f"{gateway.url}/")
    assert found["at"] == f"{gateway.url}/manifest.webmanifest"
    assert (found["name"], MANIFEST["short_name"], MANIFEST["display"]) == ("IronClaw", "IronClaw", "standalone")
    assert found["startUrl"] == found["scope"] == found["id"] == f"{gateway.url}/"
    icons = [one["url"].removeprefix(gateway.url) for one in found["icons"]]
    assert icons == [one["src"].removeprefix(".") for one in MANIFEST["icons"]]


def test_below_a_prefix_the_page_is_installed_as_what_is_below_it(look: Callable[..., Page], tmp_path: Path) -> None:
    host = Host(tmp_path)
    try:
        host.start()
        base = f"http://127.0.0.1:{host.port}"
        page = look()
        found = as_chromium_reads_it(page, f"{base}/claw/")  # nobody is signed in: no cookie goes along either
        assert found["at"] == f"{base}/claw/manifest.webmanifest"
        assert found["startUrl"] == found["scope"] == f"{base}/claw/"
        for one in found["icons"]:
            assert one["url"].startswith(f"{base}/claw/")
            assert page.request.get(one["url"]).status == 200, one
    finally:
        host.process.kill()
        host.process.wait(10)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colour_around_the_page_is_that_of_the_page(
    look: Callable[..., Page], gateway: GatewayProcess, scheme: str
) -> None:
    page = look(360, scheme)
    page.goto(f"{gateway.url}/")
    asked = (
        "() => [...document.querySelectorAll('meta[name=theme-color]')].filter(one => matchMedia(one.media).matches)"
    )
    assert page.evaluate(f"({asked})().map(one => one.content)") == [page.evaluate(PAINTED, "--page")]
    if scheme == "light":
        assert MANIFEST["theme_color"] == MANIFEST["background_color"] == page.evaluate(PAINTED, "--page")


def test_each_icon_is_there_in_its_size_small_and_of_a_type_that_browsers_take(gateway: GatewayProcess) -> None:
    assert PNGS == ["apple-touch-icon.png", "icon-192.png", "icon-512.png"]
    sizes = {one["src"].removeprefix("./"): one["sizes"] for one in MANIFEST["icons"]}
    sizes[re.findall(r'rel="apple-touch-icon" href="\./(.+)"', (WEB / "index.html").read_text())[0]] = "180x180"
    assert {*PNGS, "favicon.svg", "icon-maskable.svg"} == set(sizes)
    for name, size in sizes.items():
        status, headers, data = gateway.request("GET", f"/{name}", token=None, headers={"Accept-Encoding": "gzip"})
        assert status == 200
        assert len(data) < 6 * 1024
        if name.endswith(".svg"):
            assert (headers["content-type"], size) == ("image/svg+xml; charset=utf-8", "any")
            continue
        assert headers["content-type"] == "image/png"
        plain = (WEB / name).read_bytes()
        assert len(data) <= len(plain)
        assert (data if "content-encoding" not in headers else gzip.decompress(data)) == plain
        picture = Image.open(io.BytesIO(plain))
        assert f"{picture.width}x{picture.height}" == size
        assert "transparency" not in picture.info
        assert picture.mode in {"P", "RGB"}


def test_what_gzip_makes_larger_is_served_as_it_is(gateway: GatewayProcess) -> None:
    gzipped = {"Accept-Encoding": "gzip"}
    larger = [name for name in PNGS if len(gzip.compress((WEB / name).read_bytes(), 9)) >= (WEB / name).stat().st_size]
    assert larger
    for name in larger:
        _, headers, data = gateway.request("GET", f"/{name}", token=None, headers=gzipped)
        assert "content-encoding" not in headers
        assert data == (WEB / name).read_bytes()
    _, headers, data = gateway.request("GET", "/manifest.webmanifest", token=None, headers=gzipped)
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"].partition(";")[0] == "application/manifest+json"
    assert json.loads(gzip.decompress(data)) == MANIFEST


def test_what_launchers_cut_off_of_the_maskable_icon_is_background_only(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = look(200, height=200)
    page.goto(f"{gateway.url}/icon-maskable.svg")
    page.set_viewport_size({"width": 200, "height": 200})
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    assert picture.size == (200, 200)
    inked = [(x, y) for x in range(200) for y in range(200) if picture.getpixel((x, y)) != picture.getpixel((0, 0))]
    assert inked
    assert max(abs(complex(x - 100, y - 100)) for x, y in inked) < 80
