"""Open on your phone, under System, in a real Chromium: the code is read from the screen, and its link is opened."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from gateway_process import GatewayProcess
from page_ground import look_at, place  # noqa: F401
from page_measure import Measure
from playwright.sync_api import Locator, Page, Route, expect
from qr_codes import read_pixels
from test_examples import Host

pytestmark = [pytest.mark.process, pytest.mark.browser]
ELSEWHERE = "evil.test"  # a name of this machine that is none of loopback's


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(
        tmp_path_factory.mktemp("pairing") / "home", {"GATEWAY_AUTH_TOKEN": "odd&token#1%2F/0123456"}
    )
    try:
        yield process.start()
    finally:
        process.kill()


def open_system(page: Page, gateway: GatewayProcess, host: str = ELSEWHERE) -> Locator:
    """Signed in at that name of this machine, at System; the part "Open on your phone"."""
    page.goto(f"http://{host}:{gateway.port}/#/system")
    page.get_by_label("Access token").fill(gateway.token)
    page.keyboard.press("Enter")
    part = page.get_by_role("region", name="Open on your phone")
    expect(part).not_to_contain_text("Reading…")
    return part


def code(page: Page) -> Locator:
    return page.get_by_role("img", name="QR code that opens")


def show(page: Page) -> Locator:
    page.get_by_role("button", name="Show code").click()
    expect(code(page)).to_be_visible()
    return code(page)


def is_hidden(page: Page) -> None:
    """No code, nothing of it left in the page, and a button that shows it again."""
    expect(code(page)).to_have_count(0)
    assert "data:image" not in page.content()
    assert page.locator(".pairing [aria-expanded]").get_attribute("aria-expanded") == "false"
    assert page.locator(".pairing [data-part=act]").inner_text() in {"Show code", ""}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_the_code_on_the_screen_is_read_in_both_themes_and_its_link_signs_in_on_another_device(
    look: Callable[..., Page], gateway: GatewayProcess, scheme: str, width: int
) -> None:
    page = look(width, scheme)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    part = open_system(page, gateway)
    expect(part).to_contain_text(f"Other devices can open this gateway at http://{ELSEWHERE}:{gateway.port}/.")
    assert read_pixels(page.screenshot()) == []
    picture = show(page)
    expect(picture).to_be_in_viewport(ratio=1)
    expect(part).to_contain_text("Whoever sees it can use this gateway")
    box = picture.bounding_box()
    assert box
    assert box["width"] == box["height"] >= 200
    (link,) = read_pixels(page.screenshot())
    assert link.startswith(f"http://{ELSEWHERE}:{gateway.port}/#token=")
    Measure(page, width).view()
    assert gateway.token not in page.content()
    other = look(360)
    other.goto(link)
    expect(other.get_by_role("textbox", name="Message")).to_be_visible()
    assert "token" not in other.url
    assert link.partition("#token=")[2] == quote(gateway.token, safe="")
    for secret in (gateway.token, quote(gateway.token, safe="")):
        assert [url for url in urls if secret in url] == []


def test_the_code_goes_by_button_by_esc_on_leaving_and_by_itself(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = look()
    page.clock.install()
    open_system(page, gateway)
    is_hidden(page)
    show(page)
    button = page.get_by_role("button", name="Hide code")
    expect(button).to_have_attribute("aria-expanded", "true")
    button.click()
    is_hidden(page)
    expect(page.get_by_role("button", name="Show code")).to_be_focused()
    show(page)
    page.keyboard.press("?")  # what is on top is closed first
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(code(page)).to_be_visible()
    page.keyboard.press("Escape")
    is_hidden(page)
    show(page)
    place(page, "Chat").click()
    is_hidden(page)
    place(page, "System").click()
    is_hidden(page)
    show(page)
    page.clock.fast_forward(119_000)
    expect(code(page)).to_be_visible()
    page.clock.fast_forward(1_500)
    is_hidden(page)
    show(page)  # its two minutes begin anew
    page.clock.fast_forward(60_000)
    page.get_by_role("button", name="Hide code").click()
    show(page)
    page.clock.fast_forward(61_000)
    expect(code(page)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    assert "data:image" not in page.content()


def test_a_code_is_asked_for_by_its_button_only_and_comes_no_more_once_the_place_is_left(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = look()
    held: list[Route] = []
    asked: list[str] = []

    def hold(route: Route) -> None:
        asked.append(route.request.post_data or "")
        if '"code":true' in asked[-1]:
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/pairing", hold)
    open_system(page, gateway)
    assert len(asked) == 1
    assert '"code":false' in asked[0]
    button = page.get_by_role("button", name="Show code")
    button.click()
    page.wait_for_timeout(200)
    place(page, "Chat").click()
    place(page, "System").click()
    (late,) = held
    with page.expect_response(lambda response: (response.request.post_data or "") == asked[1]):
        late.continue_()
    page.wait_for_timeout(200)
    is_hidden(page)
    button.click()
    page.wait_for_timeout(200)
    held[1].abort()
    part = page.get_by_role("region", name="Open on your phone")
    expect(part).to_contain_text("There is no code. The gateway can't be reached.")
    is_hidden(page)
    page.unroute("**/api/pairing")
    show(page)
    expect(part).not_to_contain_text("There is no code.")


@pytest.mark.parametrize("width", [1280, 360])
def test_where_only_this_machine_reaches_the_gateway_it_says_what_to_do_and_has_no_code(
    look: Callable[..., Page], gateway: GatewayProcess, width: int
) -> None:
    page = look(width)
    part = open_system(page, gateway, "127.0.0.1")
    expect(part).to_contain_text("Only the machine that this gateway runs on can reach it.")
    expect(part).to_contain_text("restart it with --host 0.0.0.0")
    expect(part.get_by_role("button")).to_have_count(0)
    Measure(page, width).view()


def test_below_a_prefix_where_a_host_program_signs_in_the_code_holds_the_address_alone(
    look: Callable[..., Page], tmp_path: Path
) -> None:
    host = Host(tmp_path)
    try:
        host.start()
        page = look()
        base = f"http://{ELSEWHERE}:{host.port}"
        page.goto(base)
        page.get_by_label("Password").fill(host.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("You are signed in")).to_be_visible()
        page.goto(f"{base}/claw/#/system")
        part = page.get_by_role("region", name="Open on your phone")
        expect(part).to_contain_text(f"Other devices can open this gateway at {base}/claw/.")
        show(page).scroll_into_view_if_needed()
        assert read_pixels(page.screenshot()) == [f"{base}/claw/"]
        expect(part).to_contain_text(re.compile("sign in there as you did here"))
        expect(part).not_to_contain_text("Whoever sees it")
    finally:
        host.process.kill()
        host.process.wait(10)
