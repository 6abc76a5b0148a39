"""What settings and addresses mean: which server, which protocol, whose key."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway_process import GatewayProcess
from hypothesis import example, given
from hypothesis import strategies as st

from ironclaw.errors import ConfigError, Invalid
from ironclaw.llm.address import origin_of, parse_address
from ironclaw.llm.environment import configured
from ironclaw.llm.known import KNOWN, first_chat_model
from ironclaw.settings import Settings

# What the environment means

OPENAI = "https://api.openai.com/v1"
TABLE: list[tuple[dict[str, Any], tuple[str, str, str | None, str | None]]] = [
    ({"llm_backend": "openai", "openai_api_key": "k1"}, ("openai", OPENAI, "k1", None)),
    ({"llm_backend": "openai", "llm_api_key": "k2", "openai_api_key": "k1"}, ("openai", OPENAI, "k2", None)),
    ({"openai_api_key": "k1", "openai_model": "gpt-x"}, ("openai", OPENAI, "k1", "gpt-x")),
    ({"openai_api_key": "k1", "openai_model": "gpt-x", "llm_model": "y"}, ("openai", OPENAI, "k1", "y")),
    ({"openai_base_url": "http://tower:8080/v1"}, ("openai", "http://tower:8080/v1", None, None)),
    ({"openai_api_key": "k1", "anthropic_api_key": "k2"}, ("openai", OPENAI, "k1", None)),
    ({"anthropic_api_key": "k2"}, ("openai", "https://api.anthropic.com/v1", "k2", None)),
    ({"openrouter_api_key": "k3"}, ("openai", "https://openrouter.ai/api/v1", "k3", None)),
    ({"groq_api_key": "k4"}, ("openai", "https://api.groq.com/openai/v1", "k4", None)),
    ({"nearai_api_key": "k5"}, ("openai", "https://cloud-api.near.ai/v1", "k5", None)),
    ({"llm_backend": "anthropic", "anthropic_api_key": "k2", "openai_api_key": "k1", "openai_model": "gpt-x"},
     ("openai", "https://api.anthropic.com/v1", "k2", None)),
    ({"llm_backend": "mistral", "llm_api_key": "k"}, ("openai", "https://api.mistral.ai/v1", "k", None)),
    ({"llm_base_url": "http://tower:8000"}, ("openai", "http://tower:8000", None, None)),
    ({"llm_base_url": "http://tower:11434"}, ("ollama", "http://tower:11434", None, None)),
    ({"llm_base_url": "http://tower:8000", "llm_backend": "openai_compatible"},
     ("openai", "http://tower:8000", None, None)),
    ({"llm_base_url": "http://tower:8000", "openai_api_key": "k1"}, ("openai", "http://tower:8000", None, None)),
    ({"llm_backend": "vllm"}, ("openai", "http://127.0.0.1:8000/v1", None, None)),
    ({"llm_backend": "ollama"}, ("ollama", "http://127.0.0.1:11434", None, None)),
    ({"llm_backend": "ollama", "ollama_host": "tower"}, ("ollama", "http://tower:11434", None, None)),
    ({"llm_backend": "ollama", "llm_base_url": "http://tower:1", "llm_model": "q"},
     ("ollama", "http://tower:1", None, "q")),
    ({"llm_backend": "ollama", "openai_base_url": "http://x", "openai_model": "gpt-x"},
     ("ollama", "http://127.0.0.1:11434", None, None)),
    ({"ollama_host": "192.168.1.20"}, ("ollama", "http://192.168.1.20:11434", None, None)),
    ({"ollama_host": "0.0.0.0"}, ("ollama", "http://127.0.0.1:11434", None, None)),
    ({"ollama_host": "0.0.0.0:1234"}, ("ollama", "http://127.0.0.1:1234", None, None)),
    ({"ollama_host": ":1234"}, ("ollama", "http://127.0.0.1:1234", None, None)),
    ({"ollama_host": "http://tower"}, ("ollama", "http://tower:11434", None, None)),
    ({"ollama_host": "https://tower"}, ("ollama", "https://tower:443", None, None)),
    ({"ollama_host": "http://tower:80/ollama/"}, ("ollama", "http://tower:80/ollama", None, None)),
    ({"ollama_host": "[::1]:1234"}, ("ollama", "http://[::1]:1234", None, None)),
    ({"ollama_host": "::1"}, ("ollama", "http://[::1]:11434", None, None)),
    ({"ollama_host": "[::]"}, ("ollama", "http://[::1]:11434", None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("given_", "expected"), TABLE, ids=lambda one: " ".join(one) if isinstance(one, dict) else "")
def test_what_the_settings_name(given_: dict[str, Any], expected: tuple[str, str, str | None, str | None]) -> None:
    found = configured(Settings(**given_))
    assert found is not None
    assert found.endpoint is not None
    endpoint = found.endpoint
    assert (endpoint.kind, endpoint.base_url, endpoint.api_key, found.model) == expected
    assert endpoint.local == (urlsplit(endpoint.base_url).hostname in {"127.0.0.1", "::1", "tower", "192.168.1.20"})


def test_settings_that_name_no_model() -> None:
    for given_ in ({}, {"openai_model": "x"}, {"llm_model": "x"}):
        assert configured(Settings(**given_)) is None
    nothing = configured(Settings(llm_backend="builtin", openai_api_key="k"))
    assert nothing is not None
    assert nothing.endpoint is None


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"llm_backend": "gpt"}, "must be one of openai, anthropic, .*ollama.*builtin"),
    ({"llm_backend": "openai"}, "set OPENAI_API_KEY or LLM_API_KEY"),
    ({"llm_backend": "gemini"}, "needs a key: set LLM_API_KEY. Keys: aistudio"),
    ({"llm_backend": "openai_compatible"}, "set LLM_BASE_URL"),
    ({"llm_api_key": "k"}, "LLM_BACKEND or LLM_BASE_URL"),
    ({"openai_api_key": "two words"}, "Copy it again"),
    ({"ollama_host": "two words"}, "OLLAMA_HOST must be"),
    ({"ollama_host": "tower:many"}, "OLLAMA_HOST must be"),
    ({"ollama_host": "ftp://tower"}, "OLLAMA_HOST must be"),
]


@pytest.mark.parametrize(("given_", "words"), WRONG)
def test_settings_that_can_not_work_say_which_and_what_is_allowed(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        configured(Settings(**given_))
    assert "two words" not in str(caught.value)


@pytest.mark.process
def test_a_backend_that_is_not_known_ends_the_start_with_78(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    for number, backend in enumerate(("gpt", "groq")):
        gateway = gateway_process(tmp_path / str(number), LLM_BACKEND=backend)
        gateway.spawn()
        assert gateway.wait() == 78
        assert f"LLM_BACKEND is {backend}" in gateway.log.replace("'", "")


# What an address means


@pytest.mark.parametrize(
    ("text", "first", "number"),
    [
        ("openai", OPENAI, 1),
        ("Ollama", "http://127.0.0.1:11434", 1),
        ("api.openai.com", OPENAI, 1),
        ("https://api.openai.com", OPENAI, 1),
        ("https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1", 1),
        ("192.168.1.20", "http://192.168.1.20:11434", 18),
        ("tower.", "http://tower:11434", 18),
        ("tower:11434", "http://tower:11434", 3),
        ("tower:8000", "http://tower:8000/v1", 3),
        ("tower:443", "https://tower:443/v1", 3),
        ("::1", "http://[::1]:11434", 18),
        ("[::1]:8000", "http://[::1]:8000/v1", 3),
        ("http://tower:8000/llm/v1/", "http://tower:8000/llm/v1", 1),
        ("https://tower/llm", "https://tower/llm", 2),
        ("tower/llm", "http://tower/llm", 2),
    ],
)
def test_what_an_address_means(text: str, first: str, number: int) -> None:
    address = parse_address(text)
    assert (address.endpoints[0].base_url, len(address.endpoints)) == (first, number)


@given(
    st.one_of(st.text(max_size=60), st.from_regex(r"(https?://)?[a-z0-9.:\[\]%@-]{1,20}(:[0-9]{1,6})?(/[a-z0-9]*)?"))
)
@example("http://\u2100.com")
@example("a:b:c")
@example(".")
@example("[::1")
@example("http://h:\u0661")
def test_any_text_is_an_address_of_one_host_or_refused(text: str) -> None:
    address = None
    with contextlib.suppress(Invalid):
        address = parse_address(text)
    if address is None:
        return
    assert address.ports
    for endpoint in address.endpoints:
        parts = urlsplit(endpoint.base_url)
        assert (parts.hostname or "").rstrip(".") == address.host
        assert parts.scheme in {"http", "https"}
        assert not parts.query + parts.fragment + (parts.username or "")
        assert not endpoint.base_url.endswith("/")


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://api.test/v1", "https://api.test"),
        ("https://api.test:443/v1", "https://api.test"),
        ("http://api.test:443", "http://api.test:443"),
        ("http://API.test.:80/x", "http://api.test"),
        ("http://[::1]:1/x", "http://[::1]:1"),
    ],
)
def test_an_origin_is_scheme_host_and_port(base_url: str, origin: str) -> None:
    assert origin_of(base_url) == origin


def test_the_first_model_for_conversation_is_taken() -> None:
    assert first_chat_model(["nomic-embed-text:latest", "whisper-1", "qwen3:8b", "llama3"]) == "qwen3:8b"
    assert first_chat_model(["bge-m3"]) is None
    assert first_chat_model([]) is None


def test_known_servers_are_whole() -> None:
    for name, server in KNOWN.items():
        assert server.name == name
        assert not server.base_url.endswith("/")
        assert server.local == urlsplit(server.base_url).hostname.startswith("127.")
        assert bool(server.keys_at) == (not server.local)


def test_no_secret_is_shown_by_what_carries_it() -> None:
    found = configured(Settings(openai_api_key="canary-key-1234"))
    assert "canary" not in repr(found)
    assert "canary" not in repr(parse_address("tower").with_key("canary-key-1234"))
