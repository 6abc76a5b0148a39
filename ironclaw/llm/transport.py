"""HTTP towards models' servers: one session, streams with retries, small JSON answers. What is said is not known here.

A request is tried again only while nothing of its answer was read. Neither headers nor bodies are ever logged.
"""

import asyncio
import functools
import logging
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import attrs

from ironclaw.egress import socket_unless_metadata
from ironclaw.errors import ProviderError
from ironclaw.levels import TRACE
from ironclaw.llm.chunks import parse
from ironclaw.llm.endpoint import Endpoint, Timeouts
from ironclaw.llm.failures import Failures
from ironclaw.llm.lines import LineSplitter, LineTooLong
from ironclaw.llm.refusals import read_answer
from ironclaw.llm.wire import Answer, Wire
from ironclaw.values import frozen
from ironclaw.version import __version__

log = logging.getLogger(__name__)

_RETRIES = 2
_LONGEST_WAIT = 20.0  # seconds that a `Retry-After` may ask for; beyond, a person decides
_PASSING = {429, 502, 503, 504, 529}
_MOST_JSON = 8 * 1024 * 1024
_MOST_ERROR = 64 * 1024
_ERROR_TIMEOUT = 10.0  # seconds for the body of an error answer
_Answer = Answer | aiohttp.ClientResponse


class _Silence:
    """Breaks off a wait for more of an answer that takes too long. One timer serves all its waits.

    `asyncio.timeout` makes and cancels a timer for each, which costs as much as the read itself.
    """

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begins(self, seconds: float) -> None:
        """A wait begins that may take so long: after that it raises *TimeoutError*."""
        self._until = until = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > until:
            self.close()
            self._timer = self._loop.call_at(until, self._look)

    def ends(self) -> None:
        """It has ended by itself."""
        self._until = None

    def close(self) -> None:
        """There is no more to wait for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._look)
        else:
            self._content.set_exception(TimeoutError())


class ModelStream:
    """An answer that began well. Close it: that ends the call at the server too, unless it is read to its end."""

    def __init__(self, response: _Answer, failures: Failures) -> None:
        self._response = response
        self._failures = failures
        self._splitter = LineSplitter()
        self._silence: _Silence | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers; their names in any case."""
        return self._response.headers

    @property
    def ended(self) -> bool:
        """Whether all of it was read: then its connection can be used again."""
        return self._response.content.at_eof()

    async def lines(self, seconds: float, *, began: bool) -> list[bytes]:
        """The lines that are complete with the next read; none at the end.

        Raises `ProviderError` after *seconds* without a byte, when the connection breaks and for endless lines; *began*
        says whether the reply has, for the words.
        """
        while data := await self.read(seconds, began=began):
            try:
                if lines := self._splitter.feed(data):
                    return lines
            except LineTooLong:
                raise self._failures.unreadable("a line that is too long") from None
        rest = self._splitter.rest()
        return [rest] if rest else []

    async def read(self, seconds: float, *, began: bool) -> bytes:
        """What is there next, at least one byte of it; nothing at the end. Raises as `lines` does."""
        content = self._response.content
        try:
            if data := content.read_nowait():
                return data
            if self._silence is None:
                self._silence = _Silence(content)
            self._silence.begins(seconds)
            try:
                return await content.readany()
            finally:
                self._silence.ends()
        except TimeoutError:
            raise self._failures.silent(seconds, began=began) from None
        except aiohttp.ClientError:
            raise self._failures.cut_off() from None

    def close(self) -> None:
        """Free the connection; one that is still being answered is cut."""
        if self._silence is not None:
            self._silence.close()
        self._response.release()


@frozen
class _Request:
    """What is sent, and the words for its failures. *body* None makes it a GET."""

    url: str
    body: bytes | None = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(repr=False)
    failures: Failures


@frozen
class _Failed:
    """A try that came to nothing; *passing*: it may go better next time."""

    error: ProviderError
    passing: bool


