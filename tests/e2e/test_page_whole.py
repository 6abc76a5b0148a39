"""The five places as one page, list and detail of each, in a real Chromium with nothing intercepted."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import page_tour
import pytest
from gateway_process import GatewayProcess
from page_ground import furnish_home, look_at, run_furnished, sign_in  # noqa: F401
from page_ground import place as place_link
from page_line import Line, line_to
from page_measure import SCREENS, STYLES, WIDE_AND_PHONE, Measure
from page_tour import Furnished
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]

# Where the head, the first row and what is beside the list begin; how high heads are.
LINES = """() => {
  const shown = (one) => one.checkVisibility() && one.getClientRects().length > 0;
  const all = (what) => [...document.querySelectorAll(what)].filter(shown);
  const box = (one) => one.getBoundingClientRect();
  return {
    rail: all('.rail-link').map(one => [box(one).x, box(one).y, one.offsetHeight]),
    tops: all('.threads-top .field').map(one => [box(one).x, box(one).y, one.offsetHeight]),
    heads: all('.note-head').map(one => [box(one).y, Math.max(48, one.offsetHeight)]),
    text: [...new Set(all('.prose p, .note-text p').map(one => getComputedStyle(one).font))],
    unnamed: all('button, a, input, textarea, select').filter(one => one.type !== 'hidden' && !one.labels?.length
      && !(one.ariaLabel || one.textContent.trim() || one.title)).map(one => one.outerHTML.slice(0, 120)),
  };
}"""
AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
FOUND_BY_AXE = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  const grave = violations.filter(one => ['serious', 'critical'].includes(one.impact));
  return grave.map(one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 160)).join(' | ')}`);
}"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_points_03_04_05_07_19_20_25_every_view_of_every_place_is_measured_alike_and_axe_finds_nothing_serious(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, scheme: str, width: int
) -> None:
    page = look(width, scheme)
    page.add_init_script(path=AXE)
    sign_in(page, gateway)
    measure = Measure(page, width)
    seen = set[str]()
    lines: dict[str, set[str]] = {"rail": set(), "tops": set(), "heads": set(), "text": set()}
    for view in page_tour.walk(page, gateway.url, home):
        measure.view(view, words=view != ("system", "log"))
        seen.add(view[0])
        measured = page.evaluate(LINES)
        for name, values in lines.items():
            values.update(map(str, [measured[name]] if name == "rail" else measured[name]))
        assert measured["unnamed"] == [], view
        if (scheme, width) in WIDE_AND_PHONE:
            assert page.evaluate(FOUND_BY_AXE) == [], view
    assert seen == set(page_tour.PLACES)
    measure.together()
    assert len(lines["rail"]) == len(lines["text"]) == 1, lines
    assert len(lines["tops"]) == 1, lines
    assert width < 720 or len(lines["heads"]) == 1, lines  # on a phone a long one takes two lines


@pytest.fixture
def line(gateway: GatewayProcess) -> Iterator[Line]:
    with line_to(gateway) as line:
        yield line


# All timers that will still fire, and all listeners that were added and not taken away from what outlives a view.
COUNTING = """() => {
  setInterval(() => dispatchEvent(new Event('online')), 50);  // as of a browser whose network is back
  const timers = window.timers = new Map(), listeners = window.listeners = new Map();
  for (const kind of ['Timeout', 'Interval']) {
    const [set, clear] = [window[`set${kind}`], window[`clear${kind}`]];
    window[`set${kind}`] = (act, wait, ...more) => {
      const id = set((...all) => { if (kind === 'Timeout') timers.delete(id); act(...all); }, wait, ...more);
      timers.set(id, `${kind} of ${wait}: ${act}`);
      return id;
    };
    window[`clear${kind}`] = (id) => { timers.delete(id); clear(id); };
  }
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  const key = (type, act) => `${type} ${act}`;
  const lasting = (one) => [window, document, visualViewport].includes(one) || one instanceof MediaQueryList;
  const count = (name, by) => listeners.set(name, (listeners.get(name) ?? 0) + by);
  EventTarget.prototype.addEventListener = function (type, act, options) {
    if (lasting(this ?? window)) {
      count(key(type, act), 1);
      options?.signal?.addEventListener('abort', () => count(key(type, act), -1));
    }
    return addEventListener.call(this, type, act, options);
  };
  EventTarget.prototype.removeEventListener = function (type, act, options) {
    if (lasting(this ?? window)) count(key(type, act), -1);
    return removeEventListener.call(this, type, act, options);
  };
}"""


def left(page: Page) -> dict[str, int]:
    """What the page holds once its garbage is gone: listeners of all nodes and signals, and timers."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: int(one["value"]) for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    counts = page.evaluate("() => [window.timers.size, [...window.listeners.values()].reduce((a, b) => a + b, 0)]")
    return {"all listeners": metrics["JSEventListeners"], "timers": counts[0], "lasting listeners": counts[1]}


