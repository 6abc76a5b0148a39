"""What a note's path may be, and what reading, appending and seeding do to the folder."""

import asyncio
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw.errors import ConfigError, Invalid, NotFound, TooLarge
from ironclaw.memory.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "ws"
    made.mkdir()
    return made


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return Workspace(root)


@pytest.mark.parametrize(
    "path",
    [
        *[
            "",
            "/a.md",
            "../a.md",
            "x/../a.md",
            "./a.md",
            ".env",
            "x/.git/config",
            "x//a.md",
            "a.md/",
            "a\0.md",
            "a\\b.md",
        ],
        *["\ud800.md", chr(0xDCFF), "ü" * 600, "x" * 1025],
    ],
)
async def test_a_path_that_may_not_be_asked_is_invalid_for_every_verb(workspace: Workspace, path: str) -> None:
    for call in (
        workspace.read(path),
        workspace.append(path, "x", author="person"),
        workspace.write(path, "x", author="person"),
    ):
        with pytest.raises(Invalid) as caught:
            await call
        assert caught.value.field == "path"
    assert os.listdir(workspace.root) == []


@pytest.mark.parametrize("path", ["nope.md", "nope/a.md", "~", "%2e%2e/x", "x" * 200])
async def test_what_is_not_there_is_not_found(workspace: Workspace, path: str) -> None:
    with pytest.raises(NotFound):
        await workspace.read(path)
    with pytest.raises(NotFound):
        await workspace.list(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=st.text(max_size=30) | st.text(alphabet="./\\ab\0~", max_size=12))
async def test_what_was_written_is_read_back_and_anything_else_is_invalid(workspace: Workspace, path: str) -> None:
    try:
        await workspace.write(path, "text", author="person")
    except (Invalid, NotFound):
        return
    assert (await workspace.read(path)).content == "text"
    assert not any(part.startswith(".") for part in path.split("/"))


async def test_a_listing_holds_what_can_be_asked_for_and_nothing_hidden(workspace: Workspace, root: Path) -> None:
    (root / "b.md").write_text("12345")
    (root / "a.pdf").write_bytes(b"\xff")
    (root / "daily").mkdir()
    (root / ".git").mkdir()
    (root / ".env").write_text("SECRET=1")
    (root / "back\\slash.md").write_text("x")
    Path(os.fsdecode(os.fsencode(root) + b"/bad\xff.md")).write_text("x")
    listing = await workspace.list()
    assert [file.name for file in listing.files] == ["a.pdf", "b.md"]
    assert [file.size for file in listing.files] == [1, 5]
    assert listing.directories == ["daily"]


@pytest.mark.parametrize("path", ["daily", "daily/"])
async def test_a_folder_is_listed_with_paths_from_the_root(workspace: Workspace, root: Path, path: str) -> None:
    (root / "daily").mkdir()
    (root / "daily" / "2026-03-03.md").write_text("x")
    listing = await workspace.list(path)
    assert [file.path for file in listing.files] == ["daily/2026-03-03.md"]


async def test_times_are_the_files_times_in_utc(workspace: Workspace, root: Path) -> None:
    (root / "a.md").write_text("x")
    os.utime(root / "a.md", (1_700_000_000, 1_700_000_000))
    expected = datetime.fromtimestamp(1_700_000_000, UTC)
    assert (await workspace.list()).files[0].modified == expected
    assert (await workspace.read("a.md")).modified == expected


async def test_a_note_beyond_a_mebibyte_or_not_utf8_is_refused_in_words(workspace: Workspace, root: Path) -> None:
    (root / "big.md").write_bytes(b"x" * (1024 * 1024 + 1))
    (root / "latin.md").write_bytes("Käse".encode("latin-1"))
    with pytest.raises(TooLarge):
        await workspace.read("big.md")
    with pytest.raises(Invalid, match="UTF-8"):
        await workspace.read("latin.md")
    with pytest.raises(Invalid, match="UTF-8"):
        await workspace.append("latin.md", "x", author="person")
    assert (root / "latin.md").read_bytes() == "Käse".encode("latin-1")


async def test_an_append_says_the_line_at_which_the_text_begins(workspace: Workspace, root: Path) -> None:
    assert (await workspace.append("daily/x.md", "one", author="person")).line == 1
    assert (await workspace.append("daily/x.md", "two\nthree", author="person")).line == 2
    assert (await workspace.append("daily/x.md", "four\n", author="person")).line == 4
    assert (root / "daily" / "x.md").read_text() == "one\ntwo\nthree\nfour\n"


async def test_an_append_never_joins_the_last_line(workspace: Workspace, root: Path) -> None:
    (root / "a.md").write_text("no newline")
    assert (await workspace.append("a.md", "next", author="person")).line == 2
    assert (root / "a.md").read_text() == "no newline\nnext\n"


async def test_appends_at_the_same_time_lose_nothing(workspace: Workspace) -> None:
    saved = await asyncio.gather(*(workspace.append("a.md", f"line {n}", author="person") for n in range(40)))
    assert sorted(one.line or 0 for one in saved) == list(range(1, 41))
    content = (await workspace.read("a.md")).content.splitlines()
    assert sorted(content) == sorted(f"line {n}" for n in range(40))


