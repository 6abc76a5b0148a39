"""What small edits make of a text: nothing but what was asked changes, and line endings stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.errors import Conflict, Invalid
from ironclaw.memory.edits import appended, appended_under, like, replaced, split_lines, ticked

TEXT = st.text(st.sampled_from("ab#- []`~\r\n"), max_size=40)


@given(old=TEXT, text=TEXT.filter(str.strip))
def test_an_append_changes_nothing_before_it_and_says_where_it_begins(old: str, text: str) -> None:
    new, line = appended(old, text)
    assert new.startswith(old)
    assert new.split("\n")[line - 1].removesuffix("\r") == text.partition("\n")[0].removesuffix("\r")
    assert new.endswith("\n")


@given(before=TEXT, after=TEXT)
def test_under_a_heading_only_lines_are_added(before: str, after: str) -> None:
    old = f"{before}\n# Shopping\n{after}"
    try:
        new, line = appended_under(old, "shopping", "- milk")
    except Invalid:  # the heading is inside a code block
        assert "```" in before or "~~~" in before
        return
    lines = new.split("\n")
    assert lines[line - 1].removesuffix("\r") == "- milk"
    del lines[line - 1]
    assert "\n".join(lines).rstrip("\r\n") == old.rstrip("\r\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Shopping\n", "# Shopping\n- milk\n"),
        ("# Shopping", "# Shopping\n- milk\n"),
        ("# Shopping #\n- eggs\n\n\n# Next\n", "# Shopping #\n- eggs\n- milk\n\n\n# Next\n"),
        ("# Shopping\n## Now\n- eggs\n# Next\n", "# Shopping\n## Now\n- eggs\n- milk\n# Next\n"),
        ("## Shopping\n- eggs\n# Next\n", "## Shopping\n- eggs\n- milk\n# Next\n"),
        ("# Shopping\n```\n# Next\n```\n# End\n", "# Shopping\n```\n# Next\n```\n- milk\n# End\n"),
        ("# Shopping\r\n- eggs\r\n# Next\r\n", "# Shopping\r\n- eggs\r\n- milk\r\n# Next\r\n"),
    ],
)
def test_a_section_ends_where_the_next_of_its_level_begins(old: str, new: str) -> None:
    assert appended_under(old, "## shopping", "- milk\n")[0] == new


def test_a_line_is_replaced_only_while_it_is_the_one() -> None:
    assert replaced("a\r\nb\r\nc", 2, "b", "x") == "a\r\nx\r\nc"
    for number, line in ((1, "b"), (4, ""), (0, "a"), (-1, "c")):
        with pytest.raises(Conflict):
            replaced("a\nb\nc", number, line, "x")


@pytest.mark.parametrize(
    ("line", "done"),
    [
        ("  * [ ] x [ ] y", "  * [x] x [ ] y"), ("TODO: a TODO", "DONE: a TODO"), ("- fix (TODO)", "- fix (DONE)"),
        ("TODONE", "TODONE"), ("- [x] y", "- [x] y"), ("- [ ] TODO x", "- [x] TODO x"),
    ],
)  # fmt: skip
def test_a_todo_is_ticked_in_its_own_form(line: str, done: str) -> None:
    assert ticked(line) == done


@given(TEXT, TEXT)
def test_endings_are_those_of_the_old_text_or_as_given(text: str, old: str) -> None:
    new = like(text, old)
    assert split_lines(new) == split_lines(text)
    if old.count("\n") != old.count("\r\n") or "\n" not in old:
        assert new == text
