"""What small edits make of a note's text: lines added at its end or under a heading, one line replaced."""

import re

from ironclaw.errors import Conflict, Invalid

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_OPEN_BOX = re.compile(r"(\s*[-*+] )\[ \](.*)", re.S)


def split_lines(text: str) -> list[str]:
    """The lines as an editor counts them: only line feeds end a line."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def like(text: str, old: str) -> str:
    """*text* with the line endings of *old*, where it has plain ones and all of *old*'s are CR LF."""
    if "\r\n" in text or not 0 < old.count("\n") == old.count("\r\n"):
        return text
    return text.replace("\n", "\r\n")


def appended(old: str, text: str) -> tuple[str, int]:
    """*old* with *text* as lines of its own at the end; the first new line's number."""
    if old and not old.endswith("\n"):
        old += like("\n", old)
    return old + like(text.rstrip("\n") + "\n", old), old.count("\n") + 1


def appended_under(old: str, heading: str, text: str) -> tuple[str, int]:
    """The same at the end of the section under *heading* (in any case). Raises *Invalid* where there is none."""
    lines = old.split("\n")
    place = _end_of_section([line.removesuffix("\r") for line in lines], heading.strip().lstrip("# ").casefold())
    if place is None:
        raise Invalid("There is no such heading in that note.", field="heading")
    before, after = "\n".join(lines[:place]), "\n".join(lines[place:])
    if not after:
        return appended(old, text)
    return f"{before}\n{like(text.rstrip(chr(10)) + chr(10), old)}{after}", place + 1


def _end_of_section(lines: list[str], wanted: str) -> int | None:
    """The index of the line before which a section ends, blank lines left behind it; None where it is not there."""
    level, fenced, end = 0, False, len(lines)
    for number, line in enumerate(lines):
        fenced ^= _FENCE.match(line) is not None
        match = None if fenced else _HEADING.match(line)
        if match and not level and match[2].casefold() == wanted:
            level = len(match[1])
        elif match and level and len(match[1]) <= level:
            end = number
            break
    if not level:
        return None
    while not lines[end - 1].strip():
        end -= 1
    return end


def replaced(old: str, number: int, line: str, new: str) -> str:
    """*old* with *new* as its 1-based line *number*, which must be *line* now, else *Conflict*."""
    lines = old.split("\n")
    if not 1 <= number <= len(lines) or lines[number - 1].removesuffix("\r") != line:
        raise Conflict("The note has changed meanwhile. Look again.", field="path")
    ending = "\r" if lines[number - 1].endswith("\r") else ""
    lines[number - 1] = new + ending
    return "\n".join(lines)


def ticked(line: str) -> str:
    """An open todo as a done one."""
    box = _OPEN_BOX.fullmatch(line)
    return f"{box[1]}[x]{box[2]}" if box else re.sub(r"\bTODO\b", "DONE", line, count=1)
