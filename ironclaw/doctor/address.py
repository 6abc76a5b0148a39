"""Checks of a gateway through the address that people use: what stands between, and whether it lets everything through.

Each fault is told by what came over the connection, not by guessing which proxy it is; the fixes are written for nginx,
which most people have.
"""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import attrs

from ironclaw.doctor.finding import Finding, failure, ok, warning
from ironclaw.redact import printable
from ironclaw.values import define, frozen

_REACH = 10.0  # seconds for an answer
_AT_ONCE = 5.0  # seconds in which the first bytes of a stream have come, unless somebody holds them back
_SKEW, _LARGE_SKEW = 30.0, 300.0
_DAYS_LEFT, _FEW_DAYS_LEFT = 14, 3
_CANARY = "ironclaw-doctor-not-a-token"
_OURS = "ironclaw"  # what the gateway itself says as `Server`
_UPGRADE = (
    'In nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`'
)
_FORWARDED = "In nginx: `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`, and set GATEWAY_TRUSTED_PROXIES"


@frozen
class Door:
    """The address, the token for it, and for how many seconds quiet connections are watched."""

    url: str
    token: str | None = attrs.field(repr=False)
    watch: float

    @property
    def headers(self) -> dict[str, str]:
        """What lets us in."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@define
class _Seen:
    """What the first answers told. *checked*: TLS certificates are verified."""

    findings: list[Finding]
    server: str = ""
    checked: bool = True
    goes_on: bool = False


async def examine_address(door: Door) -> list[Finding]:
    """All that can be seen through the address."""
    seen = await _reach(door)
    if not seen.goes_on:
        return seen.findings
    async with _session(door, checked=seen.checked) as session:
        if not await _is_let_in(session, door, seen):
            return seen.findings
        found = await asyncio.gather(
            _websocket(session, door), _events(session, door), _client(session, door, seen), _redirects(session, door)
        )
    return [*seen.findings, *(finding for findings in found for finding in findings)]


@contextlib.asynccontextmanager
async def _session(door: Door, *, checked: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=checked)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_REACH)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


# Is anybody there


async def _reach(door: Door) -> _Seen:
    """Whether a gateway answers there, with which certificate and which clock."""
    if urlsplit(door.url).scheme not in {"http", "https"} or not urlsplit(door.url).hostname:
        fix = "Write it as https://ironclaw.example.com."
        return _Seen(failure("address", f"{printable(door.url)} is no address.", fix))
    try:
        async with _session(door) as session:
            seen = await _ask(session, door)
        if seen.goes_on and door.url.startswith("https:"):
            seen.findings += await _certificate(door.url)
    except aiohttp.ClientConnectorCertificateError as error:
        async with _session(door, checked=False) as session:
            seen = await _ask(session, door)
        seen.checked = False
        seen.findings += failure(
            "certificate", f"Browsers refuse it: {_tls_reason(error)}.", "Get one for this name: certbot, or Caddy."
        )
    except TimeoutError:
        fix = "Is the machine on, is the port forwarded, and does a firewall let it through?"
        return _Seen(failure("address", f"{door.url} does not answer within {_REACH:g} s.", fix))
    except aiohttp.ClientError as error:
        return _Seen(_unreachable(door, error))
    return seen


def _unreachable(door: Door, error: aiohttp.ClientError) -> list[Finding]:
    host = urlsplit(door.url).hostname
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return failure("address", f"There is no host {host}.", "Check the spelling, and the DNS entry of that name.")
    if isinstance(error, aiohttp.ClientConnectorError):
        fix = "Start the gateway or the proxy there, and check the port."
        return failure("address", f"Nothing listens at {door.url} ({error.strerror or 'refused'}).", fix)
    fix = "Check scheme and port: is it https on a port of http, or another program?"
    return failure("address", f"What answers at {door.url} does not speak HTTP ({type(error).__name__}).", fix)


async def _ask(session: aiohttp.ClientSession, door: Door) -> _Seen:
    async with asyncio.timeout(_REACH):
        begun = time.time()
        async with session.get(f"{door.url}/healthz", allow_redirects=False) as answer:
            body = await answer.content.read(65_536)
        middle = (begun + time.time()) / 2
    seen = _Seen([], server=answer.headers.get("Server", ""))
    if 300 <= answer.status < 400:
        target = printable(answer.headers.get("Location", "?"))
        seen.findings += warning("address", f"It redirects to {target}.", "Use that address: --url ...")
        seen.findings += await _redirects(session, door)
    elif answer.status in {502, 503, 504} and seen.server != _OURS:
        fix = "Is the gateway running? Is `proxy_pass` the address where it listens (GATEWAY_HOST, GATEWAY_PORT)?"
        what = f"A proxy answers {answer.status}: it does not reach the gateway."
        seen.findings += failure("address", what, fix)
    elif answer.status != 200 or not _is_alive(body):
        what = f"Something else answers there ({answer.status})."
        seen.findings += failure("address", what, "Check host, port and path of the address.")
    else:
        seen.goes_on = True
        seen.findings += ok("address", f"A gateway answers at {door.url}.")
        seen.findings += _clock(answer.headers.get("Date"), middle)
    return seen


def _is_alive(body: bytes) -> bool:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return bool(json.loads(body)["status"] == "ok")
    return False


def _clock(date: str | None, here: float) -> list[Finding]:
    try:
        there = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return []
    skew = abs(there + 0.5 - here)  # the header has whole seconds
    if skew <= _SKEW:
        return ok("clock", "Both machines have the same time.")
    what = f"The clock there and the one here differ by {skew:,.0f} s."
    fix = "Let both take the time from the network: timedatectl set-ntp true"
    return (failure if skew > _LARGE_SKEW else warning)("clock", what, fix)


def _tls_reason(error: aiohttp.ClientConnectorCertificateError) -> str:
    inner = error.certificate_error
    return printable(str(getattr(inner, "verify_message", None) or inner).rstrip("."))


async def _certificate(url: str) -> list[Finding]:
    """How long the certificate is good for; that it is good now has been seen."""
    parts = urlsplit(url)
    async with asyncio.timeout(_REACH):
        _, writer = await asyncio.open_connection(
            parts.hostname, parts.port or 443, ssl=ssl.create_default_context(), server_hostname=parts.hostname
        )
    found: dict[str, Any] = writer.get_extra_info("peercert") or {}
    writer.transport.abort()
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(found["notAfter"]), UTC)
    days = (until - datetime.now(UTC)).days
    if days >= _DAYS_LEFT:
        return ok("certificate", f"It is good for {days} more days.")
    what = f"It ends in {days} days."
    fix = "Renew it now, and see why that did not happen by itself (certbot renew)."
    return (failure if days < _FEW_DAYS_LEFT else warning)("certificate", what, fix)


# Does everything get through


async def _is_let_in(session: aiohttp.ClientSession, door: Door, seen: _Seen) -> bool:
    if door.token is None:
        fix = (
            "Set GATEWAY_AUTH_TOKEN to it: `ironclaw token show` on its machine prints it. The rest was not looked at."
        )
        seen.findings += warning("token there", "No token is known for that gateway.", fix)
        return False
    async with asyncio.timeout(_REACH), session.get(f"{door.url}/api", headers=door.headers) as answer:
        status = answer.status
    if status == 200:
        return True
    fix = "Is it the right one? If so, the proxy drops the Authorization header: let it pass, and no login of its own."
    seen.findings += failure("token there", f"The token is refused there ({status}).", fix)
    return False


async def _websocket(session: aiohttp.ClientSession, door: Door) -> list[Finding]:
    """A WebSocket opens, answers, and stays open while nothing is said."""
    check = "websocket"
    try:
        async with (
            asyncio.timeout(2 * _REACH + door.watch),
            session.ws_connect(f"{door.url}/api/chat/ws", headers=door.headers) as socket,
        ):
            await socket.send_json({"type": "ping"})
            begun = time.monotonic()
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT and json.loads(message.data).get("type") == "pong":
                    break
            return await _quiet_socket(socket, door, time.monotonic() - begun)
    except aiohttp.WSServerHandshakeError as error:
        return failure(check, f"The proxy drops the Upgrade of WebSockets (answer {error.status}).", _UPGRADE)
    except (aiohttp.ClientError, TimeoutError) as error:
        return failure(check, f"It can't be opened: {type(error).__name__}.", _UPGRADE)


async def _quiet_socket(socket: aiohttp.ClientWebSocketResponse, door: Door, took: float) -> list[Finding]:
    begun = time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(door.watch):
            async for _ in socket:
                pass
    lasted = time.monotonic() - begun
    if socket.closed and lasted < door.watch - 0.1:
        return _cut_off("websocket", lasted)
    return ok("websocket", f"It opens, answers after {took * 1000:.0f} ms, and stays open.")


async def _events(session: aiohttp.ClientSession, door: Door) -> list[Finding]:
    """The events come when they happen, and the stream stays open while nothing happens."""
    url, headers = f"{door.url}/api/chat/events", {**door.headers, "Accept": "text/event-stream"}
    begun = time.monotonic()
    pieces: list[float] = []
    cut = False
    try:
        async with asyncio.timeout(_AT_ONCE + door.watch), session.get(url, headers=headers) as answer:
            if answer.status != 200:
                return failure("events", f"The stream of events answers {answer.status}.", "Look at the gateway's log.")
            async for _ in answer.content.iter_any():
                pieces.append(time.monotonic() - begun)
        cut = True
    except TimeoutError:
        pass
    except aiohttp.ClientError:
        cut = True
    if cut:
        return _cut_off("events", time.monotonic() - begun)
    if not pieces or pieces[0] > _AT_ONCE:
        return failure(
            "events",
            "The proxy buffers streams: the first bytes did not come at once.",
            "In nginx: `proxy_http_version 1.1; proxy_buffering off; gzip off;`, and no `proxy_ignore_headers`.",
        )
    return ok("events", f"They come at once, and the stream stayed open for {door.watch:g} s.")


def _cut_off(check: str, seconds: float) -> list[Finding]:
    return failure(
        check,
        f"A quiet connection was cut after {seconds:.0f} s.",
        "Let the proxy wait longer than the keep-alive of the gateway (GATEWAY_HEARTBEAT, 15 s). In nginx: "
        "`proxy_read_timeout 1h;`",
    )


async def _client(session: aiohttp.ClientSession, door: Door, seen: _Seen) -> list[Finding]:
    """The gateway knows who calls, so that it can slow down those who guess tokens, and nobody else."""
    async with asyncio.timeout(_REACH), session.get(f"{door.url}/api", headers=door.headers) as answer:
        client = (await answer.json()).get("client")
    if not isinstance(client, dict):
        return []
    proxied = door.url.startswith("https:") or seen.server != _OURS
    if client["forwarded"] and not client["trusted"]:
        what = (
            f"The gateway does not believe the proxy at {client['peer']}: all who come through it look like one caller."
        )
        return warning("client address", what, f"Set GATEWAY_TRUSTED_PROXIES={client['peer']} and restart the gateway.")
    if proxied and not client["forwarded"]:
        return warning("client address", "The proxy does not tell who calls.", f"{_FORWARDED}={client['peer']}.")
    return ok("client address", f"The gateway sees you as {client['address']}.")


async def _redirects(session: aiohttp.ClientSession, door: Door) -> list[Finding]:
    """A token that stands in an address is not sent elsewhere."""
    url = f"{door.url}/api/status?token={_CANARY}"
    async with asyncio.timeout(_REACH), session.get(url, allow_redirects=False) as answer:
        target = answer.headers.get("Location", "")
    if _CANARY not in target:
        return ok("redirects", "No redirect carries a token on.")
    what = f"A redirect to {printable(urlsplit(target).netloc or 'itself')} carries the token of an address on."
    return warning(
        "redirects", what, "Redirect without the query (`return 301 https://$host$uri;`), or use https only."
    )
