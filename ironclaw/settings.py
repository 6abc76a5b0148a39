"""What a person may set: one attrs class, read from flags, environment, `.env` files and defaults, in that order.

`Settings(...)` is pure. Only `Settings.load()` looks at the world; the command line and other programs call it. Each
field says which variable sets it and what it is for; `--help`, the README table and the checks all read it from here.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import attrs
from dotenv import dotenv_values

from ironclaw.errors import ConfigError

DEFAULT_HOME = "~/.ironclaw"
LOG_LEVELS = ("trace", "debug", "info", "warn", "error")
LOG_FORMATS = ("text", "json")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _NotAllowedError(ValueError):
    """A value that can't be taken; the text says what is allowed."""


def _integer(lowest: int, highest: int, words: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 16 and lowest <= int(text) <= highest):
            raise _NotAllowedError(words)
        return int(text)

    return parse


def _seconds(text: str, lowest: float = 0.0) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not lowest <= value <= 86_400:
        raise _NotAllowedError(f"seconds, from {lowest:g} to 86400")
    return value


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise _NotAllowedError(", ".join(allowed))
        return text.lower()

    return parse


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise _NotAllowedError("on or off")
    return words[text.lower()]


def _path(text: str) -> Path:
    try:
        path = Path(text).expanduser().absolute()
        too_long = any(len(os.fsencode(part)) > 255 for part in path.parts)
    except (RuntimeError, UnicodeEncodeError):
        raise _NotAllowedError("a path; ~name must be a user of this machine") from None
    if too_long or "\0" in text or len(os.fsencode(path)) > 4000:
        raise _NotAllowedError("a path that this system can have")
    return path


def _list(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.replace(",", " ").split() if part)


def _aliases(text: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in _list(text)]
    if not all(name and model for name, _, model in pairs):
        raise _NotAllowedError("pairs such as gpt-4=llama3, separated by commas")
    return {name: model for name, _, model in pairs}


def _origins(text: str) -> tuple[str, ...] | None:
    if text.strip().lower() == "none":
        return None
    origins = _list(text)
    for origin in origins:
        if not _is_web_address(origin) or urlsplit(origin).path:
            raise _NotAllowedError("origins such as https://app.example.com, separated by commas, or none")
    return origins


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in _list(text))
    except ValueError:
        raise _NotAllowedError("addresses or networks such as 127.0.0.1, 10.0.0.0/8, separated by commas") from None


def _url(text: str) -> str:
    if not _is_web_address(text):
        raise _NotAllowedError("a URL such as https://ironclaw.example.com")
    return text.rstrip("/")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        port_is_fine and parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query + parts.fragment
    )


def _setting(default: Any, env: str, parse: Callable[[str], Any], help: str, *, secret: bool = False) -> Any:  # noqa: A002
    metadata = {"env": env, "parse": parse, "help": help, "secret": secret}
    return attrs.field(default=default, metadata=metadata, repr=not secret)


_RATE = _integer(0, 1_000_000, "a whole number from 0 (off) to 1000000")


