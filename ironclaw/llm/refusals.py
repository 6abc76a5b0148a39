"""What a model's server means by an error answer: reads its body in the forms that servers use. No sentences here."""

import re
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from ironclaw.codec import now
from ironclaw.llm.chunks import mapping, parse, text
from ironclaw.values import frozen

Meaning = Literal["key", "credit", "rate", "overflow", "model", "page", "server", "request"]

# What the error says it is, where there is no HTTP status: inside a stream.
_STATUS_OF = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "invalid_request_error": 400,
    "exceed_context_size_error": 400,
    "context_length_exceeded": 400,
    "model_not_found": 404,
    "not_found_error": 404,
}
_CREDIT = re.compile(
    r"insufficient[_ ](?:quota|credit|funds|balance)|exceeded your current quota|balance is too low", re.I
)
# OpenAI, llama.cpp, vLLM, Ollama, OpenRouter, Anthropic, Gemini, LM Studio and TGI, in this order.
_OVERFLOW = re.compile(
    r"context_length_exceeded|maximum context length|exceed_context_size|exceeds? the (?:available )?context|"
    r"context size (?:has been )?exceeded|maximum model length|exceed(?:s|ed)? (?:the |max )*context|"
    r"prompt is too long|exceeds the maximum number of tokens|greater than the context length|"
    r"context the overflows|`?inputs`? tokens \+ `?max_new_tokens`?",
    re.I,
)
_MODEL = re.compile(
    r"model_not_found|model\b.{0,200}\b(?:not found|does not exist|not exist)|not a valid model|no such model|"
    r"unknown model|invalid model name",
    re.I | re.S,
)
_LONGEST = 64 * 1024  # characters of a message that are looked at


@frozen
class Refusal:
    """An error answer. *status* is the HTTP status, or what the error calls its own; *message* is the server's text."""

    status: int
    message: str = ""
    kind: str = ""
    page: bool = False
    retry_after: float | None = None

    @property
    def meaning(self) -> Meaning:
        """What it is about."""
        said = f"{self.kind} {self.message}"
        if self.status == 402 or _CREDIT.search(said):
            return "credit"
        if self.status in {401, 403}:
            return "key"
        if self.status == 429:
            return "rate"
        if _OVERFLOW.search(said):
            return "overflow"
        if self.page and self.status < 500:
            return "page"
        if self.status == 404 or (self.status < 500 and _MODEL.search(said)):
            return "model"
        return "server" if self.status >= 500 else "request"


def read_answer(status: int, body: bytes, retry_after: str | None) -> Refusal:
    """The refusal in an HTTP answer that is not 200."""
    wait = _seconds(retry_after)
    if looks_like_page(body):
        return Refusal(status, page=True, retry_after=wait)
    try:
        value = parse(body)
    except ValueError:
        return Refusal(status, body.decode(errors="replace"), retry_after=wait)
    message, kind = _said(value)
    return Refusal(status, message, kind, retry_after=wait)


def read_error(value: Any) -> Refusal:
    """The refusal in the `error` of a stream that began well."""
    message, kind = _said({"error": value})
    number = mapping(value).get("code")
    known = [_STATUS_OF[word] for word in kind.split() if word in _STATUS_OF]
    own = number if type(number) is int and 400 <= number < 600 else None
    return Refusal(own or next(iter(known), 500), message, kind)


def looks_like_page(data: bytes | bytearray) -> bool:
    """Whether it is HTML or XML."""
    return data.lstrip()[:1] == b"<"


def _said(value: Any) -> tuple[str, str]:
    """Message, and code with type, of `{"error": {...}}`, `{"error": "..."}`, `{"detail": ...}`, `{"message": ...}`."""
    outer = mapping(value[0] if isinstance(value, list) and value else value)
    error = outer.get("error")
    inner = mapping(error) or outer
    detail = outer.get("detail")
    message = text(error) or text(inner.get("message")) or (str(detail) if detail else "")
    raw = text(mapping(inner.get("metadata")).get("raw"))  # OpenRouter: what the provider behind it said
    kind = f"{text(inner.get('code'))} {text(inner.get('type'))}"
    return (f"{message}: {raw}" if raw else message)[:_LONGEST], kind[:_LONGEST]


def _seconds(header: str | None) -> float | None:
    """A `Retry-After`: seconds, or a moment."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = _seconds_until(header)
    return seconds if 0 <= seconds < float("inf") else None


def _seconds_until(moment: str) -> float:
    """NaN for what is no date."""
    try:
        return max(0.0, (parsedate_to_datetime(moment) - now()).total_seconds())
    except (ValueError, TypeError):
        return float("nan")
