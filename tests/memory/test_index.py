"""The index is never needed: it is made anew when anything is wrong with it, and the searches are right meanwhile."""

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notes_search import Notes, places, plainly, until

from ironclaw.memory import catalogue
from ironclaw.memory.index import Document, Index, adopt, build, open_index
from ironclaw.memory.query import parse
from ironclaw.memory.search import Search


def many(root: Path, count: int = 60) -> None:
    """Notes that were all changed at different times, the last one last."""
    root.mkdir(exist_ok=True)
    for number in range(count):
        file = root / f"{number:03}.md"
        file.write_text(f"# Day {number}\n\ncommon line {number}\nrare{number}\n")
        os.utime(file, (1_600_000_000 + number, 1_600_000_000 + number))


@pytest.fixture
async def open_notes(tmp_path: Path) -> AsyncIterator[Callable[[], Notes]]:
    """Makes searches of one folder with 60 notes, one after the other."""
    many(tmp_path / "ws")
    opened: list[Notes] = []

    def make() -> Notes:
        opened.append(Notes(tmp_path / "ws", tmp_path / "home", indexed=True))
        opened[-1].search.start()
        return opened[-1]

    yield make
    for one in opened:
        await one.search.aclose()


async def check(notes: Notes) -> None:
    """What is found is what is there."""
    for query in ("common", "rare7", "line common", "day", '"day 5"', "nothing", "#"):
        results = await notes.search.search(query, limit=9)
        assert (places(results), results.notes, results.truncated) == plainly(notes.root, query, limit=9), query


async def test_a_closed_index_is_opened_again_and_not_made_anew(open_notes: Callable[[], Notes]) -> None:
    first = open_notes()
    await until(lambda: first.search.indexed)
    made = (first.home / "index.db").stat().st_ino
    await first.search.aclose()
    second = open_notes()
    await until(lambda: second.search.indexed)
    await check(second)
    assert (second.home / "index.db").stat().st_ino == made
    assert not (second.home / "index.db.seal").exists()  # after a crash it would not be taken


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
    "garbage": lambda file: file.write_bytes(b"garbage" * 10_000),
    "one byte": lambda file: file.write_bytes(file.read_bytes()[:-100] + b"\xff" + file.read_bytes()[-99:]),
    "gone": lambda file: file.unlink(),
    "another version": lambda file: _reseal(file, lambda seal: "0" + seal[1:]),
    "another Unicode": lambda file: _reseal(file, lambda seal: seal.replace(" ", " 1", 1)),
    "no seal": lambda file: file.with_name("index.db.seal").unlink(),
    "seal of garbage": lambda file: file.with_name("index.db.seal").write_bytes(b"\xff\xfe"),
}


def _reseal(file: Path, change: Callable[[str], str]) -> None:
    seal = file.with_name("index.db.seal")
    seal.write_text(change(seal.read_text()))


@pytest.mark.parametrize("damage", DAMAGES)
async def test_an_index_that_is_not_as_it_was_closed_is_made_anew(open_notes: Callable[[], Notes], damage: str) -> None:
    first = open_notes()
    await until(lambda: first.search.indexed)
    await first.search.aclose()
    file = first.home / "index.db"
    made = file.stat().st_ino
    DAMAGES[damage](file)
    second = open_notes()
    await check(second)
    await until(lambda: second.search.indexed)
    assert second.search.failure is None
    assert damage == "gone" or file.stat().st_ino != made
    await check(second)


async def test_the_index_of_another_folder_is_not_taken(open_notes: Callable[[], Notes], tmp_path: Path) -> None:
    first = open_notes()
    await until(lambda: first.search.indexed)
    await first.search.aclose()
    assert open_index(first.home / "index.db", tmp_path / "other") is None


async def test_damage_while_it_is_used_is_said_once_and_mended(
    open_notes: Callable[[], Notes], caplog: pytest.LogCaptureFixture
) -> None:
    notes = open_notes()
    await until(lambda: notes.search.indexed)
    with sqlite3.connect(notes.home / "index.db") as db:
        db.execute("DROP TABLE titles")
    db.close()
    made = (notes.home / "index.db").stat().st_ino
    for _ in range(3):
        await check(notes)
    await until(lambda: notes.search.indexed and (notes.home / "index.db").stat().st_ino != made)
    await check(notes)
    assert notes.search.failure is None
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1


async def test_where_no_index_can_be_made_all_notes_are_read_and_the_reason_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many(tmp_path / "ws")
    (tmp_path / "home" / "index.db.new").mkdir(parents=True)
    notes = Notes(tmp_path / "ws", tmp_path / "home", indexed=True, rescan_every=0.01)
    notes.search.start()
    await until(lambda: notes.search.failure is not None)
    for _ in range(5):
        await check(notes)
    assert not notes.search.indexed
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1
    await notes.search.aclose()


async def test_a_full_disk_while_it_is_made_leaves_nothing_behind(tmp_path: Path) -> None:
    many(tmp_path / "ws", 400)

    def fail(done: int, total: int) -> None:
        if done == total // 2:
            raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError):
        build(tmp_path / "index.db", tmp_path / "ws", fail)
    adopt_from = tmp_path / "index.db"
    build(adopt_from, tmp_path / "ws", lambda done, total: None)
    index = adopt(adopt_from, tmp_path / "good.db")
    assert [path for _, path, _ in index.passes(parse("rare399"))[1]] == ["399.md"]
    index.close()


