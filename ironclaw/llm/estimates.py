"""How many tokens a text has, about, where nobody has counted them. No tokenizer: they differ, and are large."""

from collections.abc import Mapping, Sequence
from typing import Any

from ironclaw import codec
from ironclaw.llm.models import Delta, ModelRequest, ReasoningDelta, TextDelta, ToolCallDelta

_A_MESSAGE = 16  # bytes of what stands around each one
PICTURE = 4000  # bytes of text that a picture counts for: a page
_UNSEEN_TOKENS = 500  # that a provider may add: it explains to the model how tools are called


def bytes_of_request(request: ModelRequest) -> int:
    """UTF-8 bytes of all that a model gets to read."""
    size = 0
    for message in request.messages:
        texts = [message.content, *(call.name + call.arguments for call in message.tool_calls)]
        size += _A_MESSAGE + _bytes(texts) + PICTURE * len(message.pictures)
    for tool in request.tools:
        size += _A_MESSAGE + _bytes([tool.name, tool.description]) + len(_schema(tool.parameters))
    return size


def bytes_of_delta(delta: Delta) -> int:
    """UTF-8 bytes of what a model wrote in one piece of its reply."""
    match delta:
        case TextDelta(text) | ReasoningDelta(text):
            return _bytes([text])
        case ToolCallDelta():
            return _bytes([delta.name or "", delta.arguments])
        case _:
            return 0


def likely_tokens(size: int) -> int:
    """The tokens of so many bytes, as a rule: four characters of English, or one and a third of Chinese."""
    return -(-size // 4)


def most_tokens(size: int) -> int:
    """The tokens of so many bytes where it must not be too few: code and numbers have shorter ones."""
    return _UNSEEN_TOKENS + -(-size // 2)


def _bytes(texts: Sequence[str]) -> int:
    return sum(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _schema(parameters: Mapping[str, Any]) -> bytes:
    return codec.dumps(dict(parameters))
