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

# What the code under System shows to who looks at pictures of the tour: it opens nothing.
FOR_SHOW = {
    "GATEWAY_PUBLIC_URL": "https://ironclaw.example.com",
    "GATEWAY_AUTH_TOKEN": "a-token-that-was-made-up-for-pictures",
}
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


@attrs.frozen
class Walk:
    """Goes through all views, list and detail of each place, and says where it is."""

    page: Page
    url: str
    home: Furnished

    def go(self, address: str) -> None:
        self.page.goto(f"{self.url}/#/{address}")

    def shown(self, words: str) -> None:
        expect(self.page.get_by_text(words).locator("visible=true").first).to_be_visible()

    def chat(self) -> Iterator[str]:
        self.go(f"chat/{self.home.thread}")
        expect(self.page.locator(".turn .prose table")).to_be_visible()
        yield "conversation"
        self.go(f"chat/{self.home.blank}")
        self.shown("Try one of these")
        yield "empty"
        self.go("chat")
        expect(self.page.locator(".row", has_text="Garden")).to_be_visible()
        yield "list"
        self.page.get_by_role("searchbox", name="Search conversations").fill("peas")
        expect(self.page.locator("mark").locator("visible=true").first).to_be_visible()
        yield "search"
        self.page.get_by_role("searchbox", name="Search conversations").fill("")
        self.go("chat/thread-nothing")
        self.shown("not there any more")
        yield "gone"

    def notes(self) -> Iterator[str]:
        self.go("notes")
        expect(self.page.locator(".notes .row").first).to_be_visible()
        yield "list"
        self.go("notes/projects/garden.md")
        expect(self.page.locator(".note-text table")).to_be_visible()
        yield "note"
        self.page.get_by_role("button", name="Edit", exact=True).click()
        expect(self.page.get_by_label("Text of the note")).to_be_visible()
        yield "editing"
        self.page.keyboard.press("Escape")
        self.go("notes/bicycle.md")
        self.shown("brake pads")
        self.page.get_by_role("button", name="More about this note").click()
        self.page.get_by_role("menuitem", name="Delete").click()
        self.shown("Delete this note?")
        yield "asked whether to delete"
        self.page.keyboard.press("Escape")
        self.go("notes/no/such.md")
        self.shown("There is no note")
        yield "gone"

    def jobs(self) -> Iterator[str]:
        self.go("jobs")
        expect(self.page.locator(".job-row")).to_have_count(3)
        yield "list"
        self.go("jobs/" + self.home.job)
        self.shown("done")
        yield "job"
        self.go(f"jobs/{self.home.job}/files")
        expect(self.page.locator(".job-files")).to_be_visible()
        yield "files"
        self.go("jobs/job-00000000")
        self.shown("not there any more")
        yield "gone"

    def tools(self) -> Iterator[str]:
        self.go("tools")
        expect(self.page.get_by_role("navigation", name="Tools").locator(".row").first).to_be_visible()
        yield "list"
        self.go("tools/skills/weekly-review")
        self.shown("Its files")
        yield "skill"
        self.go("tools/extensions/github")
        expect(self.page.get_by_role("button", name="Save the token")).to_be_visible()
        yield "extension"
        self.go("tools/add")
        expect(self.page.get_by_role("textbox", name="What to add")).to_be_visible()
        yield "add"
        self.go("tools/skills/sourdough/edit")
        expect(self.page.get_by_role("textbox", name="Text of the skill")).to_be_visible()
        yield "editing"
        self.go("tools/skills/no-such")
        self.shown("There is no skill")
        yield "gone"

    def system(self) -> Iterator[str]:
        self.go("system")
        self.shown("All well.")
        expect(self.page.locator(".log-table tbody tr").first).to_be_visible()
        yield "top"
        self.page.locator(".log-panel").scroll_into_view_if_needed()
        yield "log"
        self.page.get_by_role("button", name="Show code").click()
        picture = self.page.get_by_role("img", name="QR code")
        expect(picture).to_be_visible()
        picture.scroll_into_view_if_needed()
        yield "code"
        self.page.get_by_role("button", name="Hide code").click()


def walk(page: Page, url: str, home: Furnished) -> Iterator[tuple[str, str]]:
    """Goes through all views of all places, and says in which place and where it is."""
    tour = Walk(page, url, home)
    for place, views in zip(PLACES, (tour.chat, tour.notes, tour.jobs, tour.tools, tour.system), strict=True):
        for view in views():
            yield place, view
