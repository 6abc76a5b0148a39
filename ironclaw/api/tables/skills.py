"""The routes of skills."""

from ironclaw.api.requests import PICTURES_LIMIT
from ironclaw.api.route import Route, route
from ironclaw.skills.names import RESERVED

# The words that stand where a name would: no skill is called so, and other methods on them are not allowed.
_NAME = f"/api/skills/{{name:(?!(?:{'|'.join(sorted(RESERVED))})$)[^/]+}}"

ROWS: tuple[Route, ...] = (
    route(
        "skills",
        "GET",
        "/api/skills/search",
        "skills.search",
        "Skills by words, installed or not, the best first.",
        query="skills.SkillQuery",
        reply="skills.SkillHits",
    ),
    route(
        "skills",
        "POST",
        "/api/skills/install",
        "skills.install",
        "Install a skill by name, address, archive or text; one from elsewhere is not enabled yet.",
        body="skills.InstallSkill",
        reply="skills.SkillItem",
        most=PICTURES_LIMIT,
    ),
    route(
        "skills",
        "GET",
        "/api/skills/list",
        "skills.list_skills",
        "The skills that are installed or one's own.",
        reply="skills.SkillList",
    ),
    route(
        "skills",
        "POST",
        "/api/skills/preview",
        "skills.preview",
        "What an install would bring: files, asked tools, what was found in them. Nothing is kept.",
        body="skills.InstallSkill",
        reply="skills.SkillDetail",
        most=PICTURES_LIMIT,
    ),
    route(
        "skills",
        "GET",
        "/api/skills/{name}",
        "skills.read",
        "A skill with its instructions and files.",
        reply="skills.SkillDetail",
        pattern=_NAME,
    ),
    route(
        "skills",
        "PUT",
        "/api/skills/{name}",
        "skills.save",
        "Write or edit a skill of one's own.",
        body="skills.SaveSkill",
        reply="skills.SkillDetail",
        pattern=_NAME,
    ),
    route(
        "skills",
        "POST",
        "/api/skills/{name}/enable",
        "skills.enable",
        "Let the agent use a skill; one from elsewhere by the hash of what was looked at.",
        body="skills.EnableSkill",
        reply="skills.SkillItem",
    ),
    route(
        "skills",
        "POST",
        "/api/skills/{name}/disable",
        "skills.disable",
        "Do not let the agent use a skill.",
        reply="skills.SkillItem",
    ),
    route(
        "skills",
        "DELETE",
        "/api/skills/{name}",
        "skills.remove",
        "Uninstall a skill; a folder of one's own is moved aside.",
        reply="skills.SkillRemoved",
        pattern=_NAME,
    ),
)
