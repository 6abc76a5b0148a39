"""One line of the log: how it looks as text and as JSON, and what is never in it.

Redaction is done on the finished text, with arguments and traceback in it: a secret that is split over a template and its
arguments can't be seen before.
"""

import functools
import itertools
import logging
import time
import traceback
from types import TracebackType

import attrs

from ironclaw import codec
from ironclaw.levels import level_of
from ironclaw.redact import printable, redact
from ironclaw.values import frozen

_MOST_TEXT = 8_000  # characters of a message or a traceback that are kept
_MOST_READ = 64_000  # no more is searched for secrets; what is kept is far from its end
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# One sequence for the whole process, and for those after it: a client that comes back after a restart is not told
# twice. A process writes less than a thousand lines a second for as long as it lives, so none is given out again.
_ids = itertools.count(int(time.time() * 1000))


@frozen(kw_only=True, eq=False)
class LogLine:
    """A finished line: nothing in it is secret, and all of it can be printed.

    *number* is the level as `logging` counts, *created* seconds since the epoch. A *trace* has several lines, each of
    which can be printed. *bare*: its text has neither time nor logger, as the documentation shows the line of the start.
    """

    number: int
    created: float
    logger: str
    message: str
    trace: str | None = None
    bare: bool = False
    id: int = attrs.Factory(lambda: next(_ids))

    @property
    def level(self) -> str:
        """`INFO` and the like."""
        return level_of(self.number).upper()

    @property
    def text(self) -> str:
        """As a person reads it; a traceback is indented below."""
        if self.bare:
            line = f"[{self.level}] {self.message}"
        else:
            line = f"[{self.level}] {_stamp(int(self.created))} {self.logger}: {self.message}"
        if self.trace is None:
            return line
        return line + "".join(f"\n    {one}" for one in self.trace.split("\n"))

    @functools.cached_property
    def json(self) -> bytes:
        """A JSON object with the fields of the log stream. Made once, whoever reads it."""
        fields = {
            "level": self.level,
            "message": self.message,
            "timestamp": _stamp(int(self.created)),
            "logger": self.logger,
        }
        if self.trace is not None:
            fields["trace"] = self.trace
        return codec.dumps(fields)

    @property
    def json_with_id(self) -> bytes:
        """The same with the line's id at the end."""
        return b'%s,"id":%d}' % (self.json[:-1], self.id)

    @property
    def size(self) -> int:
        """About how many bytes of memory it holds."""
        return 300 + len(self.message) + len(self.trace or "")


@functools.lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def line_of(number: int, created: float, logger: str, message: str, exc_info: ExcInfo | None) -> LogLine:
    """The line of one record, whose *message* has its arguments in it already."""
    trace = None
    if _is_malformed_request(exc_info):
        # aiohttp quotes the request, whatever was in it, with twenty lines of trace for each.
        assert exc_info is not None
        message, exc_info = f"A malformed request was refused ({exc_info[0].__name__})", None
    if exc_info is not None:
        told = _scrubbed("".join(traceback.format_exception(*exc_info)).rstrip("\n"))
        trace = "\n".join(printable(line) for line in told.split("\n"))
    return LogLine(
        number=number,
        created=created,
        logger=printable(logger),
        message=printable(_scrubbed(message)),
        trace=trace,
    )


def own_line(number: int, message: str) -> LogLine:
    """A line that the log says about itself."""
    return LogLine(number=number, created=time.time(), logger=__name__.rpartition(".")[0], message=message)


def _scrubbed(text: str) -> str:
    """The text without secrets; of a very long one its beginning, and how long it was."""
    clean = redact(text[:_MOST_READ])
    if len(clean) <= _MOST_TEXT and len(text) <= _MOST_READ:
        return clean
    return f"{clean[:_MOST_TEXT]}... ({len(text)} characters)"


def message_of(record: logging.LogRecord) -> str:
    """The record's message with its arguments; of one that was logged wrongly its template."""
    try:
        return record.getMessage()
    except Exception as error:
        return f"{record.msg} (its arguments can't be shown: {type(error).__name__})"


def _is_malformed_request(exc_info: ExcInfo | None) -> bool:
    if exc_info is None:
        return False
    kind = exc_info[0]
    return kind.__module__ == "aiohttp.http_exceptions" or kind.__name__ == "RequestPayloadError"
