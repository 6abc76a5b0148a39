"""Skills: instructions for particular tasks, each a folder with a SKILL.md. What the agent does with them is in `agent/`.

Where they are: `builtin` ones are part of this package; a person's own stand in HOME/skills, one folder each, for any
editor; those that came from elsewhere in HOME/skills/.installed, and are used only while they are what was looked at.
"""

from ironclaw.skills.manager import SkillManager
from ironclaw.skills.store import MIGRATIONS

__all__ = ["MIGRATIONS", "SkillManager"]
