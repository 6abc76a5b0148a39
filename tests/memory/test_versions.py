"""Each state that a change made or replaced is kept: to be listed, compared, restored; bounded; never lost."""

import asyncio
import os
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw.database import Database, DatabaseFailed
from ironclaw.errors import Conflict, Invalid, NotFound, Stale, TooLarge
from ironclaw.events import MemoryChanged
from ironclaw.memory.notes import MAX_FILE
from ironclaw.memory.store import MIGRATIONS
from ironclaw.memory.versions import KEPT_AT_ONCE, Versions, unified_diff
from ironclaw.memory.workspace import MISSING, PRESENT, Workspace
from ironclaw.tools import ToolContext

TURN = ToolContext("thread", "message", "call")


async def contents(workspace: Workspace, path: str = "a.md") -> list[str | None]:
    """What each version holds, the oldest first; None for one that is gone or not kept."""
    versions, _ = await workspace.history(path, 1000, None)
    found = [(await workspace.version(path, one.id)).data for one in reversed(versions)]
    return [None if data is None else data.decode(errors="replace") for data in found]


async def changes(workspace: Workspace, path: str = "a.md") -> list[tuple[str, str]]:
    versions, _ = await workspace.history(path, 1000, None)
    return [(one.change, one.author) for one in reversed(versions)]


async def test_every_change_and_delete_can_be_restored(kept: Workspace) -> None:
    await kept.write("a.md", "one", author="person")
    await kept.append("a.md", "two", author="agent", turn=TURN)
    await kept.delete("a.md", author="person")
    assert await contents(kept) == ["one", "one\ntwo\n", None]
    assert await changes(kept) == [("created", "person"), ("written", "agent"), ("deleted", "person")]
    versions, _ = await kept.history("a.md", 10, None)
    for one, text in ((versions[1], "one\ntwo\n"), (versions[2], "one")):
        await kept.restore("a.md", one.id, author="person")
        assert (kept.root / "a.md").read_text() == text
    with pytest.raises(Invalid):
        await kept.restore("a.md", versions[0].id, author="person")
    assert (versions[1].thread_id, versions[1].message_id) == ("thread", "message")


async def test_a_version_belongs_to_its_path_and_an_unknown_one_is_not_found(kept: Workspace) -> None:
    await kept.write("a.md", "one", author="person")
    ((version,), _) = await kept.history("a.md", 10, None)
    for path, id_ in (("b.md", version.id), ("a.md", "999"), ("a.md", "x"), ("a.md", "-1"), ("a.md", "9" * 30)):
        with pytest.raises(NotFound):
            await kept.version(path, id_)


async def test_history_pages_from_the_newest_and_goes_over_all_files_without_a_path(kept: Workspace) -> None:
    for number in range(5):
        await kept.write(f"{number % 2}.md", f"{number}", author="person")
    first, cursor = await kept.history(None, 3, None)
    rest, end = await kept.history(None, 3, int(cursor or 0))
    assert [one.path for one in first + rest] == ["0.md", "1.md", "0.md", "1.md", "0.md"]
    assert end is None


async def test_a_write_that_changes_nothing_makes_no_version(kept: Workspace, told: list[MemoryChanged]) -> None:
    await kept.write("a.md", "one", author="person")
    await kept.write("a.md", "one", author="person")
    assert (len(await contents(kept)), len(told)) == (1, 1)


async def test_what_somebody_else_wrote_is_kept_before_it_is_replaced(kept: Workspace) -> None:
    (kept.root / "a.md").write_text("from an editor")
    await kept.write("a.md", "ours", author="agent")
    (kept.root / "a.md").write_text("from an editor again")
    await kept.append("a.md", "more", author="person")
    (kept.root / "a.md").unlink()
    await kept.write("a.md", "new", author="person")
    assert await changes(kept) == [
        ("written", "outside"), ("written", "agent"), ("written", "outside"), ("written", "person"),
        ("deleted", "outside"), ("created", "person"),
    ]  # fmt: skip
    assert (await contents(kept))[2] == "from an editor again"


async def test_an_outside_edit_is_kept_once_when_it_is_seen_and_our_own_is_none(
    kept: Workspace, told: list[MemoryChanged]
) -> None:
    await kept.write("a.md", "ours", author="person")
    assert not await kept.seen("a.md")
    (kept.root / "a.md").write_text("theirs")
    assert await kept.seen("a.md")
    assert not await kept.seen("a.md")
    (kept.root / "a.md").unlink()
    assert await kept.seen("a.md")
    assert await contents(kept) == ["ours", "theirs", None]
    assert [(one.change, one.author) for one in told[1:]] == [("written", "outside"), ("deleted", "outside")]
    assert not await kept.seen("photo.png")


