"""examples/mounted_with_login.py in a real Chromium: its people chat by the host's cookie, other pages do nothing by it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from test_examples import Host
from web_site import Site

pytestmark = [pytest.mark.process, pytest.mark.browser]

# Each way in which a page may try to act or to read: what it got, as text.
ATTEMPTS = """
async (base) => {
  const api = `${base}/claw/api`;
  const body = JSON.stringify({ message: '/help', thread_id: 'made-by-a-page' });
  const got = {};
  const note = async (name, action) => {
    const late = new Promise((_, no) => setTimeout(no, 5000, new Error('nothing for 5 s')));
    got[name] = await Promise.race([action(), late]).then((text) => `got ${text}`, (error) => `failed: ${error}`);
  };
  const read = async (path, options) => {
    const response = await fetch(api + path, { credentials: 'include', ...options });
    if (!response.ok) throw new Error(`status ${response.status}, ${response.type}`);
    return (await response.text()).slice(0, 40);
  };
  const posted = (enctype) => new Promise((done, fail) => {
    const form = document.createElement('form');
    Object.assign(form, { method: 'post', action: `${api}/chat/send`, enctype, target: `frame-${enctype}` });
    const field = document.createElement('input');
    Object.assign(field, { name: body.slice(0, -2) + ', "x": "', value: '"}' });
    form.append(field);
    const frame = document.createElement('iframe');
    frame.name = form.target;
    document.body.append(form, frame);
    form.submit();
    frame.onload = () => {
      const text = frame.contentDocument?.body.innerText;  // null for a frame of another origin
      if (text) done(text); else fail(new Error('not readable'));
    };
  });
  const heard = (source, event) => new Promise((done, fail) => {
    source.addEventListener(event, () => { source.close(); done(event); });
    source.addEventListener('error', () => { source.close(); fail(new Error('refused')); });
  });
  await note('read', () => read('/status'));
  await note('read blindly', () => read('/status', { mode: 'no-cors' }));
  await note('write', () => read('/chat/send', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } }));
  for (const kind of ['text/plain', 'application/x-www-form-urlencoded']) {
    const headers = { 'Content-Type': kind };
    await note(`write ${kind}`, () => read('/chat/send', { method: 'POST', body, headers, mode: 'no-cors' }));
    await note(`form ${kind}`, () => posted(kind));
  }
  await note('write nothing', () => read('/chat/threads', { method: 'POST', mode: 'no-cors' }));
  await note('events', () => heard(new EventSource(`${api}/chat/events`, { withCredentials: true }), 'open'));
  await note('socket', () => heard(new WebSocket(`${api.replace('http', 'ws')}/chat/ws`), 'open'));
  return got;
}
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    try:
        yield host.start()
    finally:
        host.process.kill()
        host.process.wait(10)


def sign_in(page: Page, host: Host) -> str:
    """Sign in to the host as a person does; the host's address."""
    base = f"http://localhost:{host.port}"
    page.goto(base)
    page.get_by_label("Password").fill(host.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("You are signed in")).to_be_visible()
    return base


def threads(page: Page, host: Host) -> list[Any]:
    """What the gateway has stored, asked with the browser's cookie but not by a page."""
    (cookie,) = [one for one in page.context.cookies() if one["name"] == "session"]
    status, _, body = host.request("GET", "/claw/api/chat/threads", Cookie=f"session={cookie['value']}")
    assert status == 200
    found: list[Any] = json.loads(body)["threads"]
    return found


def test_who_is_signed_in_to_the_host_chats_without_any_token(page: Page, host: Host) -> None:
    tokens: list[str] = []

    def look(request: Any) -> None:
        if "authorization" in request.headers or "token=" in request.url:
            tokens.append(request.url)

    page.on("request", look)
    sign_in(page, host)
    page.get_by_role("link", name="Talk to the agent").click()
    box = page.get_by_role("textbox", name="Message")
    expect(box).to_be_visible()
    box.fill("help")
    page.keyboard.press("Enter")
    expect(page.locator(".turn .prose").last).to_contain_text("list notes")
    page.reload()
    expect(page.locator(".turn .prose").last).to_contain_text("list notes")
    assert tokens == []
    assert page.url.startswith(f"http://localhost:{host.port}/claw/")


def test_point_22_places_and_notes_have_addresses_below_the_prefix(page: Page, host: Host) -> None:
    base = sign_in(page, host)
    page.goto(f"{base}/claw/#/notes/README.md")
    expect(page.locator(".note-text")).not_to_be_empty()
    page.get_by_role("searchbox", name="Search notes").fill("memory")
    page.locator(".notes .hit", has_text="line 3").click()
    expect(page.locator(".line-found")).to_be_visible()
    assert page.url.startswith(f"{base}/claw/#/notes/")
    before = page.url
    page.reload()
    expect(page.locator(".line-found")).to_be_visible()
    page.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="Budget")).to_be_visible()
    page.go_back()
    expect(page.locator(".note-text")).to_be_visible()
    assert page.url == before


def test_who_is_not_signed_in_to_the_host_gets_no_chat(page: Page, host: Host) -> None:
    page.goto(f"http://localhost:{host.port}/claw/")
    expect(page.locator("main")).not_to_be_empty()
    expect(page.get_by_role("textbox", name="Message")).to_have_count(0)


def test_the_hosts_own_page_may_do_what_the_others_may_not(page: Page, host: Host) -> None:
    # So that what the other pages fail at below is known to be possible.
    base = sign_in(page, host)
    got = page.evaluate(ATTEMPTS, base)
    assert {name for name, text in got.items() if text.startswith("got ")} >= {"read", "write", "events", "socket"}, got
    assert "made-by-a-page" in [one["id"] for one in threads(page, host)]


@pytest.mark.parametrize("other", ["http://evil.test", "http://localhost"])
@pytest.mark.parametrize("same_site", ["Lax", "None"])
def test_s24_s30_s31_a_page_of_another_origin_neither_reads_nor_sends(
    page: Page, host: Host, site: Site, other: str, same_site: str
) -> None:
    base = sign_in(page, host)
    if same_site == "None":  # a host that lets its cookie go everywhere
        (cookie,) = page.context.cookies()
        loose: Any = {"name": "session", "value": cookie["value"], "url": base, "sameSite": "None", "secure": True}
        page.context.add_cookies([loose])
    site.files["/"] = ("text/html", b"<!doctype html><title>other</title><body>")
    page.goto(f"{other}:{site.port}/")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    got = page.evaluate(ATTEMPTS, base)
    assert {name: text for name, text in got.items() if not text.startswith("failed: ")} == {}
    assert "failed: Error: nothing for 5 s" not in got.values()
    assert sum(one == f"POST {base}/claw/api/chat/send" for one in sent) >= 4  # it did try
    assert threads(page, host) == []


@pytest.mark.parametrize("other", ["http://evil.test", "http://localhost"])
def test_s35_a_page_of_another_origin_can_not_frame_it(page: Page, host: Host, site: Site, other: str) -> None:
    base = sign_in(page, host)
    frame = f'<!doctype html><title>other</title><iframe src="{base}/claw/"></iframe>'
    site.files["/"] = ("text/html", frame.encode())
    page.goto(f"{other}:{site.port}/")
    page.wait_for_load_state("load")
    (framed,) = page.frames[1:]
    assert "IronClaw" not in framed.content()
