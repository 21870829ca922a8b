"""JSON schemas of tools and answers, cleaned of what an upstream's grammar cannot take.

The walk knows where a schema stands: a property that is *named* `pattern` is a property, and stays.
Unknown keywords are kept, and a schema with nothing to clean keeps its bytes (protocol notes
C.9.13).
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from tollbridge.translate.dialects import SchemaLevel
from tollbridge.wire.codec import encode

NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')
"""The parameters of a tool that came without a schema."""

_FORMATS = frozenset({"date-time", "date", "time", "duration", "uuid", "email", "ipv4", "ipv6"})
"""What grammar compilers of local servers agree on; `uri` and private formats are refused."""

_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_SCHEMA_VALUES = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"}
)
_SCHEMA_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})


def clean_schema(schema: Raw, level: SchemaLevel) -> Raw:
    """The schema without what this level does not allow; the same bytes if nothing has to go."""
    text = bytes(schema)
    plain = level is SchemaLevel.PLAIN
    suspects = (b'"$schema"',) if plain else (b'"$schema"', b'"pattern"', b'"format"')
    if not any(suspect in text for suspect in suspects):
        return schema
    return Raw(encode(_cleaned(msgspec.json.decode(text), level)))


def is_strict_schema(schema: object) -> bool:
    """Whether `strict` would change nothing: every object is closed and requires all its keys."""
    if isinstance(schema, list):
        return all(map(is_strict_schema, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        if not isinstance(required, list) or set(properties) - set(required):
            return False
    maps = (schema.get(name) for name in _SCHEMA_MAPS)
    inner = [value for found in maps if isinstance(found, dict) for value in found.values()]
    inner += [schema[name] for name in _SCHEMA_VALUES | _SCHEMA_LISTS if name in schema]
    return all(map(is_strict_schema, inner))


def _is_unfit(name: str, value: object, level: SchemaLevel) -> bool:
    """Whether a keyword has to go at this level."""
    if name == "$schema":
        return True
    if level is SchemaLevel.PLAIN or name not in ("pattern", "format"):
        return False
    if level is SchemaLevel.BARE:
        return True
    return (
        not (isinstance(value, str) and value in _FORMATS)
        if name == "format"
        else "\\p" in str(value).lower()
    )


def _cleaned(schema: object, level: SchemaLevel) -> object:
    if not isinstance(schema, Mapping):
        return schema
    cleaned: dict[str, object] = {}
    for name, value in schema.items():
        if _is_unfit(name, value, level):
            continue
        if name in _SCHEMA_MAPS and isinstance(value, Mapping):
            cleaned[name] = {key: _cleaned(inner, level) for key, inner in value.items()}
        elif name in _SCHEMA_LISTS and isinstance(value, list):
            cleaned[name] = [_cleaned(inner, level) for inner in value]
        elif name in _SCHEMA_VALUES:
            cleaned[name] = _cleaned(value, level)
        else:
            cleaned[name] = value
    return cleaned
