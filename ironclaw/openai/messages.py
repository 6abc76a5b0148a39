"""OpenAI's messages and tools as the agent and its models know them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ironclaw.errors import Invalid
from ironclaw.llm.chunks import arguments, items, mapping, text
from ironclaw.llm.models import ModelMessage, ToolCall, ToolSpec

_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})


def read_messages(listed: Sequence[Mapping[str, Any]]) -> tuple[ModelMessage, ...]:
    """The conversation. Raises *Invalid* that names the message: of an unknown role, or with more than text in it."""
    return tuple(_message(one, f"messages[{at}]") for at, one in enumerate(listed))


def read_tools(listed: Any) -> tuple[ToolSpec, ...]:
    """The tools that the client has and that a model may call. Raises *Invalid* for one that is no function."""
    return tuple(_tool(mapping(one), f"tools[{at}]") for at, one in enumerate(items(listed)))


def _message(message: Mapping[str, Any], where: str) -> ModelMessage:
    content = _content(message.get("content"), f"{where}.content")
    match message.get("role"):
        case "system" | "developer":
            return ModelMessage("system", content)
        case "user":
            return ModelMessage("user", content)
        case "assistant":
            return ModelMessage("assistant", content, tuple(map(_call, items(message.get("tool_calls")))))
        case "tool":
            return ModelMessage("tool", content, call_id=text(message.get("tool_call_id")))
        case _:
            raise Invalid(
                f"`{where}.role` must be one of system, developer, user, assistant, tool.",
                field=f"{where}.role",
                code="invalid_value",
            )


def _content(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise Invalid(f"`{where}` must be text or a list of parts.", field=where, code="invalid_type")
    return "\n".join(_part(mapping(part), f"{where}[{at}]") for at, part in enumerate(content))


def _part(part: Mapping[str, Any], where: str) -> str:
    kind = text(part.get("type"))
    if kind not in _TEXT_PARTS:
        raise Invalid(
            f"`{where}` is {kind or 'no known part'}, but this model reads text only. Name another model in `model`.",
            field=where,
            code="unsupported_content",
        )
    return text(part.get("text")) or text(part.get("refusal"))


def _call(call: Any) -> ToolCall:
    function = mapping(mapping(call).get("function"))
    return ToolCall(
        text(mapping(call).get("id")), text(function.get("name")), arguments(function.get("arguments")) or "{}"
    )


def _tool(tool: Mapping[str, Any], where: str) -> ToolSpec:
    function = mapping(tool.get("function"))
    name = text(function.get("name"))
    if tool.get("type") != "function" or not name:
        raise Invalid(f"`{where}` must be a function with a name.", field=where, code="invalid_value")
    parameters = mapping(function.get("parameters")) or {"type": "object", "properties": {}}
    return ToolSpec(name, text(function.get("description")), parameters)
