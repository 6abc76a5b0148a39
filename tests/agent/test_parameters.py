"""The arguments of a tool call: whatever a model writes is read or refused, checked against the schema, and masked."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.agent import parameters
from ironclaw.errors import Invalid
from ironclaw.tools import Tool, ToolContext, ToolResult

SECRET = "sk-abcdefghijklmnop0123456789"


async def run(_: ToolContext, __: Mapping[str, Any]) -> ToolResult:
    return ToolResult("ran")


async def check(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    await parameters.Checker().check(Tool("T", "", schema, run), arguments)


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    "text",
    ["[1]", "1", '"x"', "null", "{", "{'a': 1}", '{"a": NaN}', '{"a": "\\ud800"}', "not json", nested(2000), nested(300),
     nested(70), '{"a":' + "[" * 200 + "]" * 200 + "}", '{"a": "' + "x" * 2_000_000 + '"}'],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_s72_arguments_that_are_no_plain_json_object_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parameters.read(text)
    assert len(json.dumps(parameters.shown(text))) < 2000  # and can be shown all the same


def test_no_arguments_are_an_empty_object() -> None:
    assert parameters.read("") == {}
    assert parameters.read('{"a": {"b": [1, {"c": null}]}}') == {"a": {"b": [1, {"c": None}]}}
    assert parameters.read(nested(40))


NESTED = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "object",
            "required": ["path"],
            "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
        }
    },
    "$defs": {"line": {"type": "integer", "minimum": 1}},
}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, None),
        ({"file": {}}, "file"),
        ({"file": {"path": 5}}, "file.path"),
        ({"file": {"path": "x", "lines": [1, 0]}}, "file.lines.1"),
        ({"file": {"path": "x", "lines": "1"}}, "file.lines"),
        ({"file": {"path": "x"}, "more": 1}, None),
    ],
)
async def test_arguments_are_checked_against_the_whole_schema_and_the_wrong_one_is_named(
    arguments: dict[str, Any], field: str | None
) -> None:
    with pytest.raises(Invalid) as caught:
        await check(NESTED, arguments)
    assert caught.value.field == field
    await check(NESTED, {"file": {"path": "x", "lines": [1, 2]}})


async def test_s72_a_schema_that_refers_to_another_server_fetches_nothing() -> None:
    visits = []

    async def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(1)
        writer.close()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/schema.json"
        for schema in (
            {"$ref": url},
            {"type": "object", "properties": {"a": {"$ref": f"{url}#/x"}}},
            {"$schema": url, "$ref": "x"},
        ):
            with pytest.raises(Invalid, match="can't be called"):
                await check(schema, {"a": 1})
        for schema in ({"$dynamicRef": url}, {"$ref": "file:///etc/hostname"}):
            with pytest.raises(Invalid, match="can't be called"):
                await check(schema, {"a": 1})
    assert visits == []


@pytest.mark.parametrize(
    "schema",
    [{"type": "objekt"}, {"type": "object", "properties": 5}, {"type": "object", "properties": {"a": 5}}, {"required": 5},
     {"properties": {"a": {"pattern": "("}}}],
    ids=json.dumps,
)  # fmt: skip
async def test_a_tool_with_a_wrong_schema_cannot_be_called_and_breaks_nothing(schema: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="can't be called"):
        await check(schema, {"a": "x"})


async def test_a_long_wrong_value_makes_no_long_message() -> None:
    with pytest.raises(Invalid) as caught:
        await check({"properties": {"a": {"type": "integer"}}}, {"a": "x" * 100_000})
    assert len(caught.value.message) < 300


def test_what_is_shown_is_masked_and_cut() -> None:
    text = json.dumps(
        {"command": f"curl -H 'Authorization: Bearer {SECRET}'", "text": "x" * 10_000, "deep": {"k": SECRET}}
    )
    shown = parameters.shown(text)
    assert SECRET not in json.dumps(shown)
    assert len(shown["text"]) == 500
    assert SECRET not in json.dumps(parameters.shown(f'{{"half": "{SECRET}'))  # what is no JSON, too


@given(st.text() | st.recursive(st.text(), st.lists, max_leaves=5).map(json.dumps))
def test_any_text_is_read_or_refused_and_can_be_shown(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(parameters.read(text), dict)
    json.dumps(parameters.shown(text))