@attrs.frozen(kw_only=True)
class Settings:
    """All settings. Times are in seconds, rates in requests a minute (0: no limit).

    *home* None means a private temporary directory that is deleted at the end: all in memory, as far as anyone can see.
    """

    host: str = _setting("0.0.0.0", "GATEWAY_HOST", str, "address to listen on")  # noqa: S104
    port: int = _setting(
        3000, "GATEWAY_PORT", _integer(0, 65535, "a port from 0 (any free one) to 65535"), "port to listen on"
    )
    auth_token: str | None = _setting(
        None, "GATEWAY_AUTH_TOKEN", str, "token for the API; made when not set", secret=True
    )
    auth_token_file: Path | None = _setting(None, "GATEWAY_AUTH_TOKEN_FILE", _path, "file that holds the token")
    user_id: str = _setting("default", "GATEWAY_USER_ID", str, "label on stored rows")
    api_rate: int = _setting(100, "GATEWAY_API_RATE", _RATE, "API requests a minute and token, 0 for no limit")
    chat_rate: int = _setting(30, "GATEWAY_CHAT_RATE", _RATE, "chat messages a minute and token, 0 for no limit")
    login_rate: int = _setting(10, "GATEWAY_LOGIN_RATE", _RATE, "wrong tokens a minute and address, 0 for no limit")
    max_streams: int = _setting(
        1024,
        "GATEWAY_MAX_STREAMS",
        _integer(1, 100_000, "a whole number from 1 to 100000"),
        "open SSE streams and WebSockets",
    )
    cors_origins: tuple[str, ...] | None = _setting(
        (), "GATEWAY_CORS_ORIGINS", _origins, "web origins allowed beside loopback ones, or none"
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), "GATEWAY_TRUSTED_PROXIES", _networks, "proxies whose X-Forwarded-For is believed"
    )
    public_url: str | None = _setting(None, "GATEWAY_PUBLIC_URL", _url, "the address people use, behind a proxy")
    allowed_hosts: tuple[str, ...] = _setting(
        (), "GATEWAY_ALLOWED_HOSTS", _list, "Host names answered; all when not set"
    )
    frame_ancestors: tuple[str, ...] = _setting(
        (), "GATEWAY_FRAME_ANCESTORS", _list, "origins that may show the page in a frame"
    )
    home: Path | None = _setting(
        None, "IRONCLAW_HOME", _path, f"folder of the program's state (default {DEFAULT_HOME})"
    )
    workspace: Path | None = _setting(None, "IRONCLAW_WORKSPACE", _path, "folder of the notes (default HOME/workspace)")
    log_level: str = _setting("info", "LOG_LEVEL", _choice(*LOG_LEVELS), "how much is logged")
    log_format: str = _setting("text", "LOG_FORMAT", _choice(*LOG_FORMATS), "log lines as text or json")
    max_turns: int = _setting(
        10, "AGENT_MAX_TURNS", _integer(1, 1000, "a whole number from 1 to 1000"), "turns that run at once"
    )
    max_tool_iterations: int = _setting(
        50,
        "AGENT_MAX_TOOL_ITERATIONS",
        _integer(1, 1000, "a whole number from 1 to 1000"),
        "rounds of tools in one turn",
    )
    turn_tokens: int = _setting(
        2_000_000,
        "AGENT_TURN_TOKENS",
        _integer(1000, 1_000_000_000, "a whole number of tokens from 1000"),
        "tokens that one turn may use before it must answer",
    )
    turn_timeout: float = _setting(
        3600.0, "AGENT_TURN_TIMEOUT", lambda text: _seconds(text, 1.0), "time that one turn may take"
    )
    llm_backend: str | None = _setting(
        None, "LLM_BACKEND", str.lower, "whose model: openai, ollama, anthropic, openrouter, ..., builtin (none)"
    )
    llm_base_url: str | None = _setting(None, "LLM_BASE_URL", _url, "address of an OpenAI-compatible server")
    llm_api_key: str | None = _setting(None, "LLM_API_KEY", str, "key for it", secret=True)
    llm_model: str | None = _setting(None, "LLM_MODEL", str, "the model's name; the server's first when not set")
    llm_context_tokens: int = _setting(
        0,
        "LLM_CONTEXT_TOKENS",
        _integer(0, 100_000_000, "a whole number of tokens, 0 for what the server says"),
        "size of the model's context, 0 for what the server says",
    )
    llm_aliases: Mapping[str, str] = _setting(
        {}, "LLM_ALIASES", _aliases, "models that stand in for other names on /v1, such as gpt-4=llama3,gpt-4o=qwen3"
    )
    openai_api_key: str | None = _setting(None, "OPENAI_API_KEY", str, "key of OpenAI", secret=True)
    openai_base_url: str | None = _setting(None, "OPENAI_BASE_URL", _url, "another address for that key")
    openai_model: str | None = _setting(None, "OPENAI_MODEL", str, "model for that key")
    anthropic_api_key: str | None = _setting(None, "ANTHROPIC_API_KEY", str, "key of Anthropic", secret=True)
    openrouter_api_key: str | None = _setting(None, "OPENROUTER_API_KEY", str, "key of OpenRouter", secret=True)
    groq_api_key: str | None = _setting(None, "GROQ_API_KEY", str, "key of Groq", secret=True)
    nearai_api_key: str | None = _setting(None, "NEARAI_API_KEY", str, "key of NEAR AI", secret=True)
    ollama_host: str | None = _setting(None, "OLLAMA_HOST", str, "where Ollama is, such as 192.168.1.20")
    llm_discover: bool = _setting(
        True, "LLM_DISCOVER", _switch, "whether an Ollama that runs on this machine is used when nothing else is set"
    )
    llm_connect_timeout: float = _setting(10.0, "LLM_CONNECT_TIMEOUT", _seconds, "time to reach the model's server")
    llm_first_token_timeout: float = _setting(
        120.0, "LLM_FIRST_TOKEN_TIMEOUT", _seconds, "time for a model's first token; local ones get at least 300"
    )
    llm_token_timeout: float = _setting(120.0, "LLM_TOKEN_TIMEOUT", _seconds, "time between two tokens of a model")
    searxng_url: str | None = _setting(None, "SEARXNG_URL", _url, "a SearXNG server, for the tool WebSearch")
    web_fetch_allow: tuple[str, ...] = _setting(
        (), "WEB_FETCH_ALLOW", _list, "hosts and networks at home that the tool WebFetch may reach"
    )
    budget_unknown_price: str = _setting(
        "refuse",
        "BUDGET_UNKNOWN_PRICE",
        _choice("refuse", "allow"),
        "what a budget does about a model whose price is not known",
    )
    word_delay: float = _setting(
        0.004, "BUILTIN_WORD_DELAY", _seconds, "pause between the words of the built-in assistant"
    )
    heartbeat: float = _setting(
        15.0, "GATEWAY_HEARTBEAT", lambda text: _seconds(text, 0.1), "time between keep-alive comments on a stream"
    )
    body_timeout: float = _setting(30.0, "GATEWAY_BODY_TIMEOUT", _seconds, "time for a request's body to arrive")
    header_timeout: float = _setting(
        15.0,
        "GATEWAY_HEADER_TIMEOUT",
        _seconds,
        "time for a request's head to arrive, and life of an idle connection",
    )
    shutdown_grace: float = _setting(4.0, "GATEWAY_SHUTDOWN_GRACE", _seconds, "time that running turns get at shutdown")

    @classmethod
    def load(
        cls,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Self:
        """Settings from *flags* (field names), the environment, `./.env`, `$IRONCLAW_HOME/.env` and the defaults.

        Raises *ConfigError* that names the variable, what was read and what is allowed.
        """
        return cls(**{name: value for name, (value, _) in cls.sources(flags, environ, directory).items()})

    @classmethod
    def sources(
        cls,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> dict[str, tuple[Any, str]]:
        """Each setting's value and where it came from: the flag, `environment`, the `.env` file's path, or `default`."""
        layers = [("environment", dict(os.environ if environ is None else environ))]
        local = (directory or Path.cwd()) / ".env"
        layers.append((str(local), _read_env(local)))
        flags = {name: value for name, value in (flags or {}).items() if value is not None}
        home, source = _lookup(attrs.fields(cls).home, flags, layers)
        if home is None:
            home, source = _path(DEFAULT_HOME), "default"
        layers.append((str(home / ".env"), _read_env(home / ".env")))
        found = {field.name: _lookup(field, flags, layers) for field in attrs.fields(cls)}
        return {**found, "home": (home, source)}


def _read_env(path: Path) -> dict[str, str]:
    """The variables of one `.env` file; none where there is no file. Nothing is expanded, nothing is run."""
    try:
        if not path.is_file():
            return {}
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}. Mend the file or move it away.") from None
    return {name: value for name, value in values.items() if value is not None}


def _lookup(
    field: "attrs.Attribute[Any]", flags: Mapping[str, Any], layers: list[tuple[str, dict[str, str]]]
) -> tuple[Any, str]:
    env = field.metadata["env"]
    if field.name in flags:
        flag = "--" + field.name.replace("_", "-")
        return _parse(field, str(flags[field.name]), f"{flag} ({env})"), flag
    for source, values in layers:
        # An empty value is how a compose file says "not set".
        if text := values.get(env, "").strip():
            return _parse(field, text, env), source
    return field.default, "default"


def _parse(field: "attrs.Attribute[Any]", text: str, name: str) -> Any:
    try:
        return field.metadata["parse"](text)
    except _NotAllowedError as error:
        shown = "***" if field.metadata["secret"] else repr(text)
        raise ConfigError(f"{name} is {shown}, but it must be {error}.", field=field.name) from None
