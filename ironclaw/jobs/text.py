"""The output of programs as text that can do nothing: bad UTF-8 replaced, terminal codes gone, other signs written out."""

import re

from ironclaw.jobs.output import Output, Piece

MOST = 64 << 10
_LONGEST_CODE = 512
_CODE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, moves of the cursor (ECMA-48, 5.4)
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)"  # titles, links and other strings
    r"|\x1b[ -/]*[0-~]",
    re.S,
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?\Z")
_UNSHOWN = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]")


def harmless(data: bytes, *, final: bool) -> tuple[str, int]:
    """The text of *data*, and how many of its bytes that takes: what may go on in the next ones waits, unless *final*."""
    used = len(data) if final else len(data) - _waiting(data)
    text = _CODE.sub("", data[:used].decode("utf-8", "replace"))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = "".join(one if one.isprintable() or one in "\n\t" else _written(one) for one in text)
    return _UNSHOWN.sub(lambda match: _written(match[0]), text), used


def _written(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


def _waiting(data: bytes) -> int:
    """How many bytes at the end may be a part of something."""
    if code := _UNFINISHED.search(data, max(0, len(data) - _LONGEST_CODE)):
        return len(data) - code.start()
    if data.endswith(b"\r"):
        return 1
    for length in range(1, min(4, len(data) + 1)):
        first = data[-length]
        if first >= 0xC0:  # the first byte of a sign, which says how many belong to it
            return length if length < (2 if first < 0xE0 else 3 if first < 0xF0 else 4) else 0
        if first < 0x80:
            return 0
    return 0


def gap(start: int, stop: int) -> str:
    """The line that stands for output that is not kept."""
    return f"\n[... {stop - start:,} bytes of output are not kept ...]\n"


def piece_text(piece: Piece, asked: int, text: str) -> str:
    """*text* of a piece, behind a line that stands for what was asked for and is not kept."""
    return gap(asked, piece.start) + text if piece.start > asked else text


def whole(output: Output) -> str:
    """All of it, as far as it is kept. Blocks for the time of the disk."""
    texts: list[str] = []
    place = 0
    total = output.total
    while True:
        piece = output.read(place, MOST)
        text, used = harmless(piece.data, final=piece.stop >= total)
        if not used:
            return "".join(texts)
        texts.append(piece_text(piece, place, text))
        place = piece.start + used


def last_line(output: Output) -> str:
    """The last line that says something, cut."""
    data = output.read(max(0, output.total - 4096), 4096).data
    lines = harmless(data, final=True)[0].split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
