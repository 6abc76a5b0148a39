"""A home with something of everything, and a walk through all views of the page's five places.

Tests measure what the walk shows, and `scripts/screenshots.py` takes its pictures.
"""

import base64
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import skill_calls
from gateway_process import GatewayProcess
from playwright.sync_api import Page, expect

PLACES = ("chat", "notes", "jobs", "tools", "system")
NOTES = {
    "projects/garden.md": (
        "# Garden\n\nWhat grows where, and what is to be done. See [[Seeds]].\n\n"
        "- [x] order seeds\n- [ ] sow the peas\n- [ ] mend the fence\n\n"
        "## Beds\n\n| Bed | This year | Last year |\n|---|---|---|\n"
        "| North | peas | potatoes |\n| South | tomatoes | beans |\n\n"
        "> Peas like it cool: sow them before the end of March.\n\n```\nwater --every 2d --litres 12\n```\n"
    ),
    "projects/seeds.md": "# Seeds\n\nTomato, pea, bean and dill. #garden\n",
    "recipes/bread.md": "# Bread\n\n500 g of flour, 350 g of water, 10 g of salt. Bake for 45 minutes at 230 °C.\n",
    "recipes/soup.md": "# Soup\n\nLeek and potato.\n",
    "bicycle.md": "# Bicycle\n\nThe chain was changed in May. New brake pads: in autumn.\n",
    "a folder with a long name/and a note with a rather long name that has to be cut somewhere.md": "Some words.\n",
}


@attrs.frozen
class Furnished:
    """What the home holds, by the names under which it can be gone to."""

    thread: str
    blank: str
    job: str


def furnish(gateway: GatewayProcess) -> Furnished:
    """Fill the home of a gateway that runs: conversations, notes, jobs, skills, an extension, two weeks of costs."""
    for path, text in NOTES.items():
        file = gateway.home / "workspace" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for title, messages in {
        "Leek soup": ["read recipes/soup.md"],
        "What the week brought, and what is still to be done before Friday": ["status", "find sow"],
    }.items():
        _talk(gateway, title, *messages)
    thread = _talk(gateway, "Garden", "find peas", "read projects/garden.md")
    blank = _talk(gateway, "")
    job = _jobs(gateway)
    _ask(gateway, "PUT", "/api/skills/sourdough", {"content": skill_calls.text("sourdough"), "hash": ""})
    _ask(gateway, "POST", "/api/extensions/install", {"name": "github"})
    return Furnished(thread, blank, job)


def spend(gateway: GatewayProcess) -> None:
    """Two weeks of use on disk, put there while the gateway is down; it is started again at the same address."""
    gateway.terminate()
    gateway.wait()
    database = sqlite3.connect(gateway.home / "ironclaw.db")
    with database:
        for age in range(12):
            day = datetime.now(UTC) - timedelta(days=age)
            database.execute(
                "INSERT INTO usage (created_at, scope, provider, model, input_tokens, output_tokens, cost_usd)"
                " VALUES (?, 'thread', 'openai', 'gpt', 1000, 234, ?)",
                (day.strftime("%Y-%m-%dT%H:%M:%SZ"), None if age == 3 else (age * 7 % 5 + 1) * 0.07),
            )
    database.close()
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.start()


def _talk(gateway: GatewayProcess, title: str, *messages: str) -> str:
    thread = str(_ask(gateway, "POST", "/api/chat/threads", {"title": title} if title else {})["id"])
    for message in messages:
        gateway.send(message, wait=True, thread_id=thread)
    return thread


def _jobs(gateway: GatewayProcess) -> str:
    """Some jobs that have ended; the name of the one that wrote something."""
    commands = ["echo one; echo two; seq 40; echo done", "echo 'no such page' >&2; exit 3", "sleep 0.1"]
    made = [_ask(gateway, "POST", "/api/jobs", {"command": command})["id"] for command in commands]
    return str(made[0])


def _ask(gateway: GatewayProcess, method: str, path: str, body: Any = None) -> Any:
    status, _, reply = gateway.request(method, path, body)
    assert status in {200, 201, 202}, reply
    return reply


def picture(width: int = 48, height: int = 32) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\x00" + b"\xb0\x60\x40" * width
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")


def encoded_picture() -> str:
    return base64.b64encode(picture()).decode()


def walk(page: Page, url: str, home: Furnished) -> Iterator[tuple[str, str]]:
    """Goes through all views, list and detail of each place, and says in which place and where it is."""

    def go(address: str) -> None:
        page.goto(f"{url}/#/{address}")

    def shown(words: str) -> None:
        expect(page.get_by_text(words).locator("visible=true").first).to_be_visible()

    go(f"chat/{home.thread}")
    expect(page.locator(".turn .prose table")).to_be_visible()
    yield "chat", "conversation"
    go(f"chat/{home.blank}")
    shown("Try one of these")
    yield "chat", "empty"
    go("chat")
    expect(page.locator(".row", has_text="Garden")).to_be_visible()
    yield "chat", "list"
    page.get_by_role("searchbox", name="Search conversations").fill("peas")
    expect(page.locator("mark").locator("visible=true").first).to_be_visible()
    yield "chat", "search"
    page.get_by_role("searchbox", name="Search conversations").fill("")
    go("chat/thread-nothing")
    shown("not there any more")
    yield "chat", "gone"

    go("notes")
    expect(page.locator(".notes .row").first).to_be_visible()
    yield "notes", "list"
    go("notes/projects/garden.md")
    expect(page.locator(".note-text table")).to_be_visible()
    yield "notes", "note"
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.get_by_label("Text of the note")).to_be_visible()
    yield "notes", "editing"
    page.keyboard.press("Escape")
    go("notes/bicycle.md")
    shown("brake pads")
    page.get_by_role("button", name="More about this note").click()
    page.get_by_role("menuitem", name="Delete").click()
    shown("Delete this note?")
    yield "notes", "asked whether to delete"
    page.keyboard.press("Escape")
    go("notes/no/such.md")
    shown("There is no note")
    yield "notes", "gone"

    go("jobs")
    expect(page.locator(".job-row")).to_have_count(3)
    yield "jobs", "list"
    go("jobs/" + home.job)
    shown("done")
    yield "jobs", "job"
    go(f"jobs/{home.job}/files")
    expect(page.locator(".job-files")).to_be_visible()
    yield "jobs", "files"
    go("jobs/job-00000000")
    shown("not there any more")
    yield "jobs", "gone"

    go("tools")
    expect(page.get_by_role("navigation", name="Tools").locator(".row").first).to_be_visible()
    yield "tools", "list"
    go("tools/skills/weekly-review")
    shown("Its files")
    yield "tools", "skill"
    go("tools/extensions/github")
    expect(page.get_by_role("button", name="Save the token")).to_be_visible()
    yield "tools", "extension"
    go("tools/add")
    expect(page.get_by_role("textbox", name="What to add")).to_be_visible()
    yield "tools", "add"
    go("tools/skills/sourdough/edit")
    expect(page.get_by_role("textbox", name="Text of the skill")).to_be_visible()
    yield "tools", "editing"
    go("tools/skills/no-such")
    shown("There is no skill")
    yield "tools", "gone"

    go("system")
    shown("All well.")
    expect(page.locator(".log-table tbody tr").first).to_be_visible()
    yield "system", "top"
    page.locator(".log-panel").scroll_into_view_if_needed()
    yield "system", "log"
