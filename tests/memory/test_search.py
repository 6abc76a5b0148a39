"""Which lines a search finds, in which order, and that no query breaks it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from notes_search import Notes, places

from ironclaw.errors import Invalid
from ironclaw.memory.query import fold
from ironclaw.memory.search import MAX_SNIPPET


@pytest.fixture(params=["plain", "indexed"])
async def notes(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Notes]:
    """An empty workspace. What its search says must not depend on how it is found."""
    opened = await Notes(tmp_path / "ws", tmp_path / "home", indexed=request.param == "indexed").open()
    yield opened
    assert opened.search.indexed == (request.param == "indexed")
    await opened.search.aclose()


async def test_a_hit_has_the_real_path_the_line_from_one_and_its_text(notes: Notes) -> None:
    notes.put("daily/2026-03-03.md", "# Day\r\n\r\n  TODO: Fix the bug in the parser  \r\n")
    results = await notes.search.search("todo")
    assert [(h.path, h.line, h.snippet, h.heading) for h in results.hits] == [
        ("daily/2026-03-03.md", 3, "TODO: Fix the bug in the parser", "Day")
    ]
    assert (results.notes, results.truncated) == (1, False)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("TODO", "- [ ] todo: x"),
        ("plumb", "call the plumber"),
        ("plumber call", "call the plumber"),
        ("cafe", "Café Müller"),
        ("MÜLLER", "Café muller"),
        ("strasse", "Lange Straße 5"),
        ("istanbul", "İstanbul"),
        ("東京", "明日は東京へ"),
        ("京", "明日は東京へ"),
        ("ボイラー", "新しいボイラーを買う"),
        ("2026-03-03", "see daily/2026-03-03.md"),
        ("my_name", "the variable my_name"),
        ("don't", "I don't know"),
        ('"the plumber"', "call the plumber now"),
        ('"the plumber', "call the plumber now"),
        ("- [ ]", "- [ ] x"),
        ("🚀", "to the moon 🚀"),
        ("-x", "x-ray"),
        ("a AND", "and a"),
    ],
)
async def test_these_words_find_this_line(notes: Notes, query: str, line: str) -> None:
    notes.put("a.md", f"something else entirely\n{line}\n")
    assert "a.md:2" in places(await notes.search.search(query))


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("lumber", "call the plumber"),
        ("plumber dentist", "call the plumber"),
        ('"plumber the"', "call the plumber"),
        ('"the plumb"', "call the plumber"),
        ("京東", "明日は東京へ"),
        ("a.md", "no such words"),
    ],
)
async def test_these_words_do_not_find_this_line(notes: Notes, query: str, line: str) -> None:
    notes.put("b.md", line)
    assert places(await notes.search.search(query)) == []


async def test_all_words_must_be_in_one_line(notes: Notes) -> None:
    notes.put("a.md", "red\ngreen\nred and green\n")
    assert places(await notes.search.search("green red")) == ["a.md:3"]


async def test_the_phrase_comes_first_then_the_newest_note(notes: Notes) -> None:
    notes.put("new.md", "boiler of gas\n", age=0)
    notes.put("middle.md", "gas for the boiler\n", age=1)
    notes.put("old.md", "nothing\nthe gas boiler\n", age=2)
    assert places(await notes.search.search("gas boiler")) == ["old.md:2", "new.md:1", "middle.md:1"]


async def test_a_note_that_is_called_so_comes_before_newer_ones_but_behind_the_phrase(notes: Notes) -> None:
    notes.put("new.md", "the boiler, gas\n", age=0)
    notes.put("gas boiler/plan.md", "boiler and gas\n", age=1)
    notes.put("heading.md", "a boiler of gas\n\n# Boilers: gas or oil\n", age=2)
    notes.put("code.md", "a boiler of gas\n```\n# boiler gas\n```\n", age=3)
    notes.put("old.md", "one gas boiler\n", age=4)
    assert places(await notes.search.search("gas boiler")) == [
        "old.md:1",
        "gas boiler/plan.md:1",
        "heading.md:1",
        "heading.md:3",
        "new.md:1",
        "code.md:1",
        "code.md:3",
    ]


async def test_a_path_keeps_to_one_folder_or_note(notes: Notes) -> None:
    for path in ("day/a.md", "day/more/b.md", "day0.md", "day.md", "daylight/c.md"):
        notes.put(path, "word\n")
    for path in ("day", "day/"):
        found = await notes.search.search("word", path=path)
        assert (places(found), found.notes) == (["day/a.md:1", "day/more/b.md:1"], 2)
    assert places(await notes.search.search("word", path="day.md")) == ["day.md:1"]
    assert (await notes.search.search("word", path="nothing")).notes == 0
    for path in ("/day", "../day", "day//a.md", "a\0"):
        with pytest.raises(Invalid):
            await notes.search.search("word", path=path)


async def test_context_is_the_lines_around_a_hit(notes: Notes) -> None:
    notes.put("a.md", "one\ntwo\nword\nfour\n")
    (hit,) = (await notes.search.search("word", context=2)).hits
    assert (hit.before, hit.snippet, hit.after) == (("one", "two"), "word", ("four",))
    (hit,) = (await notes.search.search("one", context=1)).hits
    assert (hit.before, hit.after) == ((), ("two",))


async def test_a_note_gives_at_most_five_lines_and_says_so(notes: Notes) -> None:
    notes.put("a.md", "x y\n" * 6 + "y x\n" + "x y\n")
    results = await notes.search.search("x y")
    assert places(results) == [f"a.md:{n}" for n in range(1, 6)]
    assert results.truncated


async def test_the_limit_cuts_and_says_so(notes: Notes) -> None:
    for number in range(4):
        notes.put(f"{number}.md", "x", age=number)
    cut = await notes.search.search("x", limit=3)
    assert (places(cut), cut.truncated, cut.notes) == (["0.md:1", "1.md:1", "2.md:1"], True, 4)
    assert not (await notes.search.search("x", limit=4)).truncated


async def test_a_long_line_is_cut_and_stays_one_line(notes: Notes) -> None:
    notes.put("a.md", "word " * 200 + "\x1b[31m\x00\u2028end")
    (hit,) = (await notes.search.search("word")).hits
    assert len(hit.snippet) == MAX_SNIPPET
    notes.put("b.md", "needle \x1b[31m\x00 end\tof")
    (hit,) = (await notes.search.search("needle")).hits
    assert hit.snippet == "needle  [31m  end of"


async def test_the_heading_is_the_nearest_one_above_and_never_code(notes: Notes) -> None:
    notes.put("a.md", "x\n# One\n## Two ##\n```\n# no heading\n```\nx\n# x\n#x\n")
    results = await notes.search.search("x")
    assert [(hit.line, hit.heading) for hit in results.hits] == [(1, None), (7, "Two"), (8, "Two"), (9, "x")]


@pytest.mark.parametrize("query", ["", "   ", "\n", "x" * 1001])
async def test_an_empty_or_endless_query_is_invalid(notes: Notes, query: str) -> None:
    with pytest.raises(Invalid) as caught:
        await notes.search.search(query)
    assert caught.value.field == "query"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=st.text(max_size=40) | st.text(alphabet='"*-()[]\\ aNDOR\0^$.|?+', max_size=20))
async def test_no_query_ever_fails_but_the_empty_one(notes: Notes, query: str) -> None:
    notes.put("a.md", 'a AND "b" OR (c*) NEAR(\nx\n')
    if query.strip():
        assert (await notes.search.search(query)).notes == 1
    else:
        with pytest.raises(Invalid):
            await notes.search.search(query)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(line=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30))
async def test_every_line_is_found_by_its_own_text(notes: Notes, line: str) -> None:
    assume(line.strip() and fold(line).strip() and '"' not in line)
    notes.put("a.md", f"first\n{line}\n")
    assert "a.md:2" in places(await notes.search.search(line))


@pytest.mark.parametrize(
    "query", ["a " * 500, '"' + "a " * 499 + '"', '"a"' * 333, "[" * 1000, "\ufdfa" * 1000, "\ud800", "\u0301"]
)
async def test_an_endless_query_costs_no_index(notes: Notes, query: str, caplog: pytest.LogCaptureFixture) -> None:
    """S50"""
    notes.put("a.md", "nothing of it\n")
    assert places(await notes.search.search(query)) == []
    assert caplog.records == []
    assert notes.search.failure is None


@given(st.text())
def test_folding_keeps_the_lines_apart(text: str) -> None:
    assert fold(text).count("\n") == text.count("\n")
    assert fold(fold(text)).split() == fold(text).split()


async def test_what_cannot_be_read_is_left_out_and_not_counted(notes: Notes) -> None:
    notes.put("a.md", "word")
    (notes.root / "latin.md").write_bytes(b"word \xff")
    with (notes.root / "huge.txt").open("wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(notes.root / "fifo.md")
    (notes.root / "data.csv").write_text("word")
    (notes.root.parent / "secret.md").write_text("word")
    (notes.root / "link.md").symlink_to("../secret.md")
    results = await notes.search.search("word")
    assert (places(results), results.notes) == (["a.md:1"], 1)


async def test_open_todos_are_boxes_and_todo_lines_grouped_by_note(notes: Notes) -> None:
    notes.put("new.md", "# Todo list\n- [ ] one\n- [x] done\n  * [ ] two\n- [X] TODO done\n", age=0)
    notes.put("old.md", "text TODO: three\nTODONE\nmy todo habits\n", age=1)
    results = await notes.search.todos()
    assert places(results) == ["new.md:2", "new.md:4", "old.md:1"]
    assert (results.notes, results.truncated) == (2, False)
    assert (await notes.search.todos(limit=2)).truncated
