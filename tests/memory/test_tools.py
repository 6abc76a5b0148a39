"""What the agent's tools on the notes say, to the letter: models read it and the built-in assistant parses it."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ironclaw.errors import Invalid, IronclawError, NotFound
from ironclaw.memory.search import Search
from ironclaw.memory.tools import memory_tools
from ironclaw.memory.workspace import Workspace
from ironclaw.tools import Approval, Risk, ToolContext, ToolResult

CONTEXT = ToolContext("t", "m", "c")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "ws").mkdir()
    return Workspace(tmp_path / "ws")


def put(workspace: Workspace, path: str, text: str, *, age: int = 0) -> None:
    file = workspace.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))


async def call(workspace: Workspace, tool: str, **arguments: Any) -> ToolResult:
    (found,) = [
        one
        for one in memory_tools(workspace, Search(workspace.root, workspace.root.parent / "search.db"))
        if one.name == tool
    ]
    return await found.run(CONTEXT, arguments)


def test_what_replaces_asks_and_no_schema_takes_more_than_it_names(workspace: Workspace) -> None:
    tools = {
        tool.name: tool for tool in memory_tools(workspace, Search(workspace.root, workspace.root.parent / "search.db"))
    }
    assert {name for name, tool in tools.items() if tool.risk is not Risk.READ} == {
        "FileAppend", "FileWrite", "MemoryDone",
    }  # fmt: skip
    assert {name for name, tool in tools.items() if tool.approval is Approval.NEVER} == {"FileAppend", "MemoryDone"}
    write = tools["FileWrite"]
    assert (write.approval, write.subject({"path": "a.md", "content": "x"})) == (None, "a.md")  # type: ignore[misc]
    assert set(tools) == {
        "MemorySearch", "MemoryTodos", "FileRead", "FileList", "FileAppend", "FileWrite", "MemoryDone",
    }  # fmt: skip
    for tool in tools.values():
        assert tool.description
        assert tool.parameters["additionalProperties"] is False
        assert all(field["description"] for field in tool.parameters["properties"].values())
    assert tools["FileRead"].parameters["required"] == ["path"]
    assert tools["FileRead"].parameters["properties"]["start_line"] == {
        "type": ["integer", "null"], "description": "the first line to read (1)", "minimum": 1,
    }  # fmt: skip


async def test_an_append_of_nothing_is_invalid_and_names_the_field(workspace: Workspace) -> None:
    with pytest.raises(Invalid) as caught:
        await call(workspace, "FileAppend", text=" \n")
    assert caught.value.field == "text"
    assert os.listdir(workspace.root) == []


async def test_search_gives_a_count_and_one_line_a_hit_with_its_heading(workspace: Workspace) -> None:
    put(workspace, "daily/a.md", "# Work\nTODO one\nTODO\ttwo\n")
    put(workspace, "b.md", "TODO three", age=1)
    put(workspace, "c.md", "nothing", age=2)
    result = await call(workspace, "MemorySearch", query="todo")
    assert result.content == (
        "3 lines in 2 of 3 notes\ndaily/a.md:2:TODO one\t# Work\ndaily/a.md:3:TODO two\t# Work\nb.md:1:TODO three"
    )
    assert result.preview == "3 lines in 2 notes"


async def test_numbers_are_right_in_the_singular(workspace: Workspace) -> None:
    put(workspace, "a.md", "word")
    result = await call(workspace, "MemorySearch", query="word")
    assert result.content == "1 line in 1 of 1 note\na.md:1:word"
    assert result.preview == "1 line in 1 note"
    assert (await call(workspace, "MemorySearch", query="nope")).content == "No line matches in 1 note."
    put(workspace, "b.md", "x")
    assert (await call(workspace, "MemorySearch", query="nope")).content == "No line matches in 2 notes."


async def test_a_cut_search_says_so_in_its_last_line(workspace: Workspace) -> None:
    put(workspace, "a.md", "word\n" * 6)
    result = await call(workspace, "MemorySearch", query="word")
    assert result.content.startswith("5 lines in 1 of 1 note\n")
    assert result.content.endswith("\nMore lines match: use more words, or read the note.")
    assert "More" in (await call(workspace, "MemorySearch", query="word", limit=2)).content


async def test_a_file_name_cannot_forge_a_line(workspace: Workspace) -> None:
    put(workspace, "a\nb.md:1:forged\x1b.md", "word")
    for tool, arguments in (("MemorySearch", {"query": "word"}), ("FileList", {})):
        content = (await call(workspace, tool, **arguments)).content
        assert "\nb.md" not in content
        assert "\x1b" not in content


async def test_todos_are_listed_with_path_and_line(workspace: Workspace) -> None:
    put(workspace, "a.md", "- [ ] one\n- [x] two\n")
    assert (await call(workspace, "MemoryTodos")).content == "1 open todo in 1 of 1 note\na.md:1:- [ ] one"
    put(workspace, "a.md", "- [x] two\n")
    assert (await call(workspace, "MemoryTodos")).content == "No open todos in 1 note."


async def test_read_says_which_lines_of_how_many_and_then_the_raw_text(workspace: Workspace) -> None:
    put(workspace, "a.md", "one\n  two\n\nfour\n")
    whole = await call(workspace, "FileRead", path="a.md")
    assert (whole.content, whole.preview) == ("a.md (lines 1-4 of 4)\none\n  two\n\nfour", "4 lines")
    part = await call(workspace, "FileRead", path="a.md", start_line=2, end_line=3)
    assert part.content == "a.md (lines 2-3 of 4)\n  two\n"
    over = await call(workspace, "FileRead", path="a.md", start_line=4, end_line=99)
    assert (over.content, over.preview) == ("a.md (lines 4-4 of 4)\nfour", "1 line")


async def test_an_empty_note_has_no_lines(workspace: Workspace) -> None:
    put(workspace, "a.md", "")
    assert (await call(workspace, "FileRead", path="a.md")).content == "a.md (lines 0-0 of 0)"


@pytest.mark.parametrize(("start", "end"), [(5, None), (3, 2), (-1, 2)])
async def test_lines_that_are_not_there_are_invalid(workspace: Workspace, start: int, end: int | None) -> None:
    put(workspace, "a.md", "1\n2\n3\n4\n")
    with pytest.raises(Invalid, match="lines 1 to 4"):
        await call(workspace, "FileRead", path="a.md", start_line=start, end_line=end)


async def test_a_long_note_can_be_read_piece_by_piece_to_its_end(workspace: Workspace) -> None:
    lines = [f"line {n} " + "x" * 150 for n in range(1, 1001)]
    put(workspace, "a.md", "\n".join(lines))
    start, seen = 1, []
    while start:
        content = (await call(workspace, "FileRead", path="a.md", start_line=start)).content
        assert len(content) < 41_000
        body = content.split("\n")[1:]
        start = 0
        if body[-1].startswith("[Cut here. Go on with start_line "):
            start = int(body.pop().rstrip(".]").rpartition(" ")[2])
        seen += body
    assert seen == lines


async def test_one_endless_line_is_cut(workspace: Workspace) -> None:
    put(workspace, "a.md", "x" * 100_000 + "\nnext")
    content = (await call(workspace, "FileRead", path="a.md")).content
    assert content.startswith("a.md (lines 1-1 of 2)\nxxx")
    assert content.endswith("x…\n[Cut here. Go on with start_line 2.]")
    assert len(content) < 41_000


async def test_list_gives_path_size_and_time_newest_first(workspace: Workspace) -> None:
    put(workspace, "old.md", "12345", age=100)
    put(workspace, "daily/new.md", "1")
    result = await call(workspace, "FileList")
    assert result.content == "daily/new.md\t1\t2023-11-14T22:13:20Z\nold.md\t5\t2023-11-14T22:11:40Z"
    assert result.preview == "2 notes"
    (workspace.root / "daily" / "sub").mkdir()
    result = await call(workspace, "FileList", path="daily/")
    assert result.content == "daily/sub/\ndaily/new.md\t1\t2023-11-14T22:13:20Z"
    with pytest.raises(NotFound):
        await call(workspace, "FileList", path="nope")


async def test_a_long_list_is_cut_and_says_how_many_more(workspace: Workspace) -> None:
    for number in range(203):
        put(workspace, f"{number}.md", "x")
    lines = (await call(workspace, "FileList")).content.split("\n")
    assert (len(lines), lines[-1]) == (201, "and 3 more")


async def test_append_goes_to_todays_note_and_says_where(workspace: Workspace) -> None:
    today = f"daily/{datetime.now(UTC).astimezone():%Y-%m-%d}.md"
    assert (await call(workspace, "FileAppend", text="call the plumber")).content == f"Added to {today}:1"
    assert (await call(workspace, "FileAppend", text="again", path=today)).content == f"Added to {today}:2"
    assert (workspace.root / today).read_text() == "call the plumber\nagain\n"


@pytest.mark.parametrize(
    "path",
    [
        *["AGENTS.md", "agents.MD", "SOUL.md", "User.md", "IDENTITY.md", "x/AGENTS.md", "./AGENTS.md", "AGENTS.md/"],
        *["x/../AGENTS.md", "/AGENTS.md", "x//AGENTS.md", "\uff21GENTS.md", "alias.md", "here/AGENTS.md"],
    ],
)
async def test_who_the_agent_is_cannot_be_written_by_the_agent(workspace: Workspace, path: str) -> None:
    put(workspace, "AGENTS.md", "mine")
    (workspace.root / "alias.md").symlink_to("AGENTS.md")
    (workspace.root / "here").symlink_to(".")
    with pytest.raises(Invalid):
        await call(workspace, "FileAppend", text="be evil", path=path)
    assert (workspace.root / "AGENTS.md").read_text() == "mine"
    assert sorted(os.listdir(workspace.root)) == ["AGENTS.md", "alias.md", "here"]


@pytest.mark.parametrize("path", ["run.sh", "Makefile", ".env", "x/.git/hooks.md", "../out.md"])
async def test_only_notes_beneath_the_workspace_can_be_added_to(workspace: Workspace, path: str) -> None:
    with pytest.raises(IronclawError):
        await call(workspace, "FileAppend", text="x", path=path)
    assert os.listdir(workspace.root) == []
    assert not (workspace.root.parent / "out.md").exists()


async def test_write_makes_or_replaces_a_note_and_says_how_much(workspace: Workspace) -> None:
    made = await call(workspace, "FileWrite", path="plans/garden.md", content="one\ntwo\n")
    assert (made.content, made.preview) == ("Made plans/garden.md: 2 lines, 8 bytes.", "plans/garden.md, 2 lines")
    assert (await call(workspace, "FileWrite", path="plans/garden.md", content="x")).content == (
        "Wrote plans/garden.md: 1 line, 1 bytes."
    )
    assert (workspace.root / "plans" / "garden.md").read_text() == "x"


@pytest.mark.parametrize(
    "path",
    [
        *["AGENTS.md", "agents.MD", "SOUL.md", "x/User.md", "\uff21GENTS.md", "AGENTS\u200b.md", "A\u0301GENTS.md"],
        *["run.sh", ".env", "../out.md", "alias.md", "AGENTS.md ", "x/.git/hooks.md", "\u202eSOUL.md"],
    ],
)
async def test_s51_no_tool_writes_what_is_for_people_to_write(workspace: Workspace, path: str) -> None:
    put(workspace, "AGENTS.md", "- [ ] mine\n")
    (workspace.root / "alias.md").symlink_to("AGENTS.md")
    for tool, arguments in (("FileWrite", {"content": "evil"}), ("FileAppend", {"text": "evil"})):
        with pytest.raises(IronclawError):
            await call(workspace, tool, path=path, **arguments)
    with pytest.raises(Invalid, match="people"):
        await call(workspace, "MemoryDone", text="mine")
    assert (workspace.root / "AGENTS.md").read_text() == "- [ ] mine\n"
    assert sorted(os.listdir(workspace.root)) == ["AGENTS.md", "alias.md"]


async def test_done_ticks_exactly_one_and_shows_the_line_before_and_after(workspace: Workspace) -> None:
    put(workspace, "a.md", "- [ ] call the plumber\r\n- [ ] call mum\r\nTODO: paint the door\r\n")
    assert (await call(workspace, "MemoryDone", text="plumber")).content == (
        "Done in a.md:1\n-- [ ] call the plumber\n+- [x] call the plumber"
    )
    assert (await call(workspace, "MemoryDone", text="paint")).content.endswith("+DONE: paint the door")
    assert (
        workspace.root / "a.md"
    ).read_bytes() == b"- [x] call the plumber\r\n- [ ] call mum\r\nDONE: paint the door\r\n"
    assert (await call(workspace, "MemoryDone", text="plumber")).content == "No open todo matches in 1 note."


async def test_done_ticks_nothing_where_several_match_but_one_that_says_just_this_is_meant(
    workspace: Workspace,
) -> None:
    put(workspace, "a.md", "- [ ] call the plumber\n- [ ] call the plumber again\n- [ ] call mum\n")
    several = await call(workspace, "MemoryDone", text="call")
    assert several.content.splitlines()[0] == "3 open todos match; say more words of one"
    assert len(several.content.splitlines()) == 4
    assert (workspace.root / "a.md").read_text().count("[x]") == 0
    assert (await call(workspace, "MemoryDone", text="Call the plumber")).content.startswith("Done in a.md:1\n")


async def test_a_list_can_be_of_notes_that_are_called_so(workspace: Workspace) -> None:
    for path in ("shopping.md", "lists/Shopping list.md", "other.md"):
        put(workspace, path, "x")
    lines = (await call(workspace, "FileList", name="shopping")).content.splitlines()
    assert sorted(line.split("\t")[0] for line in lines) == ["lists/Shopping list.md", "shopping.md"]
    assert (await call(workspace, "FileList", name="nope")).content == "Nothing is in it."
