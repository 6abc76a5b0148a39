"""A skill as people look at it: all of its files with what was found in them, and what the index says of one."""

from ironclaw.skills.models import MAIN, Package, SkillDetail, SkillFile, SkillItem
from ironclaw.skills.remote import RemoteSkill
from ironclaw.skills.shelf import Entry


def detail_of(entry: Entry, package: Package) -> SkillDetail:
    """All of it. Looks through the files, which takes time."""
    from ironclaw.skills import scan  # noqa: PLC0415 - its patterns are made when somebody looks

    listed = [
        SkillFile(path=path, size=len(data), content=scan.text_of(data)) for path, data in sorted(package.files.items())
    ]
    findings = scan.scan(package.files)
    return SkillDetail(
        skill=entry.item(),
        content=package.files[MAIN].decode("utf-8", "replace"),
        instructions=package.document.instructions,
        files=listed,
        findings=findings,
    )


def remote_item(one: RemoteSkill) -> SkillItem:
    """An entry of the index, which is not here yet."""
    return SkillItem(
        name=one.name,
        description=one.description,
        version=one.version,
        installed=False,
        enabled=False,
        source="remote",
        trust="untrusted",
        state="available",
        tools="read",
        tags=list(one.tags),
        allowed_tools=[],
        origin=one.url,
    )
