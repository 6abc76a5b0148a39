"""Opening the gateway on another device: at which address, and a QR code of the link that signs in there."""

import asyncio

import attrs
from aiohttp import web

from ironclaw import pairing
from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import read_body
from ironclaw.api.responses import json_response
from ironclaw.errors import Invalid
from ironclaw.setting_values import NotAllowedError, url
from ironclaw.values import frozen


@frozen(kw_only=True)
class AskPairing:
    """*page* is where the caller has the page open, an address that works; *code*: whether a QR code is wanted, too."""

    page: str | None = None
    code: bool = False


@frozen(kw_only=True)
class Pairing:
    """The *address* for other devices, null where they can't reach the gateway.

    *code* is a QR code of the link to it, an SVG picture as a `data:` address; *signs_in*: that link holds the token.
    """

    address: str | None = attrs.field()
    signs_in: bool
    code: str | None = attrs.field()


async def pair(request: web.Request) -> web.StreamResponse:
    """The address and, where it is asked for, the code."""
    services = request.app[SERVICES]
    asked = await read_body(request, AskPairing, services.settings.body_timeout)
    signs_in = services.authenticate is None
    address = await _address(request, _page(asked.page))
    code = None
    if asked.code and address is not None:
        link = pairing.sign_in_link(address, services.token) if signs_in else address
        code = await asyncio.to_thread(pairing.picture_code, link)
    return json_response(request, Pairing(address=address, signs_in=signs_in, code=code))


def _page(given: str | None) -> str | None:
    try:
        return None if given is None else f"{url(given)}/"
    except NotAllowedError as error:
        raise Invalid(f"`page` must be {error}.", field="page") from None


async def _address(request: web.Request, page: str | None) -> str | None:
    """What was set; else where the caller is, if others can go there; else this machine's place on its network."""
    if public := request.app[SERVICES].settings.public_url:
        return f"{public}/"
    if page is not None and not pairing.is_of_this_machine(page):
        return page
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    if not isinstance(name, tuple):
        return None
    place = await asyncio.to_thread(pairing.place_on_network, name[1])
    return place and f"{request.scheme}://{place}{request.path.removesuffix('/api/pairing')}/"