async def test_reading_never_makes_a_version(kept: Workspace) -> None:
    (kept.root / "a.md").write_text("theirs")
    await kept.read("a.md")
    await kept.list()
    await kept.tree(limit=10)
    async with kept.open("a.md"):
        pass
    await kept.history(None, 10, None)
    assert await contents(kept) == []


async def test_a_stale_writer_is_refused_and_nothing_is_lost(kept: Workspace) -> None:
    first = await kept.write("a.md", "one", author="person")
    expect = frozenset({first.etag or ""})
    results = await asyncio.gather(
        *(kept.write("a.md", f"writer {number}", author="person", expect=expect) for number in range(8)),
        return_exceptions=True,
    )
    (won,) = [one for one in results if not isinstance(one, BaseException)]
    stale = [one for one in results if isinstance(one, Stale)]
    assert (len(stale), {one.etag for one in stale}) == (7, {won.etag})
    assert (await kept.read("a.md")).etag == won.etag
    assert len(await contents(kept)) == 2


@pytest.mark.parametrize(
    ("expect", "there", "goes"),
    [
        (MISSING, False, True), (MISSING, True, False), (PRESENT, True, True), (PRESENT, False, False),
        ("wrong", True, False), ("wrong", False, False),
    ],
)  # fmt: skip
async def test_what_a_file_must_be_is_checked_for_every_change(
    kept: Workspace, expect: str, there: bool, goes: bool
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "write": lambda: kept.write("a.md", "new", author="person", expect=frozenset({expect})),
        "put": lambda: kept.put("a.md", _chunks(b"new"), author="person", expect=frozenset({expect})),
        "delete": lambda: kept.delete("a.md", author="person", expect=frozenset({expect})),
        "move": lambda: kept.move("a.md", "b.md", author="person", expect=frozenset({expect})),
    }
    for name, call in calls.items():
        for path in ("a.md", "b.md"):
            (kept.root / path).unlink(missing_ok=True)
        if there:
            (kept.root / "a.md").write_text("old")
        if goes and (there or name not in {"delete", "move"}):
            await call()
            continue
        with pytest.raises((Stale, NotFound)):
            await call()
        assert (kept.root / "a.md").exists() == there, name
        assert not there or (kept.root / "a.md").read_text() == "old"


async def _chunks(*parts: bytes) -> Any:
    for part in parts:
        yield part


async def test_a_change_in_the_moment_of_writing_is_noticed_and_built_upon(
    kept: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept.root / "a.md").write_text("theirs 1\n")
    edits = iter(["theirs 2\n", "theirs 3\n"])
    record = Versions.record

    async def slow(self: Versions, *arguments: Any) -> list[int]:
        ids = await record(self, *arguments)
        if (text := next(edits, None)) is not None:
            (kept.root / "a.md").write_text(text)  # somebody's editor saves between our reading and our writing
        return ids

    monkeypatch.setattr(Versions, "record", slow)
    await kept.append("a.md", "ours", author="person")
    assert (kept.root / "a.md").read_text() == "theirs 3\nours\n"
    assert await contents(kept) == ["theirs 1\n", "theirs 2\n", "theirs 3\n", "theirs 3\nours\n"]


