"""How log lines look and what they never show. Only `ironclaw run` installs this; a host program's logging is its own.

Redaction is in the formatter, because only the finished text, with arguments and traceback, can be searched for secrets.
"""

import contextlib
import functools
import logging
import os
import sys
import time
from typing import TextIO

from ironclaw import codec
from ironclaw.redact import printable, redact

TRACE = 5
LEVELS = {"trace": TRACE, "debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class RedactingFormatter(logging.Formatter):
    """One line a record, secrets masked, control characters shown.

    A record with `lines` is several lines of (time, text) that hold nothing but what the program itself made up.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The finished text."""
        lines: list[tuple[float, str]] | None = getattr(record, "lines", None)
        if lines is not None:
            return "\n".join([self.line(record, _stamp(int(created)), text) for created, text in lines])
        if _is_malformed_request(record):
            # aiohttp quotes the request, whatever was in it, with twenty lines of trace for each.
            kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
            return self.line(record, _stamp(int(record.created)), f"A malformed request was refused ({kind})")
        message = printable(redact(record.getMessage()))
        return self.line(record, _stamp(int(record.created)), message) + self._trace(record)

    def line(self, record: logging.LogRecord, stamp: str, message: str) -> str:
        """One line of text: level, time, message."""
        if getattr(record, "bare", False):  # the start-up line, as the documentation shows it
            return f"[{_level_name(record)}] {message}"
        return f"[{_level_name(record)}] {stamp} {record.name}: {message}"

    def _trace(self, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return ""
        trace = redact(self.formatException(record.exc_info))
        return "".join(f"\n    {printable(line)}" for line in trace.split("\n"))


class JsonFormatter(RedactingFormatter):
    """One JSON object a line, with the fields of the log stream."""

    def line(self, record: logging.LogRecord, stamp: str, message: str) -> str:
        """One JSON object."""
        fields = {"level": _level_name(record), "message": message, "timestamp": stamp, "logger": record.name}
        if record.exc_info and not _is_malformed_request(record):
            trace = redact(self.formatException(record.exc_info))
            fields["trace"] = "\n".join(printable(line) for line in trace.split("\n"))
        return codec.dumps(fields).decode()

    def _trace(self, record: logging.LogRecord) -> str:
        return ""


def _is_malformed_request(record: logging.LogRecord) -> bool:
    error = record.exc_info[0] if record.exc_info else None
    if error is None:
        return False
    return error.__module__ == "aiohttp.http_exceptions" or error.__name__ == "RequestPayloadError"


@functools.lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def _level_name(record: logging.LogRecord) -> str:
    return "WARN" if record.levelno == logging.WARNING else record.levelname


class StreamHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream; a stream that is full or closed never takes the program down."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Swallow what the stream did: there is nowhere left to say it."""
        if isinstance(sys.exc_info()[1], OSError | ValueError):
            give_up_stderr()
        else:
            super().handleError(record)


def give_up_stderr() -> None:
    """Send stderr nowhere once nobody reads it: what stays in its buffer would fail again when the program ends."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def install(level: str, kind: str) -> None:
    """Send this process's log to stderr as *kind* (`text`, `json`), from *level* on."""
    logging.addLevelName(TRACE, "TRACE")
    handler = StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if kind == "json" else RedactingFormatter())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(LEVELS[level], logging.INFO))  # libraries may be chatty: below INFO only our own are heard
    logging.getLogger("ironclaw").setLevel(LEVELS[level])
