"""The arguments of a tool call: read, checked against the tool's JSON Schema, and shown to people."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ironclaw import codec
from ironclaw.errors import BadRequest, Invalid
from ironclaw.redact import redact
from ironclaw.tools import Tool

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_SHOWN = 500
_LONGEST = 2_000_000


def read(text: str) -> dict[str, Any]:
    """The arguments as plain data. Raises *Invalid* when they are no JSON object."""
    try:
        data = codec.loads(text or "{}") if len(text) <= _LONGEST else None
    except BadRequest:
        data = None
    if not isinstance(data, dict):
        raise Invalid("The arguments are not a JSON object; send them again.")
    return data


class Checker:
    """Checks arguments against schemas; what a schema needs is made once a tool."""

    def __init__(self) -> None:
        self._validators: dict[str, Validator] = {}

    async def check(self, tool: Tool, arguments: Mapping[str, Any]) -> None:
        """Raises *Invalid* that names the first wrong argument and what it must be."""
        validator = self._validators.get(tool.name)
        if validator is None:
            # Loading the library takes a tenth of a second the first time: not on the event loop.
            validator = await asyncio.to_thread(_validator, tool.parameters)
            self._validators[tool.name] = validator
        problem = next(iter(validator.iter_errors(dict(arguments))), None)
        if problem is not None:
            where = ".".join(map(str, problem.absolute_path))
            raise Invalid(f"{f'`{where}`: ' if where else ''}{cut(problem.message, 200)}.", field=where or None)


def _validator(schema: Mapping[str, Any]) -> "Validator":
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - loaded with the first call of a tool
    from referencing import Registry  # noqa: PLC0415

    # An empty registry: a schema from elsewhere can't make us fetch what it refers to.
    return Draft202012Validator(dict(schema), registry=Registry())


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
