"""HTTP to an MCP server, on the gateway's own client: to one origin, with the secrets in its headers, and nowhere else.

Loaded with the first session over HTTP, because the SDK's client brings its HTTP library along.
"""

import contextlib
import logging
from collections.abc import AsyncIterator

import httpx2
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from ironclaw.egress import socket_unless_metadata
from ironclaw.extensions.session import HttpPlan, Refusals
from ironclaw.version import __version__

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs each request with its whole address

_MOST_BYTES = 16 << 20  # of one answer; an event stream is bounded by its events
_CONNECT = 15.0
_REFUSED = frozenset({401, 403})
_NOT_PASSED = frozenset({"host", "content-length", "connection", "accept-encoding", "authorization", "user-agent"})


@contextlib.asynccontextmanager
async def http_client(plan: HttpPlan, refusals: Refusals) -> AsyncIterator[httpx2.AsyncClient]:
    """A client for the SDK that reaches the plan's origin only."""
    session = ClientSession(
        connector=TCPConnector(socket_factory=socket_unless_metadata, resolver=ThreadedResolver(), use_dns_cache=False),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=_CONNECT),
        headers={"User-Agent": f"IronClaw/{__version__}", "Accept-Encoding": "gzip, deflate"},
        trust_env=False,
    )
    async with session, httpx2.AsyncClient(transport=_Wire(session, plan, refusals), trust_env=False) as client:
        yield client


class _Wire(httpx2.AsyncBaseTransport):
    """Carries requests of one session. Redirects are never followed here: the secrets would go along."""

    def __init__(self, session: ClientSession, plan: HttpPlan, refusals: Refusals) -> None:
        self._session = session
        self._origin = URL(plan.url).origin()
        self._secrets = dict(plan.headers)
        self._refusals = refusals

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = URL(str(request.url), encoded=True)
        if url.origin() != self._origin:
            raise httpx2.ConnectError(f"{url.host} is not the server of this extension", request=request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED}
        try:
            response = await self._session.request(
                request.method,
                url,
                data=await request.aread() or None,
                headers={**headers, **self._secrets},
                allow_redirects=False,
            )
        except (ClientError, OSError) as error:
            raise httpx2.ConnectError(str(error) or type(error).__name__, request=request) from None
        if response.status in _REFUSED:
            self._refusals.status = response.status
        kept = [(name, value) for name, value in response.headers.items() if name.lower() != "content-encoding"]
        return httpx2.Response(response.status, headers=kept, stream=_Body(response), request=request)


class _Body(httpx2.AsyncByteStream):
    """An answer's bytes as they come, up to a bound."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        streams = self._response.content_type == "text/event-stream"
        size = 0
        try:
            async for chunk in self._response.content.iter_any():
                size += len(chunk)
                if size > _MOST_BYTES and not streams:
                    raise httpx2.ReadError(f"the answer is larger than {_MOST_BYTES >> 20} MiB")
                yield chunk
        except (ClientError, OSError) as error:
            raise httpx2.ReadError(str(error) or type(error).__name__) from None

    async def aclose(self) -> None:
        self._response.close()
