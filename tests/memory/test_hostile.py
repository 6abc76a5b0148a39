"""Every way into the workspace with every kind of hostile path and file: nothing outside, no failure, no wait."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from yarl import URL

from ironclaw.memory.paths import MAX_PATH
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]
JSON = {"Content-Type": "application/json"}
SECRET = "outside-secret-5f2a"


@pytest.fixture
def root(settings: Settings) -> Iterator[Path]:
    """Beside the workspace lies a secret, and links of all kinds lead to it."""
    assert settings.home is not None
    folder = settings.home / "workspace"
    (folder / "daily").mkdir(parents=True)
    (folder / "daily" / "a.md").write_text("inside")
    (folder / ".env").write_text(SECRET)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text(SECRET)
    outside = settings.home / "workspace-secret"
    outside.mkdir()
    (outside / "s.md").write_text(SECRET)
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "fifo.md")
    with (folder / "huge.md").open("wb") as file:
        file.truncate(1 << 40)
    server = socket.socket(socket.AF_UNIX)
    with contextlib.chdir(folder):  # the name of a socket may only be short
        server.bind("socket.md")
    yield folder
    server.close()


LINKS = {
    "out": "../workspace-secret", "file.md": "../workspace-secret/s.md", "chain.md": "file.md", "up": "..",
    "rootfs": "/", "proc": "/proc/self/root", "zero.md": "/dev/zero", "loop.md": "loop.md",
    "dangling.md": "../made.md", "gone": "../made",
}  # fmt: skip
HOSTILE = [
    "../workspace-secret/s.md", "daily/../../workspace-secret/s.md", "%2e%2e/workspace-secret/s.md",
    "..%2fworkspace-secret/s.md", "%252e%252e%252fworkspace-secret/s.md", "..\\workspace-secret\\s.md",
    "out/s.md", "out/new.md", "file.md", "chain.md", "up/workspace-secret/s.md", "up/new.md", "rootfs/etc/passwd",
    "proc/etc/passwd", "zero.md", "loop.md", "dangling.md", "gone/x.md", "/etc/passwd", "//etc/passwd",
    ".env", ".git/config", "./daily/a.md", "daily//a.md", "daily/a.md/", "daily/.", "daily/..", "..", ".", "/", "~/x.md",
    "\0", "daily/a.md\0.png", "\ud800", "fifo.md", "socket.md", "huge.md", "x" * 5000, "x/" * 600, "é" * 600,
    "workspace-secret/s.md", "file:///etc/passwd", "daily/a.md/x", "out", "up", ".", "-rf",
]  # fmt: skip


async def every_operation(client: TestClient, path: str) -> list[tuple[str, int, str]]:
    """What each route answers: name, status, text. Bodies of 1 TiB are not read to their end."""
    odd = path.encode("utf-8", "surrogatepass")
    query = "".join(f"%{byte:02x}" for byte in odd)
    gets = (f"list?path={query}", f"read?path={query}", f"raw?path={query}", f"versions?path={query}",
            f"search?query=secret&path={query}", f"versions?path={query}&id=1&diff=now")  # fmt: skip
    bodies: dict[str, dict[str, Any]] = {
        "write": {"path": path, "content": "mine"}, "append": {"path": path, "text": "mine"},
        "move": {"path": path, "to": "moved.md"}, "restore": {"path": path, "id": "1"},
    }  # fmt: skip
    into = {"path": "mine.md", "to": path}
    calls = [("GET", one, None) for one in gets]
    calls += [("POST", name, json.dumps(body).encode()) for name, body in [*bodies.items(), ("move", into)]]
    calls += [("PUT", f"raw?path={query}", b"mine"), ("DELETE", f"raw?path={query}", None)]
    found = []
    for method, target, data in calls:
        url = URL(f"/api/memory/{target}", encoded=True)
        async with asyncio.timeout(10), client.request(method, url, data=data, headers=JSON) as response:
            found.append(
                (f"{method} {target}", response.status, (await response.content.read(10_000)).decode("latin-1"))
            )
    return found


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path)[:40])
async def test_s43_to_s48_no_operation_leaves_the_workspace_or_fails(
    root: Path, make_client: MakeClient, settings: Settings, path: str
) -> None:
    (root / "mine.md").write_text("mine")
    client = await make_client(settings)
    before = state_outside(root)
    for name, status, text in await every_operation(client, path):
        assert status in {200, 201, 400, 404, 409, 413, 422}, (name, status, text)
        assert SECRET not in text, name
        assert "root:" not in text, name
    assert state_outside(root) == before
    assert (root / ".env").read_text() == (root / ".git" / "config").read_text() == SECRET
    assert {name: os.readlink(root / name) for name in LINKS} == LINKS


def state_outside(root: Path) -> dict[str, str]:
    home, secret = root.parent, root.parent / "workspace-secret"
    names = {name for name in os.listdir(home) if not name.startswith(("ironclaw.db", "index.db", "token", "lock"))}
    return {"home": str(sorted(names)), "secret": str(os.listdir(secret)), "s.md": (secret / "s.md").read_text()}


async def test_s45_no_listing_shows_what_a_link_leads_out_to(
    root: Path, make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings)
    for target in ("list", "tree", "search?query=secret", "versions"):
        text = await (await client.get(f"/api/memory/{target}")).text()
        assert SECRET not in text
        shown = json.loads(text)
        names = {file["path"] for file in shown.get("files", ())} | set(shown.get("directories", ()))
        assert names <= {"daily", "daily/a.md", "huge.md"}, target
        assert shown.get("results", []) == []


PARTS = st.sampled_from([*LINKS, "..", ".", "", "~", "daily", "a.md", "s.md", "workspace-secret", ".env", "\0", "\\"])
PATHS = st.lists(PARTS | st.text(max_size=6), min_size=1, max_size=5).map("/".join)


async def test_any_path_at_all_stays_inside_and_a_good_one_works(
    root: Path, make_client: MakeClient, settings: Settings
) -> None:
    client, before = await make_client(settings), state_outside(root)

    async def check(path: str) -> None:
        for name, status, text in await every_operation(client, path):
            assert status < 500, (name, text)
            assert SECRET not in text

    loop = asyncio.get_running_loop()

    @examples(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(path=PATHS)
    def run(path: str) -> None:
        asyncio.run_coroutine_threadsafe(check(path), loop).result(30)

    await asyncio.to_thread(run)
    assert state_outside(root) == before


GOOD = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\\0"), min_size=1, max_size=12).filter(
        lambda part: not part.startswith(".")
    ),
    min_size=1,
    max_size=3,
).map("/".join)


async def test_a_file_is_reached_by_its_own_name_whatever_it_is(
    root: Path, make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings)
    number = iter(range(10_000))

    async def check(path: str) -> None:
        path = f"good{next(number)}/{path}"
        assert len(path.encode()) <= MAX_PATH
        written = await client.post("/api/memory/write", json={"path": path, "content": path})
        if written.status == 422 and max(len(part.encode()) for part in path.split("/")) > 255:
            return
        assert written.status == 200, await written.text()
        assert (root / path).read_bytes() == path.encode()
        folder = path.rpartition("/")[0]
        listing = await (await client.get("/api/memory/list", params={"path": folder})).json()
        assert [file["path"] for file in listing["files"]] == [path]
        assert (await (await client.get("/api/memory/read", params={"path": path})).json())["content"] == path
        assert await (await client.get("/api/memory/raw", params={"path": path})).read() == path.encode()
        versions = await (await client.get("/api/memory/versions", params={"path": path})).json()
        assert len(versions["versions"]) == 1
        assert (await client.delete("/api/memory/raw", params={"path": path})).status == 200

    loop = asyncio.get_running_loop()

    @examples(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(path=GOOD)
    def run(path: str) -> None:
        asyncio.run_coroutine_threadsafe(check(path), loop).result(30)

    await asyncio.to_thread(run)


async def test_s48_what_never_ends_holds_up_nothing_else(
    root: Path, make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings)
    slow = [
        client.get(f"/api/memory/{verb}?path={name}.md") for verb in ("read", "raw") for name in ("fifo", "zero")
    ] * 20
    async with asyncio.timeout(5):
        refused = await asyncio.gather(*slow)
        read = await client.get("/api/memory/read?path=daily/a.md")
    assert {response.status for response in refused} == {422}
    assert (await read.json())["content"] == "inside"
