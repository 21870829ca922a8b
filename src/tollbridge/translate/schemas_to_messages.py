"""JSON schemas, made fit for Messages (protocol notes C.2, C.9.13)."""

import msgspec
from msgspec import Raw, UnsetType

from tollbridge.translate.schemas import NO_ARGUMENTS
from tollbridge.wire.codec import encode

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

COMBINATORS = ("allOf", "anyOf", "oneOf")
"""Keywords that a tool's input must not have at its top."""

UNSUPPORTED = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "contains",
        "minContains", "maxContains", "minProperties", "maxProperties", "patternProperties",
        "propertyNames", "unevaluatedProperties", "unevaluatedItems",
    }
)  # fmt: skip
"""Keywords that Messages refuses in the schema of an answer."""

_MAPS = ("properties", "$defs", "definitions", "dependentSchemas")
"""Keywords whose members are named schemas: the names are not keywords."""

_LITERALS = ("const", "enum", "default", "examples", "required")
"""Keywords whose value is data, not a schema."""

_OBJECT = Raw(b'"object"')
_members = msgspec.json.Decoder(dict[str, Raw])


def tool_schema(raw: Raw | UnsetType) -> Raw:
    """A function's `parameters` as a tool's `input_schema`.

    The top must be an object and must not be a choice; a choice is flattened into one object that
    has the properties of all branches. All else keeps its bytes.

    Raises:
        msgspec.ValidationError: the schema is not an object.
    """
    if isinstance(raw, UnsetType) or raw == Raw(b"null"):
        return NO_ARGUMENTS
    members = _members.decode(raw)
    if any(name in members for name in COMBINATORS):
        return _flattened(raw)
    if members.get("type") == _OBJECT:
        return raw
    members["type"] = _OBJECT
    members.setdefault("properties", Raw(b"{}"))
    return Raw(encode(members))


def _flattened(raw: Raw) -> Raw:
    schema = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    properties: dict[str, Raw] = {}
    required: set[str] = set()
    for name in COMBINATORS:
        if name not in schema:
            continue
        branches = msgspec.json.decode(schema.pop(name), type=list[dict[str, Raw]])
        needed = [_strings(branch.get("required")) for branch in branches]
        required |= set().union(*needed) if name == "allOf" else _common(needed)
        for branch in branches:
            properties |= _members.decode(branch.get("properties", Raw(b"{}")))
    properties |= _members.decode(schema.get("properties", Raw(b"{}")))
    required |= _strings(schema.get("required"))
    schema["type"] = _OBJECT
    schema["properties"] = Raw(encode(properties))
    schema["required"] = Raw(encode(sorted(required)))
    return Raw(encode(schema))


def _strings(raw: Raw | None) -> set[str]:
    return msgspec.json.decode(raw, type=set[str]) if raw is not None else set()


def _common(sets: list[set[str]]) -> set[str]:
    return set.intersection(*sets) if sets else set()


def answer_schema(raw: Raw) -> Raw:
    """The schema of an answer without what Messages refuses; every object closed."""
    schema: Json = msgspec.json.decode(raw)
    return Raw(encode(_supported(schema)))


def _supported(schema: Json) -> Json:
    if isinstance(schema, list):
        return [_supported(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Json] = {}
    for name, value in schema.items():
        if name in UNSUPPORTED:
            continue
        if name in _MAPS and isinstance(value, dict):
            kept[name] = {key: _supported(inner) for key, inner in value.items()}
        elif name in _LITERALS:
            kept[name] = value
        else:
            kept[name] = _supported(value)
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    return kept