class ModelHTTP:
    """The connections to all models' servers. *pause* is the time before the first retry, in seconds; it then doubles."""

    def __init__(self, *, pause: float = 0.5) -> None:
        self._pause = pause
        self._made: tuple[aiohttp.ClientSession, Wire] | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._made is not None:
            await self._made[0].close()
            self._made = None

    async def open(self, endpoint: Endpoint, path: str, body: bytes, *, model: str, timeouts: Timeouts) -> ModelStream:
        """POST *body* (JSON) and give the stream of the answer. Raises `ProviderError`."""
        request = _request(Failures(endpoint, model), path, body)
        attempt = 0
        while isinstance(got := await self._try(request, timeouts), _Failed):
            wait = self._wait(got, attempt)
            if wait is None:
                raise got.error
            log.debug("%s is tried again in %.1f s: %s", request.url, wait, got.error.what)
            await asyncio.sleep(wait)
            attempt += 1
        return got

    async def get_json(
        self, endpoint: Endpoint, path: str, *, timeout: float, body: bytes | None = None, model: str = ""
    ) -> Any:
        """The JSON answer to a GET, or to a POST of *body*, within *timeout* seconds. Raises `ProviderError`."""
        request = _request(Failures(endpoint, model), path, body)
        failures = request.failures
        try:
            async with asyncio.timeout(timeout):
                response = await self._send(request, timeout, timeout)
                try:
                    data = await _read(response, _MOST_JSON)
                finally:
                    response.release()
        except TimeoutError:
            raise failures.no_answer(timeout) from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise failures.connecting(error) from None
        if response.status != 200:
            raise _failed(response, data, failures).error
        try:
            return parse(data)
        except ValueError:
            raise failures.not_this_api() from None

    async def _try(self, request: _Request, timeouts: Timeouts) -> ModelStream | _Failed:
        failures = request.failures
        try:
            response = await self._send(request, timeouts.connect, timeouts.first_token)
        except aiohttp.ConnectionTimeoutError:
            return _Failed(failures.connecting_took(timeouts.connect), passing=False)
        except TimeoutError:
            return _Failed(failures.silent(timeouts.first_token, began=False), passing=False)
        except (aiohttp.ClientError, ValueError, OSError) as error:
            return _Failed(failures.connecting(error), _may_pass(error))
        log.log(TRACE, "%s answers %d", request.url, response.status)
        if response.status == 200:
            return ModelStream(response, failures)
        try:
            data = await _read_error(response)
        finally:
            response.release()
        return _failed(response, data, failures)

    async def _send(self, request: _Request, connect: float, silence: float) -> _Answer:
        """The answer's head, at most *silence* seconds after there is a connection; *TimeoutError* after that.

        A redirect is an answer too: it could carry the key elsewhere.
        """
        log.log(TRACE, "%s is called with %d bytes", request.url, len(request.body or b""))
        session, wire = self._open()
        method, timeout = "GET" if request.body is None else "POST", _connect_within(connect)
        proxy = None if request.failures.endpoint.local else proxy_for(request.url)
        if proxy is None:
            return await wire.send(
                method, request.url, request.headers, request.body or b"", timeout=timeout, silence=silence
            )
        async with asyncio.timeout(connect + silence):
            return await session.request(
                method,
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=timeout,
                proxy=proxy,
            )

    def _open(self) -> tuple[aiohttp.ClientSession, Wire]:
        """The one session, and its connections. Not `trust_env`: ~/.netrc has entries that clash with our own header."""
        if self._made is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=0, socket_factory=socket_unless_metadata)
            session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None)
            )
            self._made = (session, Wire(connector))
        return self._made

    def _wait(self, failed: _Failed, attempt: int) -> float | None:
        """Seconds until the next try; None: there is none."""
        if not failed.passing or attempt == _RETRIES:
            return None
        asked = failed.error.retry_after
        if asked is not None and asked > _LONGEST_WAIT:
            return None
        jitter: float = random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, keeps no secret
        return (asked or 0.0) + self._pause * (1 << attempt) * jitter


def _request(failures: Failures, path: str, body: bytes | None) -> _Request:
    """A request. It asks for no compression, which would hold tokens back. Raises `ProviderError` for an impossible key."""
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"ironclaw/{__version__}",
    }
    if key := failures.endpoint.api_key:
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise failures.malformed_key()
        headers["Authorization"] = f"Bearer {key}"
    return _Request(failures.endpoint.base_url + path, body, headers, failures)


@functools.lru_cache(maxsize=16)
def _connect_within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=seconds)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for an address (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)."""
    target = urlsplit(url)
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - half of what it loads is about e-mail

    found = getproxies().get(target.scheme)
    return found if found and not proxy_bypass(target.hostname or "") else None


def _may_pass(error: Exception) -> bool:
    """Whether the network may do better in a moment. A wrong certificate stays wrong."""
    lasting = aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError
    return isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, lasting)


def _failed(response: _Answer, data: bytes, failures: Failures) -> _Failed:
    """What an answer means that is not 200."""
    if 300 <= response.status < 400:
        return _Failed(failures.redirected(response.status, response.headers.get("Location", "")), passing=False)
    refusal = read_answer(response.status, data[:_MOST_ERROR], response.headers.get("Retry-After"))
    passing = response.status in _PASSING and refusal.meaning != "credit"
    error = failures.refused(refusal)
    error.answer = data[:_MOST_ERROR]
    return _Failed(error, passing)


async def _read_error(response: _Answer) -> bytes:
    """The body of an error answer; what came of it, if it breaks off: the status says enough."""
    try:
        async with asyncio.timeout(_ERROR_TIMEOUT):
            return await _read(response, _MOST_ERROR)
    except (aiohttp.ClientError, TimeoutError):
        return b""


async def _read(response: _Answer, limit: int) -> bytes:
    """The body, at most about *limit* bytes of it."""
    data = bytearray()
    while len(data) < limit and (more := await response.content.readany()):
        data += more
    return bytes(data)
