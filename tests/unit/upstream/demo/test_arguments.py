import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbridge.upstream.demo.arguments import arguments, instance


def made(properties: dict[str, Any], text: str = "", **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties), **more}
    return arguments(schema, text)


def test_required_properties_are_filled_and_others_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "boolean"}, "b": {"type": "integer"}},
        "required": ["a", "c"],
    }
    assert arguments(schema, "") == {"a": True, "c": "demo"}


def test_optional_properties_that_the_text_names_are_filled() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "string"}}}
    assert arguments(schema, "weather in Paris") == {"city": "Paris"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": {"x": 1}}, {"x": 1}),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "minimum": 4, "multipleOf": 3}, 6),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "string", "minLength": 6}, "demo.."),
        ({"type": "string", "maxLength": 2}, "de"),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00Z"),
        ({"type": "string", "pattern": r"^[A-Z]{2}\d$"}, "AA1"),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, [1, 2, 3]),
        ({"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2}, ["x", "y"]),
        ({"type": "array", "prefixItems": [{"type": "null"}, {"const": 2}]}, [None, 2]),
        ({"type": "array", "maxItems": 0}, []),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, 1),
        (
            {
                "allOf": [
                    {"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 2},
        ),
        ({"$ref": "#/nowhere"}, "demo"),
        ({"$ref": "https://example.com/s"}, "demo"),
        ({}, "demo"),
    ],
)
def test_each_keyword(schema: dict[str, Any], value: Any) -> None:
    assert instance(schema, "") == value


def test_references_into_the_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/point"}},
        "required": ["at"],
        "$defs": {
            "point": {
                "type": "object",
                "properties": {"x": {"$ref": "#/$defs/n"}},
                "required": ["x"],
            },
            "n": {"type": "number", "minimum": 3},
        },
    }
    assert arguments(schema, "") == {"at": {"x": 3}}


def test_a_schema_that_contains_itself_ends() -> None:
    twice = {"l": {"$ref": "#"}, "r": {"$ref": "#"}}
    assert set(made(twice, allOf=[{"$ref": "#"}, {"$ref": "#"}])) == {"l", "r"}


@pytest.mark.parametrize(
    ("properties", "text", "values"),
    [
        ({"city": {"type": "string"}}, "Is it cold in New York today?", {"city": "New York"}),
        ({"location": {"type": "string"}}, "tell me, Oslo weather", {"location": "Oslo"}),
        ({"a": {"type": "number"}, "b": {"type": "number"}}, "add 2 and 3.5", {"a": 2, "b": 3.5}),
        ({"unit": {"enum": ["celsius", "kelvin"]}}, "in Kelvin", {"unit": "kelvin"}),
        ({"query": {"type": "string"}}, "search cats", {"query": "search cats"}),
        ({"url": {"type": "string"}}, "see https://a.example/x", {"url": "https://a.example/x"}),
        ({"path": {"type": "string"}}, "read src/main.py now", {"path": "src/main.py"}),
        ({"x": {"type": "string"}}, 'set "one thing"', {"x": "one thing"}),
        ({"n": {"type": "integer", "maximum": 5}}, "take 9", {"n": 1}),
    ],
)
def test_values_come_from_the_text(
    properties: dict[str, Any], text: str, values: dict[str, Any]
) -> None:
    assert made(properties, text) == values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(
    [
        "type",
        "properties",
        "required",
        "items",
        "prefixItems",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "oneOf",
        "$ref",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minItems",
        "maxItems",
    ]
)
TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null", "#"])
SCHEMAS = st.recursive(
    JSON | st.dictionaries(KEYWORDS, JSON | TYPES),
    lambda inner: st.dictionaries(
        KEYWORDS,
        inner | TYPES | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(KEYWORDS, SCHEMAS | TYPES), st.text())
def test_any_schema_gives_an_object_that_is_json(schema: dict[str, Any], text: str) -> None:
    value = arguments(schema, text)
    assert isinstance(value, dict)
    assert msgspec.json.decode(msgspec.json.encode(value)) is not None


def test_lengths_hold_with_a_format_and_nested_items() -> None:
    value = made(
        {
            "people": {
                "type": "array",
                "minItems": 2,
                "items": {
                    "type": "object",
                    "properties": {"mail": {"type": "string", "format": "email"}},
                    "required": ["mail"],
                },
            }
        }
    )
    assert len(value["people"]) == 2
    assert all(re.fullmatch(r"[^@]+@[^@]+", person["mail"]) for person in value["people"])
