"""What every request passes, from the outside in: request id and log, errors, origins, authentication, limits.

Who may come in without a token is decided by the matched route itself, never by its path: a path looks different when
the application is mounted under a prefix, and a new route is closed until its table row says otherwise.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from ironclaw.api import errors
from ironclaw.api.keys import PRINCIPAL, REQUEST_COUNTS, REQUEST_ID, REQUEST_LOG, SERVICES
from ironclaw.api.origins import OriginRules
from ironclaw.api.requests import BODY_LIMIT, client_address, content_type, too_large
from ironclaw.auth import Authenticate, Principal
from ironclaw.errors import BadRequest, Forbidden, IronclawError, Unauthorized, UnsupportedType
from ironclaw.logs import within
from ironclaw.services import Services
from ironclaw.values import frozen

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Accept, Last-Event-ID, Idempotency-Key, If-Match, If-None-Match, X-IronClaw-Thread"
)
_EXPOSED_HEADERS = (
    "X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, ETag, X-IronClaw-Model"
)
_CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
)


@frozen
class Access:
    """What the route table says of one route: *open* without a token, *limited* by the `api` rate here.

    *most* is the largest body that it takes, in bytes.
    """

    open: bool
    limited: bool
    most: int = BODY_LIMIT


class Gate:
    """The middlewares of one application. *access* has its routes; what is not in it is closed.

    *openai* is a resource right below `/v1`, where errors are written as OpenAI's.
    """

    def __init__(self, rules: OriginRules, frame_ancestors: tuple[str, ...], *, ambient: bool = False) -> None:
        self.access: dict[web.AbstractRoute, Access] = {}
        self.openai: web.AbstractResource | None = None
        self._rules = rules
        self._ambient = ambient
        ancestors = " ".join(frame_ancestors) or "'none'"
        self._headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": _CONTENT_SECURITY + ancestors,
            "Server": "ironclaw",
        }
        if not frame_ancestors:
            self._headers["X-Frame-Options"] = "DENY"

    @property
    def middlewares(self) -> list[Any]:
        """In their order, the outermost first."""
        return [self.identify_and_log, self.catch_errors, self.check_origin, self.authenticate, self.limit]

    @web.middleware
    async def identify_and_log(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give the request its id, and note how it ended."""
        request_id = _new_id()
        request[REQUEST_ID] = request_id
        started = time.perf_counter()
        status, whole = 499, False  # the client left before there was an answer
        try:
            with within(request.app[SERVICES].logs):
                response = await handler(request)
            status, whole = response.status, isinstance(response, web.Response)
        finally:
            resource = request.match_info.route.resource
            pattern = resource.canonical if resource is not None else "(no route)"
            seconds = time.perf_counter() - started
            request.app[REQUEST_LOG].add(request.method, pattern, status, seconds, request_id)
            request.app[REQUEST_COUNTS].add(request.method, pattern, status, seconds if whole else None)
        return response

    @web.middleware
    async def catch_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn every error into its reply."""
        try:
            return await handler(request)
        except IronclawError as error:
            return errors.error_response(error, openai=self._speaks_openai(request))
        except web.HTTPException as error:
            known = [resource.canonical for resource in request.app.router.resources()]
            return errors.http_response(error, request.path, known, openai=self._speaks_openai(request))
        except ConnectionError:
            return web.Response(status=499)  # the client went away: aiohttp drops this without a word
        except Exception:
            log.exception("Request %s failed inside", request[REQUEST_ID])
            return errors.internal_error(request[REQUEST_ID], openai=self._speaks_openai(request))

    def _speaks_openai(self, request: web.Request) -> bool:
        """Whether the request is for `/v1` or below, wherever the application is mounted, known route or not."""
        below = self.openai.canonical.rpartition("/")[0] if self.openai is not None else ""
        return bool(below) and f"{request.path}/".startswith(f"{below}/")

    @web.middleware
    async def check_origin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a malformed or unknown Host, and acts of foreign web pages; answer preflights."""
        host = request.headers.get("Host", "")
        if not self._rules.is_host(host) and (host or request.version >= (1, 1)):
            raise BadRequest("The Host header is not a host name or address.", code="bad_host")
        if not self._rules.may_answer(host):
            render = errors.render_openai if self._speaks_openai(request) else errors.render
            return render(421, "unknown_host", "This gateway does not answer under that name (GATEWAY_ALLOWED_HOSTS).")
        origin = request.headers.get("Origin")
        if self._ambient:
            _check_ambient(request, origin)
        if origin is not None:
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                return self._preflight(origin)
            acts = request.method not in _SAFE or "Upgrade" in request.headers
            if acts and not self._rules.may_act(origin, host):
                raise Forbidden(
                    "Web pages of this origin may not use the gateway. Name it in GATEWAY_CORS_ORIGINS to allow it.",
                    code="foreign_origin",
                )
        return await handler(request)

    def _preflight(self, origin: str) -> web.Response:
        if not self._rules.is_listed(origin):
            raise Forbidden("Web pages of this origin may not use the gateway.", code="foreign_origin")
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": "600",
            },
        )

    @web.middleware
    async def authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who has the token, and everybody where the route is open."""
        access = self.access.get(request.match_info.route)
        if access is None or not access.open:
            request[PRINCIPAL] = await authenticated(request, request.app[SERVICES])
        return await handler(request)

    @web.middleware
    async def limit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Spend one of the `api` rate."""
        access = self.access.get(request.match_info.route)
        if access is not None and access.limited and not access.open:
            limits = request.app[SERVICES].limits
            await limits.spend(request[PRINCIPAL].name, limits.api)
        return await handler(request)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put the headers that every reply has, errors included, on *response*."""
        headers = response.headers
        sandbox = headers.get("Content-Security-Policy")
        headers.update(self._headers)
        if sandbox is not None:  # a file of the workspace gets less than the page does
            headers["Content-Security-Policy"] = sandbox
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Request-Id"] = request[REQUEST_ID] if REQUEST_ID in request else _new_id()
        origin = request.headers.get("Origin")
        if origin is not None:
            headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
            if self._rules.is_listed(origin):
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS

    async def expect_continue(self, request: web.Request) -> web.StreamResponse | None:
        """Answer `Expect: 100-continue`: aiohttp asks before any middleware, so this checks token and size itself."""
        openai = self._speaks_openai(request)
        try:
            if request.headers.get("Expect", "").lower() != "100-continue":
                render = errors.render_openai if openai else errors.render
                return render(417, "bad_request", "Only Expect: 100-continue is known.")
            access = self.access.get(request.match_info.route)
            if access is None or not access.open:
                await authenticated(request, request.app[SERVICES])
            most = access.most if access is not None else BODY_LIMIT
            if (request.content_length or 0) > most:
                raise too_large(most)
        except IronclawError as error:
            return errors.error_response(error, openai=openai)
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None


def _new_id() -> str:
    return f"{random.getrandbits(64):016x}"


def _check_ambient(request: web.Request, origin: str | None) -> None:
    """Where a browser sends the authority by itself, a write must show that one of our pages meant it."""
    if request.method in _SAFE and "Upgrade" not in request.headers:
        return
    if origin is None:
        raise Forbidden("Writes need an Origin header here, as browsers send it.", code="foreign_origin")
    if request.can_read_body and content_type(request) != "application/json":
        raise UnsupportedType("Writes must be sent as application/json here.")


async def authenticated(request: web.Request, services: Services) -> Principal:
    """Who the request speaks for. Raises *Unauthorized*, or *RateLimited* when too many wrong tokens came from there.

    One kind of credential decides: a header, else, on GET and HEAD, the query. Wrong tokens have a rate of their own for
    each address, which never touches a caller with the right one.
    """
    if services.authenticate is not None:
        return await _host_login(request, services.authenticate)
    given = _credentials(request)
    principal = (
        services.authority.identify([token for token in given if token is not None]) if None not in given else None
    )
    if principal is not None:
        return principal
    if given:
        log.debug("A wrong token was refused")
        address = client_address(request, services.settings.trusted_proxies)
        await services.limits.spend(address, services.limits.login)
    raise errors.unauthorized()


async def _host_login(request: web.Request, authenticate: Authenticate) -> Principal:
    answer = authenticate(request)
    principal = await answer if isinstance(answer, Awaitable) else answer
    if not isinstance(principal, Principal):  # None, and whatever else a login may give by mistake
        raise Unauthorized("The program that serves this gateway did not let you in. Sign in there first.")
    return principal


def _credentials(request: web.Request) -> list[str | None]:
    """The tokens given; None stands for a header that is no bearer token."""
    headers = request.headers.getall("Authorization", [])
    if headers:
        return [_bearer(header) for header in headers]
    if request.method in {"GET", "HEAD"}:
        return list(request.query.getall("token", []))
    return []


def _bearer(header: str) -> str | None:
    scheme, space, token = header.partition(" ")
    return token if space and scheme.lower() == "bearer" else None
