"""Guarded outgoing connections: which addresses may be reached, checked when one is connected; redirects, size, time.

For what a model or a stranger may name: WebFetch, downloads. A model's own server is the owner's choice and does not go
through here, but for `is_metadata`. What a page means is read elsewhere.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Sequence
from contextvars import ContextVar

import attrs
from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    ThreadedResolver,
)
from yarl import URL

from ironclaw.errors import ConfigError, Forbidden, Invalid, TimedOut, Unavailable
from ironclaw.values import define, frozen
from ironclaw.version import __version__

MAX_BYTES = 5 * 1024 * 1024
MAX_REDIRECTS = 5
TIMEOUT = 30.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_A_HOST = frozenset("/?#@*% ")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# Own facts and not `is_global`: that one calls multicast, NAT64, 6to4, ::/96 and fec0::/10 global, and what it says of
# some others depends on the version of Python. The first network that holds an address names its kind.
_KINDS: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), kind)
    for kind, networks in {
        "an unspecified address": ("0.0.0.0/8", "::/128"),
        "a loopback address": ("127.0.0.0/8", "::1/128"),
        "a private address": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
        "a provider's private address": ("100.64.0.0/10",),
        "a link-local address": ("169.254.0.0/16", "fe80::/10"),
        "a site-local address": ("fec0::/10",),
        "a multicast address": ("224.0.0.0/4", "ff00::/8"),
        "an IPv4 address in another form": ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"),
        "a Teredo address": ("2001::/32",),
        "an address for documentation": (
            *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
            *("2001:db8::/32", "3fff::/20"),
        ),
        # Of IPv6 only 2000::/3 is given out.
        "a reserved address": (
            *("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
            *("2001::/23", "::/3", "4000::/2", "8000::/1"),
        ),
    }.items()
    for network in networks
)

# What a cloud tells the machine that asks, keys included: AWS, GCP, Azure, Oracle and most others, then Alibaba, the
# host of Azure, old Oracle, AWS and GCP on IPv6.
_METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("169.254.0.0/16", "fe80::/10"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::/32", "fd20:ce::254"),
    )
)
_IPV4_AT_THE_END = tuple(
    ipaddress.IPv6Network(network) for network in ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48")
)


def is_metadata(address: str | Address) -> bool:
    """Whether an IP address is link-local or one where a cloud keeps its metadata, also as IPv4 inside IPv6.

    Raises *ValueError* for a host name: ask about the addresses that it has.
    """
    ip = _unwrapped(ipaddress.ip_address(address))
    return any(ip in network for network in _METADATA)


def socket_unless_metadata(info: AddrInfoType) -> socket.socket:
    """A socket for an address that is about to be connected. Raises *PermissionError* for a metadata address.

    For a connector that talks to a server of the person's own choice, which may well be at home.
    """
    family, kind, protocol, _, sockaddr = info
    if is_metadata(str(sockaddr[0])):
        raise PermissionError(errno.EACCES, "a link-local or metadata address is never connected")
    return socket.socket(family, kind, protocol)


def _unwrapped(ip: Address) -> Address:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if any(ip in network for network in _IPV4_AT_THE_END):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour or ip


class Guard:
    """Decides whether an address may be connected: public ones, and what *allow* opens at home.

    *allow* has host names, IP addresses, both also with a `:port`, and networks. An allowed name opens whatever it
    resolves to, for requests by that very name: not for another name of the same address. An allowed address or network
    is open under each name that leads there. Nothing opens link-local and metadata addresses.

    Raises *ConfigError* for anything else in *allow*.
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._names: set[tuple[str, int | None]] = set()
        self._networks: list[tuple[Network, int | None]] = []
        for entry in allow:
            self._add(entry)

    def _add(self, entry: str) -> None:
        network = _network(entry)
        if network is not None:
            self._networks.append((network, None))
            return
        host, port = _host_and_port(entry)
        network = _network(host)
        if network is not None:
            self._networks.append((network, port))
        else:
            self._names.add((_name(host), port))

    def refusal(self, host: str, address: str, port: int) -> str | None:
        """Why a request to *host* may not connect to this address; None when it may. *address* must be an IP."""
        ip = ipaddress.ip_address(address)
        if is_metadata(ip):
            return f"{_described(host, address, 'a link-local or metadata address')}, which is never read."
        kind = next((kind for network, kind in _KINDS if ip in network), None)
        if kind is None or self._allows(host, ip, port):
            return None
        entry = f"{address}:{port}" if ip.version == 4 else f"[{address}]:{port}"
        return f"{_described(host, address, kind)}; WEB_FETCH_ALLOW={entry} lets the assistant read it."

    def _allows(self, host: str, ip: Address, port: int) -> bool:
        by_name = not self._names.isdisjoint({(_name(host), None), (_name(host), port)})
        return by_name or any(ip in network and only in {None, port} for network, only in self._networks)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _host_and_port(entry: str) -> tuple[str, int | None]:
    try:
        url = URL(f"http://{entry}")
    except ValueError:
        url = URL()
    host = url.raw_host or ""
    if not host or not _NOT_A_HOST.isdisjoint(entry):
        raise ConfigError(
            f"WEB_FETCH_ALLOW has {entry!r}, but it takes hosts, addresses (both also with a :port) and networks,"
            " such as nas.local, 192.168.1.5:8080, 10.0.0.0/8.",
            field="web_fetch_allow",
        )
    return host, url.explicit_port


def _name(host: str) -> str:
    return host.lower().removesuffix(".")


