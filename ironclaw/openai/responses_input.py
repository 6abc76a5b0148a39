"""What a client asks of `/v1/responses`, put into the words of a chat completion: every model's server knows those.

Fields that change nothing here are let be, as OpenAI adds new ones; what can't be done is refused by name.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import orjson

from ironclaw.errors import Invalid
from ironclaw.llm.chunks import mapping, text
from ironclaw.openai.calls import Call, parse_call, read_object
from ironclaw.values import frozen

Message = dict[str, Any]

_SAME = ("model", "temperature", "top_p", "parallel_tool_calls", "user", "service_tier", "seed", "stop")
_TEXTS = ("input_text", "output_text", "text", "summary_text", "refusal")  # no sets: any JSON is looked up in them
_ROLES = ("user", "assistant", "system", "developer")
_ELSEWHERE = {
    "conversation": "Conversations are not kept here; use `previous_response_id`.",
    "prompt": "Prompt templates are not kept here; send the text as `input`.",
}


@frozen(kw_only=True)
class Asked:
    """A request: its *fields*, and what it adds to the conversation as messages of a chat completion."""

    fields: Mapping[str, Any] = attrs.field(repr=False)
    model: str
    messages: tuple[Message, ...] = attrs.field(repr=False)

    @property
    def stream(self) -> bool:
        """Whether the reply is to come as events."""
        return self.fields.get("stream") is True

    @property
    def store(self) -> bool:
        """Whether the reply is to be kept, so that another can go on from it."""
        return self.fields.get("store") is not False

    @property
    def previous(self) -> str | None:
        """The reply that this one goes on from."""
        return text(self.fields.get("previous_response_id")) or None

    def call(self, before: Iterable[Message], output_field: str) -> Call:
        """The chat completion to ask for, after what was said *before*; *output_field* bounds its reply.

        Raises *Invalid*.
        """
        instructions = text(self.fields.get("instructions"))
        opening = [{"role": "system", "content": instructions}] if instructions else []
        fields = {name: self.fields[name] for name in _SAME if self.fields.get(name) is not None}
        fields |= _settings(self.fields, output_field)
        fields |= {"messages": [*opening, *before, *self.messages], "stream": True}
        fields["stream_options"] = {"include_usage": True}
        return parse_call(orjson.dumps(fields), "messages")


def parse_request(raw: bytes) -> Asked:
    """The request in a body. Raises *BadRequest* for no JSON object, *Invalid* that names the wrong field."""
    fields = read_object(raw)
    _check(fields)
    for name, why in _ELSEWHERE.items():
        if fields.get(name) is not None:
            raise Invalid(f"`{name}` is not possible: {why}", field=name, code="unsupported_parameter")
    asked = Asked(fields=fields, model=fields["model"], messages=tuple(_messages(fields.get("input"))))
    asked.call((), "max_tokens")  # what is wrong with the rest is said before anything is looked up
    return asked


def _check(fields: Mapping[str, Any]) -> None:
    for name in ("model", "input"):
        if fields.get(name) in (None, "", []):
            raise Invalid(f"`{name}` is missing.", field=name, code="missing_required_parameter")
    kinds: dict[str, tuple[type, str]] = {
        "model": (str, "a model's name"),
        "stream": (bool, "true or false"),
        "store": (bool, "true or false"),
        "instructions": (str, "text"),
        "previous_response_id": (str, "the id of a response"),
        "tools": (list, "a list"),
        "metadata": (dict, "an object"),
        "max_output_tokens": (int, "a whole number"),
        "text": (dict, "an object"),
        "reasoning": (dict, "an object"),
    }
    for name, (kind, words) in kinds.items():
        value = fields.get(name)
        if value is not None and type(value) is not kind:
            raise Invalid(f"`{name}` must be {words}.", field=name, code="invalid_type")


# The conversation


def _messages(given: Any) -> list[Message]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise Invalid("`input` must be text or a list of items.", field="input", code="invalid_type")
    messages: list[Message] = []
    for at, item in enumerate(given):
        where = f"input[{at}]"
        if not isinstance(item, dict):
            raise Invalid(f"`{where}` must be an object.", field=where, code="invalid_type")
        _add_item(messages, item, where)
    return messages


def _add_item(messages: list[Message], item: dict[str, Any], where: str) -> None:
    match item.get("type", "message"):
        case "message":
            messages.append(_message(item, where))
        case "function_call":
            _add_call(messages, item, where)
        case "function_call_output":
            content = _content(item.get("output"), f"{where}.output", text_only=True)
            call_id = _needed(item, "call_id", where)
            messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        case "reasoning":
            pass  # what a model thought is its own, and most can't read another's
        case kind:
            raise Invalid(
                f"`{where}` is of the type {_named(kind)}, which is not possible here; possible are message, function_call,"
                " function_call_output and reasoning.",
                field=f"{where}.type",
                code="unsupported_value",
            )


def _message(item: dict[str, Any], where: str) -> Message:
    role = item.get("role")
    if role not in _ROLES:
        raise Invalid(
            f"`{where}.role` must be one of {', '.join(_ROLES)}.", field=f"{where}.role", code="invalid_value"
        )
    content = _content(item.get("content"), f"{where}.content", text_only=role != "user")
    return {"role": "system" if role == "developer" else role, "content": content}


def _add_call(messages: list[Message], item: dict[str, Any], where: str) -> None:
    """Calls of one reply are one message, together with what it said before them."""
    function = {"name": _needed(item, "name", where), "arguments": text(item.get("arguments")) or "{}"}
    call = {"id": _needed(item, "call_id", where), "type": "function", "function": function}
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _named(kind: Any) -> str:
    """A type for a message to people."""
    return text(kind)[:50] or "unknown"


def _needed(item: dict[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(
            f"`{where}.{name}` is missing or no text.", field=f"{where}.{name}", code="missing_required_parameter"
        )
    return value


def _content(content: Any, where: str, *, text_only: bool) -> str | list[dict[str, Any]]:
    """Text, or a list of parts where it has more than text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Invalid(f"`{where}` must be text or a list of parts.", field=where, code="invalid_type")
    parts = [_part(mapping(part), f"{where}[{at}]", text_only=text_only) for at, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(part: dict[str, Any], where: str, *, text_only: bool) -> dict[str, Any]:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": text(part.get("text")) or text(part.get("refusal"))}
    if kind == "input_image" and not text_only and text(part.get("image_url")):
        picture = {"url": part["image_url"], **({"detail": part["detail"]} if text(part.get("detail")) else {})}
        return {"type": "image_url", "image_url": picture}
    if kind == "input_audio" and not text_only:
        return part
    raise Invalid(
        f"`{where}` is {_named(kind)}, which is not possible here; text is, and from users input_image with an"
        " `image_url`.",
        field=where,
        code="unsupported_value",
    )


# The settings


def _settings(fields: Mapping[str, Any], output_field: str) -> dict[str, Any]:
    """The fields that a chat completion calls otherwise."""
    renamed: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
        ("tools", "tools", _tools),
        ("tool_choice", "tool_choice", _tool_choice),
        ("max_output_tokens", output_field, int),
        ("text", "response_format", _format),
        ("reasoning", "reasoning_effort", lambda value: value.get("effort")),
    )
    found = {new: convert(fields[old]) for old, new, convert in renamed if fields.get(old) is not None}
    return {name: value for name, value in found.items() if value not in (None, [])}


