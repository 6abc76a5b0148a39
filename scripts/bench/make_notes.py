"""Markdown notes made from a seed: `python make_notes.py FOLDER COUNT [SEED]`.

About 2.5 kB each, in up to 300 folders, words by Zipf's law from a vocabulary of 20,000. Five notes hold RARE, one in
200 holds PHRASE, four in five hold a TODO. Their times of change are a minute apart.
"""

import os
import random
import sys
from itertools import accumulate
from pathlib import Path

RARE = "zyxwv-7731"
PHRASE = "flaky websocket"
_START = 1_600_000_000
_SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "zi",
)
_COMMON = ("the", "of", "and", "to", "a", "in", "for", "is", "on", "that", "meeting", "note", "plan", "call", "test")


def make_notes(folder: Path, count: int, seed: int = 1) -> int:
    """Fill *folder* with *count* notes; how many bytes they have."""
    chance = random.Random(seed)
    words, weights = _vocabulary(chance)
    size = 0
    for number in range(count):
        file = folder / _path(number, count)
        file.parent.mkdir(parents=True, exist_ok=True)
        data = _text(chance, words, weights, number, count).encode()
        file.write_bytes(data)
        os.utime(file, (_START + 60 * number, _START + 60 * number))
        size += len(data)
    return size


def _vocabulary(chance: random.Random) -> tuple[list[str], list[float]]:
    made: dict[str, None] = dict.fromkeys(_COMMON)
    while len(made) < 20_000:
        made["".join(chance.choices(_SYLLABLES, k=chance.randint(2, 5)))] = None
    return list(made), list(accumulate(1 / rank for rank in range(1, len(made) + 1)))


def _path(number: int, count: int) -> str:
    folders = min(300, max(1, count // 40))
    group = number % folders
    return f"area-{group % 20}/topic-{group}/note-{number:06}.md"


def _text(chance: random.Random, words: list[str], weights: list[float], number: int, count: int) -> str:
    picked = iter(chance.choices(words, cum_weights=weights, k=480))
    lines = [f"# {' '.join(next(picked) for _ in range(4)).title()}", ""]
    for line in range(chance.randint(25, 45)):
        if line % 12 == 11:
            lines += ["", f"## {' '.join(next(picked) for _ in range(3))}", ""]
        lines.append(" ".join(next(picked) for _ in range(10)))
    if chance.random() < 0.8:
        lines.insert(chance.randrange(2, len(lines)), f"- [ ] TODO {next(picked)} {next(picked)}")
    if chance.random() < 0.005:
        lines.insert(chance.randrange(2, len(lines)), f"the {PHRASE} again")
    if number % max(1, count // 5) == count // 10:
        lines.append(f"ticket {RARE} is open")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    made = make_notes(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))
    print(f"{made / 1e6:.1f} MB")
