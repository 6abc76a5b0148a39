"""The bytes of the workspace's files over HTTP: GET, PUT and DELETE with ETag, If-Match, If-None-Match and Range.

A file is somebody else's text: one that a browser would run as a page is only given to be saved, and none may do anything.
"""

import asyncio
import os
from email.utils import format_datetime
from pathlib import PurePosixPath
from urllib.parse import quote

import attrs
from aiohttp import web

from ironclaw.api import errors
from ironclaw.api.keys import SERVICES
from ironclaw.api.memory import FileQuery, saved_response
from ironclaw.api.requests import ANY_TEXT, chunks, read_query
from ironclaw.api.responses import json_response
from ironclaw.api.streams import aborted_when_broken
from ironclaw.errors import BadRequest
from ironclaw.memory.notes import MAX_FILE, OpenFile
from ironclaw.memory.workspace import ANY, MISSING, PRESENT

_BLOCK = 256 << 10
_STALLED = 30.0  # seconds that a client may take for a block
_TEXT = "; charset=utf-8"
_SHOWN = {
    **dict.fromkeys((".txt", ".log", ".py", ".sh", ".toml", ".yaml", ".yml", ".ini"), f"text/plain{_TEXT}"),
    **dict.fromkeys((".md", ".markdown"), f"text/markdown{_TEXT}"),
    ".csv": f"text/csv{_TEXT}",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".png": "image/png",
    **dict.fromkeys((".jpg", ".jpeg"), "image/jpeg"),
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
# What a browser would run, or take for a page, is for saving only.
_SAVED = {
    **dict.fromkeys((".html", ".htm"), f"text/html{_TEXT}"),
    ".xhtml": "application/xhtml+xml",
    ".svg": "image/svg+xml",
    **dict.fromkeys((".xml", ".xsl", ".rss", ".atom"), "application/xml"),
    **dict.fromkeys((".js", ".mjs"), f"text/javascript{_TEXT}"),
    ".css": f"text/css{_TEXT}",
    ".zip": "application/zip",
    ".gz": "application/gzip",
}


@attrs.frozen
class RawQuery:
    """The file *path*; *download*: to be saved, not shown."""

    path: str = attrs.field(metadata=ANY_TEXT)
    download: bool = False


async def get(request: web.Request) -> web.StreamResponse:
    """A file's bytes, or those of a range."""
    query = read_query(request, RawQuery)
    async with request.app[SERVICES].workspace.open(query.path) as file:
        headers = _headers(query, file)
        if _matches(request.headers.get("If-None-Match"), file.etag):
            return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
        part = _range(request, file)
        if part is None:
            message = f"The file has only {file.size} bytes."
            return errors.render(416, "bad_range", message, headers={"Content-Range": f"bytes */{file.size}"})
        return await _send(request, file, part, headers)


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
    return frozenset(_etags(match)) or frozenset({""}) if match is not None else ANY


def _etags(header: str) -> list[str]:
    """The etags of a header, bare; `*` is `PRESENT`."""
    return [PRESENT if one == "*" else one.strip('"') for part in header.split(",") if (one := part.strip())]


def _matches(header: str | None, etag: str) -> bool:
    found = _etags(header.replace("W/", "")) if header is not None else []
    return etag in found or PRESENT in found


def _headers(query: RawQuery, file: OpenFile) -> dict[str, str]:
    name = query.path.rpartition("/")[2]
    suffix = PurePosixPath(name).suffix.lower()
    shown = suffix in _SHOWN and not query.download
    return {
        "Content-Type": _SHOWN.get(suffix) or _SAVED.get(suffix) or "application/octet-stream",
        "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "ETag": f'"{file.etag}"',
        "Last-Modified": format_datetime(file.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }


def _range(request: web.Request, file: OpenFile) -> range | None:
    """The bytes that are asked for; None for such as are not there. What can't be understood asks for all of them."""
    whole = range(file.size)
    if "Range" not in request.headers or not _matches(request.headers.get("If-Range", f'"{file.etag}"'), file.etag):
        return whole
    try:
        asked = request.http_range
    except ValueError:
        return whole
    part = whole[asked]
    return part if len(part) else None


async def _send(request: web.Request, file: OpenFile, part: range, headers: dict[str, str]) -> web.StreamResponse:
    partial = len(part) < file.size
    response = web.StreamResponse(status=206 if partial else 200, headers=headers)
    response.content_length = len(part)
    if partial:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    with aborted_when_broken(request, response):
        await response.prepare(request)
        if request.method != "HEAD":
            for start in range(part.start, part.stop, _BLOCK):
                await _send_block(response, file, start, min(_BLOCK, part.stop - start))
    return response


async def _send_block(response: web.StreamResponse, file: OpenFile, start: int, size: int) -> None:
    block = await asyncio.to_thread(os.pread, file.descriptor, size, start)
    if len(block) < size:
        raise ConnectionError("The file became shorter while it was sent.")
    try:
        async with asyncio.timeout(_STALLED):
            await response.write(block)
    except TimeoutError:
        raise ConnectionError("The client does not read.") from None