def _described(host: str, address: str, kind: str) -> str:
    return f"{address} is {kind}" if host == address else f"{host} is at {address}, {kind}"


@frozen
class Fetched:
    """An answer: *url* after redirects, *body* decompressed and, when *truncated*, only its beginning."""

    url: str
    status: int
    media_type: str
    charset: str | None
    body: bytes = attrs.field(repr=False)
    truncated: bool


@define
class _Hop:
    """One request of a fetch, for the socket it will open: who judges, by which name, and what was refused."""

    guard: Guard
    host: str
    refusal: str | None = None


_hop: ContextVar[_Hop] = ContextVar("hop")


def _guarded_socket(info: AddrInfoType) -> socket.socket:
    """A socket for the address that is about to be connected, of which there is no later look-up."""
    family, kind, protocol, _, sockaddr = info
    hop = _hop.get()
    refusal = hop.guard.refusal(hop.host, str(sockaddr[0]), int(sockaddr[1]))
    if refusal is not None:
        hop.refusal = refusal
        raise PermissionError(errno.EACCES, refusal)
    return socket.socket(family, kind, protocol)


class Egress:
    """Fetches from the web, guarded. *allow* is what `Guard` takes. Its owner calls `aclose`.

    Sends no cookies, no Authorization and nothing from .netrc, so a redirect has nothing to carry away. Connections are
    not kept: a kept one would serve a request that its check was not made for. Proxies of the environment are not used:
    behind one the address connected is the proxy's, it looks names up by itself, and so nothing could be promised.
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self.guard = Guard(allow)
        self._session: ClientSession | None = None

    async def fetch(
        self,
        url: str,
        *,
        guard: Guard | None = None,
        max_bytes: int = MAX_BYTES,
        timeout: float = TIMEOUT,
        one_host: bool = False,
    ) -> Fetched:
        """What is at *url*, after at most `MAX_REDIRECTS` redirects; *timeout* is in seconds, for all of it.

        *guard* stands in for the own one. *one_host* follows no redirect to another host: who allowed the first one has
        not allowed that. Raises *Invalid* for an address of another kind, *Forbidden* for one that must
        not be reached, *TimedOut*, and *Unavailable* when there is no answer that can be read.
        """
        target = web_url(url)
        try:
            async with asyncio.timeout(timeout):
                return await self._follow(target, guard or self.guard, max_bytes, one_host=one_host)
        except TimeoutError:
            raise TimedOut(f"{target.host} did not answer within {timeout:g} s.") from None

    async def aclose(self) -> None:
        """Closes what is open."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _follow(self, url: URL, guard: Guard, max_bytes: int, *, one_host: bool) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._request(url, guard, max_bytes)
            if isinstance(answer, Fetched):
                return answer
            there = redirected(url, answer)
            if one_host and (there.host, there.explicit_port) != (url.host, url.explicit_port):
                raise Unavailable(f"{url.host} sends readers on to {there}. Fetch that address if you want it.")
            url = there
        raise Unavailable(f"{url.host} is behind more than {MAX_REDIRECTS} redirects.")

    async def _request(self, url: URL, guard: Guard, max_bytes: int) -> Fetched | str:
        """The answer, or where it says to look instead."""
        hop = _Hop(guard, url.raw_host or "")
        token = _hop.set(hop)
        try:
            async with self._opened().get(url, allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status in _REDIRECTS and location:
                    return location
                return await _answer(response, max_bytes)
        except (ClientError, OSError, ValueError) as error:
            if hop.refusal is not None:
                raise Forbidden(hop.refusal) from None
            raise Unavailable(f"{url.host} can't be read: {str(error) or type(error).__name__}.") from None
        finally:
            _hop.reset(token)

    def _opened(self) -> ClientSession:
        if self._session is None:
            connector = TCPConnector(
                socket_factory=_guarded_socket, force_close=True, use_dns_cache=False, resolver=ThreadedResolver()
            )
            self._session = ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=None),
                headers={"User-Agent": f"IronClaw/{__version__}", "Accept-Encoding": "gzip, deflate"},
                trust_env=False,
            )
        return self._session


async def _answer(response: ClientResponse, max_bytes: int) -> Fetched:
    body = bytearray()
    # aiohttp decompresses piece by piece, so counting what comes out also bounds a bomb.
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            break
    return Fetched(
        url=str(response.url),
        status=response.status,
        media_type=response.content_type,
        charset=response.charset,
        body=bytes(body[:max_bytes]),
        truncated=len(body) > max_bytes,
    )


def web_url(text: str) -> URL:
    """The address, as it is asked for: without its fragment. Raises *Invalid* for all but plain http and https."""
    try:
        return _web_only(URL(text.strip()))
    except ValueError as error:
        raise Invalid(f"That is not an address: {error}.", field="url") from None


def redirected(url: URL, location: str) -> URL:
    """Where *location*, as the answer of *url* has it, leads.

    Raises *Invalid* when that is not on the web, and *Forbidden* when it would leave https for http.
    """
    try:
        target = _web_only(url.join(URL(location)))
    except ValueError as error:
        raise Invalid(f"{url.host} redirects to what is not an address: {error}.", field="url") from None
    if url.scheme == "https" and target.scheme == "http":
        raise Forbidden(f"{url.host} redirects from https to http, where anyone on the way could change the answer.")
    return target


def _web_only(url: URL) -> URL:
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise Invalid("Only addresses that begin with http:// or https:// can be read.", field="url")
    if url.raw_user is not None or url.raw_password is not None:
        raise Invalid("An address with a user name or a password in it is not read.", field="url")
    return url.with_fragment(None)
