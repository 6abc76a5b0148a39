"""Which web pages may use the API from a browser: Origin, Host and CORS rules. Programs send no Origin and always may.

Authority is never ambient (no cookies), so these rules are a second wall: a page that got hold of a token still must be
the gateway's own, a loopback one, or one that GATEWAY_CORS_ORIGINS names.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from ironclaw.settings import Settings

_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
_HOST = re.compile(r"([a-z0-9._-]{1,253}|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.I)
_LOOPBACK = ("localhost", "127.0.0.1")
_PORTS = {"http": "80", "https": "443"}


class OriginRules:
    """The rules of one gateway. *ambient*: no exception for loopback pages, as this host's cookies go along with theirs."""

    def __init__(self, settings: Settings, *, ambient: bool = False) -> None:
        self._ambient = ambient
        self._loopback = settings.cors_origins is not None and not ambient
        self._allowed = frozenset(settings.cors_origins or ())
        self._public = settings.public_url and "{0.scheme}://{0.netloc}".format(urlsplit(settings.public_url))
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)

    def is_listed(self, origin: str) -> bool:
        """Whether a page of another origin may read replies (CORS)."""
        if origin in self._allowed:
            return True
        match = _ORIGIN.fullmatch(origin)
        return self._loopback and match is not None and match[1] == "http" and match[2] in _LOOPBACK

    def may_act(self, origin: str | None, host: str) -> bool:
        """Whether a request of this Origin may change something or open a WebSocket."""
        if origin is None or origin == self._public or self.is_listed(origin):
            return True
        match = _ORIGIN.fullmatch(origin)
        return match is not None and _same_host(match, host, strict=self._ambient)

    def is_host(self, host: str) -> bool:
        """Whether the Host header has the form of one."""
        return _HOST.fullmatch(host) is not None

    def may_answer(self, host: str) -> bool:
        """Whether GATEWAY_ALLOWED_HOSTS lets us answer under this name. Addresses and localhost always may."""
        if not self._hosts:
            return True
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].lower()
        return name in self._hosts or host.lower() in self._hosts or name == "localhost" or _is_address(name)


def _same_host(origin: "re.Match[str]", host: str, *, strict: bool) -> bool:
    """Whether an Origin is where the request was sent.

    A Host without a port (behind a proxy) is compared by name; *strict*: then the Origin may not have one either.
    """
    match = _HOST.fullmatch(host)
    if match is None or match[1].lower() != origin[2]:
        return False
    if match[2] is None:
        return not strict or origin[3] in {None, _PORTS[origin[1]]}
    return match[2] == (origin[3] or _PORTS[origin[1]])


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
