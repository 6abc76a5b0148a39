"""The bytes of the workspace's files over HTTP: GET, PUT and DELETE with ETag, If-Match, If-None-Match and Range."""

import attrs
from aiohttp import web

from ironclaw.api.file_reply import FileReply, etags
from ironclaw.api.keys import SERVICES
from ironclaw.api.memory import FileQuery, saved_response
from ironclaw.api.requests import ANY_TEXT, chunks, read_query
from ironclaw.api.responses import json_response
from ironclaw.errors import BadRequest
from ironclaw.memory.notes import MAX_FILE
from ironclaw.memory.workspace import ANY, MISSING
from ironclaw.values import frozen


@frozen
class RawQuery:
    """The file *path*; *download*: to be saved, not shown."""

    path: str = attrs.field(metadata=ANY_TEXT)
    download: bool = False


async def get(request: web.Request) -> web.StreamResponse:
    """A file's bytes, or those of a range."""
    query = read_query(request, RawQuery)
    async with request.app[SERVICES].workspace.open(query.path) as file:
        reply = FileReply(
            name=query.path.rpartition("/")[2],
            descriptor=file.descriptor,
            size=file.size,
            etag=file.etag,
            modified=file.modified,
            saved=query.download,
        )
        return await reply.send(request)


async def put(request: web.Request) -> web.StreamResponse:
    """Make the body, of whatever type, the content of a file."""
    path = read_query(request, FileQuery).path
    services = request.app[SERVICES]
    body = chunks(request, services.settings.body_timeout, MAX_FILE)
    saved = await services.workspace.put(path, body, author="person", expect=_expected(request))
    return saved_response(request, saved, status=201 if saved.created else 200)


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete a file; its versions stay."""
    path = read_query(request, FileQuery).path
    saved = await request.app[SERVICES].workspace.delete(path, author="person", expect=_expected(request))
    return json_response(request, saved)


def _expected(request: web.Request) -> frozenset[str]:
    """What If-Match and If-None-Match ask the file to be."""
    if (none := request.headers.get("If-None-Match")) is not None:
        if none.strip() != "*":
            raise BadRequest("With a write If-None-Match can only be `*`.", field="If-None-Match")
        return frozenset({MISSING})
    match = request.headers.get("If-Match")
    return frozenset(etags(match)) or frozenset({""}) if match is not None else ANY
