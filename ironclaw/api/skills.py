"""Skills over HTTP: search, look, install, enable, write one's own, remove. What is allowed is decided in `skills/`."""

import base64
import binascii
from typing import Literal

import attrs
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import ANY_TEXT, PICTURES_LIMIT, parse_json, read_body, read_bytes, read_query
from ironclaw.api.responses import json_response
from ironclaw.errors import Invalid
from ironclaw.skills.manager import SkillManager
from ironclaw.skills.models import Problem, SkillDetail, SkillItem, Tools
from ironclaw.skills.sources import Wanted
from ironclaw.values import frozen

__all__ = ["SkillDetail", "SkillItem"]  # part of what these routes answer


@frozen
class SkillQuery:
    """Words of names, descriptions and tags; all skills without them."""

    query: str = attrs.field(default="", metadata=ANY_TEXT)


@frozen(kw_only=True)
class SkillHits:
    """The skills that fit, the best first. *registry_error*: why the index of SKILLS_REGISTRY_URL could not be asked."""

    skills: list[SkillItem]
    registry_error: str | None = None


@frozen
class SkillList:
    """The skills that are installed or one's own, by name; *problems* are folders that are no usable skill."""

    skills: list[SkillItem]
    problems: list[Problem]


@frozen(kw_only=True)
class InstallSkill:
    """One of: the *name* of a known skill, a https *url*, an *archive* (zip or tar.gz, in base64), the *content* of a
    SKILL.md. Beside one of the others *name* says which skill of an archive, or what one without a name is called.

    *update*: in place of an installed one of that name. *hash*: install it only if it is what was looked at.
    """  # noqa: D205

    name: str | None = None
    url: str | None = None
    archive: str | None = None
    content: str | None = None
    hash: str | None = None
    update: bool = False


@frozen(kw_only=True)
class EnableSkill:
    """*hash*: what was looked at; needed for a skill from elsewhere. *tools* `all`: a turn may act after reading it."""

    hash: str | None = None
    tools: Tools | None = None


@frozen(kw_only=True)
class SaveSkill:
    """The whole SKILL.md of an own skill. With *hash* only where that is still the skill's; empty: where there is none."""

    content: str
    hash: str | None = None


@frozen
class SkillRemoved:
    """It is uninstalled; a folder of one's own was not deleted but moved to *kept*, below HOME/skills."""

    status: Literal["removed"]
    name: str
    kept: str | None = None


async def search(request: web.Request) -> web.StreamResponse:
    """Skills by words."""
    found = await _skills(request).search(read_query(request, SkillQuery).query)
    return json_response(request, SkillHits(skills=found.items, registry_error=found.index_error))


async def list_skills(request: web.Request) -> web.StreamResponse:
    """What is installed."""
    items, problems = await _skills(request).installed()
    return json_response(request, SkillList(items, problems))


async def read(request: web.Request) -> web.StreamResponse:
    """One skill, whole."""
    return json_response(request, await _skills(request).read(request.match_info["name"]))


async def preview(request: web.Request) -> web.StreamResponse:
    """What an install would bring."""
    body = await _install_body(request)
    return json_response(request, await _skills(request).preview(_wanted(body), update=body.update))


async def install(request: web.Request) -> web.StreamResponse:
    """Install a skill."""
    body = await _install_body(request)
    item = await _skills(request).install(_wanted(body), hash=body.hash, update=body.update)
    return json_response(request, item)


async def enable(request: web.Request) -> web.StreamResponse:
    """Let the agent use a skill."""
    body = await read_body(request, EnableSkill, request.app[SERVICES].settings.body_timeout)
    item = await _skills(request).enable(request.match_info["name"], hash=body.hash, tools=body.tools)
    return json_response(request, item)


async def disable(request: web.Request) -> web.StreamResponse:
    """Do not let the agent use a skill."""
    return json_response(request, await _skills(request).disable(request.match_info["name"]))


async def save(request: web.Request) -> web.StreamResponse:
    """Write a skill of one's own."""
    body = await read_body(request, SaveSkill, request.app[SERVICES].settings.body_timeout)
    detail, _ = await _skills(request).save(request.match_info["name"], body.content, body.hash)
    return json_response(request, detail)


async def remove(request: web.Request) -> web.StreamResponse:
    """Uninstall a skill."""
    name = request.match_info["name"]
    kept = await _skills(request).remove(name)
    return json_response(request, SkillRemoved("removed", name, kept))


def _skills(request: web.Request) -> SkillManager:
    return request.app[SERVICES].skills


async def _install_body(request: web.Request) -> InstallSkill:
    data = await read_bytes(request, request.app[SERVICES].settings.body_timeout, PICTURES_LIMIT)
    return parse_json(request, data, InstallSkill)


def _wanted(body: InstallSkill) -> Wanted:
    return Wanted(name=body.name, url=body.url, archive=_decoded(body.archive), content=body.content)


def _decoded(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("The archive is not base64.", field="archive") from None
