"""Bytes become lines, and lines pieces of a reply, the same wherever the network cuts them."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm.provider_calls import endpoint
from llm.stand_in_process import chunk, sse

from ironclaw.errors import ProviderError
from ironclaw.llm.chunks import parse
from ironclaw.llm.failures import Failures
from ironclaw.llm.lines import LineSplitter, LineTooLong
from ironclaw.llm.ollama import OllamaReply
from ironclaw.llm.openai import OpenAIReply
from ironclaw.llm.replies import Reply

_FAILURES = Failures(endpoint("http://127.0.0.1:1/v1"), "m")
_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_CUTS = st.lists(st.integers(0, 4000), max_size=40)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def _read(reply: Reply, pieces: list[bytes]) -> list[Any]:
    """All deltas, or those before the error and its code."""
    splitter = LineSplitter()
    found: list[Any] = []
    try:
        for piece in pieces:
            for line in splitter.feed(piece):
                found.extend(reply.take(line))
        found.extend(reply.take(splitter.rest()))
        found.extend(reply.end())
        found.append(reply.finished())
    except ProviderError as error:
        found.append(error.code)
    return found


@given(st.lists(st.binary(max_size=30)), st.sampled_from([b"\n", b"\r\n"]), _CUTS)
def test_any_cut_gives_the_same_lines(lines: list[bytes], end: bytes, cuts: list[int]) -> None:
    lines = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    splitter = LineSplitter()
    found = [line for piece in _pieces(b"".join(line + end for line in lines), cuts) for line in splitter.feed(piece)]
    assert (found, splitter.rest()) == (lines, b"")


@given(st.lists(_TEXT, max_size=8), st.sampled_from(["\n", "\r\n"]), _CUTS)
def test_any_cut_gives_the_same_reply_of_openai(texts: list[str], end: str, cuts: list[int]) -> None:
    calls = [
        chunk(tool_calls=[{"index": n, "id": str(n), "function": {"name": "A", "arguments": text}}])
        for n, text in enumerate(texts)
    ]
    stream = sse(": hello\n\n", *map(chunk, texts), *calls, chunk(finish="stop")).replace("\n", end).encode()
    whole = _read(OpenAIReply(_FAILURES, 1), [stream])
    assert _read(OpenAIReply(_FAILURES, 1), _pieces(stream, cuts)) == whole
    assert "".join(getattr(delta, "text", "") for delta in whole) == "".join(texts)


@given(st.lists(_TEXT, max_size=8), _CUTS)
def test_any_cut_gives_the_same_reply_of_ollama(texts: list[str], cuts: list[int]) -> None:
    lines = [*({"message": {"content": text}} for text in texts), {"done": True}]
    stream = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()
    whole = _read(OllamaReply(_FAILURES, 1), [stream])
    assert _read(OllamaReply(_FAILURES, 1), _pieces(stream, cuts)) == whole
    assert "".join(getattr(delta, "text", "") for delta in whole) == "".join(texts)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "index",
                    "id",
                    "function",
                    "name",
                    "tool_calls",
                    "usage",
                    "error",
                    "message",
                    "done",
                    "cost",
                    "prompt_tokens",
                    "prompt_eval_count",
                    "finish_reason",
                    "content",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(st.lists(_JSON, max_size=4))
def test_no_json_makes_a_reply_fail_otherwise_than_as_a_provider(values: list[Any]) -> None:
    """S72: and no usage is below zero."""
    for kind, form in ((OpenAIReply, "data: {}\n\n"), (OllamaReply, "{}\n")):
        stream = "".join(form.format(json.dumps(value)) for value in values).encode()
        [*_, last] = _read(kind(_FAILURES, 1), [stream])
        assert isinstance(last, str) or (last.usage.input_tokens >= 0 and (last.usage.cost_usd or 0) >= 0)


@given(st.binary(max_size=200))
def test_no_bytes_make_a_reply_fail_otherwise_than_as_a_provider(data: bytes) -> None:
    """S72."""
    for kind in (OpenAIReply, OllamaReply):
        assert isinstance(_read(kind(_FAILURES, 1), [b"data: " + data])[-1], str)


def test_a_line_is_as_long_as_the_limit_at_most() -> None:
    assert LineSplitter(3).feed(b"abc\nabc\n") == [b"abc", b"abc"]
    for data in (b"abcd", b"abcd\n", b"a\nabcd\n", b"a\nabcd"):
        with pytest.raises(LineTooLong):
            LineSplitter(3).feed(data)


def test_what_json_has_not_is_read_all_the_same() -> None:
    assert parse(b'{"a":NaN,"b":"x\\ud83d"}') == {"a": None, "b": "x?"}