def _tools(tools: list[Any]) -> list[dict[str, Any]]:
    return [_tool(mapping(tool), f"tools[{at}]") for at, tool in enumerate(tools)]


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise Invalid(
            f"`{where}` is of the type {_named(tool.get('type'))}; only functions can be called here.",
            field=f"{where}.type",
            code="unsupported_value",
        )
    _needed(tool, "name", where)
    function = {
        name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None
    }
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> Any:
    if choice in ("auto", "none", "required"):
        return choice
    name = text(mapping(choice).get("name"))
    if mapping(choice).get("type") == "function" and name:
        return {"type": "function", "function": {"name": name}}
    raise Invalid(
        "`tool_choice` must be auto, none, required or a function.", field="tool_choice", code="unsupported_value"
    )


def _format(value: dict[str, Any]) -> dict[str, Any] | None:
    form = mapping(value.get("format"))
    match form.get("type", "text"):
        case "text":
            return None
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            schema = {
                name: form[name] for name in ("name", "description", "schema", "strict") if form.get(name) is not None
            }
            return {"type": "json_schema", "json_schema": schema}
        case kind:
            raise Invalid(
                f"`text.format` is of the type {_named(kind)}; possible are text, json_object and json_schema.",
                field="text.format.type",
                code="unsupported_value",
            )
