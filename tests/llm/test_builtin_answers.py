"""What the built-in assistant answers, with the real tools on a real workspace."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from assistant import NO_MODEL, STATUS_TOOL, day

from ironclaw.agent import Agent, Policy, Toolbox
from ironclaw.agent.clock import TIME
from ironclaw.agent.loop import Tally, Turn
from ironclaw.events import ToolStarted
from ironclaw.llm.builtin import BuiltinProvider
from ironclaw.llm.models import (
    ModelMessage,
)
from ironclaw.memory.search import Search
from ironclaw.memory.tools import memory_tools
from ironclaw.memory.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "ws").mkdir()
    return Workspace(tmp_path / "ws")


@pytest.fixture
def ask(workspace: Workspace) -> Any:
    """Asks through the real turn loop, with the real tools."""
    agent = Agent(
        BuiltinProvider(0, "tower"),
        Toolbox(
            (*memory_tools(workspace, Search(workspace.root, workspace.root.parent / "search.db")), TIME, STATUS_TOOL)
        ),
        policy=Policy(),
    )
    history: list[ModelMessage] = []

    async def asked(text: str) -> str:
        tally = Tally()
        used = []
        async for event in agent.run(Turn("t", "m", text, tuple(history)), tally):
            if isinstance(event, ToolStarted):
                used.append(event.name)
        history.extend([ModelMessage("user", text), ModelMessage("assistant", tally.content)])
        asked.used = used  # type: ignore[attr-defined]
        return tally.content

    return asked


def put(workspace: Workspace, path: str, text: str, *, age: int = 0) -> None:
    file = workspace.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))


async def test_hits_are_listed_newest_first_with_path_line_and_heading(ask: Any, workspace: Workspace) -> None:
    put(workspace, "daily/2026-03-03.md", "# House\nTODO fix the boiler\n")
    put(workspace, "old.md", "TODO one\nTODO two\n", age=10)
    answer = await ask("find TODO")
    assert answer.startswith("3 lines in 2 notes")
    places = ["daily/2026-03-03.md:2", "old.md:1", "old.md:2"]
    assert [answer.index(place) for place in places] == sorted(answer.index(place) for place in places)
    assert "TODO fix the boiler" in answer
    assert "House" in await ask("where did I write about the boiler?")


async def test_a_question_quotes_every_candidate_with_its_place(ask: Any, workspace: Workspace) -> None:
    put(workspace, "MEMORY.md", "Mum's birthday is 3 May\n")
    put(workspace, "old.md", "mum: birthday cake\n", age=10)
    answer = await ask("when is mum's birthday?")
    assert "From `MEMORY.md:1`" in answer
    assert "From `old.md:1`" in answer
    assert "3 May" in answer


async def test_no_match_says_what_was_searched_and_the_hint_comes_once_a_thread(ask: Any, workspace: Workspace) -> None:
    put(workspace, "a.md", "x")
    answer = await ask("what's the capital of France?")
    assert answer.startswith("Nothing about *capital, France* in your 1 note.")
    assert NO_MODEL in answer
    again = await ask("what's the capital of Peru?")
    assert again.startswith("Nothing about *capital, Peru* in your 1 note.")
    assert NO_MODEL not in again
    assert "Try " in again


@pytest.mark.parametrize(
    "text",
    [
        "wo habe ich \u00fcber den Kessel geschrieben?",
        "\u30dc\u30a4\u30e9\u30fc\u306f\u3069\u3053\uff1f",
        "???",
        "\u00bfd\u00f3nde?",
    ],
)
async def test_other_languages_are_searched_and_never_an_error(ask: Any, workspace: Workspace, text: str) -> None:
    put(workspace, "a.md", "x")
    answer = await ask(text)
    assert "failed" not in answer
    assert answer


async def test_a_note_is_written_to_today_and_its_place_is_said(ask: Any, workspace: Workspace) -> None:
    assert f"Added to daily/{day()}.md:1" in (await ask("note: call the plumber")).replace("`", "")
    assert f"Added to daily/{day()}.md:2" in (await ask("remember that tea is in the tin")).replace("`", "")
    assert (workspace.root / "daily" / f"{day()}.md").read_text() == "call the plumber\ntea is in the tin\n"


async def test_a_day_without_a_note_is_said_so(ask: Any, workspace: Workspace) -> None:
    assert f"No note for {day(1)}" in await ask("what did I do yesterday?")
    assert f"No note for {day()}" in await ask("show today")
    put(workspace, f"daily/{day(1)}.md", "went to the market\n")
    assert "went to the market" in await ask("what did I do yesterday?")


@pytest.mark.parametrize("lines", [61, 200, 201, 500, 5000])
async def test_of_a_note_over_200_lines_sixty_are_shown_with_a_way_to_the_rest(
    ask: Any, workspace: Workspace, lines: int
) -> None:
    put(workspace, "long.md", "".join(f"line {n}.\n" for n in range(1, lines + 1)))
    answer = await ask("read long.md")
    assert "long.md" in answer
    assert "line 60." in answer
    assert ("line 61." in answer) == (lines <= 200)
    if lines > 200:
        assert str(lines) in answer


async def test_an_empty_note_is_no_error(ask: Any, workspace: Workspace) -> None:
    put(workspace, "empty.md", "")
    assert "empty.md" in await ask("read empty.md")


async def test_a_note_that_is_not_there_is_said_kindly(ask: Any) -> None:
    assert "There is no nope.md" in await ask("read nope.md")
    assert "There is no nope" in await ask("what's in nope?")


async def test_twenty_notes_are_listed_and_the_rest_counted(ask: Any, workspace: Workspace) -> None:
    for number in range(214):
        put(workspace, f"{number}.md", "x", age=number)
    answer = await ask("list notes")
    assert "0.md" in answer
    assert "19.md" in answer
    assert "20.md" not in answer
    assert "and 194 more" in answer


async def test_open_todos_are_grouped_by_note_with_their_places(ask: Any, workspace: Workspace) -> None:
    put(workspace, "a.md", "- [ ] one\n- [x] two\n")
    put(workspace, "b.md", "TODO three\n", age=5)
    answer = await ask("list open todos")
    for words in ("a.md:1", "one", "b.md:1", "three"):
        assert words in answer
    assert "two" not in answer


async def test_status_is_five_lines_of_real_figures(ask: Any) -> None:
    answer = await ask("status")
    assert len(answer.split("\n")) == 5
    for figure in (
        "tower",
        "3 days",
        "61 MiB",
        "120 GB free",
        "214 (4 changed today)",
        "1 running",
        "12 today",
        "none",
    ):
        assert figure in answer


async def test_the_time_is_told_with_its_zone(ask: Any) -> None:
    assert str(datetime.now(UTC).astimezone().year) in await ask("what time is it?")
    assert ask.used == ["Time"]


async def test_deleting_is_declined_and_nothing_is_touched(ask: Any, workspace: Workspace) -> None:
    put(workspace, "a.md", "x")
    assert "I don't delete on request" in await ask("delete all my notes")
    assert ask.used == []
    assert os.listdir(workspace.root) == ["a.md"]


async def test_more_hits_than_shown_are_not_passed_over_in_silence(ask: Any, workspace: Workspace) -> None:
    for number in range(30):
        put(workspace, f"{number}.md", "word", age=number)
    assert "more" in (await ask("find word")).lower()


async def test_input_9_a_thing_goes_to_the_one_list_that_is_called_so(ask: Any, workspace: Workspace) -> None:
    put(workspace, "Shopping.md", "- eggs\n")
    put(workspace, "other.md", "# Books\n- one\n\n# Films\n")
    assert await ask("add milk to the shopping list") == "Added to Shopping.md:2"
    assert ask.used == ["FileList", "MemorySearch", "FileAppend"]
    assert (workspace.root / "Shopping.md").read_text() == "- eggs\n- milk\n"
    assert await ask("Add Dune to my books") == "Added to other.md:3"
    assert (workspace.root / "other.md").read_text() == "# Books\n- one\n- Dune\n\n# Films\n"


async def test_input_9_none_or_several_lists_are_asked_about_and_nothing_is_written(
    ask: Any, workspace: Workspace
) -> None:
    answer = await ask("add milk to the shopping list")
    assert answer == ("No note has *shopping* in its name or in a heading. `add milk to shopping.md` makes one.")
    assert os.listdir(workspace.root) == []
    put(workspace, "shopping.md", "- eggs\n")
    put(workspace, "old/shopping.md", "- tea\n")
    answer = await ask("add milk to the shopping list")
    assert "`shopping.md`" in answer
    assert "`old/shopping.md`" in answer
    assert (workspace.root / "shopping.md").read_text() == "- eggs\n"
    assert await ask("add milk to old/shopping.md") == "Added to old/shopping.md:2"
    put(workspace, "other.md", "nothing of that kind\n")
    for asked in ("add milk to the shopping list?", "can you add milk to the shopping list"):
        await ask(asked)
        assert "FileAppend" not in ask.used


async def test_input_13_one_todo_is_ticked_and_several_are_listed(ask: Any, workspace: Workspace) -> None:
    put(workspace, "a.md", "- [ ] call the plumber\n- [ ] call mum\n")
    answer = await ask("done: plumber")
    assert answer == "Done in `a.md:1`:\n\n```diff\n-- [ ] call the plumber\n+- [x] call the plumber\n```"
    put(workspace, "a.md", "- [ ] call the plumber\n- [ ] call mum\n")
    answer = await ask("done: call")
    assert answer.startswith("2 open todos hold *call*.")
    assert "`a.md:2` - [ ] call mum" in answer
    assert await ask("done: paint") == "No open todo holds *paint*. `list open todos` shows them all."
    await ask("done: call mum?")
    assert "MemoryDone" not in ask.used
    assert (workspace.root / "a.md").read_text() == "- [ ] call the plumber\n- [ ] call mum\n"
