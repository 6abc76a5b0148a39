"""Builds replies: JSON that ends with a newline, and is indented when `?pretty` asks for it."""

from typing import Any

from aiohttp import web

from ironclaw import codec


def json_response(
    request: web.Request, data: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """*data* (plain or attrs) as JSON."""
    pretty = request.query_string and "pretty" in request.query
    body = codec.dumps_pretty(data) if pretty else codec.dumps(data)
    return web.Response(status=status, body=body + b"\n", content_type="application/json", headers=headers)
