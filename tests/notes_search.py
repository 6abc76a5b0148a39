"""What the tests of searches share: a folder of notes with its search, and the same search done the slow, plain way."""

import asyncio
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

from ironclaw.memory.query import fold, parse
from ironclaw.memory.search import Results, Search

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")


class Notes:
    """The notes in *root* and the search of them; *indexed*: with an index, however few they are."""

    def __init__(self, root: Path, home: Path, *, indexed: bool, rescan_every: float = 3600.0) -> None:
        self.root, self.home, self.indexed = root, home, indexed
        root.mkdir(exist_ok=True)
        home.mkdir(exist_ok=True)
        self.search = Search(
            root, home / "index.db", small=0 if indexed else 2000, delay=0.0, rescan_every=rescan_every
        )

    async def open(self) -> "Notes":
        """Start it; with an index, wait until it is used."""
        if self.indexed:
            self.put("first.txt", "", age=100_000)
            self.search.start()
            await until(lambda: self.search.indexed)
            (self.root / "first.txt").unlink()
            self.search.notice("first.txt")
        return self

    def put(self, path: str, text: str, *, age: int = 0) -> None:
        """A note, written by this program, that was last changed *age* seconds before a fixed moment."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, newline="")
        os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))
        self.search.notice(path)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def places(results: Results) -> list[str]:
    """`path:line` of each hit."""
    return [f"{hit.path}:{hit.line}" for hit in results.hits]


def plainly(root: Path, text: str, *, limit: int = 50, folder: str = "") -> tuple[list[str], int, bool]:
    """What a search must find: places, how many notes there are, and whether there is more. No index, no shortcut."""
    query = parse(text)
    found: list[tuple[int, int, str, int]] = []
    notes, more = 0, False
    for path, content, modified in _contents(root):
        if folder and path != folder and not path.startswith(f"{folder}/"):
            continue
        notes += 1
        lines = content.split("\n")
        ranks = [(query.rank(fold(line)), number) for number, line in enumerate(lines, 1)]
        best = sorted((rank, number) for rank, number in ranks if rank is not None)
        names = [path, *_headings(lines)]
        titled = not query.terms or any(all(term.pattern.search(fold(name)) for term in query.terms) for name in names)
        found += [(2 * rank + (not titled), -modified, path, number) for rank, number in best[:5]]
        more |= len(best) > 5
    found.sort()
    return [f"{path}:{number}" for _, _, path, number in found[:limit]], notes, more or len(found) > limit


def _headings(lines: list[str]) -> list[str]:
    found, fenced = [], False
    for line in lines:
        fenced ^= re.match(" {0,3}(```|~~~)", line) is not None
        if not fenced and (match := _HEADING.match(line.removesuffix("\r"))):
            found.append(match[1])
    return found


def _contents(root: Path) -> list[tuple[str, str, int]]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder) / name
            info = file.lstat()
            shown = name.lower().endswith((".md", ".markdown", ".txt")) and not name.startswith(".")
            if not shown or not stat.S_ISREG(info.st_mode) or info.st_size > 1 << 20:
                continue
            try:
                found.append((str(file.relative_to(root)), file.read_bytes().decode(), info.st_mtime_ns))
            except UnicodeDecodeError:
                continue
    return found
