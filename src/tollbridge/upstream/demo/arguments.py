"""Arguments for a tool: a small instance of its JSON schema, with values from the user's text."""

import math
import re
from collections.abc import Mapping

from tollbridge.upstream.demo import patterns
from tollbridge.upstream.demo.request import Json

_DEPTH_MAX = 24
_STEPS_MAX = 2_000
"""Schemas followed for one instance: a schema may contain itself more than once."""

_COMPOSED = ("$ref", "anyOf", "oneOf", "allOf")
_ITEMS_MAX = 32
_BOUND_MAX = 1e15
_STEP_MIN = 1e-6
_TEXT_MAX = 200
_PADDING_MAX = 4_096

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

_PLACES = re.compile(r"city|location|place|town|country|region|destination|origin|address")
_NAMES = re.compile(r"name|person|author|title|company")
_TOPICS = re.compile(r"query|question|text|prompt|message|content|input|topic|subject|keyword")
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|\u201c([^\u201d\n]{1,200})\u201d|`([^`\n]{1,200})`")
_EVIDENT = (
    (re.compile(r"ur[il]|link|website"), re.compile(r"https?://[^\s\"'<>]+")),
    (re.compile(r"e?mail"), re.compile(r"[\w.+-]+@[\w-]+\.[\w.]*\w")),
    (re.compile(r"date|day"), re.compile(r"\d{4}-\d\d-\d\d")),
    (re.compile(r"path|file"), re.compile(r"[\w./-]{0,100}\w\.[A-Za-z]\w{0,5}\b")),
    (re.compile(r"expression|formula|equation"), re.compile(r"[\d.]+(?:\s*[-+*/^]\s*[\d.]+)+")),
)
_AFTER_PREPOSITION = re.compile(r"\b(?:in|at|for|of|to|near|from|about)\s+([A-Z]\w+(?: [A-Z]\w+)*)")
_CAPITALISED = re.compile(r"(?<=[\w,;:] )([A-Z]\w+(?: [A-Z]\w+)*)")
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,6})?(?![\w.]*\w)")


def arguments(schema: Mapping[str, Json], text: str) -> dict[str, Json]:
    """An object that satisfies the schema, as small as it may be.

    Required properties are filled; optional ones only where the text says what belongs there.
    `$ref` within the schema, the first of `anyOf` and `oneOf`, all of `allOf`, the usual bounds and
    simple patterns are obeyed; `not`, `if` and lookarounds are not.
    """
    made = _Writer(dict(schema), text).write(dict(schema), "", 0, 0)
    return made if isinstance(made, dict) else {}


def instance(schema: Mapping[str, Json], text: str) -> Json:
    """The same for a schema of any type."""
    return _Writer(dict(schema), text).write(dict(schema), "", 0, 0)


class _Writer:
    """Writes one instance; each number and quotation of the text is used once, in order."""

    def __init__(self, root: dict[str, Json], text: str) -> None:
        self._root = root
        self._left = _STEPS_MAX
        self._text = text
        self._numbers = iter(_NUMBER.findall(text))
        self._quotes = iter(["".join(found) for found in _QUOTED.findall(text)])

    def write(self, schema: Json, name: str, nth: int, depth: int) -> Json:
        """One value. `nth` tells apart the items of an array."""
        if not isinstance(schema, dict) or depth > _DEPTH_MAX or self._left < 0:
            return "demo" if schema is True else None
        schema = self._resolve(schema, depth)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return self._choose(choices, nth)
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return self._number(schema, nth, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema, name.lower(), nth)

    def _resolve(self, schema: Json, depth: int) -> dict[str, Json]:
        """Follow `$ref`, take the first branch, merge `allOf`, until none of them is left."""
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or depth > _DEPTH_MAX:
            return {}
        parts: list[Json]
        key = next((key for key in _COMPOSED if key in schema), None)
        if key is None:
            return schema
        match schema[key]:
            case str(reference):
                parts = [self._follow(reference)]
            case list(branches):
                parts = branches if key == "allOf" else branches[:1]
            case _:
                parts = []
        rest = self._resolve({k: value for k, value in schema.items() if k != key}, depth + 1)
        for part in parts:
            rest = _merge(rest, self._resolve(part, depth + 1))
        return rest

    def _follow(self, reference: str) -> Json:
        if not reference.startswith("#"):
            return {}
        found: Json = self._root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def _choose(self, choices: list[Json], nth: int) -> Json:
        said = self._text.lower()
        for choice in choices:
            if isinstance(choice, str) and nth == 0 and choice and choice.lower() in said:
                return choice
        return choices[nth % len(choices)]

    def _object(self, schema: dict[str, Json], depth: int) -> Json:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        names = [n for n in required if isinstance(n, str)] if isinstance(required, list) else []
        made: dict[str, Json] = {}
        for name in (*properties, *(n for n in names if n not in properties)):
            if name in names or self._evident(properties[name], name, depth):
                made[name] = self.write(properties.get(name, True), name, 0, depth + 1)
        return made

    def _evident(self, schema: Json, name: str, depth: int) -> bool:
        resolved = self._resolve(schema, depth)
        plain = _type(resolved) == "string" and "enum" not in resolved and "const" not in resolved
        return plain and self._from_text(name.lower(), take=False) is not None

    def _array(self, schema: dict[str, Json], name: str, depth: int) -> Json:
        first = schema.get("prefixItems")
        items = list(first) if isinstance(first, list) else []
        fewest = _whole(schema, "minItems", 0)
        most = _whole(schema, "maxItems", _ITEMS_MAX)
        length = max(fewest, min(1, most), min(len(items), most))
        rest = schema.get("items", True)
        items += [rest] * (min(length, _ITEMS_MAX) - len(items))
        return [self.write(item, name, n, depth + 1) for n, item in enumerate(items[:length])]

    def _number(self, schema: dict[str, Json], nth: int, *, whole: bool) -> Json:
        least, most = _bounds(schema, whole=whole)
        said = float(next(self._numbers, "nan"))
        if least <= said <= most and (not whole or said.is_integer()):
            value = said
        elif least > -math.inf:
            value = max(least, min(1.0, most))
        else:
            value = min(1.0, most)
        if whole:
            value = float(math.ceil(value))
        step = _float(schema.get("multipleOf"), 0)
        if step > _STEP_MIN:
            value = math.ceil(value / step) * step
        elif value + nth <= most:
            value += nth
        return int(value) if whole or value.is_integer() else value

    def _string(self, schema: dict[str, Json], name: str, nth: int) -> Json:
        fewest, most = _whole(schema, "minLength", 0), _whole(schema, "maxLength", _PADDING_MAX)
        form, pattern = schema.get("format"), schema.get("pattern")
        if isinstance(pattern, str):
            return patterns.example(pattern) or "demo"
        said = self._from_text(name, take=True) if nth == 0 else None
        if isinstance(form, str) and form in _FORMATS:
            value = said if said and form in {"uri", "url"} and "://" in said else _FORMATS[form]
        else:
            value = said or (f"demo {nth + 1}" if nth else "demo")
        return value.ljust(min(fewest, _PADDING_MAX), ".")[:most]

    def _from_text(self, name: str, *, take: bool) -> str | None:
        """What the text says about a property of this name."""
        for of_name, in_text in _EVIDENT:
            if of_name.search(name):
                found = in_text.search(self._text)
                return found[0] if found else None
        quote = next(self._quotes, None) if take else None
        if quote:
            return quote
        if _PLACES.search(name) or _NAMES.search(name):
            found = _AFTER_PREPOSITION.search(self._text) or _CAPITALISED.search(self._text)
            return found[1] if found else None
        if _TOPICS.search(name) and take:
            return self._text[:_TEXT_MAX].strip() or None
        return None


def _type(schema: Mapping[str, Json]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if isinstance(kind, str):
        return kind
    hints = {"properties": "object", "required": "object", "items": "array", "minimum": "number"}
    return next((hints[key] for key in hints if key in schema), "string")


def _merge(schema: dict[str, Json], part: dict[str, Json]) -> dict[str, Json]:
    """Both together: properties and required names are united, else what stands nearer wins."""
    merged = {**part, **schema}
    for key in ("properties", "required"):
        mine, theirs = schema.get(key), part.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            merged[key] = {**theirs, **mine}
        elif isinstance(mine, list) and isinstance(theirs, list):
            merged[key] = [*theirs, *mine]
    return merged


def _bounds(schema: Mapping[str, Json], *, whole: bool) -> tuple[float, float]:
    """The least and the greatest value; an exclusive bound is moved inwards."""
    inwards = 1.0 if whole else 0.5
    least = max(
        _float(schema.get("minimum"), -math.inf),
        _float(schema.get("exclusiveMinimum"), -math.inf) + inwards,
    )
    most = min(
        _float(schema.get("maximum"), math.inf),
        _float(schema.get("exclusiveMaximum"), math.inf) - inwards,
    )
    return least, most


def _float(value: Json, default: float) -> float:
    """A bound; one that is beyond all use counts as none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return float(value) if -_BOUND_MAX <= value <= _BOUND_MAX else default


def _whole(schema: Mapping[str, Json], key: str, default: int) -> int:
    value = schema.get(key)
    return value if isinstance(value, int) and value >= 0 else default
