"""Errors as replies: which status each domain error has, and the one JSON shape they all take."""

import difflib
import functools
import math
from collections.abc import Iterable

from aiohttp import web

from ironclaw import codec, errors
from ironclaw.errors import IronclawError, RateLimited, Unavailable

# The most special first: the first class that fits says the status.
STATUS: tuple[tuple[type[IronclawError], int], ...] = (
    (errors.BadRequest, 400),
    (errors.Invalid, 422),
    (errors.Unauthorized, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Stale, 412),
    (errors.TooLarge, 413),
    (errors.UnsupportedType, 415),
    (errors.TimedOut, 408),
    (errors.BudgetSpent, 402),
    (errors.RateLimited, 429),
    (errors.ProviderError, 502),
    (errors.Unavailable, 503),
)
_HOW_TO_COME_IN = (
    "A valid token is needed, as `Authorization: Bearer TOKEN` or, on GET and WebSocket, `?token=TOKEN`. "
    "`ironclaw token show` prints it."
)


def unauthorized() -> errors.Unauthorized:
    """The same error for a token that is missing, wrong, empty or padded."""
    return errors.Unauthorized(_HOW_TO_COME_IN)


def status_of(error: IronclawError) -> int:
    """The HTTP status of a domain error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def error_response(error: IronclawError) -> web.Response:
    """The reply for a domain error."""
    headers, more = {}, {}
    if isinstance(error, errors.Stale) and error.etag is not None:
        headers, more = {"ETag": f'"{error.etag}"'}, {"etag": error.etag}
    elif isinstance(error, RateLimited):
        headers = {
            "Retry-After": str(error.retry_after),
            "RateLimit-Limit": str(error.limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(error.retry_after),
        }
    elif isinstance(error, Unavailable) and error.retry_after is not None:
        headers = {"Retry-After": str(math.ceil(error.retry_after))}
    elif isinstance(error, errors.Unauthorized):
        headers = {"WWW-Authenticate": "Bearer"}
    return render(status_of(error), error.code, error.message, field=error.field, headers=headers, **more)


def render(
    status: int,
    code: str,
    message: str,
    *,
    field: str | None = None,
    headers: dict[str, str] | None = None,
    **more: str,
) -> web.Response:
    """`{"error": {"code", "message", "field"?, ...}}`."""
    payload = _payload(code, message, field, tuple(more.items()))
    return web.Response(status=status, body=payload, content_type="application/json", headers=headers)


@functools.lru_cache(maxsize=64)  # refusals come in floods, and are always the same
def _payload(code: str, message: str, field: str | None, more: tuple[tuple[str, str], ...]) -> bytes:
    body = {"code": code, "message": message, **({"field": field} if field else {}), **dict(more)}
    # What a request held may come back in a message, and need not be text that JSON can carry.
    clean = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in body.items()}
    return codec.dumps({"error": clean}) + b"\n"


def http_response(error: web.HTTPException, path: str, known: Iterable[str]) -> web.Response:
    """The reply for an error that aiohttp raised: no such route, wrong method, and the like."""
    if error.status == 404:
        near = difflib.get_close_matches(path, known, n=1, cutoff=0.7)
        hint = f" Did you mean {near[0]}?" if near else " GET /api/openapi.json lists all routes."
        return render(404, "not_found", "There is no such route." + hint)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{error.method} is not possible here; {allowed} is."
        return render(405, "method_not_allowed", message, headers={"Allow": allowed})
    if error.status == 413:
        return render(413, "too_large", "The body is too large.")
    return render(error.status, "bad_request" if error.status < 500 else "internal", error.reason)


def internal_error(request_id: str) -> web.Response:
    """The reply for what went wrong inside: it says nothing of the inside, and where to look."""
    message = "Something inside the gateway failed; its log has the details under this request id."
    return render(500, "internal", message, request_id=request_id)
