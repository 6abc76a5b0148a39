"""What people type to say where a model is, as the endpoints that it may mean. Reads text only; nothing is looked up.

A host name, host:port, a URL, or the name of a known provider. An address without a port means the usual ports of that
one host, never other hosts.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

import attrs

from ironclaw.errors import Invalid
from ironclaw.llm.endpoint import Endpoint
from ironclaw.llm.known import KNOWN, OLLAMA_PORT, USUAL_PORTS
from ironclaw.values import frozen

_LONGEST = 1000
_HOME_ENDINGS = (".local", ".lan", ".home", ".internal", ".home.arpa", ".localhost")
_HINT = "Write a host name such as 192.168.1.20, host:port, a URL, or a name such as openai."


@frozen
class Address:
    """Where to look: *endpoints* on one *host*, the likeliest first."""

    host: str
    endpoints: tuple[Endpoint, ...]

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of its endpoints, each once."""
        return tuple(dict.fromkeys(port_of(endpoint.base_url) for endpoint in self.endpoints))

    def with_key(self, api_key: str | None, *, origin: str | None = None) -> "Address":
        """The same with a key: for all endpoints, or for those of one *origin* only."""
        keyed = (
            attrs.evolve(one, api_key=api_key) if origin in {None, origin_of(one.base_url)} else one
            for one in self.endpoints
        )
        return Address(self.host, tuple(keyed))

    def by_port(self) -> tuple["Address", ...]:
        """One address for each of its ports."""
        return tuple(
            Address(self.host, tuple(one for one in self.endpoints if port_of(one.base_url) == port))
            for port in self.ports
        )


def parse_address(text: str) -> Address:
    """What an address may mean. Raises *Invalid* for what is none."""
    text = text.strip()
    if text.lower() in KNOWN:
        endpoint = KNOWN[text.lower()].endpoint()
        return Address(urlsplit(endpoint.base_url).hostname or "", (endpoint,))
    parts, scheme = _split(text)
    host, port = (parts.hostname or "").rstrip("."), parts.port
    if scheme is None and port is None and not parts.path.strip("/"):
        return Address(host, _of_host(host))
    scheme = scheme or ("https" if port in {443, 8443} else "http")
    return Address(host, _of_url(scheme, host, port, parts.path.rstrip("/")))


def _split(text: str) -> tuple[SplitResult, str | None]:
    """The parts of an address, and its scheme where it says one."""
    says_scheme = "://" in text
    if not says_scheme and text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"  # an IPv6 address is recognized without brackets too
    try:
        parts = urlsplit(text if says_scheme else f"//{text}")
        fine = (parts.hostname or "").rstrip(".") and parts.port != 0 and len(text) <= _LONGEST
        fine = fine and text.isprintable() and not set(text) & set(" \\\"'<>`{}|^")
    except ValueError:
        raise Invalid(f"That is no address. {_HINT}", field="address") from None
    if not fine or parts.scheme not in {"http", "https", ""}:
        raise Invalid(f"That is no address. {_HINT}", field="address")
    if parts.username is not None or parts.query or parts.fragment:
        raise Invalid("An address holds no key and no query; give the key as `api_key`.", field="address")
    return parts, parts.scheme or None


def _of_host(host: str) -> tuple[Endpoint, ...]:
    """What a bare host may mean: its usual ports, then the web's."""
    if known := _known_at("https", host, None):
        return (known,)
    found: list[Endpoint] = []
    for port in USUAL_PORTS:
        found += _kinds(f"http://{bracketed(host)}:{port}", host, port)
    found += _kinds(f"https://{bracketed(host)}", host, 443)
    found += _kinds(f"http://{bracketed(host)}", host, 80)
    return tuple(found)


def _of_url(scheme: str, host: str, port: int | None, path: str) -> tuple[Endpoint, ...]:
    if (known := _known_at(scheme, host, port)) and path in {"", "/v1", urlsplit(known.base_url).path}:
        return (known,)
    base = f"{scheme}://{bracketed(host)}" + (f":{port}" if port else "")
    if path:
        return variants(_endpoint(base + path, host))
    return tuple(_kinds(base, host, port or (443 if scheme == "https" else 80)))


def _kinds(base: str, host: str, port: int) -> list[Endpoint]:
    """An origin without a path, in each protocol: on Ollama's port its own first, elsewhere the common one."""
    common = [_endpoint(f"{base}/v1", host), _endpoint(base, host)]
    ollama = Endpoint(kind="ollama", name="ollama", base_url=base, local=is_at_home(host))
    return [ollama, *common] if port == OLLAMA_PORT else [*common, ollama]


def _endpoint(base_url: str, host: str) -> Endpoint:
    return Endpoint(kind="openai", name=name_of(base_url), base_url=base_url, local=is_at_home(host))


def _known_at(scheme: str, host: str, port: int | None) -> Endpoint | None:
    """The hosted provider whose address this is."""
    for server in KNOWN.values():
        if not server.local and origin_of(server.base_url) == origin_of(
            f"{scheme}://{bracketed(host)}" + (f":{port}" if port else "")
        ):
            return server.endpoint()
    return None


def variants(endpoint: Endpoint) -> tuple[Endpoint, ...]:
    """The endpoint as it is given and, where its path does not say a version, with `/v1`."""
    known = endpoint.name in KNOWN and KNOWN[endpoint.name].base_url == endpoint.base_url
    if endpoint.kind == "ollama" or endpoint.base_url.endswith("/v1") or known:
        return (endpoint,)
    return (endpoint, attrs.evolve(endpoint, base_url=f"{endpoint.base_url}/v1"))


def name_of(base_url: str) -> str:
    """What the provider at an address is called: the known one's name, else its host."""
    known = (one.name for one in KNOWN.values() if not one.local and origin_of(one.base_url) == origin_of(base_url))
    return next(known, urlsplit(base_url).hostname or base_url)


def origin_of(base_url: str) -> str:
    """Scheme, host and port of a URL, the default port left out: what a key is bound to."""
    parts = urlsplit(base_url)
    port = parts.port
    shown = "" if port in {None, {"http": 80, "https": 443}.get(parts.scheme)} else f":{port}"
    return f"{parts.scheme}://{bracketed((parts.hostname or '').rstrip('.'))}{shown}"


def port_of(base_url: str) -> int:
    """The port of a URL."""
    parts = urlsplit(base_url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def is_at_home(host: str) -> bool:
    """Whether a host is this machine or one of one's own network, as far as its name says."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith(_HOME_ENDINGS)
    return address.is_private or address.is_loopback
