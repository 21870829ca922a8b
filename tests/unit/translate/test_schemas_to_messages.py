"""Schemas of tools and of answers, as Messages takes them."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw

from tollbridge.translate.schemas_to_messages import answer_schema, tool_schema


def tool(schema: Any) -> Any:
    return json.loads(bytes(tool_schema(Raw(json.dumps(schema).encode()))))


def answer(schema: Any) -> Any:
    return json.loads(bytes(answer_schema(Raw(json.dumps(schema).encode()))))


def test_a_plain_object_keeps_its_bytes() -> None:
    raw = Raw(b'{ "properties" : {"z":{},"a":{}}, "type":"object" }')
    assert bytes(tool_schema(raw)) == bytes(raw)


@pytest.mark.parametrize("raw", [UNSET, Raw(b"null")])
def test_no_parameters_are_an_empty_object(raw: Any) -> None:
    assert json.loads(bytes(tool_schema(raw))) == {"type": "object", "properties": {}}


def test_the_top_becomes_an_object() -> None:
    assert tool({}) == {"type": "object", "properties": {}}
    assert tool({"properties": {"a": {}}}) == {"type": "object", "properties": {"a": {}}}


@pytest.mark.parametrize(
    ("word", "required"), [("anyOf", ["id"]), ("oneOf", ["id"]), ("allOf", ["a", "b", "id"])]
)
def test_a_choice_at_the_top_is_flattened(word: str, required: list[str]) -> None:
    branches = [
        {"properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"properties": {"b": {"type": "number"}}, "required": ["b"]},
    ]
    schema = {"type": "object", "properties": {"id": {}}, "required": ["id"], word: branches}
    flat = tool(schema)
    assert flat == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "number"}, "id": {}},
        "required": required,
    }


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        tool_schema(Raw(b"[]"))


def test_litellm_19444_unsupported_keywords_are_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 1, "maximum": 9},
            "names": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 1},
            "kind": {"enum": [{"minimum": 1}], "default": {"maxLength": 3}},
        },
        "required": ["minimum"],
        "$defs": {"maxItems": {"type": "object", "properties": {}, "minProperties": 1}},
    }
    assert answer(schema) == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "names": {"type": "array", "items": {"type": "string"}},
            "kind": {"enum": [{"minimum": 1}], "default": {"maxLength": 3}},
        },
        "required": ["minimum"],
        "$defs": {"maxItems": {"type": "object", "properties": {}, "additionalProperties": False}},
        "additionalProperties": False,
    }
