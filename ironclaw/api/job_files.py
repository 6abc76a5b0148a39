"""A job's files over HTTP: with the token as lists and bytes, and by a signed link as pages that a person can click.

All of it was made by a program in a sandbox: nothing is run, a page of it gets an origin of its own (CSP `sandbox`).
"""

import asyncio
import html
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import attrs
from aiohttp import web

from ironclaw import codec
from ironclaw.api.file_reply import FileReply
from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import ANY_TEXT, read_query
from ironclaw.api.responses import json_response
from ironclaw.files import Entry, mark_of, moment
from ironclaw.jobs.folder import JobFolder
from ironclaw.jobs.models import Job
from ironclaw.redact import printable
from ironclaw.values import frozen

_MOST_LISTED = 2000
# A report of a job may have its own styles and pictures; scripts, forms and calls it may not.
_POLICY = (
    "sandbox; default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@frozen
class JobFolderQuery:
    """The folder *path* of a job's files; without it all of them."""

    path: str = attrs.field(default="", metadata=ANY_TEXT)


@frozen
class JobFileQuery:
    """A job's file *path*; *download*: to be saved, not shown."""

    path: str = attrs.field(metadata=ANY_TEXT)
    download: bool = False


@frozen
class JobEntry:
    """A file or folder of a job; *size* in bytes, null for a folder."""

    name: str
    path: str
    is_folder: bool
    size: int | None = attrs.field()
    modified: str


@frozen
class JobFileList:
    """What is in a folder of a job's files, folders first; *truncated*: there is more."""

    path: str
    entries: list[JobEntry]
    truncated: bool


async def list_files(request: web.Request) -> web.StreamResponse:
    """What is in a folder."""
    path = read_query(request, JobFolderQuery).path.strip("/")
    entries = await _entries(await _folder(request), path)
    shown = [_entry(path, one) for one in entries[:_MOST_LISTED]]
    return json_response(request, JobFileList(path, shown, len(entries) > _MOST_LISTED))


async def read_file(request: web.Request) -> web.StreamResponse:
    """A file's bytes, or those of a range."""
    query = read_query(request, JobFileQuery)
    async with _opened(await _folder(request), query.path) as descriptor:
        return await _reply(query.path, descriptor, saved=query.download).send(request)


async def browse(request: web.Request) -> web.StreamResponse:
    """A folder as a page of links, or a file; for whoever has the link."""
    job_id, path = request.match_info["id"], request.match_info["path"]
    jobs = request.app[SERVICES].jobs
    jobs.links.check(job_id, request.match_info["signature"])
    folder = await jobs.files(job_id)
    if path == "" or path.endswith("/"):
        entries = await _entries(folder, path.strip("/"))
        return _page(await jobs.find(job_id), path, entries)
    async with _opened(folder, path) as descriptor:
        return await attrs.evolve(_reply(path, descriptor), pages=True, policy=_POLICY).send(request)


async def _folder(request: web.Request) -> JobFolder:
    return await request.app[SERVICES].jobs.files(request.match_info["id"])


async def _entries(folder: JobFolder, path: str) -> list[Entry]:
    return await asyncio.to_thread(folder.scan, path)


@asynccontextmanager
async def _opened(folder: JobFolder, path: str) -> AsyncIterator[int]:
    descriptor = await asyncio.to_thread(folder.open_file, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _reply(path: str, descriptor: int, *, saved: bool = False) -> FileReply:
    info = os.fstat(descriptor)
    etag = "-".join(f"{number:x}" for number in mark_of(info))
    return FileReply(
        name=path.rpartition("/")[2],
        descriptor=descriptor,
        size=info.st_size,
        etag=etag,
        modified=moment(info.st_mtime),
        saved=saved,
    )


def _entry(folder: str, entry: Entry) -> JobEntry:
    path = f"{folder}/{entry.name}" if folder else entry.name
    size = None if entry.is_folder else entry.size
    return JobEntry(entry.name, path, entry.is_folder, size, codec.format_time(entry.modified))


def _page(job: Job, path: str, entries: list[Entry]) -> web.Response:
    title = html.escape(printable(f"{job.title} /{path}"))
    lines = ['<li><a href="../">../</a></li>'] if path else []
    for entry in entries[:_MOST_LISTED]:
        name = entry.name + "/" * entry.is_folder
        size = "" if entry.is_folder else f" {entry.size:,} bytes"
        lines.append(f'<li><a href="./{quote(name)}">{html.escape(printable(name))}</a>{size}</li>')
    if len(entries) > _MOST_LISTED:
        lines.append(f"<li>and {len(entries) - _MOST_LISTED:,} more</li>")
    body = "\n".join(lines) or "<li>There is nothing in it.</li>"
    text = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        "<style>:root { color-scheme: light dark } body { font: 1rem/1.6 system-ui, sans-serif; margin: 2rem }</style>\n"
        f"<h1>{title}</h1>\n<ul>\n{body}\n</ul>\n</html>\n"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _POLICY})
