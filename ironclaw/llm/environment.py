"""The model that the settings name: `LLM_*` first, then the variables that providers themselves have made usual."""

from urllib.parse import urlsplit

import attrs

from ironclaw.errors import ConfigError
from ironclaw.llm.address import bracketed, is_at_home, name_of, port_of
from ironclaw.llm.endpoint import Endpoint
from ironclaw.llm.known import KNOWN, OLLAMA_PORT, KnownServer
from ironclaw.settings import Settings
from ironclaw.values import frozen

BUILTIN = "builtin"
_COMPATIBLE = frozenset({"openai_compatible", "openai-compatible"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not bound
_HOSTED = ("anthropic", "openrouter", "groq", "nearai")


@frozen
class Configured:
    """What the settings name. *endpoint* None: no model is wanted. *model* None: the server's first."""

    endpoint: Endpoint | None
    model: str | None = None


def configured(settings: Settings) -> Configured | None:
    """The model that the settings name; None where they name none.

    Raises *ConfigError* for a backend that is not known, one that lacks its key, and a key of nobody.
    """
    backend = settings.llm_backend
    if backend == BUILTIN:
        return Configured(None)
    if backend is not None:
        endpoint: Endpoint | None = _of_backend(backend, settings)
    elif settings.llm_base_url:
        endpoint = _at(settings.llm_base_url)
    else:
        endpoint = _of_provider_variables(settings)
    if endpoint is None:
        if settings.llm_api_key:
            raise ConfigError("LLM_API_KEY is set, but not whose key it is: set LLM_BACKEND or LLM_BASE_URL too.")
        return None
    key = _clean_key(settings.llm_api_key or endpoint.api_key)
    of_openai = endpoint.name == "openai" or endpoint.base_url == settings.openai_base_url
    own_model = settings.openai_model if of_openai else None
    return Configured(attrs.evolve(endpoint, api_key=key), settings.llm_model or own_model)


def _of_backend(backend: str, settings: Settings) -> Endpoint:
    if backend in _COMPATIBLE:
        if not settings.llm_base_url:
            raise ConfigError(f"LLM_BACKEND is {backend}, which needs an address: set LLM_BASE_URL.")
        return _at(settings.llm_base_url)
    if backend not in KNOWN:
        allowed = ", ".join((*KNOWN, "openai_compatible", BUILTIN))
        raise ConfigError(f"LLM_BACKEND is {backend!r}, but it must be one of {allowed}.", field="llm_backend")
    server = KNOWN[backend]
    endpoint = server.endpoint(_own_key(server, settings))
    if backend == "ollama" and settings.ollama_host:
        endpoint = _ollama_at(settings.ollama_host)
    if backend == "openai" and settings.openai_base_url:
        endpoint = _moved(endpoint, settings.openai_base_url)
    if settings.llm_base_url:
        return _moved(endpoint, settings.llm_base_url)
    if server.variable and endpoint.base_url == server.base_url and not (settings.llm_api_key or endpoint.api_key):
        names = " or ".join(dict.fromkeys((server.variable, "LLM_API_KEY")))
        raise ConfigError(f"LLM_BACKEND is {backend}, which needs a key: set {names}. Keys: {server.keys_at}")
    return endpoint


def _of_provider_variables(settings: Settings) -> Endpoint | None:
    if settings.openai_api_key or settings.openai_base_url:
        endpoint = KNOWN["openai"].endpoint(settings.openai_api_key)
        return _moved(endpoint, settings.openai_base_url) if settings.openai_base_url else endpoint
    if settings.ollama_host:
        return _ollama_at(settings.ollama_host)
    for name in _HOSTED:
        if key := _own_key(KNOWN[name], settings):
            return KNOWN[name].endpoint(key)
    return None


def _own_key(server: KnownServer, settings: Settings) -> str | None:
    """The key in the provider's own variable."""
    keys = {
        "OPENAI_API_KEY": settings.openai_api_key,
        "ANTHROPIC_API_KEY": settings.anthropic_api_key,
        "OPENROUTER_API_KEY": settings.openrouter_api_key,
        "GROQ_API_KEY": settings.groq_api_key,
        "NEARAI_API_KEY": settings.nearai_api_key,
    }
    return keys.get(server.variable or "")


def _at(base_url: str) -> Endpoint:
    """The server at an address of which no more is said: Ollama's own protocol on its port, else the common one."""
    local = is_at_home(urlsplit(base_url).hostname or "")
    if port_of(base_url) == OLLAMA_PORT and not urlsplit(base_url).path:
        return Endpoint(kind="ollama", name="ollama", base_url=base_url, local=local)
    return Endpoint(kind="openai", name=name_of(base_url), base_url=base_url, local=local)


def _moved(endpoint: Endpoint, base_url: str) -> Endpoint:
    """The same kind of server somewhere else. It is called by its own name only where it is Ollama or at home there."""
    name = endpoint.name if endpoint.kind == "ollama" or endpoint.local else name_of(base_url)
    local = is_at_home(urlsplit(base_url).hostname or "")
    return attrs.evolve(endpoint, name=name, base_url=base_url, local=local)


def _ollama_at(text: str) -> Endpoint:
    """What OLLAMA_HOST says, read as Ollama reads it. Raises *ConfigError* for what is no address."""
    says_scheme = "://" in text
    if not says_scheme and text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    try:
        parts = urlsplit(text if says_scheme else f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = " ", None, urlsplit("")
    if not host.isprintable() or " " in host or parts.scheme not in {"http", "https"} or parts.username is not None:
        raise ConfigError("OLLAMA_HOST must be a host, host:port or URL, such as 192.168.1.20 or http://tower:11434.")
    if host in _ANY_ADDRESS:  # what a server listens on is no address to call
        host = "::1" if host == "::" else "127.0.0.1"
    port = port or (443 if parts.scheme == "https" else OLLAMA_PORT)
    base_url = f"{parts.scheme}://{bracketed(host)}:{port}{parts.path.rstrip('/')}"
    return Endpoint(kind="ollama", name="ollama", base_url=base_url, local=is_at_home(host))


def _clean_key(key: str | None) -> str | None:
    """The key, once it is sure that a header can carry it. Raises *ConfigError*."""
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError("The key of the model holds spaces or characters that no key has. Copy it again.")
    return key or None
