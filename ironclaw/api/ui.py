"""The page: its files, served from memory with gzip and ETag. Which files there are is read once, when the app is made.

Modules and stylesheets are given with what they import: see `packs.py`.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiofiles
import attrs
from aiohttp import web

from ironclaw.values import define, frozen

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}
_BINARY = frozenset({"image/png"})


@frozen
class _File:
    plain: bytes
    packed: bytes | None  # None where that would not be smaller
    etag: str


@define
class Page:
    """The files of the page, each read when it is first asked for."""

    _root: Path
    _files: dict[str, _File] = attrs.Factory(dict)

    @classmethod
    def find(cls) -> "Page":
        """The page as installed, or as it stands in the checkout."""
        package = Path(__file__).parents[1]
        installed = package / "static"
        return cls(installed if (installed / "index.html").is_file() else package.parent / "web")

    def routes(self) -> list[web.RouteDef]:
        """A route for each file; `index.html` is `/`."""
        names = sorted(
            path.relative_to(self._root).as_posix()
            for path in self._root.rglob("*")
            if path.suffix in _TYPES and path.is_file() and not path.is_symlink()
        )
        paths = {"/" if name == "index.html" else f"/{name}": name for name in names}
        paths["/favicon.ico"] = "favicon.svg"  # what browsers ask for unasked
        return [web.get(path, self._handler(name)) for path, name in paths.items()]

    def _handler(self, name: str):  # type: ignore[no-untyped-def]
        async def serve(request: web.Request) -> web.StreamResponse:
            return _response(request, await self._load(name), _TYPES[Path(name).suffix])

        return serve

    async def _load(self, name: str) -> _File:
        if name not in self._files:
            self._files[name] = await asyncio.to_thread(_compressed, await self._read(name))
        return self._files[name]

    async def _read(self, name: str) -> bytes:
        if name.endswith((".js", ".css")):
            from . import packs  # noqa: PLC0415 - loaded with the first look at the page

            return await asyncio.to_thread(packs.given, self._root, name)
        async with aiofiles.open(self._root / name, "rb") as file:
            return await file.read()


def _compressed(plain: bytes) -> _File:
    packed = gzip.compress(plain, 9, mtime=0)
    return _File(plain, packed if len(packed) < len(plain) else None, f'"{hashlib.sha256(plain).hexdigest()[:16]}"')


def _response(request: web.Request, file: _File, media_type: str) -> web.Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == file.etag:
        return web.Response(status=304, headers=headers)
    body = file.plain
    if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = file.packed
        headers["Content-Encoding"] = "gzip"
    charset = None if media_type in _BINARY else "utf-8"
    return web.Response(body=body, content_type=media_type, charset=charset, headers=headers)