async def test_a_cancelled_append_lets_no_other_one_in_before_it_ends(workspace: Workspace) -> None:
    tasks = [asyncio.create_task(workspace.append("a.md", f"line {n}", author="person")) for n in range(20)]
    await asyncio.sleep(0.002)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    last = (await workspace.append("a.md", "last", author="person")).line or 0
    content = (await workspace.read("a.md")).content.splitlines()
    assert content[last - 1] == "last"
    assert len(set(content)) == len(content)


async def test_text_that_is_no_unicode_or_too_much_is_refused_and_changes_nothing(workspace: Workspace) -> None:
    await workspace.append("a.md", "one", author="person")
    with pytest.raises(Invalid):
        await workspace.append("a.md", "\ud800", author="person")
    with pytest.raises(TooLarge):
        await workspace.append("a.md", "x" * 1024 * 1024, author="person")
    assert (await workspace.read("a.md")).content == "one\n"


async def test_all_notes_come_newest_first_and_hold_notes_only(workspace: Workspace, root: Path) -> None:
    (root / "daily").mkdir()
    for age, name in enumerate(["new.md", "daily/middle.txt", "old.MARKDOWN", "picture.png", ".hidden.md"]):
        (root / name).write_text("x")
        os.utime(root / name, (1_700_000_000 - age, 1_700_000_000 - age))
    assert [note.path for note in await workspace.all_notes()] == ["new.md", "daily/middle.txt", "old.MARKDOWN"]
    assert await workspace.count() == 3


async def test_linked_folders_are_not_walked(workspace: Workspace, root: Path) -> None:
    (root / "a.md").write_text("x")
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "s.md").write_text("x")
    (root / "out").symlink_to(root.parent / "outside")
    (root / "self").symlink_to(".")
    assert [note.path for note in await workspace.all_notes()] == ["a.md"]


async def test_changed_since_counts_the_moment_itself(workspace: Workspace, root: Path) -> None:
    (root / "a.md").write_text("x")
    os.utime(root / "a.md", (1_700_000_000, 1_700_000_000))
    moment = datetime.fromtimestamp(1_700_000_000, UTC)
    assert [note.path for note in await workspace.changed_since(moment)] == ["a.md"]
    assert list(await workspace.changed_since(moment + timedelta(seconds=1))) == []


def test_the_daily_note_has_the_day_in_its_name(workspace: Workspace) -> None:
    assert workspace.daily_path(date(2026, 3, 3)) == "daily/2026-03-03.md"
    assert workspace.daily_path() == f"daily/{datetime.now(UTC).astimezone():%Y-%m-%d}.md"


@pytest.mark.parametrize("made", [True, False])
async def test_a_missing_or_empty_folder_is_filled(tmp_path: Path, made: bool) -> None:
    root = tmp_path / "home" / "ws"
    if made:
        root.mkdir(parents=True)
    workspace = Workspace(root)
    assert await workspace.seed()
    paths = {note.path for note in await workspace.all_notes()}
    assert paths == {"README.md", "AGENTS.md", "MEMORY.md", workspace.daily_path()}
    assert not await workspace.seed()


@pytest.mark.parametrize("name", ["mine.md", ".obsidian", "picture.png"])
async def test_a_folder_that_holds_anything_is_never_filled(workspace: Workspace, root: Path, name: str) -> None:
    (root / name).write_text("mine")
    assert not await workspace.seed()
    assert os.listdir(root) == [name]


async def test_a_folder_that_cannot_be_made_is_a_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="IRONCLAW_WORKSPACE"):
        await Workspace(tmp_path / "file" / "ws").seed()


async def test_a_workspace_that_is_itself_a_link_works(tmp_path: Path, root: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    workspace = Workspace(tmp_path / "link")
    await workspace.append("a.md", "x", author="person")
    assert (root / "a.md").read_text() == "x\n"


@pytest.mark.alone
async def test_a_whole_tree_scan_leaves_the_loop_free(workspace: Workspace, root: Path) -> None:
    for number in range(3000):
        (root / f"{number}.md").write_text("x")
    lag, running = 0.0, True

    async def measure() -> None:
        nonlocal lag
        loop = asyncio.get_running_loop()
        while running:
            started = loop.time()
            await asyncio.sleep(0.005)
            lag = max(lag, loop.time() - started)

    task = asyncio.create_task(measure())
    assert len(await workspace.all_notes()) == 3000
    assert len((await workspace.list()).files) == 3000
    running = False
    await task
    assert lag < 0.25


async def test_fifos_do_not_hold_up_reads(workspace: Workspace, root: Path) -> None:
    (root / "a.md").write_text("x")
    for number in range(40):
        os.mkfifo(root / f"{number}.md")
    async with asyncio.timeout(2):
        results = await asyncio.gather(*(workspace.read(f"{n}.md") for n in range(40)), return_exceptions=True)
        assert {type(result) for result in results} == {Invalid}
        assert (await workspace.read("a.md")).content == "x"
        assert await workspace.count() == 1
