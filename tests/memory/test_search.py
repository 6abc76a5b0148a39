"""Which lines a search finds, in which order, and that no query breaks it."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ironclaw.errors import Invalid
from ironclaw.memory.search import MAX_SNIPPET, Results, fold, search, todos
from ironclaw.memory.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "ws").mkdir()
    return Workspace(tmp_path / "ws")


def put(workspace: Workspace, path: str, text: str, *, age: int = 0) -> None:
    file = workspace.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, newline="")
    os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))


def places(results: Results) -> list[str]:
    return [f"{hit.path}:{hit.line}" for hit in results.hits]


async def test_a_hit_has_the_real_path_the_line_from_one_and_its_text(workspace: Workspace) -> None:
    put(workspace, "daily/2026-03-03.md", "# Day\r\n\r\n  TODO: Fix the bug in the parser  \r\n")
    results = await search(workspace, "todo")
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
async def test_these_words_find_this_line(workspace: Workspace, query: str, line: str) -> None:
    put(workspace, "a.md", f"something else entirely\n{line}\n")
    assert "a.md:2" in places(await search(workspace, query))


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
async def test_these_words_do_not_find_this_line(workspace: Workspace, query: str, line: str) -> None:
    put(workspace, "b.md", line)
    assert places(await search(workspace, query)) == []


async def test_all_words_must_be_in_one_line(workspace: Workspace) -> None:
    put(workspace, "a.md", "red\ngreen\nred and green\n")
    assert places(await search(workspace, "green red")) == ["a.md:3"]


async def test_the_phrase_comes_first_then_the_newest_note(workspace: Workspace) -> None:
    put(workspace, "new.md", "boiler of gas\n", age=0)
    put(workspace, "middle.md", "gas for the boiler\n", age=1)
    put(workspace, "old.md", "nothing\nthe gas boiler\n", age=2)
    assert places(await search(workspace, "gas boiler")) == ["old.md:2", "new.md:1", "middle.md:1"]


async def test_a_note_gives_at_most_five_lines_and_says_so(workspace: Workspace) -> None:
    put(workspace, "a.md", "x y\n" * 6 + "y x\n" + "x y\n")
    results = await search(workspace, "x y")
    assert places(results) == [f"a.md:{n}" for n in range(1, 6)]
    assert results.truncated


async def test_the_limit_cuts_and_says_so(workspace: Workspace) -> None:
    for number in range(4):
        put(workspace, f"{number}.md", "x", age=number)
    cut = await search(workspace, "x", limit=3)
    assert (places(cut), cut.truncated, cut.notes) == (["0.md:1", "1.md:1", "2.md:1"], True, 4)
    assert not (await search(workspace, "x", limit=4)).truncated


async def test_a_long_line_is_cut_and_stays_one_line(workspace: Workspace) -> None:
    put(workspace, "a.md", "word " * 200 + "\x1b[31m\x00\u2028end")
    (hit,) = (await search(workspace, "word")).hits
    assert len(hit.snippet) == MAX_SNIPPET
    put(workspace, "b.md", "needle \x1b[31m\x00 end\tof")
    (hit,) = (await search(workspace, "needle")).hits
    assert hit.snippet == "needle  [31m  end of"


async def test_the_heading_is_the_nearest_one_above_and_never_code(workspace: Workspace) -> None:
    put(workspace, "a.md", "x\n# One\n## Two ##\n```\n# no heading\n```\nx\n# x\n#x\n")
    results = await search(workspace, "x")
    assert [(hit.line, hit.heading) for hit in results.hits] == [(1, None), (7, "Two"), (8, "Two"), (9, "x")]


@pytest.mark.parametrize("query", ["", "   ", "\n", "x" * 1001])
async def test_an_empty_or_endless_query_is_invalid(workspace: Workspace, query: str) -> None:
    with pytest.raises(Invalid) as caught:
        await search(workspace, query)
    assert caught.value.field == "query"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=st.text(max_size=40) | st.text(alphabet='"*-()[]\\ aNDOR\0^$.|?+', max_size=20))
async def test_no_query_ever_fails_but_the_empty_one(workspace: Workspace, query: str) -> None:
    put(workspace, "a.md", 'a AND "b" OR (c*) NEAR(\nx\n')
    if query.strip():
        assert (await search(workspace, query)).notes == 1
    else:
        with pytest.raises(Invalid):
            await search(workspace, query)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(line=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30))
async def test_every_line_is_found_by_its_own_text(workspace: Workspace, line: str) -> None:
    assume(line.strip() and fold(line).strip() and '"' not in line)
    put(workspace, "a.md", f"first\n{line}\n")
    assert "a.md:2" in places(await search(workspace, line))


@given(st.text())
def test_folding_keeps_the_lines_apart(text: str) -> None:
    assert fold(text).count("\n") == text.count("\n")
    assert fold(fold(text)).split() == fold(text).split()


async def test_what_cannot_be_read_is_left_out_and_not_counted(workspace: Workspace) -> None:
    put(workspace, "a.md", "word")
    (workspace.root / "latin.md").write_bytes(b"word \xff")
    with (workspace.root / "huge.txt").open("wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(workspace.root / "fifo.md")
    (workspace.root / "data.csv").write_text("word")
    (workspace.root.parent / "secret.md").write_text("word")
    (workspace.root / "link.md").symlink_to("../secret.md")
    results = await search(workspace, "word")
    assert (places(results), results.notes) == (["a.md:1"], 1)


async def test_open_todos_are_boxes_and_todo_lines_grouped_by_note(workspace: Workspace) -> None:
    put(workspace, "new.md", "# Todo list\n- [ ] one\n- [x] done\n  * [ ] two\n- [X] TODO done\n", age=0)
    put(workspace, "old.md", "text TODO: three\nTODONE\nmy todo habits\n", age=1)
    results = await todos(workspace)
    assert places(results) == ["new.md:2", "new.md:4", "old.md:1"]
    assert (results.notes, results.truncated) == (2, False)
    assert (await todos(workspace, limit=2)).truncated
