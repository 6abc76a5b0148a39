"""OpenAI's messages and tools as the agent and its models know them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ironclaw.errors import Invalid
from ironclaw.llm.chunks import arguments, items, mapping, text
from ironclaw.llm.models import ModelMessage, ToolCall, ToolSpec

_PICTURE = "image_url"
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})


def read_messages(listed: Sequence[Mapping[str, Any]]) -> tuple[ModelMessage, ...]:
    """The conversation. Raises *Invalid* that names the message: of an unknown role, or with a part that we can't take."""
    return tuple(_message(one, f"messages[{at}]") for at, one in enumerate(listed))


def read_tools(listed: Any) -> tuple[ToolSpec, ...]:
    """The tools that the client has and that a model may call. Raises *Invalid* for one that is no function."""
    return tuple(_tool(mapping(one), f"tools[{at}]") for at, one in enumerate(items(listed)))


def _message(message: Mapping[str, Any], where: str) -> ModelMessage:
    role = message.get("role")
    content = _content(message.get("content"), f"{where}.content", pictures=role == "user")
    match role:
        case "system" | "developer":
            return ModelMessage("system", content)
        case "user":
            return ModelMessage("user", content, pictures=_pictures(message.get("content"), f"{where}.content"))
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


def _content(content: Any, where: str, *, pictures: bool) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise Invalid(f"`{where}` must be text or a list of parts.", field=where, code="invalid_type")
    parts = [(mapping(part), f"{where}[{at}]") for at, part in enumerate(content)]
    return "\n".join(_part(part, at) for part, at in parts if not (pictures and part.get("type") == _PICTURE))


def _pictures(content: Any, where: str) -> tuple[str, ...]:
    """The URLs of the pictures among the parts of a message."""
    found = []
    for at, part in enumerate(items(content)):
        if mapping(part).get("type") == _PICTURE:
            url = text(mapping(mapping(part).get("image_url")).get("url"))
            if not url.startswith(("data:image/", "https://", "http://")):
                at_part = f"{where}[{at}].image_url.url"
                raise Invalid(f"`{at_part}` must be a picture's URL.", field=at_part, code="invalid_value")
            found.append(url)
    return tuple(found)


def _part(part: Mapping[str, Any], where: str) -> str:
    kind = text(part.get("type"))
    if kind not in _TEXT_PARTS:
        raise Invalid(
            f"`{where}` is {kind or 'no known part'}, but here only text is read, and of users pictures. Name another model"
            " in `model`.",
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