def reconnect(page: Page, line: Line, times: int) -> None:
    """Break the line until the page has come back, that often."""
    for _ in range(times):
        with page.expect_response(lambda response: "/api/chat/events" in response.url, timeout=20_000):
            line.cut()


def test_fifty_reconnects_leave_no_timer_and_no_listener(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, line: Line
) -> None:
    page = look()
    page.add_init_script(f"({COUNTING})()")
    page.goto(f"http://127.0.0.1:{line.port}/#token={gateway.token}")
    page.get_by_role("textbox", name="Message").wait_for()
    for place in ("notes", "jobs", "tools", "system", "chat"):
        page.goto(f"http://127.0.0.1:{line.port}/#/{place}")
        page.wait_for_timeout(300)
    reconnect(page, line, 3)
    page.wait_for_timeout(1500)
    before = left(page)
    assert before["timers"] > 0
    assert before["lasting listeners"] > 0
    reconnect(page, line, 50)
    page.wait_for_timeout(1500)
    after = left(page)
    assert all(after[name] <= before[name] + 2 for name in before), (
        before,
        after,
        page.evaluate("[...timers.values()]"),
    )


EVIL = "<img src=x onerror=window.hit=1>"
SKILL = f"---\nname: evil\ndescription: '{EVIL}'\nversion: 1.0.0\n---\n\n{EVIL}\n"


