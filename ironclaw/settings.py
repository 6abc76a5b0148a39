"""What a person may set: one attrs class, read from flags, environment, `.env` files and defaults, in that order.

`Settings(...)` is pure. Only `Settings.load()` looks at the world; the command line and other programs call it. Each
field says which variable sets it and what it is for; `--help`, the README table and the checks all read it from here.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from ironclaw import setting_values as values
from ironclaw.errors import ConfigError
from ironclaw.levels import LEVELS
from ironclaw.setting_values import Network
from ironclaw.values import frozen

DEFAULT_HOME = "~/.ironclaw"
LOG_FORMATS = ("text", "json")


def _setting(default: Any, env: str, parse: Callable[[str], Any], help: str, *, secret: bool = False) -> Any:  # noqa: A002
    metadata = {"env": env, "parse": parse, "help": help, "secret": secret}
    return attrs.field(default=default, metadata=metadata, repr=not secret)


_MEGABYTES = values.integer(1, 100_000_000, "MB, from 1")
_RATE = values.integer(0, 1_000_000, "a whole number from 0 (off) to 1000000")


@frozen(kw_only=True)
class Settings:
    """All settings. Times are in seconds, rates in requests a minute (0: no limit).

    *home* None means a private temporary directory that is deleted at the end: all in memory, as far as anyone can see.
    """

    host: str = _setting("0.0.0.0", "GATEWAY_HOST", str, "address to listen on")  # noqa: S104
    port: int = _setting(
        3000, "GATEWAY_PORT", values.integer(0, 65535, "a port from 0 (any free one) to 65535"), "port to listen on"
    )
    auth_token: str | None = _setting(
        None, "GATEWAY_AUTH_TOKEN", str, "token for the API; made when not set", secret=True
    )
    auth_token_file: Path | None = _setting(None, "GATEWAY_AUTH_TOKEN_FILE", values.path, "file that holds the token")
    user_id: str = _setting("default", "GATEWAY_USER_ID", str, "label on stored rows")
    api_rate: int = _setting(100, "GATEWAY_API_RATE", _RATE, "API requests a minute and token, 0 for no limit")
    chat_rate: int = _setting(30, "GATEWAY_CHAT_RATE", _RATE, "chat messages a minute and token, 0 for no limit")
    login_rate: int = _setting(10, "GATEWAY_LOGIN_RATE", _RATE, "wrong tokens a minute and address, 0 for no limit")
    max_streams: int = _setting(
        1024,
        "GATEWAY_MAX_STREAMS",
        values.integer(1, 100_000, "a whole number from 1 to 100000"),
        "open SSE streams and WebSockets",
    )
    cors_origins: tuple[str, ...] | None = _setting(
        (), "GATEWAY_CORS_ORIGINS", values.origins, "web origins allowed beside loopback ones, or none"
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), "GATEWAY_TRUSTED_PROXIES", values.networks, "proxies whose X-Forwarded-For is believed"
    )
    public_url: str | None = _setting(None, "GATEWAY_PUBLIC_URL", values.url, "the address people use, behind a proxy")
    allowed_hosts: tuple[str, ...] = _setting(
        (), "GATEWAY_ALLOWED_HOSTS", values.words, "Host names answered; all when not set"
    )
    frame_ancestors: tuple[str, ...] = _setting(
        (), "GATEWAY_FRAME_ANCESTORS", values.words, "origins that may show the page in a frame"
    )
    home: Path | None = _setting(
        None, "IRONCLAW_HOME", values.path, f"folder of the program's state (default {DEFAULT_HOME})"
    )
    workspace: Path | None = _setting(
        None, "IRONCLAW_WORKSPACE", values.path, "folder of the notes (default HOME/workspace)"
    )
    log_level: str = _setting("info", "LOG_LEVEL", values.choice(*LEVELS), "how much is logged")
    log_format: str = _setting("text", "LOG_FORMAT", values.choice(*LOG_FORMATS), "log lines as text or json")
    log_file: Path | None = _setting(None, "LOG_FILE", values.path, "file that gets the log too; put aside when full")
    log_file_mb: int = _setting(
        10, "LOG_FILE_MB", values.integer(1, 10_000, "a whole number from 1 to 10000"), "how large it gets, in MB"
    )
    log_file_count: int = _setting(
        5, "LOG_FILE_COUNT", values.integer(0, 1000, "a whole number from 0 to 1000"), "how many older ones are kept"
    )
    max_turns: int = _setting(
        10, "AGENT_MAX_TURNS", values.integer(1, 1000, "a whole number from 1 to 1000"), "turns that run at once"
    )
    max_tool_iterations: int = _setting(
        50,
        "AGENT_MAX_TOOL_ITERATIONS",
        values.integer(1, 1000, "a whole number from 1 to 1000"),
        "rounds of tools in one turn",
    )
    turn_tokens: int = _setting(
        2_000_000,
        "AGENT_TURN_TOKENS",
        values.integer(1000, 1_000_000_000, "a whole number of tokens from 1000"),
        "tokens that one turn may use before it must answer",
    )
    turn_timeout: float = _setting(
        3600.0, "AGENT_TURN_TIMEOUT", lambda text: values.seconds(text, 1.0), "time that one turn may take"
    )
    llm_backend: str | None = _setting(
        None, "LLM_BACKEND", str.lower, "whose model: openai, ollama, anthropic, openrouter, ..., builtin (none)"
    )
    llm_base_url: str | None = _setting(None, "LLM_BASE_URL", values.url, "address of an OpenAI-compatible server")
    llm_api_key: str | None = _setting(None, "LLM_API_KEY", str, "key for it", secret=True)
    llm_model: str | None = _setting(None, "LLM_MODEL", str, "the model's name; the server's first when not set")
    llm_context_tokens: int = _setting(
        0,
        "LLM_CONTEXT_TOKENS",
        values.integer(0, 100_000_000, "a whole number of tokens, 0 for what the server says"),
        "size of the model's context, 0 for what the server says",
    )
    llm_aliases: Mapping[str, str] = _setting(
        {},
        "LLM_ALIASES",
        values.aliases,
        "models that stand in for other names on /v1, such as gpt-4=llama3,gpt-4o=qwen3",
    )
    openai_api_key: str | None = _setting(None, "OPENAI_API_KEY", str, "key of OpenAI", secret=True)
    openai_base_url: str | None = _setting(None, "OPENAI_BASE_URL", values.url, "another address for that key")
    openai_model: str | None = _setting(None, "OPENAI_MODEL", str, "model for that key")
    anthropic_api_key: str | None = _setting(None, "ANTHROPIC_API_KEY", str, "key of Anthropic", secret=True)
    openrouter_api_key: str | None = _setting(None, "OPENROUTER_API_KEY", str, "key of OpenRouter", secret=True)
    groq_api_key: str | None = _setting(None, "GROQ_API_KEY", str, "key of Groq", secret=True)
    nearai_api_key: str | None = _setting(None, "NEARAI_API_KEY", str, "key of NEAR AI", secret=True)
    ollama_host: str | None = _setting(None, "OLLAMA_HOST", str, "where Ollama is, such as 192.168.1.20")
    llm_discover: bool = _setting(
        True,
        "LLM_DISCOVER",
        values.switch,
        "whether an Ollama that runs on this machine is used when nothing else is set",
    )
    llm_connect_timeout: float = _setting(
        10.0, "LLM_CONNECT_TIMEOUT", values.seconds, "time to reach the model's server"
    )
    llm_first_token_timeout: float = _setting(
        120.0, "LLM_FIRST_TOKEN_TIMEOUT", values.seconds, "time for a model's first token; local ones get at least 300"
    )
    llm_token_timeout: float = _setting(
        120.0, "LLM_TOKEN_TIMEOUT", values.seconds, "time between two tokens of a model"
    )
    searxng_url: str | None = _setting(None, "SEARXNG_URL", values.url, "a SearXNG server, for the tool WebSearch")
    web_fetch_allow: tuple[str, ...] = _setting(
        (), "WEB_FETCH_ALLOW", values.words, "hosts and networks at home that the tool WebFetch may reach"
    )
    skills_registry_url: str | None = _setting(
        None, "SKILLS_REGISTRY_URL", values.url, "an index of skills beside the builtin ones, over https"
    )
    budget_unknown_price: str = _setting(
        "refuse",
        "BUDGET_UNKNOWN_PRICE",
        values.choice("refuse", "allow"),
        "what a budget does about a model whose price is not known",
    )
    sandbox: str = _setting(
        "auto",
        "SANDBOX",
        values.choice("auto", "bubblewrap", "docker", "off"),
        "what jobs run in: auto, bubblewrap, docker or off",
    )
    sandbox_read: tuple[Path, ...] = _setting(
        (), "SANDBOX_READ", values.paths, "more files and folders that jobs may read, separated by colons"
    )
    sandbox_image: str = _setting(
        "debian:stable-slim", "SANDBOX_IMAGE", str, "image of the containers that jobs run in, with SANDBOX=docker"
    )
    docker_host: str | None = _setting(
        None, "DOCKER_HOST", str, "where the container engine is, such as unix:///run/podman/podman.sock"
    )
    job_timeout: int = _setting(
        3600, "JOB_TIMEOUT", values.integer(1, 604_800, "seconds, from 1 to 604800"), "seconds that a job may take"
    )
    job_cpu_seconds: int = _setting(
        3600,
        "JOB_CPU_SECONDS",
        values.integer(1, 10_000_000, "seconds, from 1"),
        "seconds of processor time that a job may use",
    )
    job_memory_mb: int = _setting(1024, "JOB_MEMORY_MB", _MEGABYTES, "MB of memory that a job may use")
    job_processes: int = _setting(
        256,
        "JOB_PROCESSES",
        values.integer(4, 100_000, "a whole number from 4 to 100000"),
        "processes and threads that a job may have",
    )
    job_file_mb: int = _setting(1024, "JOB_FILE_MB", _MEGABYTES, "MB that one file of a job may have")
    job_disk_mb: int = _setting(2048, "JOB_DISK_MB", _MEGABYTES, "MB of disk that a job's files may take")
    job_output_mb: int = _setting(64, "JOB_OUTPUT_MB", _MEGABYTES, "MB that a job may print; 1 MB of it is kept")
    job_tokens: int = _setting(
        500_000,
        "JOB_TOKENS",
        values.integer(1000, 1_000_000_000, "a whole number of tokens from 1000"),
        "tokens that an agent task may use",
    )
    jobs_parallel: int = _setting(
        3, "JOBS_PARALLEL", values.integer(1, 1000, "a whole number from 1 to 1000"), "jobs that run at once"
    )
    jobs_keep_days: int = _setting(
        30, "JOBS_KEEP_DAYS", values.integer(0, 36_500, "days, from 0"), "days that ended jobs are kept"
    )
    jobs_keep_mb: int = _setting(
        4096, "JOBS_KEEP_MB", _MEGABYTES, "MB that all ended jobs may take; the oldest go first"
    )
    backup_keep: int = _setting(
        7,
        "BACKUP_KEEP",
        values.integer(0, 1000, "a whole number from 0 (no nightly backups) to 1000"),
        "nightly backups that are kept, 0 for none",
    )
    backup_dir: Path | None = _setting(
        None, "BACKUP_DIR", values.path, "folder of the backups (default HOME/backups); another disk is better"
    )
    backup_hour: int = _setting(
        3, "BACKUP_HOUR", values.integer(0, 23, "an hour from 0 to 23"), "hour of the nightly backup, in local time"
    )
    backup_delay: float = _setting(
        300.0, "BACKUP_DELAY", values.seconds, "time after the start before a missed nightly backup is made up for"
    )
    word_delay: float = _setting(
        0.004, "BUILTIN_WORD_DELAY", values.seconds, "pause between the words of the built-in assistant"
    )
    extension_idle: float = _setting(
        600.0,
        "EXTENSION_IDLE",
        lambda text: values.seconds(text, 1.0),
        "time after which an extension that nobody uses is stopped",
    )
    heartbeat: float = _setting(
        15.0,
        "GATEWAY_HEARTBEAT",
        lambda text: values.seconds(text, 0.1),
        "time between keep-alive comments on a stream",
    )
    body_timeout: float = _setting(30.0, "GATEWAY_BODY_TIMEOUT", values.seconds, "time for a request's body to arrive")
    header_timeout: float = _setting(
        15.0,
        "GATEWAY_HEADER_TIMEOUT",
        values.seconds,
        "time for a request's head to arrive, and life of an idle connection",
    )
    shutdown_grace: float = _setting(
        4.0, "GATEWAY_SHUTDOWN_GRACE", values.seconds, "time that running turns get at shutdown"
    )

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
            home, source = values.path(DEFAULT_HOME), "default"
        layers.append((str(home / ".env"), _read_env(home / ".env")))
        found = {field.name: _lookup(field, flags, layers) for field in attrs.fields(cls)}
        return {**found, "home": (home, source)}


def _read_env(path: Path) -> dict[str, str]:
    """The variables of one `.env` file; none where there is no file. Nothing is expanded, nothing is run."""
    try:
        if not path.is_file():
            return {}
        from dotenv import dotenv_values  # noqa: PLC0415 - where there is no such file, nothing is loaded to read it

        found = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}. Mend the file or move it away.") from None
    return {name: value for name, value in found.items() if value is not None}


def _lookup(
    field: "attrs.Attribute[Any]", flags: Mapping[str, Any], layers: list[tuple[str, dict[str, str]]]
) -> tuple[Any, str]:
    env = field.metadata["env"]
    if field.name in flags:
        flag = "--" + field.name.replace("_", "-")
        return _parse(field, str(flags[field.name]), f"{flag} ({env})"), flag
    for source, variables in layers:
        # An empty value is how a compose file says "not set".
        if text := variables.get(env, "").strip():
            return _parse(field, text, env), source
    return field.default, "default"


def _parse(field: "attrs.Attribute[Any]", text: str, name: str) -> Any:
    try:
        return field.metadata["parse"](text)
    except values.NotAllowedError as error:
        shown = "***" if field.metadata["secret"] else repr(text)
        raise ConfigError(f"{name} is {shown}, but it must be {error}.", field=field.name) from None
