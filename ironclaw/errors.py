"""The errors of the domain. No HTTP here: `api/errors.py` says which status each one has.

Every error has a `code` that programs compare, a message that tells a person what to do, and, where one field of the
input is to blame, its name.
"""


class IronclawError(Exception):
    """The base of all errors that a caller may see."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        if code is not None:
            self.code = code


class BadRequest(IronclawError):  # noqa: N818 - the names are what api.md calls the cases
    """The request can't be read: not JSON, not a query we know."""

    code = "bad_request"


class Invalid(IronclawError):  # noqa: N818
    """The request can be read, but a value in it is not allowed."""

    code = "invalid"


class Unauthorized(IronclawError):  # noqa: N818
    """No token, or a wrong one."""

    code = "unauthorized"


class Forbidden(IronclawError):  # noqa: N818
    """The caller is known, but may not do this from here (a foreign Origin, say)."""

    code = "forbidden"


class NotFound(IronclawError):  # noqa: N818
    """There is nothing under this name."""

    code = "not_found"


class Conflict(IronclawError):  # noqa: N818
    """The thing is no longer in the state that the call needs."""

    code = "conflict"


class Stale(IronclawError):  # noqa: N818
    """The thing is not the one any more that the caller has read; *etag* is what it is now, None where it is gone."""

    code = "stale"

    def __init__(self, message: str, *, etag: str | None) -> None:
        super().__init__(message)
        self.etag = etag


class TooLarge(IronclawError):  # noqa: N818
    """More bytes than the place takes."""

    code = "too_large"


class UnsupportedType(IronclawError):  # noqa: N818
    """A body of a media type that this route does not read."""

    code = "unsupported_type"


class TimedOut(IronclawError):  # noqa: N818
    """The other side took too long."""

    code = "timeout"


class RateLimited(IronclawError):  # noqa: N818
    """Over a rate; `retry_after` is in whole seconds, `limit` in requests a minute."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, limit: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.limit = limit


class Unavailable(IronclawError):  # noqa: N818
    """A part that is needed is not there now; `retry_after` in seconds where it is known."""

    code = "unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class ConfigError(IronclawError):
    """The program can't start as it is configured (exit 78). The message names the setting."""

    code = "config"


class BudgetSpent(IronclawError):  # noqa: N818
    """The call would pass a spending cap of the person's own."""

    code = "budget_spent"


class ProviderError(IronclawError):
    """The language model could not answer.

    `code` says in which way: `unreachable`, `key_refused`, `model_missing`, `rate_limited`, `timeout`, `cut_off`,
    `context_overflow`, `bad_reply`, `refused` (it rejects the request) or `provider_failed`. *what* happened and the *fix*
    are sentences; `message` is both. *status* is the provider's HTTP status; *retry_after* is in seconds. *answer* is the
    body of the provider's own error answer, where it gave one.
    """

    code = "provider_failed"

    def __init__(
        self,
        what: str,
        *,
        code: str | None = None,
        fix: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        answer: bytes = b"",
    ) -> None:
        super().__init__(f"{what} {fix}".strip(), code=code)
        self.what = what
        self.fix = fix
        self.status = status
        self.retry_after = retry_after
        self.answer = answer
