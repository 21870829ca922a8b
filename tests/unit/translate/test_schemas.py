import msgspec
from msgspec import Raw

from tollbridge.translate.dialects import SchemaLevel
from tollbridge.translate.schemas import clean_schema, is_strict_schema


def cleaned(schema: object, level: SchemaLevel = SchemaLevel.GRAMMAR) -> object:
    return msgspec.json.decode(clean_schema(Raw(msgspec.json.encode(schema)), level))


def test_free_claude_code_1730_patterns_with_unicode_classes_go_and_properties_stay():
    schema = {
        "$schema": "https://json-schema.test/draft",
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": "^\\p{L}+$"},
            "format": {"type": "string", "format": "uri"},
            "when": {"type": "string", "format": "date-time", "pattern": "^[0-9]+$"},
        },
        "items": [{"anyOf": [{"format": "uri"}]}],
        "additionalProperties": False,
    }
    assert cleaned(schema) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string"},
            "format": {"type": "string"},
            "when": {"type": "string", "format": "date-time", "pattern": "^[0-9]+$"},
        },
        "items": [{"anyOf": [{"format": "uri"}]}],
        "additionalProperties": False,
    }


def test_lists_of_schemas_and_definitions_are_cleaned_too():
    inner = {"type": "string", "format": "uri"}
    schema = {"anyOf": [inner], "$defs": {"x": inner}, "items": inner, "enum": [inner]}
    bare = {"type": "string"}
    assert cleaned(schema) == {
        "anyOf": [bare], "$defs": {"x": bare}, "items": bare, "enum": [inner],
    }  # fmt: skip


def test_a_schema_with_nothing_to_clean_keeps_its_bytes():
    raw = Raw(b'{"type": "object", "properties": {"a": {"format": "uri"}}}')
    assert clean_schema(raw, SchemaLevel.PLAIN) is raw
    assert cleaned({"$schema": "x", "pattern": "\\p{L}"}, SchemaLevel.PLAIN) == {
        "pattern": "\\p{L}"
    }


def test_strict_means_closed_and_complete_at_every_depth():
    closed = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    closed["additionalProperties"] = False
    assert is_strict_schema(closed)
    assert is_strict_schema({**closed, "properties": {"a": closed}})
    assert not is_strict_schema({**closed, "required": []})
    assert not is_strict_schema({**closed, "additionalProperties": True})
    assert not is_strict_schema({**closed, "properties": {"a": {"type": "object"}}})
    assert not is_strict_schema({**closed, "$defs": {"x": {"type": "object"}}})
