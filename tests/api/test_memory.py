"""The notes over HTTP: the contract's shapes on a real workspace, changes that lose nothing, and the bytes of any file."""

import io
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from ironclaw.settings import Settings

RAW = "/api/memory/raw"


@pytest.fixture
def root(settings: Settings) -> Path:
    """The folder of the notes; it is there before the gateway, so that it is not seeded."""
    assert settings.home is not None
    folder = settings.home / "workspace"
    (folder / "daily" / "memory").mkdir(parents=True)
    (folder / "daily" / "2026-03-03.md").write_text("# Daily Note\n\nTODO: Fix the bug in the parser\n")
    os.utime(folder / "daily" / "2026-03-03.md", (1772533800, 1772533800))
    return folder


@pytest.fixture
async def notes(root: Path, make_client: Callable[..., Awaitable[TestClient]], settings: Settings) -> TestClient:
    return await make_client(settings)


async def get(notes: TestClient, verb: str, /, **query: Any) -> Any:
    response = await notes.get(f"/api/memory/{verb}", params=query)
    assert response.status == 200, await response.text()
    return await response.json()


async def post(notes: TestClient, verb: str, /, **body: Any) -> tuple[int, Any]:
    response = await notes.post(f"/api/memory/{verb}", json=body)
    return response.status, await response.json()


async def raw(notes: TestClient, method: str, path: str, data: Any = None, **headers: str) -> ClientResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await notes.request(method, RAW, params={"path": path}, data=data, headers=names)


async def test_list_read_and_search_are_as_the_contract_shows(notes: TestClient) -> None:
    listing = await get(notes, "list", path="daily")
    assert listing == {
        "files": [
            {"name": "2026-03-03.md", "path": "daily/2026-03-03.md", "size": 46, "modified": "2026-03-03T10:30:00Z"}
        ],
        "directories": ["memory"],
        "next_cursor": None,
    }
    assert await get(notes, "list", path="daily/") == listing
    note = await get(notes, "read", path="daily/2026-03-03.md")
    assert (note["content"], note["path"]) == (
        "# Daily Note\n\nTODO: Fix the bug in the parser\n", "daily/2026-03-03.md",
    )  # fmt: skip
    assert (note["size"], note["modified"], len(note["etag"])) == (46, "2026-03-03T10:30:00Z", 32)
    (hit,) = (await get(notes, "search", query="TODO"))["results"]
    assert {name: hit[name] for name in ("path", "line", "snippet")} == {
        "path": "daily/2026-03-03.md", "line": 3, "snippet": "TODO: Fix the bug in the parser",
    }  # fmt: skip


async def test_a_search_as_text_is_path_line_text(notes: TestClient) -> None:
    response = await notes.get("/api/memory/search?query=todo", headers={"Accept": "text/plain"})
    assert await response.text() == "daily/2026-03-03.md:3:TODO: Fix the bug in the parser\n"
    assert response.content_type == "text/plain"


