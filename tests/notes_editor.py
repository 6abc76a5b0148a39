"""Another program that works in the notes: `python notes_editor.py FOLDER`. A line on stdin, `COUNT SEED`, is a batch.

It writes in place, by renaming, and appends; it renames, moves and deletes notes and folders, and sets times back. A batch
ends with a new note that says `marker SEED`, then with a line on stdout.
"""

import os
import random
import shutil
import sys
from pathlib import Path

WORDS = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "al",
    "gas boiler",
    "boiler",
    "東京",
    "Café",
    "don't",
    "x_y",
    "[ ]",
    "TODO",
    "\n",
)
FOLDERS = ("", "a", "b", "a/deep", "gamma")


def text(chance: random.Random) -> str:
    """Some lines, some of them headings."""
    lines = [" ".join(chance.choices(WORDS, k=chance.randint(0, 6))) for _ in range(chance.randint(0, 8))]
    return "\n".join(chance.choice(("", "", "# ", "- [ ] ")) + line for line in lines) + chance.choice(("", "\n"))


def path(root: Path, chance: random.Random) -> Path:
    """Where a note may be."""
    name = chance.choice(("", "", "", "alpha ", "beta\n")) + f"{chance.randint(0, 40)}.md"
    return root / chance.choice(FOLDERS) / name


def edit(root: Path, chance: random.Random) -> None:
    """One change."""
    file = path(root, chance)
    kind = chance.choice(("write", "write", "replace", "append", "delete", "move", "old", "folder", "binary", "link"))
    file.parent.mkdir(parents=True, exist_ok=True)
    if kind == "write":
        file.unlink(missing_ok=True)
        file.write_text(text(chance))
    elif kind == "replace":
        (root / ".draft").write_text(text(chance))
        (root / ".draft").rename(file)
    elif kind == "delete":
        file.unlink(missing_ok=True)
    elif kind == "binary":
        file.unlink(missing_ok=True)
        file.write_bytes(b"alpha \xff")
    elif kind == "link":
        file.unlink(missing_ok=True)
        file.symlink_to("/etc/hostname")
    elif kind == "folder":
        _change_folder(root, chance)
    elif file.is_file() and not file.is_symlink():
        _change(root, file, kind, chance)


def _change(root: Path, file: Path, kind: str, chance: random.Random) -> None:
    if kind == "append":
        with file.open("a") as opened:
            opened.write(text(chance))
    elif kind == "move":
        target = path(root, chance)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    else:
        os.utime(file, (chance.randint(1, 2_000_000_000),) * 2)


def _change_folder(root: Path, chance: random.Random) -> None:
    folder = root / chance.choice(FOLDERS[1:])
    if folder.is_dir() and chance.random() < 0.3:
        shutil.rmtree(folder)
    elif folder.is_dir():
        target = root / chance.choice(("c", "d", "alpha"))
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)


def main(root: Path) -> None:
    """Carry out what stdin says."""
    for line in sys.stdin:
        count, seed = map(int, line.split())
        chance = random.Random(seed)
        for _ in range(count):
            edit(root, chance)
        (root / f"marker-{seed}.md").write_text(f"marker {seed}\n")
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
