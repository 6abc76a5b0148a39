"""What other programs do to the notes is in the next search, and nothing that they do makes it wrong."""

import asyncio
import os
import random
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import notes_editor
import pytest
from notes_search import Notes, places, plainly, until


@pytest.fixture
async def notes(tmp_path: Path) -> AsyncIterator[Notes]:
    """A workspace with an index; no rescan comes while a test runs."""
    opened = await Notes(tmp_path / "ws", tmp_path / "home", indexed=True).open()
    yield opened
    await opened.search.aclose()


@pytest.fixture
async def editor(notes: Notes) -> AsyncIterator[Process]:
    program = Path(notes_editor.__file__)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), str(notes.root), stdin=PIPE, stdout=PIPE
    )
    yield process
    process.stdin.close()
    await process.wait()


async def found(notes: Notes, query: str, number: int) -> None:
    """Wait until the watcher has told of a line; the system tells of changes in their order."""
    async with asyncio.timeout(20):
        while len((await notes.search.search(query)).hits) != number:
            await asyncio.sleep(0.01)


async def test_500_searches_find_what_a_plain_one_finds_while_another_program_edits(
    notes: Notes, editor: Process
) -> None:
    chance = random.Random(7)
    compared = 0
    for batch in range(50):
        editor.stdin.write(f"{chance.randint(1, 25)} {batch}\n".encode())
        done = asyncio.ensure_future(editor.stdout.readline())
        while not done.done():
            await notes.search.search(_query(chance))
        await found(notes, f'"marker {batch}"', 1)
        for _ in range(10):
            query, limit, folder = (
                _query(chance),
                chance.choice((1, 3, 10, 1000)),
                chance.choice(("", "", "", "a", "gamma")),
            )
            results = await notes.search.search(query, limit=limit, path=folder)
            expected = plainly(notes.root, query, limit=limit, folder=folder)
            assert (places(results), results.notes, results.truncated) == expected, (batch, query, limit, folder)
            compared += 1
    assert compared == 500
    assert notes.search.indexed
    assert notes.search.failure is None


def _query(chance: random.Random) -> str:
    words = [
        chance.choice((word, word[:2], f'"{word}"', word.upper())) for word in chance.choices(notes_editor.WORDS, k=2)
    ]
    return " ".join(words[: chance.randint(1, 2)]).strip() or "a"


async def test_a_line_is_shown_as_it_is_now_whatever_the_index_says(notes: Notes) -> None:
    notes.put("a.md", "one needle\n")
    await found(notes, "needle", 1)
    (notes.root / "a.md").write_text("first\nanother needle, not indexed yet\n")
    hits = (await notes.search.search("needle")).hits
    assert [(hit.line, hit.snippet) for hit in hits] == [(2, "another needle, not indexed yet")]
    (notes.root / "a.md").unlink()
    assert (await notes.search.search("needle")).hits == ()


async def test_own_writes_are_found_at_once(notes: Notes) -> None:
    for number in range(30):
        notes.put("own.md", f"word{number:02}\n")
        assert places(await notes.search.search(f"word{number:02}")) == ["own.md:1"]


async def test_a_folder_that_is_moved_in_with_all_its_notes_is_found(notes: Notes, tmp_path: Path) -> None:
    (tmp_path / "other" / "deep").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "other" / "deep" / f"{number}.md").write_text("needle\n")
    (tmp_path / "other").rename(notes.root / "inside")
    await found(notes, "needle", 20)
    (notes.root / "inside").rename(tmp_path / "other")
    (notes.root / "end.md").write_text("marker\n")
    await found(notes, "marker", 1)
    results = await notes.search.search("needle")
    assert (places(results), results.notes) == ([], 1)


async def test_what_is_reached_through_a_link_is_not_searched(notes: Notes, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "s.md").write_text("needle\n")
    (notes.root / "real").mkdir()
    (notes.root / "link").symlink_to(tmp_path / "secret")
    (notes.root / "near").symlink_to("real")
    (notes.root / "real" / "r.md").write_text("needle\n")
    await found(notes, "needle", 1)
    (tmp_path / "secret" / "s.md").write_text("needle needle\n")
    (notes.root / "end.md").write_text("marker\n")
    await found(notes, "marker", 1)
    results = await notes.search.search("needle")
    assert (places(results), results.notes) == (["real/r.md:1"], 2)


async def test_what_is_told_of_by_a_linked_name_is_not_searched_twice(notes: Notes) -> None:
    notes.put("real/r.md", "needle\n")
    (notes.root / "near").symlink_to("real")
    notes.search.notice("near/r.md")
    assert places(await notes.search.search("needle")) == ["real/r.md:1"]


async def test_a_link_in_the_place_of_a_note_is_not_followed(notes: Notes) -> None:
    notes.put("a.md", "needle\n")
    notes.put(".hidden.md", "needle\n")
    for _ in range(50):  # while it is dirty, and when the index proposes it
        (notes.root / "a.md").unlink()
        (notes.root / "a.md").symlink_to(".hidden.md")
        assert places(await notes.search.search("needle")) == []
        (notes.root / "a.md").unlink()
        notes.put("a.md", "needle\n")
        await asyncio.sleep(0.005)


async def test_a_change_that_keeps_size_and_time_is_found_at_the_next_start(tmp_path: Path) -> None:
    first = Notes(tmp_path / "ws", tmp_path / "home", indexed=True)
    first.put("a.md", "needle\n")
    await until(lambda: time.time() - (first.root / "a.md").stat().st_ctime > 0.2)  # else it is read again anyway
    first.search.start()
    await until(lambda: first.search.indexed)
    await first.search.aclose()
    before = (first.root / "a.md").stat()
    (first.root / "a.md").write_text("thread\n")
    os.utime(first.root / "a.md", ns=(before.st_atime_ns, before.st_mtime_ns))
    (first.root / "new.md").write_text("thread\n")
    again = Notes(tmp_path / "ws", tmp_path / "home", indexed=True)
    again.search.start()
    await until(lambda: again.search.indexed)
    assert sorted(places(await again.search.search("thread"))) == ["a.md:1", "new.md:1"]
    await again.search.aclose()


async def test_another_folder_in_the_place_of_the_notes_is_searched_at_once(notes: Notes, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.md").write_text("needle\n")
    notes.root.rename(tmp_path / "gone")
    (tmp_path / "other").rename(notes.root)
    assert places(await notes.search.search("needle")) == ["a.md:1"]
    await until(lambda: notes.search.indexed)
    assert places(await notes.search.search("needle")) == ["a.md:1"]


@pytest.fixture
def no_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no watch left: this is what the library then raises."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr("ironclaw.memory.watch._rust_notify", lambda: refuse)


async def test_without_a_watch_each_search_looks_for_changes_itself(tmp_path: Path, no_watches: None) -> None:
    notes = await Notes(tmp_path / "ws", tmp_path / "home", indexed=True).open()
    assert "fs.inotify" in (notes.search.failure or "")
    for number in range(5):
        (notes.root / "a.md").write_text(f"needle{number}\n")
        assert places(await notes.search.search(f"needle{number}")) == ["a.md:1"]
    assert notes.search.indexed
    await notes.search.aclose()