async def test_s49_a_large_folder_comes_in_pages_and_each_name_once(notes: TestClient, root: Path) -> None:
    names = {f"{number:04}.md" for number in range(2500)} | {"a\nb.md", "\x1b[31m.md", "会議　メモ.md"}
    (root / "large").mkdir()
    for name in names:
        (root / "large" / name).touch()
    Path(os.fsdecode(os.fsencode(root) + b"/large/bad\xff.md")).touch()
    (root / "large" / "sub").mkdir()
    for route, query in (("list", {"path": "large"}), ("tree", {})):
        found, folders, cursor = list[str](), list[str](), {}
        for _ in range(4):
            page = await get(notes, route, limit=900, **query, **cursor)
            assert len(page["files"]) + len(page["directories"]) <= 900
            found += [file["path"] for file in page["files"]]
            folders += page["directories"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert sorted(path.removeprefix("large/") for path in found if path.startswith("large/")) == sorted(names)
        assert len(found) == len(set(found))
        assert ("sub" if route == "list" else "large/sub") in folders
    for name in names - {f"{number:04}.md" for number in range(2500)}:
        assert (await get(notes, "read", path=f"large/{name}"))["content"] == ""


async def test_s48_what_is_no_text_or_huge_is_listed_and_downloaded_but_not_read_into_json(
    notes: TestClient, root: Path
) -> None:
    (root / "photo.png").write_bytes(b"\x89PNG\xff\x00")
    with (root / "huge.log").open("wb") as file:
        file.truncate(1 << 40)
        file.write(b"start")
    listing = await get(notes, "list")
    assert {file["name"]: file["size"] for file in listing["files"]} == {"huge.log": 1 << 40, "photo.png": 6}
    assert (await notes.get("/api/memory/read?path=photo.png")).status == 422
    assert (await notes.get("/api/memory/read?path=huge.log")).status == 413
    assert await (await raw(notes, "GET", "photo.png")).read() == b"\x89PNG\xff\x00"
    part = await raw(notes, "GET", "huge.log", Range="bytes=0-4")
    assert (part.status, await part.read()) == (206, b"start")
    last = await raw(notes, "GET", "huge.log", Range="bytes=-3")
    assert (last.headers["Content-Range"], await last.read()) == (f"bytes {2**40 - 3}-{2**40 - 1}/{2**40}", b"\0\0\0")


async def test_two_writers_one_stale_gets_412_with_the_etag_of_now(notes: TestClient, root: Path) -> None:
    (root / "a.md").write_text("old")
    etag = (await get(notes, "read", path="a.md"))["etag"]
    status, first = await post(notes, "write", path="a.md", content="first", etag=etag)
    assert (status, first["size"]) == (200, 5)
    status, refused = await post(notes, "write", path="a.md", content="second", etag=f'"{etag}"')
    assert (status, refused["error"]["code"], refused["error"]["etag"]) == (412, "stale", first["etag"])
    for method, headers in (("PUT", {"If_Match": f'"{etag}"'}), ("DELETE", {"If_Match": f'"{etag}"'})):
        response = await raw(notes, method, "a.md", b"second" if method == "PUT" else None, **headers)
        assert (response.status, response.headers["ETag"]) == (412, f'"{first["etag"]}"')
    assert (root / "a.md").read_text() == "first"
    versions = (await get(notes, "versions", path="a.md"))["versions"]
    assert [(one["change"], one["author"]) for one in versions] == [("written", "person"), ("written", "outside")]


async def test_a_file_can_be_made_only_where_there_is_none(notes: TestClient, root: Path) -> None:
    assert (await raw(notes, "PUT", "x/a.bin", b"\x00\xff", If_None_Match="*")).status == 201
    assert (await raw(notes, "PUT", "x/a.bin", b"other", If_None_Match="*")).status == 412
    assert (await post(notes, "write", path="x/a.bin", content="other", etag=""))[0] == 412
    assert (await raw(notes, "PUT", "x/new.bin", b"other", If_Match="*")).status == 412
    assert (await raw(notes, "PUT", "x/a.bin", b"other", If_None_Match='"abc"')).status == 400
    assert (root / "x" / "a.bin").read_bytes() == b"\x00\xff"
    assert os.listdir(root / "x") == ["a.bin"]


async def test_put_takes_bytes_of_any_type_up_to_16_mib_and_says_what_it_stored(notes: TestClient, root: Path) -> None:
    for kind in ("application/octet-stream", "multipart/form-data; boundary=x", "image/png", "text/plain"):
        response = await raw(notes, "PUT", "a.bin", kind.encode() + b"\r\n\xff", Content_Type=kind)
        body = await response.json()
        assert (response.headers["ETag"], body["path"]) == (f'"{body["etag"]}"', "a.bin")
        assert (root / "a.bin").read_bytes() == kind.encode() + b"\r\n\xff"
    assert (await raw(notes, "PUT", "large.bin", io.BytesIO(bytes(16 << 20)))).status == 201
    assert (await raw(notes, "PUT", "large.bin", io.BytesIO(bytes((16 << 20) + 1)))).status == 413
    assert (root / "large.bin").stat().st_size == 16 << 20

    async def endless() -> Any:
        for _ in range(17):
            yield bytes(1 << 20)

    assert (await raw(notes, "PUT", "new/large.bin", endless())).status == 413
    assert not (root / "new").exists()


async def test_raw_answers_conditions_and_ranges(notes: TestClient, root: Path) -> None:
    (root / "a.txt").write_text("0123456789")
    whole = await raw(notes, "GET", "a.txt")
    etag = whole.headers["ETag"]
    assert etag.strip('"') == (await get(notes, "read", path="a.txt"))["etag"]
    for given in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        cached = await raw(notes, "GET", "a.txt", If_None_Match=given)
        assert (cached.status, await cached.read(), cached.headers["ETag"]) == (304, b"", etag)
    assert (await raw(notes, "GET", "a.txt", If_None_Match='"x"')).status == 200
    for asked, status, text in (
        ("bytes=2-4", 206, b"234"), ("bytes=7-", 206, b"789"), ("bytes=-2", 206, b"89"), ("bytes=0-99", 200, b"0123456789"),
        ("bytes=x", 200, b"0123456789"), ("lines=1-2", 200, b"0123456789"),
    ):  # fmt: skip
        part = await raw(notes, "GET", "a.txt", Range=asked)
        assert (part.status, await part.read()) == (status, text), asked
    beyond = await raw(notes, "GET", "a.txt", Range="bytes=10-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */10")
    assert await (await raw(notes, "GET", "a.txt", Range="bytes=2-4", If_Range='"x"')).read() == b"0123456789"
    head = await raw(notes, "HEAD", "a.txt")
    assert (head.status, head.headers["Content-Length"], await head.read()) == (200, "10", b"")
    (root / "empty.txt").touch()
    assert await (await raw(notes, "GET", "empty.txt")).read() == b""


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("a.html", "text/html", False), ("a.svg", "image/svg+xml", False), ("a.xml", "application/xml", False),
        ("a.xhtml", "application/xhtml+xml", False), ("a.js", "text/javascript", False), ("A.HTML", "text/html", False),
        ("a.bin", "application/octet-stream", False), ("a", "application/octet-stream", False),
        ("a.md", "text/markdown", True), ("a.txt", "text/plain", True), ("a.png", "image/png", True),
        ("a.pdf", "application/pdf", True),
    ],
)  # fmt: skip
async def test_s40_nothing_that_a_browser_would_run_is_shown_and_nothing_can_run(
    notes: TestClient, root: Path, name: str, kind: str, shown: bool
) -> None:
    (root / name).write_text("<script>fetch('/api/status')</script>")
    response = await raw(notes, "GET", name)
    assert response.content_type == kind
    assert response.headers["Content-Disposition"] == f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}"
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow" not in policy
    assert "'self'" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    forced = await notes.get(f"{RAW}?path={quote(name)}&download=1")
    assert forced.headers["Content-Disposition"].startswith("attachment")