async def test_a_kill_while_it_is_made_costs_nothing_but_time(open_notes: Callable[[], Notes], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    program = (
        "import sys, time, pathlib; from ironclaw.memory.index import build\n"
        "def slow(done, total):\n    print(done, flush=True)\n    if done == 30: time.sleep(60)\n"
        "build(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), slow)"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "home" / "index.db.new"), str(tmp_path / "ws")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "30\n":
            pass
        process.send_signal(signal.SIGKILL)
    notes = open_notes()
    await check(notes)
    await until(lambda: notes.search.indexed)
    await check(notes)
    assert sorted(file.name for file in notes.home.glob("*.new*")) == []


async def test_nothing_runs_any_more_after_the_end(open_notes: Callable[[], Notes]) -> None:
    before = set(threading.enumerate())
    tasks = asyncio.all_tasks()
    notes = open_notes()
    await until(lambda: notes.search.indexed)
    await check(notes)
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert {"ironclaw-index", "ironclaw-watch"} <= names
    await notes.search.aclose()
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if name.startswith("ironclaw")}
    assert asyncio.all_tasks() == tasks
    assert sorted(file.name for file in notes.home.iterdir()) == ["index.db", "index.db.seal"]


async def test_an_end_in_the_middle_of_making_it_is_quick(tmp_path: Path) -> None:
    many(tmp_path / "ws", 3000)
    (tmp_path / "home").mkdir()
    search = Search(tmp_path / "ws", tmp_path / "home" / "index.db", small=10, delay=0.0)
    search.start()
    await until(lambda: search.progress is not None)
    await search.aclose()
    assert list((tmp_path / "home").iterdir()) == []


async def test_a_small_workspace_has_no_index_until_it_grows(tmp_path: Path) -> None:
    many(tmp_path / "ws", 20)
    (tmp_path / "home").mkdir()
    search = Search(tmp_path / "ws", tmp_path / "home" / "index.db", small=20, delay=0.0)
    search.start()
    await until(lambda: "ironclaw-index" not in {thread.name for thread in threading.enumerate()})
    assert (await search.search("common")).notes == 20
    assert list((tmp_path / "home").iterdir()) == []
    many(tmp_path / "ws", 21)
    assert (await search.search("common")).notes == 21
    await until(lambda: search.indexed)
    assert (await search.search("rare20")).notes == 21
    await search.aclose()


async def test_one_that_is_worn_is_made_anew(tmp_path: Path) -> None:
    many(tmp_path / "ws")
    notes = Notes(tmp_path / "ws", tmp_path / "home", indexed=True, rescan_every=0.1)
    notes.search.start()
    await until(lambda: notes.search.indexed)
    made = (notes.home / "index.db").stat().st_ino
    many(notes.root, 1200)
    await until(lambda: notes.search.indexed and (notes.home / "index.db").stat().st_ino != made)
    await check(notes)
    await notes.search.aclose()


async def test_a_common_word_opens_few_notes(open_notes: Callable[[], Notes], monkeypatch: pytest.MonkeyPatch) -> None:
    notes = open_notes()
    await until(lambda: notes.search.indexed)
    read: list[str] = []
    really = catalogue.read
    monkeypatch.setattr(catalogue, "read", lambda root, path: read.append(path) or really(root, path))
    while read != [f"{n:03}.md" for n in range(59, 53, -1)]:  # what was written a moment ago is read once more
        read.clear()
        results = await notes.search.search("common", limit=5)
        assert (places(results), results.truncated) == ([f"{n:03}.md:3" for n in range(59, 54, -1)], True)
        assert results.notes == 60


TEXTS = st.text(alphabet=st.sampled_from(list("ab #\n'_-[]\"é東京ボ\0🚀ﷺ²´x")), max_size=40)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(TEXTS | st.text(max_size=60), min_size=1, max_size=8),
    queries=st.lists(TEXTS, min_size=1, max_size=8),
)
def test_the_index_proposes_every_note_that_matches(tmp_path: Path, texts: list[str], queries: list[str]) -> None:
    root, file = tmp_path / "ws", tmp_path / "index.db"
    root.mkdir(exist_ok=True)
    for old in root.iterdir():
        old.unlink()
    build(file, root, lambda done, total: None)
    index = Index(file)
    stored = [text for text in texts if _is_text(text)]
    for number, text in enumerate(stored):
        (root / f"{number}.md").write_bytes(text.encode())
    index.update((), (Document(f"{number}.md", number, 1, text) for number, text in enumerate(stored)))
    for query in [*queries, *texts]:
        if not query.strip() or len(query) > 1000:
            continue
        expected = {place.partition(":")[0] for place in plainly(root, query, limit=1000)[0]}
        with index.snapshot():
            proposed = {path for rows in index.passes(parse(query)) for _, path, _ in rows}
        assert expected <= proposed
    index.close()


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


async def test_words_far_apart_in_one_long_line_are_found(open_notes: Callable[[], Notes]) -> None:
    notes = open_notes()
    await until(lambda: notes.search.indexed)
    notes.put("long.md", "start " + "filler_and_more " * 100 + "finish\n")
    notes.put("25.md", "start " + "x " * 23 + "finish\n")
    notes.put("24.md", "start " + "x " * 22 + "finish\n")
    notes.put("apart.md", "start\n" + "filler\n" * 100 + "finish\n")
    for _ in range(50):  # as dirty notes first, then through the index
        results = await notes.search.search("finish start")
        assert sorted(places(results)) == ["24.md:1", "25.md:1", "long.md:1"]
        await asyncio.sleep(0.002)


async def test_what_was_written_a_moment_ago_is_not_taken_as_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("a")
    note = catalogue.read(tmp_path, "a.md")
    assert note is not None
    assert note.stamp == 0
    await until(lambda: (catalogue.read(tmp_path, "a.md") or note).stamp == catalogue.stamp(file.stat()))
