"""Facts about model servers that many people use, as data. How one speaks with them is `openai.py` and `ollama.py`."""

from types import MappingProxyType

from ironclaw.llm.endpoint import Endpoint, Kind
from ironclaw.values import frozen


@frozen(kw_only=True)
class KnownServer:
    """A provider or a server program.

    *title* is its name for people, *variable* the environment variable of its key (None: it needs none), *keys_at* the
    place on the web where one gets a key. *local*: it runs on a machine of one's own, there at *base_url*.
    """

    name: str
    title: str
    base_url: str
    kind: Kind = "openai"
    variable: str | None = None
    keys_at: str = ""

    @property
    def local(self) -> bool:
        """Whether it runs on a machine of one's own."""
        return self.variable is None

    def endpoint(self, api_key: str | None = None) -> Endpoint:
        """The server at its usual address."""
        return Endpoint(kind=self.kind, name=self.name, base_url=self.base_url, api_key=api_key, local=self.local)


_SERVERS = (
    KnownServer(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        variable="OPENAI_API_KEY",
        keys_at="platform.openai.com/api-keys",
    ),
    KnownServer(
        name="anthropic",
        title="Anthropic",
        base_url="https://api.anthropic.com/v1",
        variable="ANTHROPIC_API_KEY",
        keys_at="console.anthropic.com/settings/keys",
    ),
    KnownServer(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        variable="OPENROUTER_API_KEY",
        keys_at="openrouter.ai/settings/keys",
    ),
    KnownServer(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        variable="GROQ_API_KEY",
        keys_at="console.groq.com/keys",
    ),
    KnownServer(
        name="nearai",
        title="NEAR AI",
        base_url="https://cloud-api.near.ai/v1",
        variable="NEARAI_API_KEY",
        keys_at="cloud.near.ai",
    ),
    KnownServer(
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        variable="LLM_API_KEY",
        keys_at="console.mistral.ai/api-keys",
    ),
    KnownServer(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        variable="LLM_API_KEY",
        keys_at="platform.deepseek.com/api_keys",
    ),
    KnownServer(
        name="gemini",
        title="Gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        variable="LLM_API_KEY",
        keys_at="aistudio.google.com/apikey",
    ),
    KnownServer(
        name="together",
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        variable="LLM_API_KEY",
        keys_at="api.together.ai/settings/api-keys",
    ),
    KnownServer(name="ollama", title="Ollama", base_url="http://127.0.0.1:11434", kind="ollama"),
    KnownServer(name="lmstudio", title="LM Studio", base_url="http://127.0.0.1:1234/v1"),
    KnownServer(name="llamacpp", title="llama.cpp", base_url="http://127.0.0.1:8080/v1"),
    KnownServer(name="vllm", title="vLLM", base_url="http://127.0.0.1:8000/v1"),
)
KNOWN = MappingProxyType({server.name: server for server in _SERVERS})

OLLAMA_PORT = 11434
USUAL_PORTS = (OLLAMA_PORT, 1234, 8080, 8000)
"""Where a local server listens, unless it is told otherwise: Ollama, LM Studio, llama.cpp, vLLM."""

_NOT_FOR_CHAT = (
    "audio", "babbage", "bge-", "clip", "dall-e", "davinci", "embed", "guard", "image", "minilm", "moderation", "rerank",
    "realtime", "sora", "transcribe", "tts", "whisper",
)  # fmt: skip


def title_of(name: str) -> str:
    """The provider's name for people; a name that is not known is a host's, and stays as it is."""
    return KNOWN[name].title if name in KNOWN else name


def first_chat_model(names: list[str]) -> str | None:
    """The first model of a server's list that is for conversation (not for embeddings, speech or pictures)."""
    chat = (name for name in names if not any(part in name.lower() for part in _NOT_FOR_CHAT))
    return next(chat, None)