async def test_s41_a_name_can_not_break_out_of_its_header(notes: TestClient, root: Path) -> None:
    name = 'a"\r\nX-Evil: 1;é.txt'
    (root / name).write_text("x")
    response = await raw(notes, "GET", name)
    assert "X-Evil" not in response.headers
    assert response.headers["Content-Disposition"].endswith("a%22%0D%0AX-Evil%3A%201%3B%C3%A9.txt")


async def test_append_goes_to_todays_note_or_under_a_heading_as_json_or_text(notes: TestClient, root: Path) -> None:
    status, today = await post(notes, "append", text="call the plumber")
    assert (status, today["line"], today["path"][:8]) == (200, 1, "daily/20")
    response = await notes.post(
        "/api/memory/append?path=a.md", data="one\ntwo\n", headers={"Content-Type": "text/plain"}
    )
    assert (await response.json())["line"] == 1
    (root / "b.md").write_text("# Shopping\n- eggs\n\n# Other\n")
    assert (await post(notes, "append", path="b.md", text="- milk", heading="shopping"))[1]["line"] == 3
    assert (root / "b.md").read_text() == "# Shopping\n- eggs\n- milk\n\n# Other\n"
    assert (await post(notes, "append", path="b.md", text="x", heading="nope"))[0] == 422
    assert (await post(notes, "append", text=" \n"))[0] == 422
    assert (root / "a.md").read_text() == "one\ntwo\n"


