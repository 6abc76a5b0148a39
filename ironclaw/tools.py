"""What a tool is, and how one is made from an async function. Tools themselves ship with their noun.

`agent/toolbox.py` joins them; who must be asked before one runs is decided in `agent/approvals.py`.
"""

import inspect
import types
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from ironclaw.values import frozen


class Risk(StrEnum):
    """What a call may do: look, change the workspace, or act on the world outside."""

    READ = "read"
    WRITE = "write"
    ACT = "act"


class Approval(StrEnum):
    """When a person is asked before a call runs."""

    NEVER = "never"
    UNLESS_REMEMBERED = "unless_remembered"
    ALWAYS = "always"


@frozen(kw_only=True)
class SkillUse:
    """A skill that was read. *read_only*: the turn goes on with tools that only read."""

    name: str
    version: str
    source: str
    trust: str
    read_only: bool


@frozen
class ToolResult:
    """What a call gave: *content* for the model, and for people a *preview* of one line; the *skill* that was read."""

    content: str
    preview: str = ""
    success: bool = True
    skill: SkillUse | None = None


@frozen
class ToolContext:
    """Which turn a call belongs to."""

    thread_id: str
    message_id: str
    call_id: str


ToolFunction = Callable[[ToolContext, Mapping[str, Any]], Awaitable[ToolResult]]


@frozen
class Tool:
    """One thing the agent may call.

    *parameters* is the JSON Schema of the arguments (an object schema); *run* gets them as plain data that fits it, and
    raises an `IronclawError` when the call can't be done, which the model then reads. *timeout* is in seconds.

    *approval* None means by risk: reading never asks, the rest asks unless remembered. *subject* says of a call's
    arguments what it acts on (the command, the path, the host): that is what a person is shown and what "always" covers;
    without it "always" covers calls with exactly these arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: ToolFunction = attrs.field(eq=False)
    risk: Risk = Risk.READ
    timeout: float = 60.0
    approval: Approval | None = None
    subject: Callable[[Mapping[str, Any]], str] | None = attrs.field(default=None, eq=False)


def make_tool(
    function: Callable[..., Awaitable[ToolResult]],
    *,
    name: str,
    risk: Risk = Risk.READ,
    timeout: float = 60.0,
    approval: Approval | None = None,
    subject: Callable[[Mapping[str, Any]], str] | None = None,
) -> Tool:
    """A tool of an async function `(context, *, argument: Annotated[type, "what it is"] = default, ...)`.

    Its docstring is the description. An argument's type is str, int, float, bool, a `Literal` of strings, a list of these,
    or one of them `| None`; one without a default is required. Raises *TypeError* for any other.
    """
    hints = get_type_hints(function, include_extras=True)
    properties: dict[str, Any] = {}
    required = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        properties[parameter.name] = _schema(hints[parameter.name])
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        return await function(context, **arguments)

    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    description = inspect.cleandoc(function.__doc__ or "").replace("\n", " ")
    return Tool(name, description, schema, run, risk, timeout, approval, subject)


_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _schema(kind: Any) -> dict[str, Any]:
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        schema = _schema(inner)
        for note in notes:
            schema.update(note if isinstance(note, Mapping) else {"description": str(note)})
        return schema
    if get_origin(kind) in {Union, types.UnionType}:
        schema = _schema(next(one for one in get_args(kind) if one is not type(None)))
        return {**schema, "type": [schema["type"], "null"]}
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) is list:
        return {"type": "array", "items": _schema(get_args(kind)[0])}
    if kind not in _TYPES:
        raise TypeError(f"A tool's argument can't be of the type {kind}.")
    return {"type": _TYPES[kind]}
