"""What strangers say of their tools: schemas are made harmless and mean the same where that can be; names fit models."""

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ironclaw.extensions.schema import clean_schema, found_tool, tool_name

_WORDS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "$ref",
        "$defs",
        "anyOf",
        "pattern",
        "enum",
        "required",
        "minLength",
        "const",
        "a",
        "x",
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["#", "#/$defs/a", "string", "^(a+)+$"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=5),
    max_leaves=30,
)


@given(_VALUES, _VALUES)
def test_whatever_a_server_sends_is_a_schema_without_references_and_patterns(schema: Any, arguments: Any) -> None:
    clean = clean_schema(schema)
    Draft202012Validator.check_schema(clean)
    assert clean["type"] == "object"
    assert len(json.dumps(clean)) < 200_000
    list(Draft202012Validator(clean).iter_errors(arguments))  # it ends, and raises nothing
    assert keywords(clean).isdisjoint({"$ref", "$defs", "pattern", "patternProperties", "$dynamicRef", "format"})


def keywords(schema: Any) -> set[str]:
    """The keywords in use; names of properties are none."""
    if not isinstance(schema, dict):
        return set()
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), schema.get("items")]
    return set(schema).union(*map(keywords, inner))


def test_the_usual_schema_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Where", "minLength": 1},
            "depth": {"type": "integer", "minimum": 0, "default": 3},
            "kind": {"enum": ["a", "b"], "type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
            "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    assert clean_schema(schema) == schema


def test_a_reference_is_written_out_and_a_circle_allows_all() -> None:
    schema = {
        "type": "object",
        "properties": {"one": {"$ref": "#/$defs/node", "description": "The first"}},
        "$defs": {
            "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}
        },
    }
    assert clean_schema(schema)["properties"]["one"] == {
        "type": "object",
        "properties": {"next": {}, "n": {"type": "integer"}},
        "description": "The first",
    }


def test_a_schema_that_unfolds_without_end_is_cut_in_no_time() -> None:
    schema = {
        "$ref": "#/$defs/a0",
        "$defs": {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 20} for n in range(50)},
    }
    begun = time.monotonic()
    clean = clean_schema(schema)
    assert time.monotonic() - begun < 5
    assert len(json.dumps(clean)) < 100_000


def test_names_fit_what_models_take_and_stay_apart() -> None:
    assert tool_name("github", "get_issue") == "github__get_issue"
    odd = {tool_name("x", name) for name in ("a.b", "a/b", "a b", "y" * 100, "y" * 101)}
    assert len(odd) == 5
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in odd)
    assert found_tool("bad\nname", "", {}, reads=False) is None
    assert found_tool("", "", {}, reads=False) is None
    told = found_tool("a", "x" * 10_000, None, reads=True)
    assert told is not None
    assert len(told.description) == 2000