async def test_a_file_that_changes_all_the_time_is_a_conflict_and_stays_theirs(
    kept: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, count = Versions.record, iter(range(1000))

    async def slow(self: Versions, *arguments: Any) -> list[int]:
        (kept.root / "a.md").write_text(f"theirs {next(count)}")
        return await record(self, *arguments)

    monkeypatch.setattr(Versions, "record", slow)
    with pytest.raises(Conflict):
        await kept.write("a.md", "ours", author="person")
    assert (kept.root / "a.md").read_text().startswith("theirs")
    assert "ours" not in await contents(kept)


async def test_nothing_is_written_when_its_version_can_not_be_kept(
    kept: Workspace, notes_database: Database, told: list[MemoryChanged]
) -> None:
    await kept.write("a.md", "one", author="person")
    await notes_database.write(lambda db: db.execute("PRAGMA query_only = ON"))
    for call in (
        kept.write("a.md", "two", author="person"), kept.delete("a.md", author="person"),
        kept.append("a.md", "two", author="person"),
    ):  # fmt: skip
        with pytest.raises(DatabaseFailed):
            await call
    assert (kept.root / "a.md").read_text() == "one"
    assert len(told) == 1


async def test_r06_a_write_that_fails_leaves_the_old_text_and_no_version(
    kept: Workspace, monkeypatch: pytest.MonkeyPatch, told: list[MemoryChanged]
) -> None:
    await kept.write("a.md", "one", author="person")
    rename = os.rename

    def refuse(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(Exception, match="full"):
        await kept.write("a.md", "two", author="person")
    monkeypatch.setattr(os, "rename", rename)
    assert (os.listdir(kept.root), await contents(kept), len(told)) == (["a.md"], ["one"], 1)


async def test_the_versions_of_a_file_are_bounded_in_number(tmp_path: Path, notes_database: Database) -> None:
    workspace = _bounded(tmp_path, notes_database, count=3)
    for number in range(10):
        await workspace.write("a.md", f"{number}", author="person")
    await workspace.write("b.md", "other", author="person")
    assert await contents(workspace) == ["7", "8", "9"]
    assert await contents(workspace, "b.md") == ["other"]


async def test_all_versions_are_bounded_in_bytes_and_the_newest_stays(tmp_path: Path, notes_database: Database) -> None:
    workspace = _bounded(tmp_path, notes_database, total=100_000)
    for number in range(30):
        await workspace.write(f"{number}.md", random.Random(number).randbytes(10_000).hex(), author="person")
    stored = await notes_database.read(
        lambda db: db.execute("SELECT total(length(content)) FROM versions").fetchone()[0]
    )
    counted = await notes_database.read(lambda db: db.execute("SELECT total FROM version_bytes").fetchone()[0])
    assert stored == counted
    assert 10_000 < stored <= 100_000
    assert len(await contents(workspace, "29.md")) == 1
    assert await contents(workspace, "0.md") == []
    huge = _bounded(tmp_path, notes_database, total=10)
    await huge.write("a.md", "x" * 1000, author="person")
    assert len(await contents(huge)) == 1


async def test_versions_are_bounded_in_age(tmp_path: Path, notes_database: Database) -> None:
    workspace = _bounded(tmp_path, notes_database)
    await workspace.write("a.md", "old", author="person")
    await notes_database.write(lambda db: db.execute("UPDATE versions SET created_at = '2020-01-01T00:00:00Z'"))
    await workspace.write("b.md", "new", author="person")
    assert (await contents(workspace), await contents(workspace, "b.md")) == ([], ["new"])


def _bounded(tmp_path: Path, notes_database: Database, **limits: Any) -> Workspace:
    (tmp_path / "ws").mkdir(exist_ok=True)
    return Workspace(tmp_path / "ws", Versions(notes_database, **{"age": timedelta(days=365), **limits}))


async def test_a_large_content_is_kept_when_it_is_replaced_not_when_it_is_written(kept: Workspace) -> None:
    large = random.Random(1).randbytes(KEPT_AT_ONCE + 1)
    await kept.put("a.bin", _chunks(large[:1000], large[1000:]), author="person")
    ((made,), _) = await kept.history("a.bin", 10, None)
    assert (made.kept, made.size) == (False, len(large))
    await kept.delete("a.bin", author="person")
    await kept.restore("a.bin", made.id, author="person")
    assert (kept.root / "a.bin").read_bytes() == large


async def test_what_is_too_large_to_be_kept_is_neither_replaced_nor_deleted(kept: Workspace) -> None:
    with (kept.root / "huge.md").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    for call in (kept.delete("huge.md", author="person"), kept.write("huge.md", "x", author="person")):
        with pytest.raises(TooLarge):
            await call
    with pytest.raises(TooLarge):
        await kept.put("b.bin", _chunks(*[b"x" * (1 << 20)] * 17), author="person")
    assert (os.listdir(kept.root), (kept.root / "huge.md").stat().st_size) == (["huge.md"], MAX_FILE + 1)


async def test_a_moved_file_keeps_its_versions_and_nothing_is_overwritten(
    kept: Workspace, told: list[MemoryChanged]
) -> None:
    await kept.write("a.md", "one", author="person")
    await kept.write("b.md", "other", author="person")
    with pytest.raises(Conflict):
        await kept.move("a.md", "b.md", author="person")
    with pytest.raises(NotFound):
        await kept.move("nope.md", "c.md", author="person")
    await kept.move("a.md", "x/c.md", author="person")
    assert ((kept.root / "x/c.md").read_text(), (kept.root / "b.md").read_text()) == ("one", "other")
    assert await changes(kept, "x/c.md") == [("created", "person"), ("moved", "person")]
    assert [(one.path, one.change) for one in told[2:]] == [("a.md", "moved"), ("x/c.md", "moved")]


async def test_undoing_a_turn_gives_all_its_files_back(kept: Workspace) -> None:
    await kept.write("a.md", "mine\n", author="person")
    for number in range(2):
        await kept.append("a.md", f"agent {number}", author="agent", turn=TURN)
    await kept.write("new.md", "agent", author="agent", turn=TURN)
    await kept.write("touched.md", "agent", author="agent", turn=TURN)
    await kept.append("touched.md", "mine", author="person")
    await kept.append("other.md", "agent", author="agent", turn=ToolContext("thread", "another", "call"))
    undone = await kept.undo_changes("message")
    assert (undone.restored, undone.left) == (["a.md", "new.md"], ["touched.md"])
    assert (kept.root / "a.md").read_text() == "mine\n"
    assert sorted(os.listdir(kept.root)) == ["a.md", "other.md", "touched.md"]
    assert (await kept.undo_changes("message")).restored == []
    assert (await kept.undo_changes("nothing")).left == []


async def test_undoing_leaves_alone_what_somebody_edited_outside_since(kept: Workspace) -> None:
    await kept.write("a.md", "agent", author="agent", turn=TURN)
    (kept.root / "a.md").write_text("agent and me")
    assert (await kept.undo_changes("message")).left == ["a.md"]
    assert (kept.root / "a.md").read_text() == "agent and me"


async def test_a_change_goes_on_when_its_caller_leaves_and_ends_before_the_close(kept: Workspace) -> None:
    task = asyncio.create_task(kept.write("a.md", "text", author="person"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await kept.aclose()
    assert (kept.root / "a.md").read_text() == "text"


async def test_listeners_hear_of_each_path_in_the_event_loop(kept: Workspace) -> None:
    heard: list[str] = []
    kept.on_change.append(lambda path: heard.append(path) or asyncio.get_running_loop())
    await kept.write("a.md", "x", author="person")
    await kept.move("a.md", "b.md", author="person")
    await kept.delete("b.md", author="person")
    assert heard == ["a.md", "a.md", "b.md", "b.md"]


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    steps=st.lists(st.sampled_from(["write", "append", "delete", "outside", "gone", "restore", "undo"]), max_size=10)
)
async def test_no_text_that_was_once_seen_is_ever_lost(tmp_path_factory: Any, steps: list[str]) -> None:
    home = tmp_path_factory.mktemp("steps")
    database = await Database.open(home / "x.db", MIGRATIONS)
    (home / "ws").mkdir()
    workspace, file, known = Workspace(home / "ws", Versions(database)), home / "ws" / "a.md", set()
    for number, step in enumerate(steps):
        before = file.read_text() if file.exists() else None
        versions, _ = await workspace.history("a.md", 100, None)
        match step:
            case "write":
                await workspace.write("a.md", f"w{number}", author="agent", turn=TURN)
            case "append":
                await workspace.append("a.md", f"a{number}", author="person")
            case "delete" if before is not None:
                await workspace.delete("a.md", author="person")
            case "outside":
                await workspace.seen("a.md")
                file.write_text(f"o{number}")
                before = None  # what an editor replaces unseen can't be kept, so it was seen first
            case "gone" if before is not None:
                await workspace.seen("a.md")
                file.unlink()
            case "restore" if versions and versions[-1].kept:
                await workspace.restore("a.md", versions[-1].id, author="person")
            case "undo":
                await workspace.undo_changes("message")
        known |= {before} - {None}
        if step not in {"outside", "gone"}:
            now = file.read_text() if file.exists() else None
            assert known <= {*await contents(workspace), now}
    await workspace.aclose()
    await database.aclose()


@pytest.mark.parametrize("ending", ["\n", ""])
def test_a_difference_is_shown_as_diff_shows_it(ending: str) -> None:
    old, new = "a\nb\nc" + ending, "a\nB\nc" + ending
    assert unified_diff(old, new, ("x 1", "x now")).splitlines()[:6] == [
        "--- x 1", "+++ x now", "@@ -1,3 +1,3 @@", " a", "-b", "+B",
    ]  # fmt: skip
    assert ("No newline" in unified_diff(old, new, ("", ""))) == (not ending)


def test_a_difference_that_would_take_for_ever_is_refused_at_once() -> None:
    with pytest.raises(TooLarge):
        unified_diff("\n".join(map(str, range(5000))), "\n".join(map(str, range(5000, 0, -1))), ("", ""))
    with pytest.raises(TooLarge):
        unified_diff("\n" * 60_000, "x", ("", ""))
    assert unified_diff("x\n" * 40_000, "x\n" * 40_000 + "y\n", ("", ""))
