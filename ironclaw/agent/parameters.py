"""The arguments of a tool call: read, checked against the tool's JSON Schema, and shown to people."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ironclaw import codec
from ironclaw.errors import BadRequest, Invalid
from ironclaw.redact import redact
from ironclaw.tools import Tool

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

log = logging.getLogger(__name__)

_SHOWN = 500
_LONGEST = 2_000_000
_DEEPEST = 64  # far below what Python and the JSON encoder can follow


def read(text: str) -> dict[str, Any]:
    """The arguments as plain data. Raises *Invalid* when they are no JSON object."""
    try:
        data = codec.loads(text or "{}") if len(text) <= _LONGEST else None
    except BadRequest:
        data = None
    if not isinstance(data, dict):
        raise Invalid("The arguments are not a JSON object; send them again.")
    if _is_deep(data, _DEEPEST):
        raise Invalid(f"The arguments are nested more than {_DEEPEST} deep; send them in a flatter form.")
    return data


def _is_deep(value: Any, left: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left < 0 or any(_is_deep(one, left - 1) for one in inner)


class Checker:
    """Checks arguments against schemas; what a schema needs is made once a tool."""

    def __init__(self) -> None:
        self._validators: dict[str, tuple[Mapping[str, Any], Validator]] = {}

    async def check(self, tool: Tool, arguments: Mapping[str, Any]) -> None:
        """Raises *Invalid* that names the first wrong argument and what it must be."""
        schema, validator = self._validators.get(tool.name, (None, None))
        if validator is None or schema is not tool.parameters:  # a tool from elsewhere may change
            # Loading the library takes a tenth of a second the first time: not on the event loop.
            validator = await asyncio.to_thread(_validator, tool)
            self._validators[tool.name] = tool.parameters, validator
        problem = _first_problem(tool, validator, arguments)
        if problem is not None:
            where = ".".join(map(str, problem.absolute_path))
            raise Invalid(f"{f'`{where}`: ' if where else ''}{cut(problem.message, 200)}.", field=where or None)


def _first_problem(tool: Tool, validator: "Validator", arguments: Mapping[str, Any]) -> "ValidationError | None":
    """The first error, if there is one. Raises *Invalid* when the schema refers to what is not there."""
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - loaded with the first call of a tool

    try:
        return next(iter(validator.iter_errors(dict(arguments))), None)
    except Unresolvable as error:
        raise _unusable(tool, str(error)) from None


def _validator(tool: Tool) -> "Validator":
    """Raises *Invalid* when the tool's schema is none."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    schema = dict(tool.parameters)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise _unusable(tool, error.message) from None
    # An empty registry: a schema from elsewhere can't make us fetch what it refers to.
    return Draft202012Validator(schema, registry=Registry())


def _unusable(tool: Tool, why: str) -> Invalid:
    log.warning("The JSON Schema of the tool %s can't be used: %s", tool.name, cut(why, 200))
    return Invalid(f"{tool.name} can't be called: the description of its arguments is wrong. Do not try it again.")


def shown(text: str) -> dict[str, Any]:
    """The arguments for people: secrets masked, long ones cut."""
    try:
        arguments = read(text)
    except Invalid:
        return {"arguments": cut(redact(text), _SHOWN)}
    return {
        name: cut(redact(value if isinstance(value, str) else codec.dumps(value).decode()), _SHOWN)
        for name, value in arguments.items()
    }


def cut(text: str, length: int) -> str:
    """At most *length* characters of the text."""
    return text if len(text) <= length else text[: length - 1] + "…"
