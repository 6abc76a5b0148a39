"""The OpenAPI 3.1 document, made from the route table and the attrs classes that go in and out."""

import re
import types
import typing
from collections.abc import Sequence
from datetime import datetime
from enum import EnumType
from typing import Any, Literal, Protocol, Union, get_args, get_origin

import attrs

from ironclaw.version import __version__

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "string"}
_ERROR_STATUSES = {"400": "Not readable", "401": "No valid token", "422": "Wrong shape", "429": "Too many requests"}


class Row(Protocol):
    """What of a route's row is described."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def summary(self) -> str: ...  # noqa: D102
    @property
    def noun(self) -> str: ...  # noqa: D102
    @property
    def open(self) -> bool: ...  # noqa: D102
    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def body(self) -> type | None: ...  # noqa: D102
    @property
    def query(self) -> type | None: ...  # noqa: D102
    @property
    def reply(self) -> type | None: ...  # noqa: D102
    @property
    def streams(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def also(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def takes(self) -> tuple[str, ...]: ...  # noqa: D102


def describe(rows: Sequence[Row], prefix: str = "") -> dict[str, Any]:
    """The document for these rows, served below *prefix*."""
    schemas: dict[str, Any] = {"Error": _error_schema(), "OpenAIError": _openai_error_schema()}
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "IronClaw gateway", "version": __version__},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    }


def _operation(row: Row, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{row.method.lower()}{re.sub(r'[^a-z0-9]+', '_', row.path)}".rstrip("_"),
        "summary": row.summary,
        "tags": [row.noun],
        "security": [] if row.open else [{"bearer": []}, *([{"query": []}] if row.method == "GET" else [])],
        "responses": {str(row.status): _success(row, schemas), **_failures(row)},
    }
    parameters = _path_parameters(row.path) + (_query_parameters(row.query, schemas) if row.query else [])
    if parameters:
        operation["parameters"] = parameters
    if content := _body(row, schemas):
        operation["requestBody"] = {"content": content}
    return operation


def _body(row: Row, schemas: dict[str, Any]) -> dict[str, Any]:
    json = {"application/json": {"schema": _schema(row.body, schemas)}} if row.body is not None else {}
    return {**json, **{media_type: {"schema": {"type": "string"}} for media_type in row.takes}}


def _success(row: Row, schemas: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if row.reply is not None:
        content["application/json"] = {"schema": _schema(row.reply, schemas)}
    content.update({media_type: {"schema": {"type": "string"}} for media_type in (*row.streams, *row.also)})
    return {"description": row.summary, **({"content": content} if content else {})}


def _failures(row: Row) -> dict[str, Any]:
    name = "OpenAIError" if row.path.startswith("/v1/") else "Error"
    schema = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return (
        {}
        if row.open
        else {status: {"description": text, "content": schema} for status, text in _ERROR_STATUSES.items()}
    )


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(cls: type, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "in": "query",
            "required": field.default is attrs.NOTHING,
            "schema": _schema(field.type, schemas),
        }
        for field in attrs.fields(attrs.resolve_types(cls))
    ]


def _schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a type; attrs classes go to *schemas* and are referred to."""
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if kind is dict:
        return {"type": "object"}
    if attrs.has(kind):
        if kind.__name__ not in schemas:
            schemas[kind.__name__] = {}  # stands while its fields are described, for classes that hold themselves
            schemas[kind.__name__] = _object_schema(kind, schemas)
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    if isinstance(kind, EnumType):
        return {"type": "string", "enum": list(kind.__members__.values())}
    return _compound_schema(kind, schemas)


def _compound_schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin in {Union, types.UnionType}:
        some = [_schema(one, schemas) for one in arguments if one is not type(None)]
        return {"anyOf": [*some, {"type": "null"}]} if len(some) < len(arguments) else {"anyOf": some}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], schemas)}
    if origin is dict and arguments[1] is not typing.Any:
        return {"type": "object", "additionalProperties": _schema(arguments[1], schemas)}
    return {"type": "object"} if origin is dict else {}


def _object_schema(cls: type, schemas: dict[str, Any]) -> dict[str, Any]:
    fields = attrs.fields(attrs.resolve_types(cls))
    required = [field.name for field in fields if field.default is attrs.NOTHING]
    return {
        "type": "object",
        "description": " ".join((cls.__doc__ or "").split()),
        "properties": {field.name: _schema(field.type, schemas) for field in fields},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _error_schema() -> dict[str, Any]:
    text = {"type": "string"}
    inner = {
        "type": "object",
        "properties": {"code": text, "message": text, "field": text, "request_id": text, "etag": text},
        "required": ["code", "message"],
    }
    return {"type": "object", "properties": {"error": inner}, "required": ["error"]}


def _openai_error_schema() -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    word = {"anyOf": [text, {"type": "null"}]}
    inner = {
        "type": "object",
        "properties": {"message": text, "type": text, "param": word, "code": word},
        "required": ["message", "type", "param", "code"],
        "additionalProperties": False,
    }
    return {"type": "object", "properties": {"error": inner}, "required": ["error"]}
