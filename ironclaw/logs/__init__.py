"""The log: how records become lines without secrets, where the lines go, and how much is logged.

`lines` makes lines of records, `sinks` writes them to stderr and to a file, `ring` keeps the last ones of a gateway and
gives them to those who follow, `writer` stands between the program and all of these, so that no line waits for a disk,
a terminal or a client. `setup` puts it together: `ironclaw run` listens to the whole process, a gateway inside another
program only to our own loggers. This package sends nothing over HTTP: that is `api/logs.py`.
"""

from ironclaw.logs.lines import LogLine
from ironclaw.logs.ring import LogRing, Wanted
from ironclaw.logs.setup import LogState, file_of, flush, install, level, open_ring, set_level, state
from ironclaw.logs.sinks import FileSink, give_up_stderr
from ironclaw.logs.writer import within

__all__ = [
    "FileSink",
    "LogLine",
    "LogRing",
    "LogState",
    "Wanted",
    "file_of",
    "flush",
    "give_up_stderr",
    "install",
    "level",
    "open_ring",
    "set_level",
    "state",
    "within",
]