async def test_line_endings_and_the_mode_are_kept(notes: TestClient, root: Path) -> None:
    (root / "crlf.md").write_bytes(b"one\r\ntwo\r\n")
    (root / "crlf.md").chmod(0o640)
    await post(notes, "append", path="crlf.md", text="three\nfour")
    assert (root / "crlf.md").read_bytes() == b"one\r\ntwo\r\nthree\r\nfour\r\n"
    await post(notes, "write", path="crlf.md", content="1\n2\n")
    assert (root / "crlf.md").read_bytes() == b"1\r\n2\r\n"
    await raw(notes, "PUT", "crlf.md", b"1\n2\n")
    assert (root / "crlf.md").read_bytes() == b"1\n2\n"
    (root / "mixed.md").write_bytes(b"one\r\ntwo\n")
    await post(notes, "write", path="mixed.md", content="1\n2\n")
    assert (root / "mixed.md").read_bytes() == b"1\n2\n"
    assert (root / "crlf.md").stat().st_mode & 0o777 == 0o640


async def test_versions_are_listed_shown_compared_and_restored(notes: TestClient, root: Path) -> None:
    for text in ("one\n", "one\ntwo\n"):
        await post(notes, "write", path="a.md", content=text)
    assert (await raw(notes, "DELETE", "a.md")).status == 200
    assert (await raw(notes, "DELETE", "a.md")).status == 404
    page = await get(notes, "versions", path="a.md", limit=2)
    assert [(one["change"], one["kept"]) for one in page["versions"]] == [("deleted", False), ("written", True)]
    (first,) = (await get(notes, "versions", path="a.md", cursor=page["next_cursor"]))["versions"]
    second = page["versions"][1]["id"]
    assert (await get(notes, "versions", path="a.md", id=first["id"]))["content"] == "one\n"
    diff = (await get(notes, "versions", path="a.md", id=first["id"], diff=second))["diff"]
    assert diff.splitlines()[-2:] == [" one", "+two"]
    assert "-two" in (await get(notes, "versions", path="a.md", id=second, diff="now"))["diff"].splitlines()
    status, restored = await post(notes, "restore", path="a.md", id=second)
    assert (status, restored["size"], (root / "a.md").read_text()) == (200, 8, "one\ntwo\n")
    assert (await post(notes, "restore", path="b.md", id=second))[0] == 404
    assert (await notes.get("/api/memory/versions?path=a.md&diff=now")).status == 400
    assert (await get(notes, "versions"))["versions"][0]["change"] == "restored"


async def test_a_file_moves_to_a_free_place_only(notes: TestClient, root: Path) -> None:
    (root / "a.md").write_text("a")
    (root / "b.md").write_text("b")
    assert (await post(notes, "move", path="a.md", to="b.md"))[0] == 409
    assert (await post(notes, "move", path="a.md", to="x/.git/b.md"))[0] == 422
    assert (await post(notes, "move", path="daily", to="other"))[0] == 422
    status, moved = await post(notes, "move", path="a.md", to="x/y/a.md")
    assert (status, moved["path"], (root / "x/y/a.md").read_text()) == (200, "x/y/a.md", "a")


async def test_each_change_is_an_event_that_says_who(notes: TestClient) -> None:
    stream = await notes.get("/api/chat/events", headers={"Accept": "application/x-ndjson"})
    await post(notes, "write", path="a.md", content="x")
    await notes.post("/api/chat/send?wait", json={"message": "note: from the agent", "thread_id": "t"})
    await raw(notes, "DELETE", "a.md")
    seen = []
    while len(seen) < 3:
        event = json.loads(await stream.content.readline())
        if event["type"] == "memory_changed":
            seen.append((event["change"], event["author"], event["thread_id"]))
    assert seen == [("written", "person", None), ("written", "agent", "t"), ("deleted", "person", None)]
