"""What a path in the workspace may be. It is opened by `ironclaw/files.py` alone."""

import unicodedata

from ironclaw.errors import Invalid

NOTE_SUFFIXES = (".md", ".markdown", ".txt")
MAX_PATH = 1024
PROTECTED = frozenset({"agents.md", "soul.md", "user.md", "identity.md"})
"""Who the agent is and how it works is for people to write."""


def is_note(name: str) -> bool:
    """Whether a file of this name is a note, and so is counted and searched."""
    return name.lower().endswith(NOTE_SUFFIXES)


def is_protected(path: str) -> bool:
    """Whether only people may write the file: also where a system that folds names would take it for such a one."""
    name = unicodedata.normalize("NFKD", path.rstrip("/").rpartition("/")[2])
    shown = "".join(c for c in name if unicodedata.category(c) not in {"Mn", "Cf", "Cc"})
    return shown.casefold().strip(". ") in PROTECTED


def checked_path(path: str) -> str:
    """*path* as it is, if a file of the workspace may be called so; else raises *Invalid*."""
    if problem := problem_of(path):
        raise Invalid(f"The path {problem}.", field="path")
    return path


def checked_folder(path: str) -> str:
    """The same for a folder, without the slash at its end; `""` is the workspace itself."""
    folder = path.removesuffix("/") if path != "/" else path
    return checked_path(folder) if folder else ""


def problem_of(path: str) -> str | None:
    """What is wrong with a path, in words that follow "The path"; None for a good one."""
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "must be relative to the workspace, without a leading `/`"
    if any(unicodedata.category(character) == "Cs" for character in path):
        return "is not valid Unicode"
    if len(path.encode()) > MAX_PATH:
        return f"is longer than {MAX_PATH} bytes"
    if "\0" in path or "\\" in path:
        return "may not hold a backslash or NUL"
    if any(not part or part.startswith(".") for part in path.split("/")):
        return "may not have empty parts, `..` or parts that begin with a dot"
    return None


def join(folder: str, name: str) -> str:
    """The path of what is called *name* in *folder*."""
    return f"{folder}/{name}" if folder else name
