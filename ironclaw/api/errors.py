"""Errors as replies: which status each domain error has, and the one JSON shape they all take."""

import difflib
import functools
import math
from collections.abc import Iterable

from aiohttp import web

from ironclaw import codec, errors
from ironclaw.errors import IronclawError, ProviderError, RateLimited, Unavailable
from ironclaw.openai.errors import OpenAIError, error_of, type_of

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


def error_response(error: IronclawError, *, openai: bool = False) -> web.Response:
    """The reply for a domain error; *openai*: in OpenAI's shape."""
    if openai:
        return _openai_response(error_of(error), _headers(error))
    more = {"etag": error.etag} if isinstance(error, errors.Stale) and error.etag is not None else {}
    return render(status_of(error), error.code, error.message, field=error.field, headers=_headers(error), **more)


def _headers(error: IronclawError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(error, errors.Stale) and error.etag is not None:
        headers = {"ETag": f'"{error.etag}"'}
    elif isinstance(error, RateLimited):
        headers = {
            "Retry-After": str(error.retry_after),
            "RateLimit-Limit": str(error.limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(error.retry_after),
        }
    elif isinstance(error, Unavailable | ProviderError) and error.retry_after is not None:
        headers = {"Retry-After": str(math.ceil(error.retry_after))}
    elif isinstance(error, errors.Unauthorized):
        headers = {"WWW-Authenticate": "Bearer"}
    elif isinstance(error, errors.BudgetSpent):
        headers = {"X-Should-Retry": "false"}  # OpenAI's own clients would try again at once
    return headers


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


def render_openai(
    status: int,
    code: str,
    message: str,
    *,
    field: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """The same as OpenAI writes it: `{"error": {"message", "type", "param", "code"}}`."""
    return _openai_response(OpenAIError(status, message, type_of(status), field, code), headers)


def _openai_response(error: OpenAIError, headers: dict[str, str] | None) -> web.Response:
    return web.Response(
        status=error.status, body=error.body() + b"\n", content_type="application/json", headers=headers
    )


def http_response(error: web.HTTPException, path: str, known: Iterable[str], *, openai: bool = False) -> web.Response:
    """The reply for an error that aiohttp raised: no such route, wrong method, and the like."""
    render_as = render_openai if openai else render
    if error.status == 404:
        near = difflib.get_close_matches(path, known, n=1, cutoff=0.7)
        hint = f" Did you mean {near[0]}?" if near else " GET /api/openapi.json lists all routes."
        return render_as(404, "not_found", "There is no such route." + hint)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{error.method} is not possible here; {allowed} is."
        return render_as(405, "method_not_allowed", message, headers={"Allow": allowed})
    if error.status == 413:
        return render_as(413, "too_large", "The body is too large.")
    return render_as(error.status, "bad_request" if error.status < 500 else "internal", error.reason)


def internal_error(request_id: str, *, openai: bool = False) -> web.Response:
    """The reply for what went wrong inside: it says nothing of the inside, and where to look."""
    if openai:
        message = f"Something inside the gateway failed; its log has the details under the request id {request_id}."
        return render_openai(500, "internal", message)
    message = "Something inside the gateway failed; its log has the details under this request id."
    return render(500, "internal", message, request_id=request_id)
