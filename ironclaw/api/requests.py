"""Reads requests: bodies within size and time, JSON into attrs classes, queries, what kind of reply is wanted."""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, Iterator
from typing import Any, TypeVar

import attrs
from aiohttp import web

from ironclaw import codec
from ironclaw.errors import BadRequest, Invalid, TimedOut, TooLarge, UnsupportedType
from ironclaw.redact import printable
from ironclaw.setting_values import Network

T = TypeVar("T")

BODY_LIMIT = 1 << 20
ANY_TEXT = {"any_text": True}
"""Metadata of a query's field whose text is checked where it is used: the names of files may hold any character."""
PICTURES_LIMIT = 16 << 20
"""The largest body where pictures or a job's files may come in, in bytes."""
IMPORT_LIMIT = 64 << 20
"""The largest file of conversations that is taken in at once, in bytes."""

# curl -d sends the form type; a body of no type is most likely JSON too.
_JSON_TYPES = frozenset({"application/json", "application/x-www-form-urlencoded", ""})


async def read_bytes(request: web.Request, timeout: float, limit: int = BODY_LIMIT) -> bytes:
    """The body, counted while it comes (a compressed one as it unfolds).

    Raises *TooLarge* beyond *limit* bytes and *TimedOut* when it takes longer than *timeout* seconds.
    """
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    if request.content.is_eof() and (whole := request.content.read_nowait()):  # as most: it came with its head
        if len(whole) > limit:
            raise too_large(limit)
        return whole
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout):
            async for part in request.content.iter_any():
                size += len(part)
                if size > limit:
                    raise too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise TimedOut(f"The body did not arrive within {timeout:g} s.") from None
    except web.RequestPayloadError as error:
        raise BadRequest(f"The body can't be read: {error}.") from None
    return b"".join(parts)


def too_large(limit: int) -> TooLarge:
    """The error for a body beyond *limit* bytes."""
    return TooLarge(f"The body is larger than {limit} bytes.")


def content_type(request: web.Request) -> str:
    """The media type of the body, without parameters; empty where none is said."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def parse_json(request: web.Request, body: bytes, cls: type[T]) -> T:
    """An attrs object from a JSON body. An empty body counts as `{}`.

    Raises *UnsupportedType*, *BadRequest* (no JSON) or *Invalid* (wrong shape; names the field).
    """
    check_json_type(request)
    return codec.structure(codec.loads(body) if body.strip() else {}, cls)


def check_json_type(request: web.Request) -> None:
    """Raises *UnsupportedType* for a body that says it is something else than JSON."""
    kind = content_type(request)
    if kind not in _JSON_TYPES:
        raise UnsupportedType(f"The body is {printable(kind)}; send JSON as application/json.")


async def chunks(request: web.Request, timeout: float, limit: int) -> AsyncGenerator[bytes, None]:
    """The body piece by piece as it comes, for what is larger than memory should hold.

    Raises *TooLarge* for a length beyond *limit* bytes, before a byte is read; *TimedOut* when nothing comes for
    *timeout* seconds, or when it takes longer than 16 bodies of other routes may.
    """
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    deadline = asyncio.get_running_loop().time() + 16 * timeout
    try:
        while not request.content.at_eof():
            async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + timeout)):
                part = await request.content.readany()
            yield part
    except TimeoutError:
        raise TimedOut(f"The body did not go on within {timeout:g} s.") from None
    except web.RequestPayloadError as error:
        raise BadRequest(f"The body can't be read: {error}.") from None


async def read_body(request: web.Request, cls: type[T], timeout: float) -> T:
    """The JSON body as an object of the attrs class *cls*."""
    return parse_json(request, await read_bytes(request, timeout), cls)


def read_query(request: web.Request, cls: type[T]) -> T:
    """The query as an object of the attrs class *cls*, whose fields are str, int or bool. Other names are let be.

    Raises *BadRequest* that names the parameter.
    """
    given: dict[str, Any] = {}
    for field in attrs.fields(cls):  # type: ignore[arg-type]
        text = request.query.get(field.name)
        if text is not None:
            any_text = field.metadata.get("any_text", False)
            given[field.name] = text if any_text else _parse_parameter(field.name, text, str(field.type))
    try:
        return codec.structure(given, cls)
    except Invalid as error:
        raise BadRequest(error.message, field=error.field) from None


def _parse_parameter(name: str, text: str, kind: str) -> Any:
    if "int" in kind:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise BadRequest(f"`{name}` must be a whole number.", field=name)
        return int(text)
    if "bool" in kind:
        if text.lower() not in {"", "0", "1", "true", "false"}:
            raise BadRequest(f"`{name}` must be 1 or 0.", field=name)
        return text.lower() not in {"0", "false"}
    if "\0" in text or not text.isprintable():
        raise BadRequest(f"`{name}` holds characters that can't be printed.", field=name)
    return text


def limit_of(value: int, most: int) -> int:
    """A page size between 1 and *most*."""
    return max(1, min(value, most))


def cursor_of(cursor: str | None) -> int | None:
    """The place that a `cursor` stands for. Raises *BadRequest* for one that we never gave."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise BadRequest("`cursor` must be a next_cursor of an earlier reply.", field="cursor")
    return int(cursor)


def wants(request: web.Request, media_type: str) -> bool:
    """Whether the caller's Accept header names this media type (wildcards don't count)."""
    return any(media_type == part for part in _accepted(request))


def _accepted(request: web.Request) -> Iterator[str]:
    for part in request.headers.get("Accept", "").split(","):
        yield part.partition(";")[0].strip().lower()


def last_event_id(request: web.Request) -> int | None:
    """Where a stream should go on: the header, else the query; None for neither.

    Raises *BadRequest* for what is no event id.
    """
    text = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest("The last event id must be a whole number.", field="last_event_id")
    return int(text)


def client_address(request: web.Request, trusted: tuple[Network, ...]) -> str:
    """The caller's address: the socket's peer, or, behind trusted proxies, the rightmost untrusted one they name.

    IPv6 is cut to its /64, which is what one caller has.
    """
    address = _peer(request)
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",") if trusted else []
    while forwarded and address is not None and any(address in network for network in trusted):
        named = _address(forwarded.pop().strip())
        if named is None:
            break
        address = named
    if address is None:
        return "unknown"
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def is_trusted(request: web.Request, trusted: tuple[Network, ...]) -> bool:
    """Whether the socket's peer is a proxy that is believed."""
    address = _peer(request)
    return address is not None and any(address in network for network in trusted)


def _peer(request: web.Request) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    peername = request.transport.get_extra_info("peername") if request.transport is not None else None
    return _address(peername[0] if isinstance(peername, tuple) else "")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
