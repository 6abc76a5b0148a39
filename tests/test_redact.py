"""What never leaves the program: known secrets, and what looks like one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.redact import MASK, Redactor, printable

# What a token may consist of: anything that a header can carry, but not the mask itself.
SECRETS = st.text(string.ascii_letters + string.digits + "-._~+/=!#$%&'()^`{|}<>[]@:;,?\"\\ é", min_size=6).filter(
    lambda text: text == text.strip()
)


@given(secret=SECRETS, before=st.text(), after=st.text())
def test_a_known_secret_never_survives_whatever_surrounds_it(secret: str, before: str, after: str) -> None:
    redact = Redactor()
    redact.add(secret)
    assert secret not in redact(before + secret + after)


@given(secrets=st.lists(SECRETS, min_size=2, max_size=4), parts=st.lists(st.text(max_size=5), min_size=5, max_size=5))
def test_of_several_secrets_none_survives_also_where_they_overlap(secrets: list[str], parts: list[str]) -> None:
    redact = Redactor()
    for secret in secrets:
        redact.add(secret)
    text = "".join(part + secret for part, secret in zip(parts, [*secrets, *secrets], strict=False))
    masked = redact(text)
    assert not [secret for secret in secrets if secret in masked]


@given(text=st.text(string.ascii_letters + string.digits + " .,:;!?\n", max_size=200))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    redact = Redactor()
    redact.add("a-secret-of-this-test")
    if "earer" not in text.lower():
        assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /api/status?token=abc123 HTTP/1.1", "GET /api/status?token=*** HTTP/1.1"),
        ("GET /x?a=1&token=abc&b=2", "GET /x?a=1&token=***&b=2"),
        ("GET /x?TOKEN=abc", "GET /x?TOKEN=***"),
        ("/callback?code=abc&state=def", "/callback?code=***&state=***"),
        ("api_key=abc, and so on", "api_key=*** and so on"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("b'Authorization: bearer abc'", "b'Authorization: bearer ***'"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': 'Bearer ***'}"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: ***"),
        ("key sk-abcdefghijklmnopqrstuvwx here", "key *** here"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("xoxb-123456789012-abc", "***"),
        ("x -----BEGIN RSA PRIVATE KEY-----\nMII\nE=\n-----END RSA PRIVATE KEY----- y", "x *** y"),
        ("-----BEGIN PRIVATE KEY-----\nMIIcut off", "***"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, expected: str) -> None:
    assert Redactor()(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the token is kept in a file",
        "keyboard=qwertz",
        "a monkey=banana",
        "the code 404",
        "https://a.example/x?page=2",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor()(text) == text


def test_a_very_short_secret_masks_no_ordinary_words() -> None:
    redact = Redactor()
    redact.add("the")
    redact.add("")
    assert redact("in the house") == "in the house"


def test_masking_twice_changes_nothing_more() -> None:
    redact = Redactor()
    redact.add("a-secret-of-this-test")
    once = redact("a-secret-of-this-test and ?token=x and Bearer y and Authorization: Basic z")
    assert redact(once) == once
    assert once.count(MASK) == 4


@given(st.text())
def test_printable_text_is_one_line_without_control_characters_and_says_what_was_there(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


def test_escapes_of_a_terminal_and_forged_lines_are_shown_not_obeyed() -> None:
    assert printable("a\n2026-01-01 INFO ok\x1b[2J\u202e") == "a\\n2026-01-01 INFO ok\\x1b[2J\\u202e"
