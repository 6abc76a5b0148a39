"""Commands typed as a message: which there are, and which are plain phrases of the built-in assistant.

Only exact known names are commands: `/etc/fstab is wrong` is text, and a second slash (`//help`) makes text of any.
"""

import re

from ironclaw.values import frozen

_COMMAND = re.compile(r"/([a-z]+)(?:\s+(.*))?", re.S)

# Answered by the built-in assistant, whatever model is connected: at once, free, and the same words each time.
PHRASES = {"help": "help", "status": "status", "find": "find {}", "note": "note: {}", "jobs": "jobs"}
DIRECT = ("new", "stop", "undo", "compact", "model", "skills")
_NEED_TEXT = ("find", "note")
_SKILL = re.compile(r"/skill\s+(\S+)(?:\s+(.*))?", re.S)
_SKILL_USAGE = (
    "Write a skill's name and what you want behind it: `/skill journal fixed the gutter`. `/skills` lists them."
)


@frozen
class Command:
    """A known command and what stood behind it."""

    name: str
    argument: str

    @property
    def phrase(self) -> str | None:
        """What to ask the built-in assistant; None for a command that the chat service itself carries out."""
        template = PHRASES.get(self.name)
        return template.replace("{}", self.argument) if template is not None else None

    @property
    def usage(self) -> str | None:
        """What to say when the command lacks its text."""
        if self.name == "skill":
            return _SKILL_USAGE
        if self.name in _NEED_TEXT and not self.argument:
            return f"Write something behind it: `/{self.name} milk`."
        return None


def parse(text: str) -> Command | None:
    """The command that *text* is, if it is one."""
    if text.strip() == "/skill":
        return Command("skill", "")
    match = _COMMAND.fullmatch(text.strip())
    if match is None or match[1] not in {*PHRASES, *DIRECT}:
        return None
    return Command(match[1], (match[2] or "").strip())


def asked(text: str) -> tuple[str, str | None]:
    """What a message asks the model for, and the skill that it is to use: `/skill NAME what to do`."""
    match = _SKILL.fullmatch(text.strip())
    return (plain(text), None) if match is None else ((match[2] or "").strip(), match[1])


def plain(text: str) -> str:
    """The text as the model should see it: the slash that made it text is gone."""
    return text[1:] if text.startswith("//") else text
