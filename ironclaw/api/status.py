"""Status and health over HTTP."""

from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.responses import json_response
from ironclaw.status import SystemStatus
from ironclaw.values import frozen


@frozen
class Health:
    """*status* is `healthy` or `degraded`; of each part only `ok` or `degraded` is said without a token."""

    status: str
    parts: dict[str, str]


@frozen
class Alive:
    """The process answers."""

    status: str = "ok"


async def read_status(request: web.Request) -> web.StreamResponse:
    """All of it."""
    found: SystemStatus = request.app[SERVICES].status.read()
    return json_response(request, found)


def _health(request: web.Request) -> Health:
    parts = {name: part.state for name, part in request.app[SERVICES].status.parts().items()}
    return Health("healthy" if all(state == "ok" for state in parts.values()) else "degraded", parts)


async def health(request: web.Request) -> web.StreamResponse:
    """Which parts are well; 200 as long as the gateway answers."""
    return json_response(request, _health(request))


async def alive(request: web.Request) -> web.StreamResponse:
    """The process is there."""
    return json_response(request, Alive())


async def ready(request: web.Request) -> web.StreamResponse:
    """200 when messages can be taken, 503 when the database can't be written."""
    found = _health(request)
    return json_response(request, found, status=200 if found.parts["database"] == "ok" else 503)
