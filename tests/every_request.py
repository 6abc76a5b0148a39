"""What can be asked of an application: the paths of the page, each route, and each path with other methods."""

import re
from pathlib import Path

from aiohttp import web

WEB = Path(__file__).parents[1] / "web"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE")


def page_paths() -> set[str]:
    files = {path for path in WEB.rglob("*.*") if path != WEB / "index.html"}
    return {f"/{path.relative_to(WEB).as_posix()}" for path in files} | {"/", "/favicon.ico"}


def every_request(app: web.Application) -> set[tuple[str, str]]:
    """Each route of the router as it can be asked for, and each path with methods that nobody wrote down."""
    given = {(route.method, re.sub(r"{\w+}", "x", route.resource.canonical)) for route in app.router.routes()}
    return given | {(method, path) for _, path in given for method in METHODS}
