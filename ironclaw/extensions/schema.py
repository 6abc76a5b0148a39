"""The tools that a server says it has, made harmless: names, descriptions and JSON Schemas come from a stranger.

Arguments are checked against a schema on the event loop, so nothing in one may cost time: no regular expressions, no
references, and a size that is bounded once all is written out.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ironclaw.values import frozen

MOST_TOOLS = 200
_MOST_DESCRIPTION = 2000
_MOST_PARTS = 1000
_DEEPEST = 12
_MOST_CHOICES = 500
_LONGEST_TEXT = 1000
_LONGEST_NAME = 64  # what model servers take

_NOT_A_SIGN = re.compile(r"[^A-Za-z0-9_-]")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_CHOICES = ("anyOf", "oneOf", "allOf")


@frozen
class FoundTool:
    """A tool of a server. *name* is the server's own; *hints* that it only reads is its word, not a fact."""

    name: str
    description: str
    parameters: dict[str, Any]
    reads: bool = False


def tool_name(extension: str, name: str) -> str:
    """The name under which the agent calls a tool: `extension__tool`, in the signs and the length that models take."""
    full = f"{extension}__{name}"
    clean = _NOT_A_SIGN.sub("_", full)
    if clean == full and len(full) <= _LONGEST_NAME:
        return full
    mark = hashlib.sha256(full.encode()).hexdigest()[:6]
    return f"{clean[: _LONGEST_NAME - 7]}_{mark}"


def found_tool(name: str, description: str | None, schema: Any, *, reads: bool) -> FoundTool | None:
    """A tool as the server describes it, cleaned; None for one that can't be used."""
    if not 0 < len(name) <= 200 or not name.isprintable():
        return None
    words = " ".join((description or "").split())[:_MOST_DESCRIPTION]
    return FoundTool(name, words, clean_schema(schema), reads)


def clean_schema(schema: Any) -> dict[str, Any]:
    """An object schema that means the same as far as it can be kept; where it can't, it allows more, never less."""
    cleaner = _Cleaner(schema if isinstance(schema, Mapping) else {})
    clean = cleaner.clean(schema, 0, ())
    return {**clean, "type": "object", "properties": clean.get("properties", {})}


class _Cleaner:
    """Writes out one schema, counting its parts."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MOST_PARTS

    def clean(self, schema: Any, depth: int, seen: tuple[str, ...]) -> dict[str, Any]:
        """The schema without what could cost time; `{}`, which allows all, beyond the limits."""
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._left < 0:
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._referred(reference, schema, depth, seen)
        clean = _plain_parts(schema)
        self._add_properties(clean, schema, depth, seen)
        for key in ("items", "additionalProperties"):
            value = schema.get(key)
            if isinstance(value, Mapping):
                clean[key] = self.clean(value, depth + 1, seen)
            elif isinstance(value, bool):
                clean[key] = value
        for key in _CHOICES:
            value = schema.get(key)
            if isinstance(value, list) and value and len(value) <= 20:
                clean[key] = [self.clean(one, depth + 1, seen) for one in value]
        return clean

    def _add_properties(
        self, clean: dict[str, Any], schema: Mapping[str, Any], depth: int, seen: tuple[str, ...]
    ) -> None:
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            clean["properties"] = {
                str(name): self.clean(value, depth + 1, seen)
                for name, value in list(properties.items())[:200]
                if len(str(name)) <= 200
            }
        required = schema.get("required")
        if isinstance(required, list):
            names = [one for one in required if isinstance(one, str) and one in clean.get("properties", {})]
            clean["required"] = list(dict.fromkeys(names))

    def _referred(self, reference: str, schema: Mapping[str, Any], depth: int, seen: tuple[str, ...]) -> dict[str, Any]:
        """What `#/$defs/NAME` stands for, written out; a schema that holds itself allows all where it does."""
        target: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/") if reference.startswith("#/") else ("",):
            target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        clean = {} if reference in seen else self.clean(target, depth + 1, (*seen, reference))
        return {**clean, **_plain_parts({"description": schema.get("description")})}


def _plain_parts(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a schema that hold no other schema."""
    clean: dict[str, Any] = {}
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    if kinds and all(isinstance(one, str) and one in _TYPES for one in kinds):
        clean["type"] = kind
    description = schema.get("description")
    notes = [" ".join(description.split())] if isinstance(description, str) else []
    pattern = schema.get("pattern")
    notes += [f"(pattern: {pattern})"] if isinstance(pattern, str) and len(pattern) < 200 else []
    if notes:
        clean["description"] = " ".join(notes)[:_LONGEST_TEXT]
    choices = schema.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= _MOST_CHOICES and all(map(_is_small, choices)):
        clean["enum"] = choices
    for key in ("const", "default"):
        if key in schema and _is_small(schema[key]):
            clean[key] = schema[key]
    for key in _NUMBERS:
        if type(schema.get(key)) in {int, float}:
            clean[key] = schema[key]
    for key in _COUNTS:
        if type(schema.get(key)) is int and schema[key] >= 0:
            clean[key] = schema[key]
    return clean


def _is_small(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, bool | int | float)
        or (isinstance(value, str) and len(value) < _LONGEST_TEXT)
    )
