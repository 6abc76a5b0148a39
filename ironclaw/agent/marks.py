"""How text that is not the person's own is marked for a model: as data, or as the instructions of a skill."""

import secrets

from ironclaw.skills.tools import BEGINNING, SKILL_READ


def mark(name: str, text: str) -> str:
    """The text as data that came from *name*; nothing in it can end the data early, because it can't know the mark."""
    sign = secrets.token_hex(4)
    return f"data {sign} from {name}:\n{text}\nend of data {sign}"


def mark_result(tool: str, text: str) -> str:
    """What a tool gave: data, but for the instructions of a skill."""
    if tool == SKILL_READ and text.startswith(BEGINNING):
        return mark_skill(text)
    return mark(tool, text)


def mark_skill(text: str) -> str:
    """The instructions of a skill, between lines that nothing in them can know."""
    sign = secrets.token_hex(4)
    return f"skill {sign}:\n{text}\nend of skill {sign}"
