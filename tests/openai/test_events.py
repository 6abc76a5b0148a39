"""A stream on its way: however its bytes are cut, the client gets the same, and the same is known of it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from llm.stand_in_process import chunk, sse

from ironclaw.llm.endpoint import Endpoint
from ironclaw.llm.failures import Failures
from ironclaw.openai.events import EventFilter

USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
FAILURES = Failures(Endpoint(kind="openai", name="testing", base_url="http://x"))


def a_filter(**more: Any) -> EventFilter:
    return EventFilter(**{"failures": FAILURES, "shown": None, "hides_usage": False, "counted": None, **more})


def passed(events: EventFilter, data: bytes, cuts: list[int] = []) -> bytes:  # noqa: B006 - not changed
    """What comes out for *data*, given in pieces."""
    ends = [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    out, at = b"", 0
    for end in ends:
        out += events.feed(data[at:end]) if end > at else b""
        at = end
    return out + events.end()


TEXTS = st.lists(st.text(max_size=40), max_size=60)
COMPACT = st.sampled_from([None, (",", ":")])


def a_stream(texts: list[str], separators: tuple[str, str] | None) -> bytes:
    """A whole stream with its texts, an id and a comment among them, and its usage at the end."""
    chunks = [*(chunk(text, n="1") for text in texts), chunk(finish="stop"), USAGE]
    lines = [f"data: {json.dumps(one, separators=separators)}\n\n" for one in chunks]
    return "".join(
        [*lines[: len(lines) // 2], ": note\n\nid: 7\n", *lines[len(lines) // 2 :], "data: [DONE]\n\n"]
    ).encode()


@given(TEXTS, COMPACT, st.lists(st.integers(0), max_size=20))
def test_however_it_is_cut_the_bytes_are_the_same_and_are_known_by_their_size(
    texts: list[str], separators: tuple[str, str] | None, cuts: list[int]
) -> None:
    data = a_stream(texts, separators)
    events, whole = a_filter(), a_filter()
    assert passed(events, data, cuts) == passed(whole, data) == data
    assert (events.done, events.finished, events.failure) == (True, True, None)
    assert events.said is not None
    assert (events.said.input_tokens, events.said.output_tokens) == (3, 2)


@given(TEXTS, COMPACT, st.lists(st.integers(0), max_size=20))
def test_usage_that_nobody_asked_for_is_all_that_is_missing(
    texts: list[str], separators: tuple[str, str] | None, cuts: list[int]
) -> None:
    data = a_stream(texts, separators)
    usage = f"data: {json.dumps(USAGE, separators=separators)}\n\n".encode()
    got = passed(a_filter(hides_usage=True), data, cuts)
    assert got.replace(b"\n", b"") == data.replace(usage, b"").replace(b"\n", b"")
    assert [line for line in got.split(b"\n") if line] == [
        line for line in data.replace(usage, b"").split(b"\n") if line
    ]


@given(TEXTS, st.lists(st.integers(0), max_size=20))
def test_the_name_that_was_asked_for_is_in_every_event(texts: list[str], cuts: list[int]) -> None:
    got = passed(a_filter(shown="gpt-4"), a_stream(texts, None), cuts)
    shown = [json.loads(line[6:]) for line in got.split(b"\n") if line.startswith(b"data: {")]
    assert {one["model"] for one in shown} == {"gpt-4"}
    assert [one["choices"][0]["delta"].get("content") for one in shown[:-2]] == texts


@given(st.text(alphabet='"usage:{}[DONE] error finish_reason null data', max_size=200))
def test_words_in_the_text_are_never_taken_for_fields(text: str) -> None:
    data = sse(chunk("first"), *[chunk(text)] * 30, chunk(finish="stop")).encode()
    events = a_filter()
    assert passed(events, data) == data
    assert (events.said, events.failure, events.done) == (None, None, True)


def test_what_is_passed_by_is_counted_as_what_is_read() -> None:
    for separators in (None, (",", ":")):
        lines = [json.dumps(chunk("abcd"), separators=separators) for _ in range(500)]
        events = a_filter()
        events.feed("".join(f"data: {line}\n\n" for line in lines).encode())
        assert 1990 <= events.size <= 2010


def test_an_error_among_much_text_is_seen() -> None:
    many = sse(*[chunk("text")] * 200, done=False)
    events = a_filter()
    got = events.feed((many + sse({"error": {"message": "boom"}}, done=False) + many).encode())
    assert got == many.encode()
    assert events.failure is not None
    assert b"boom" in events.failure.answer


def test_usage_within_a_chunk_of_text_is_seen() -> None:
    counted = {**chunk("text"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    for separators in (None, (",", ":")):
        lines = [
            json.dumps(one, separators=separators) for one in [*[chunk("text")] * 50, counted, *[chunk("text")] * 50]
        ]
        events = a_filter()
        events.feed("".join(f"data: {line}\n\n" for line in lines).encode())
        assert events.said is not None
        assert events.said.input_tokens == 9


def test_hidden_usage_leaves_no_empty_event() -> None:
    data = a_stream(["one", "two"], None)
    usage = f"data: {json.dumps(USAGE)}\n\n".encode()
    assert passed(a_filter(hides_usage=True), data) == data.replace(usage, b"")