def bodies(thread: str, message: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """For each operation that takes JSON what it needs to be carried out; its text fields are then replaced one by one."""
    server = {EVIL: {"command": "/bin/true", "args": [EVIL], "env": {"KEY": EVIL}}}
    turn = {"message_id": "m", "user_message": EVIL, "response": EVIL, "state": "completed"}
    return {
        ("post", "/api/chat/send"): [{"message": EVIL, "thread_id": thread}],
        ("post", "/api/chat/stop"): [{"thread_id": thread}],
        ("post", "/api/chat/approval"): [{"request_id": "none", "action": "deny"}],
        ("post", "/api/chat/threads"): [{"title": EVIL}],
        ("patch", "/api/chat/threads/{id}"): [{"title": EVIL}],
        ("post", "/api/chat/threads/{id}/fork"): [{"message_id": message}],
        ("post", "/api/chat/import"): [{"threads": [{"id": "t", "title": EVIL, "turns": [turn]}]}],
        ("post", "/api/memory/write"): [{"path": "evil.md", "content": f"# {EVIL}\n\n{EVIL} [[{EVIL}]] #tag\n"}],
        ("post", "/api/memory/append"): [{"text": EVIL, "path": "evil.md", "heading": EVIL}],
        ("post", "/api/memory/move"): [{"path": "evil.md", "to": f"{EVIL}.md"}],
        ("post", "/api/memory/restore"): [{"path": f"{EVIL}.md", "id": "1"}],
        ("post", "/api/jobs"): [
            {
                "command": f"echo '{EVIL}'",
                "title": EVIL,
                "stdin": EVIL,
                "files": [{"path": f"{EVIL}.txt", "content": EVIL}],
            }
        ],
        ("post", "/api/extensions/install"): [{"mcpServers": server}, {"name": "github"}],
        ("post", "/api/extensions/{name}/auth"): [{"token": EVIL}],
        ("post", "/api/extensions/{name}/enable"): [{"confirm": EVIL}],
        ("put", "/api/extensions/{name}/config"): [{"settings": {"url": EVIL}}],
        ("post", "/api/skills/install"): [{"content": SKILL}],
        ("post", "/api/skills/preview"): [{"content": SKILL}],
        ("put", "/api/skills/{name}"): [{"content": SKILL, "hash": ""}],
        ("post", "/api/skills/{name}/enable"): [{"hash": EVIL}],
        ("put", "/api/model"): [{"address": "127.0.0.1:9/v1", "model": EVIL, "test": False}],
        ("post", "/api/model/test"): [{"address": "127.0.0.1:9", "model": EVIL}],
        ("post", "/api/logs/level"): [{"level": "info"}],
        ("put", "/api/budget"): [{"day_usd": None, "month_usd": None}],
        ("post", "/api/pairing"): [{"page": f"http://192.168.1.5/{EVIL}", "code": True}],
    }


def text_fields(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    """The fields of its JSON body that are free text."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    kinds = {name: one.get("anyOf", [one]) for name, one in schema.get("properties", {}).items()}
    return [
        name for name, some in kinds.items() if any(one.get("type") == "string" and "enum" not in one for one in some)
    ]


def poison(gateway: GatewayProcess) -> Furnished:
    """Say it in every text field of every operation; what is refused is refused by the gateway with its own words."""
    thread = str(gateway.request("POST", "/api/chat/threads", {"title": EVIL})[2]["id"])
    message = str(gateway.send(EVIL, thread_id=thread, wait=True)["message_id"])
    document = gateway.request("GET", "/api/openapi.json")[2]
    known = bodies(thread, message)
    names = {"threads": thread, "extensions": "github", "skills": "evil"}
    taken, job = 0, ""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}) or path.startswith("/v1/"):
                continue
            url = re.sub(r"{\w+}", next((name for noun, name in names.items() if f"/{noun}/" in path), ""), path)
            for body in known[method, path]:
                fields = text_fields(document, operation)
                for changed in [body, *({**body, name: EVIL} for name in fields)]:
                    status, _, reply = gateway.request(method.upper(), url, changed)
                    assert status < 500 or reply["error"]["code"], (path, changed, reply)
                    taken += status < 300
                    job = reply["id"] if path == "/api/jobs" and status < 300 else job
    assert taken >= len(known)
    return Furnished(thread, thread, job)


@pytest.mark.timeout(120)
def test_what_any_text_field_of_the_api_takes_is_only_text_in_every_view(
    look: Callable[..., Page], tmp_path: Path
) -> None:
    process = GatewayProcess(tmp_path / "home", {"BUILTIN_WORD_DELAY": "0"})
    try:
        home = poison(process.start())
        page = sign_in(look(), process)
        addresses = ["chat", f"chat/{home.thread}", "notes", "notes/evil.md", f"notes/{quote(EVIL)}.md", "jobs"]
        addresses += [
            f"jobs/{home.job}",
            f"jobs/{home.job}/files",
            "tools",
            "tools/skills/evil",
            "tools/extensions/github",
        ]
        addresses += [f"tools/extensions/{quote(one['name'])}" for one in extensions(process)]
        for address in [*addresses, "system", f"system?find={quote(EVIL)}"]:
            page.goto(f"{process.url}/#/{address}")
            page.wait_for_timeout(500)
            assert page.locator("img, main script, main iframe").count() == 0, address
            assert page.evaluate("window.hit") is None, address
            if address in {f"chat/{home.thread}", "notes/evil.md", f"jobs/{home.job}"}:
                expect(page.get_by_text(EVIL).locator("visible=true").first).to_be_visible()
    finally:
        process.kill()


def extensions(gateway: GatewayProcess) -> list[dict[str, Any]]:
    return list(gateway.request("GET", "/api/extensions/list")[2]["extensions"])


def test_point_21_ten_minutes_of_use_of_all_places_stay_under_60_requests_a_minute_over_one_stream(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished
) -> None:
    page = look()
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: "/api/" in request.url and asked.append(request.url))
    sign_in(page, gateway)
    minutes: list[int] = []
    addresses = [
        f"chat/{home.thread}",
        "notes/projects/garden.md",
        f"jobs/{home.job}",
        "tools/skills/sourdough",
        "system",
    ]
    for minute in range(10):
        before = len(asked)
        for address in [f"chat/{home.blank}", *addresses]:
            page.goto(f"{gateway.url}/#/{address}")
            page.wait_for_timeout(100)
            page.clock.fast_forward(10_000)  # time goes by in each place
        gateway.send("what time is it?", thread_id=home.thread, wait=True)
        (gateway.home / "workspace" / "bicycle.md").write_text(f"The chain, for the {minute}. time.\n")
        minutes.append(len(asked) - before)
    assert max(minutes) < 60, minutes
    streams = [url for url in asked if "/api/chat/events" in url]
    assert len(streams) <= 1 + 10 * 60 // 45, streams  # a clock that leaps may look like a silent line


def arrive(page: Page, gateway: GatewayProcess, name: str) -> Locator:
    """Goes to a place; its link in the rail, once the place has put the focus where it wants it."""
    page.goto(f"{gateway.url}/#/{name}")
    link = place_link(page, name.title())
    expect(link).to_have_attribute("aria-current", "page")
    page.wait_for_timeout(300)
    return link


@pytest.mark.parametrize("place", page_tour.PLACES)
def test_point_23_the_keys_are_shown_on_a_question_mark_in_every_place_and_esc_gives_the_focus_back(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, place: str
) -> None:
    page = sign_in(look(), gateway)
    link = arrive(page, gateway, place)
    link.focus()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("Search this place")
    assert page.evaluate(STYLES)["gaps"] == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert keys.evaluate("one => [one.clientWidth > 300, one.scrollWidth - one.clientWidth]") == [True, 0]
    page.set_viewport_size({"width": 1280, "height": 740})
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    expect(link).to_be_focused()
    if place == "chat":
        page.get_by_role("textbox", name="Message").press("?")
        expect(page.get_by_role("textbox", name="Message")).to_have_value("?")
        expect(keys).to_be_hidden()


@pytest.mark.parametrize(
    ("place", "words", "opened"), [("chat", "peas", "Garden"), ("notes", "peas", "garden"), ("tools", "git", "Git")]
)
def test_search_is_the_same_in_each_list_enter_opens_the_first_and_esc_brings_the_list_back(
    look: Callable[..., Page], gateway: GatewayProcess, home: Furnished, *, place: str, words: str, opened: str
) -> None:
    page = sign_in(look(), gateway)
    arrive(page, gateway, place)
    page.keyboard.press("Control+k")
    query = page.locator(":focus")
    expect(query).to_have_role("searchbox")
    page.keyboard.type(words)
    page.keyboard.press("Enter")  # before the pause after which it looks by itself
    expect(page.locator("#bar-title")).to_have_text(opened)
    expect(page.locator("mark:visible").first).to_have_text(re.compile(words, re.IGNORECASE))
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    expect(page.locator("mark:visible")).to_have_count(0)
    expect(page.locator(".row:visible").first).to_be_visible()
    expect(page.locator(":focus")).to_have_role("searchbox")


@pytest.mark.parametrize(("place", "field"), [("jobs", "Command"), ("system", "Find in the log")])
def test_where_no_list_is_searched_the_same_keys_lead_to_the_one_field(
    look: Callable[..., Page], gateway: GatewayProcess, place: str, field: str
) -> None:
    page = sign_in(look(), gateway)
    for key in ("/", "Control+k"):
        arrive(page, gateway, place).focus()
        page.keyboard.press(key)
        expect(page.locator(":focus")).to_have_accessible_name(field)
        expect(page.locator(":focus")).to_have_value("")
