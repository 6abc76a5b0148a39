"""Log lines: one a record, nothing forged, no secret in a message, its arguments or a traceback, in text and in JSON."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ironclaw import logs
from ironclaw.logs.lines import line_of, message_of
from ironclaw.logs.sinks import Render, render_json, render_text
from ironclaw.redact import redact

SECRET = 'S3cret-"quoted"-\\of-this-test'
redact.add(SECRET)


class Form:
    """How records look in one form."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        made = line_of(record.levelno, record.created, record.name, message_of(record), record.exc_info)
        return self._render(made).decode().removesuffix("\n")


TEXT, JSON = Form(render_text), Form(render_json)


def record(message: str, *args: object, error: BaseException | None = None, **more: object) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("ironclaw.test", logging.INFO, __file__, 1, message, args, exc_info)
    made.__dict__.update(more)
    return made


def caught(message: str) -> BaseException:
    def inner(token: str) -> None:
        raise ValueError(f"no: {token}")

    try:
        try:
            inner(message)
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError as error:
        return error


def test_s83_a_message_cannot_forge_a_line_or_drive_a_terminal() -> None:
    evil = "hi\n2026-01-01 INFO auth ok \x1b[2J\r\x00\u2028\u202e"
    line = TEXT.format(record("said: %s", evil))
    assert len(line.splitlines()) == 1
    assert line.endswith(r"said: hi\n2026-01-01 INFO auth ok \x1b[2J\r\x00\u2028\u202e")
    one = JSON.format(record("said: %s", evil))
    assert len(one.splitlines()) == 1
    assert one.isprintable()
    assert json.loads(one)["level"] == "INFO"


@given(text=st.text())
@example(text="\u2028\x85\x1c")
def test_s83_whatever_is_logged_each_record_is_one_line(text: str) -> None:
    line = TEXT.format(record("%s", text))
    assert line.isprintable()
    assert re.match(r"\[INFO\] \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ironclaw\.test: ", line)


@given(text=st.text())
@example(text='token=abc"def')
@example(text="token=abc\\")
@example(text='Authorization: Bearer "x"')
@example(text="-----BEGIN PRIVATE KEY-----\nMII")
@example(text="key=\\\\ and \"token=x'y")
def test_every_json_line_is_json_also_after_masking(text: str) -> None:
    line = JSON.format(record("%s", text, error=caught(text)))
    fields = json.loads(line)
    assert {"level", "message", "timestamp", "logger", "trace"} == fields.keys()
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("formatter", [TEXT, JSON], ids=["text", "json"])
@given(before=st.text(), after=st.text())
@example(before="", after="")
def test_a_known_secret_is_in_no_line_be_it_in_message_argument_or_traceback(
    formatter: Form, before: str, after: str
) -> None:
    said = before + SECRET + after
    for made in (
        record("%s", said),
        record("in a repr: %r", [said]),
        record(said.replace("%", "%%")),
        record("failed", error=caught(said)),
    ):
        line = formatter.format(made)
        shown = line if formatter is TEXT else " ".join(map(str, json.loads(line.splitlines()[0]).values()))
        assert SECRET not in shown
        assert SECRET.encode("unicode_escape").decode() not in shown  # nor as a repr shows it


def test_s17_a_header_in_a_traceback_of_the_server_is_masked() -> None:
    header = "b'GET /api/status?token=CANARY-one HTTP/1.1', {'Authorization': 'Bearer CANARY-two\\x01'}"
    for formatter in (TEXT, JSON):
        text = formatter.format(record("Error handling request from %s", header, error=caught(header)))
        assert "CANARY" not in text


def test_a_traceback_is_shown_whole_and_indented_behind_its_line() -> None:
    lines = TEXT.format(record("failed", error=caught("x\ny"))).splitlines()
    assert lines[0].endswith("ironclaw.test: failed")
    assert all(line.startswith("    ") for line in lines[1:])
    assert any("ValueError: no: x" in line for line in lines)
    assert lines[-1] == "    RuntimeError: outer"


COLLECTED = """
import logging, sys
from ironclaw import logs
logs.install("info", sys.argv[1])
lines = [(0.0, "first"), (1.5, "second"), *((float(n), "same") for n in range(500))]
logging.getLogger("ironclaw.test").info("x", extra={"lines": lines})
"""


def test_lines_that_were_collected_have_their_own_times_and_all_are_written() -> None:
    text = installed("text", program=COLLECTED)
    assert text[:2] == [
        "[INFO] 1970-01-01T00:00:00Z ironclaw.test: first",
        "[INFO] 1970-01-01T00:00:01Z ironclaw.test: second",
    ]
    assert len(text) == 502
    records = [json.loads(line) for line in installed("json", program=COLLECTED)]
    assert [(one["message"], one["timestamp"][17:]) for one in records[:2]] == [("first", "00Z"), ("second", "01Z")]
    assert len(records) == 502


PROGRAM = """
import logging, sys
from ironclaw import logs
from ironclaw.redact import redact
redact.add("installed-secret")
logs.install(sys.argv[1], sys.argv[2])
for name in ("ironclaw.chat", "aiohttp.server", "asyncio"):
    log = logging.getLogger(name)
    for level in (5, 10, 20, 30, 40):
        log.log(level, "%s at %d has %s", name, level, "installed-secret")
"""


def installed(*arguments: str, program: str = PROGRAM) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(logs.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert result.returncode == 0
    assert result.stdout == ""
    assert "installed-secret" not in result.stderr
    return result.stderr.splitlines()


@pytest.mark.parametrize(
    ("level", "own", "others"),
    [("trace", 5, 3), ("debug", 4, 3), ("info", 3, 3), ("warn", 2, 2), ("error", 1, 1)],
)
def test_the_level_counts_for_our_own_and_libraries_are_never_chattier_than_info(
    level: str, own: int, others: int
) -> None:
    lines = installed(level, "text")
    assert len([line for line in lines if "ironclaw.chat" in line]) == own
    assert len([line for line in lines if "aiohttp.server" in line]) == others
    assert all(re.match(r"\[(TRACE|DEBUG|INFO|WARN|ERROR)\] ", line) for line in lines)


def test_json_lines_have_the_fields_of_the_log_stream() -> None:
    records = [json.loads(line) for line in installed("trace", "json")]
    assert {one["level"] for one in records} == {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["timestamp"]) for one in records)
    assert records[0]["message"] == "ironclaw.chat at 5 has ***"
