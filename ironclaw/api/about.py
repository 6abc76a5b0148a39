"""What this API is: a greeting for curl, and the OpenAPI document."""

from aiohttp import web

from ironclaw.api.keys import ROUTE_ROWS, SERVICES
from ironclaw.api.openapi import describe
from ironclaw.api.requests import client_address, is_trusted
from ironclaw.api.responses import json_response
from ironclaw.values import frozen
from ironclaw.version import __version__

_CALLS = (
    """curl -H "Authorization: Bearer $TOKEN" {base}/api/status""",
    """curl -N -H "Authorization: Bearer $TOKEN" -H "Accept: text/plain" -d '{{"message":"help"}}' {base}/api/chat/send""",
    """curl -H "Authorization: Bearer $TOKEN" -d '{{"message":"status"}}' '{base}/api/chat/send?wait'""",
    """curl -N -H "Authorization: Bearer $TOKEN" {base}/api/chat/events""",
    """curl -H "Authorization: Bearer $TOKEN" {base}/api/chat/history""",
)


@frozen(kw_only=True)
class Client:
    """Who calls: the *address* that counts, and that of the connection, *peer*.

    *forwarded*: a proxy names the caller (`X-Forwarded-For`); *trusted*: the peer is a proxy that is believed.
    """

    address: str
    peer: str
    forwarded: bool
    trusted: bool


@frozen
class About:
    """Name, version, where the description of the API is, the commonest calls as curl lines, and who calls."""

    name: str
    version: str
    openapi: str
    examples: list[str]
    client: Client


async def about(request: web.Request) -> web.StreamResponse:
    """Say who this is."""
    prefix = request.path.removesuffix("/api")
    public = request.app[SERVICES].settings.public_url
    base = public or f"http://{request.headers.get('Host', 'localhost:3000')}{prefix}"  # the form of Host was checked
    examples = [line.format(base=base) for line in _CALLS]
    client = _client(request)
    return json_response(request, About("ironclaw", __version__, f"{prefix}/api/openapi.json", examples, client))


def _client(request: web.Request) -> Client:
    trusted, peer = request.app[SERVICES].settings.trusted_proxies, client_address(request, ())
    return Client(
        address=client_address(request, trusted),
        peer=peer,
        forwarded="X-Forwarded-For" in request.headers,
        trusted=is_trusted(request, trusted),
    )


async def openapi(request: web.Request) -> web.StreamResponse:
    """The whole API as OpenAPI 3.1."""
    return json_response(request, describe(request.app[ROUTE_ROWS], request.path.removesuffix("/api/openapi.json")))
