"""Errors as OpenAI words them: status, message, type, param and code. How they reach a client is known to `api/`."""

import functools

import orjson

from ironclaw import errors
from ironclaw.errors import IronclawError, ProviderError
from ironclaw.llm.chunks import mapping, parse, text
from ironclaw.redact import redact
from ironclaw.values import frozen

_LONGEST = 4000  # characters of what a provider says
_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
# The most special first: status, and the code where it is not the error's own.
_OF: tuple[tuple[type[IronclawError], int, str | None], ...] = (
    (errors.BadRequest, 400, None),
    (errors.Invalid, 400, None),
    (errors.Unauthorized, 401, "invalid_api_key"),
    (errors.Forbidden, 403, None),
    (errors.NotFound, 404, None),
    (errors.Conflict, 409, None),
    (errors.TooLarge, 413, None),
    (errors.UnsupportedType, 415, None),
    (errors.TimedOut, 408, None),
    (errors.BudgetSpent, 429, "insufficient_quota"),
    (errors.RateLimited, 429, "rate_limit_exceeded"),
    (errors.Unavailable, 503, None),
)
# What a provider's failure is where the provider itself said no more.
_OF_PROVIDER: dict[str, tuple[int, str]] = {
    "model_missing": (404, "model_not_found"),
    "context_overflow": (400, "context_length_exceeded"),
    "rate_limited": (429, "rate_limit_exceeded"),
    "refused": (400, "refused"),
    "timeout": (504, "timeout"),
}


@frozen
class OpenAIError:
    """One error. *param* names the field that is to blame; *code* is for programs."""

    status: int
    message: str
    type: str
    param: str | None = None
    code: str | None = None

    def body(self) -> bytes:
        """`{"error": {...}}`."""
        return _body(self)


@functools.lru_cache(maxsize=64)  # refusals come in floods, and are always the same
def _body(error: OpenAIError) -> bytes:
    # What a request or a provider said may come back in a message, and need not be text that JSON can carry.
    words = {
        name: value.encode("utf-8", "backslashreplace").decode() if value is not None else None
        for name, value in (
            ("message", error.message), ("type", error.type), ("param", error.param), ("code", error.code)
        )
    }  # fmt: skip
    return orjson.dumps({"error": words})


def error_event(error: IronclawError) -> bytes:
    """The error as the last event of a stream."""
    return b"data: %s\n\n" % error_of(error).body()


def type_of(status: int) -> str:
    """What OpenAI calls errors of an HTTP status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")


def error_of(error: IronclawError) -> OpenAIError:
    """How OpenAI would word a domain error."""
    if isinstance(error, ProviderError):
        return _of_provider(error)
    status, code = next(((status, code) for kind, status, code in _OF if isinstance(error, kind)), (500, None))
    code = code or error.code
    kind = code if code == "insufficient_quota" else type_of(status)
    return OpenAIError(status, error.message, kind, error.field, code)


def _of_provider(error: ProviderError) -> OpenAIError:
    """The provider's own status and words, without what is secret; where it gave none, ours."""
    status, code = _OF_PROVIDER.get(error.code, (502, error.code))
    if error.status is not None and 400 <= error.status < 600:
        status = error.status
    if status == 402:
        code = "insufficient_quota"
    said = _said(error.answer)
    return OpenAIError(
        status,
        _clean(said.get("message")) or redact(error.message),
        _clean(said.get("type")) or type_of(status),
        _clean(said.get("param")) or None,
        _clean(said.get("code")) or code,
    )


def _said(answer: bytes) -> dict[str, object]:
    """The error in a provider's answer: `{"error": {...}}`, `{"error": "..."}`, `{"detail": "..."}` or its bare fields."""
    try:
        value = parse(answer)
    except ValueError:
        return {}
    outer = mapping(value[0] if isinstance(value, list) and value else value)
    inner = mapping(outer.get("error")) or outer
    message = text(outer.get("error")) or text(inner.get("message")) or text(inner.get("detail"))
    return {**inner, "message": message}


def _clean(value: object) -> str:
    """A word of the provider's, short and without secrets; numbers are words too."""
    return redact(str(value)[:_LONGEST]) if isinstance(value, str | int) and not isinstance(value, bool) else ""
