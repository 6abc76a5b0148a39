"""Sends the bytes of an open file: ETag, ranges, and a media type by its name.

A file is somebody else's text: one that a browser would run as a page is only given to be saved, and none may do anything.
"""

import asyncio
import os
from datetime import datetime
from email.utils import format_datetime
from pathlib import PurePosixPath
from urllib.parse import quote

from aiohttp import web

from ironclaw.api import errors
from ironclaw.api.streams import aborted_when_broken
from ironclaw.memory.workspace import PRESENT
from ironclaw.values import frozen

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
# What a browser would run, or take for a page.
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
_NOTHING = "sandbox; default-src 'none'; frame-ancestors 'none'"


@frozen(kw_only=True)
class FileReply:
    """An open file as it goes out. *saved*: whatever it is, to be saved; *policy* is what it may do when it is shown.

    *pages*: one that a browser takes for a page is shown, too.
    """

    name: str
    descriptor: int
    size: int
    etag: str
    modified: datetime
    saved: bool = False
    pages: bool = False
    policy: str = _NOTHING

    async def send(self, request: web.Request) -> web.StreamResponse:
        """The reply: all of it, a range, or that it is still the same."""
        headers = self._headers()
        if matches(request.headers.get("If-None-Match"), self.etag):
            return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
        part = self._range(request)
        if part is None:
            message = f"The file has only {self.size} bytes."
            return errors.render(416, "bad_range", message, headers={"Content-Range": f"bytes */{self.size}"})
        return await self._send(request, part, headers)

    def _headers(self) -> dict[str, str]:
        suffix = PurePosixPath(self.name).suffix.lower()
        shown = (suffix in _SHOWN or (self.pages and suffix in _SAVED)) and not self.saved
        return {
            "Content-Type": _SHOWN.get(suffix) or _SAVED.get(suffix) or "application/octet-stream",
            "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(self.name, safe='')}",
            "Content-Security-Policy": self.policy,
            "ETag": f'"{self.etag}"',
            "Last-Modified": format_datetime(self.modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
        }

    def _range(self, request: web.Request) -> range | None:
        """The bytes that are asked for; None for such as are not there. What can't be understood asks for all of them."""
        whole = range(self.size)
        if "Range" not in request.headers or not matches(request.headers.get("If-Range", f'"{self.etag}"'), self.etag):
            return whole
        try:
            asked = request.http_range
        except ValueError:
            return whole
        part = whole[asked]
        return part if len(part) else None

    async def _send(self, request: web.Request, part: range, headers: dict[str, str]) -> web.StreamResponse:
        partial = len(part) < self.size
        response = web.StreamResponse(status=206 if partial else 200, headers=headers)
        response.content_length = len(part)
        if partial:
            response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{self.size}"
        with aborted_when_broken(request, response):
            await response.prepare(request)
            if request.method != "HEAD":
                for start in range(part.start, part.stop, _BLOCK):
                    await self._send_block(response, start, min(_BLOCK, part.stop - start))
        return response

    async def _send_block(self, response: web.StreamResponse, start: int, size: int) -> None:
        block = await asyncio.to_thread(os.pread, self.descriptor, size, start)
        if len(block) < size:
            raise ConnectionError("The file became shorter while it was sent.")
        try:
            async with asyncio.timeout(_STALLED):
                await response.write(block)
        except TimeoutError:
            raise ConnectionError("The client does not read.") from None


def etags(header: str) -> list[str]:
    """The etags of a header, bare; `*` is `PRESENT`."""
    return [PRESENT if one == "*" else one.strip('"') for part in header.split(",") if (one := part.strip())]


def matches(header: str | None, etag: str) -> bool:
    """Whether a header names this etag, or any."""
    found = etags(header.replace("W/", "")) if header is not None else []
    return etag in found or PRESENT in found
