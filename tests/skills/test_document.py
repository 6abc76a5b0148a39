"""Reading SKILL.md: the forms that are found in public, what is refused and why, and properties of the parser."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw.errors import Invalid
from ironclaw.skills import names
from ironclaw.skills.document import parse
from ironclaw.skills.models import MOST_MAIN

GOOD = "---\nname: one\ndescription: Does it.\nversion: 1.0.0\n---\n\n# One\n\nDo it.\n"


@pytest.mark.parametrize(
    ("form", "text"),
    {
        "plain": GOOD.encode(),
        "crlf": GOOD.replace("\n", "\r\n").encode(),
        "cr": GOOD.replace("\n", "\r").encode(),
        "bom": GOOD.encode("utf-8-sig"),
        "bom and crlf": GOOD.replace("\n", "\r\n").encode("utf-8-sig"),
        "blank lines first": b"\n\n" + GOOD.encode(),
        "spaces behind the marks": GOOD.replace("---\n", "---  \n").encode(),
        "ended by dots": GOOD.replace("1.0.0\n---", "1.0.0\n...").encode(),
        "quoted": GOOD.replace("Does it.", '"Does it."').replace("one", "'one'", 1).encode(),
        "folded": GOOD.replace("Does it.", ">-\n  Does\n  it.").encode(),
        "comments": GOOD.replace("name:", "# a comment\nname:").encode(),
        "title as name": GOOD.replace("name: one", "name: One").encode(),
        "no line at the end": GOOD.rstrip().encode(),
        "rules in the text": GOOD.replace("Do it.", "Do it.").encode(),
    }.items(),
)
def test_the_usual_forms_mean_the_same(form: str, text: bytes) -> None:
    document = parse(text)
    assert (document.name, document.description, document.version) == ("one", "Does it.", "1.0.0"), form
    assert document.instructions == "# One\n\nDo it."


def fields(**more: str) -> bytes:
    lines = "\n".join(f"{key}: {value}" for key, value in {"name": "one", "description": "Does it.", **more}.items())
    return f"---\n{lines}\n---\nDo it.\n".encode()


@pytest.mark.parametrize(
    ("given_fields", "expected"),
    [
        ({"description": "Use when: it rains, it's 5: o"}, {"description": "Use when: it rains, it's 5: o"}),
        ({"description": "@mentions: yes"}, {"description": "@mentions: yes"}),
        ({"description": "`code` and: more"}, {"description": "`code` and: more"}),
        ({"description": "50% off: today"}, {"description": "50% off: today"}),
        ({"description": "* a star: here"}, {"description": "* a star: here"}),
        ({"version": "1.10"}, {"version": "1.10"}),
        ({"version": "2026-03-01"}, {"version": "2026-03-01"}),
        ({"metadata": "{version: 3.1, author: x}"}, {"version": "3.1"}),
        ({}, {"version": "0.0.0", "tags": (), "keywords": (), "allowed_tools": ()}),
        ({"name": "yes"}, {"name": "yes"}),
        ({"name": "PDF Processing_v2"}, {"name": "pdf-processing-v2"}),
        ({"tags": "[a, b, a]"}, {"tags": ("a", "b")}),
        ({"tags": "a, b c"}, {"tags": ("a", "b c")}),
        ({"allowed-tools": "Read Grep"}, {"allowed_tools": ("Read", "Grep")}),
        ({"allowed-tools": "Bash(git:*), Read"}, {"allowed_tools": ("Bash(git:*)", "Read")}),
        ({"activation": "{keywords: [x, y], tags: [t]}"}, {"keywords": ("x", "y"), "tags": ("t",)}),
        ({"license": "Complete terms in LICENSE.txt", "hooks": "[1, {a: b}]"}, {"name": "one"}),
    ],
)  # fmt: skip
def test_odd_yaml_means_what_its_author_meant(given_fields: dict[str, str], expected: dict[str, Any]) -> None:
    document = parse(fields(**given_fields))
    assert {name: getattr(document, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "front matter"),
        (b"# Just a page\n", "front matter"),
        (b"---\nname: one\ndescription: x\nDo it.\n", "front matter"),
        (b"text\n" + GOOD.encode(), "front matter"),
        (GOOD.encode().replace(b"# One\n\nDo it.\n", b"  \n"), "no instructions"),
        (b"---\ndescription: x\n---\nb", "no `name`"),
        (b"---\nname: one\n---\nb", "no `description`"),
        (b"---\nname: one\ndescription: ''\n---\nb", "no `description`"),
        (fields(name="../../x"), "small letters"),
        (fields(name="p\u0443thon"), "small letters"),
        (fields(name="x" * 65), "64 characters"),
        (fields(name="install"), "API's addresses"),
        (fields(description="x" * 4097), "4096"),
        (fields(name="[a]"), "`name` that is no text"),
        (fields(tags="{a: b}"), "no list of words"),
        (fields(tags="[[a]]"), "no list of words"),
        (b"---\n- a\n- b\n---\nb", "no list of `name: value`"),
        (b"---\njust words\n---\nb", "no list of `name: value`"),
        (b"---\nname: one\nname: two\ndescription: x\n---\nb", "twice"),
        (b"---\na: &x [1]\nb: [*x]\n---\nb", "alias"),
        (b"---\na: " + b"[" * 40 + b"]" * 40 + b"\n---\nb", "nested"),
        (b"---\na: [1\n---\nb", "line"),
        (b"---\n\tname: x\n---\nb", "line"),
        (b"---\n? [a]\n: b\n---\nb", "key"),
        (b"---\na: " + b"x" * 17_000 + b"\n---\nb", "16 KiB"),
        (GOOD.encode("utf-16"), "UTF-16"),
        (GOOD.encode().replace(b"Do it", b"Do \xff it"), "UTF-8"),
        (GOOD.encode().replace(b"Do it", b"Do \0 it"), "NUL"),
        (GOOD.encode() + b"x" * MOST_MAIN, "64 KiB"),
        (b"---\na: !!python/object/apply:os.system ['x']\n---\nb", "no `name`"),  # the tag makes nothing
    ],
)
def test_what_can_t_be_read_is_refused_with_the_reason(text: bytes, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text)
    assert reason in refused.value.message
    assert refused.value.field == "content"
    assert refused.value.message.startswith("SKILL.md ")


def test_a_skill_without_a_name_is_called_what_its_folder_is() -> None:
    assert parse(b"---\ndescription: x\n---\nb", name="one").name == "one"


def test_an_alias_bomb_takes_no_time() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
    )
    started = time.process_time()
    with pytest.raises(Invalid, match="alias"):
        parse(f"---\n{bomb}---\nb".encode())
    assert time.process_time() - started < 2


_SOME = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_SOME
@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "ignore")))
def test_whatever_comes_is_a_document_or_a_reason(data: bytes) -> None:
    for text in (data, b"---\n" + data + b"\n---\nb", b"---\nname: a\ndescription: d\n" + data + b"\n---\nb"):
        try:
            document = parse(text, name="fallback")
        except Invalid as error:
            reason = error
            assert (reason.code, "\n" in reason.message) == ("bad_skill", False)
        else:
            assert names.problem_of(document.name) is None
            assert document.description.strip()
            assert document.instructions.strip()


_WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=80)


@_SOME
@given(
    name=st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,3}", fullmatch=True).filter(
        lambda name: names.problem_of(name) is None
    ),
    description=_WORDS.filter(lambda text: text.strip() != ""),
    body=_WORDS.filter(lambda text: text.strip() != ""),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
)
def test_what_was_written_is_what_is_read(name: str, description: str, body: str, ending: str, *, bom: bool) -> None:
    import json

    quoted = json.dumps(description, ensure_ascii=False)
    text = f"---\nname: {name}\ndescription: {quoted}\n---\n{body}\n".replace("\n", ending)
    document = parse(text.encode("utf-8-sig" if bom else "utf-8"))
    assert document.name == name
    assert document.description == " ".join(description.split())
    assert document.instructions == body.strip()


@_SOME
@given(st.text(max_size=40))
def test_a_name_is_never_a_path(name: str) -> None:
    if names.problem_of(name) is None:
        assert not set(name) & set("/\\.~ \0%")
        assert name.isascii()
        assert not name.startswith("-")


@pytest.mark.parametrize(
    ("name", "known", "alike"),
    [
        ("python-debuger", "python-debugger", True),
        ("pyhton-debugger", "python-debugger", True),
        ("pythondebugger", "python-debugger", True),
        ("python-debugger2", "python-debugger", True),
        ("pyth0n-debugger", "python-debugger", True),
        ("joumal", "journal", True),
        ("j0urnal", "journal", True),
        ("journals", "journal", True),
        ("journal", "journal", False),
        ("python-profiler", "python-debugger", False),
        ("weekly-preview", "weekly-review", True),
        ("weekly-plan", "weekly-review", False),
        ("git", "gif", False),
    ],
)
def test_s78_names_that_could_be_taken_for_another(name: str, known: str, alike: bool) -> None:
    assert names.lookalike(name, known) is alike
