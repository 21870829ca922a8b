"""Mutations of recorded inputs: of bytes, of lines and of JSON, decided by a seed alone."""

import json
import random
import re

_JSON = re.compile(rb"^(?:data: )?(\{.*\})$", re.MULTILINE)
_ODD: tuple[object, ...] = (
    None, True, 0, -1, 1.5, 2**63, 2**70, 1e308, "", " ", "x" * 300, "\ud83d\ude00", "\u2028", [],
    {}, [[]], [None], {"": None}, "stop", "tool_calls", "text", "thinking",
)  # fmt: skip
INPUT_BYTES_MAX = 20_000


def mutated(seed: bytes, others: list[bytes], entropy: random.Random) -> bytes:
    """One to four changes to an input."""
    data = seed
    for _ in range(entropy.randint(1, 4)):
        change = entropy.choice((_flip, _number, _delete, _repeat, _splice, _json, _json, _json))
        data = change(data, others, entropy)
    return data[:INPUT_BYTES_MAX]


def _span(data: bytes, entropy: random.Random) -> tuple[int, int]:
    """A stretch of bytes, often one between line ends."""
    if entropy.random() < 0.5:
        ends = [0, *(match.end() for match in re.finditer(rb"\n\n?", data)), len(data)]
        begin, end = sorted(entropy.choices(ends, k=2))
        return begin, end
    begin = entropy.randint(0, len(data))
    return begin, min(len(data), begin + entropy.randint(1, 8))


def _flip(data: bytes, _others: list[bytes], entropy: random.Random) -> bytes:
    if not data:
        return bytes([entropy.randrange(256)])
    at = entropy.randrange(len(data))
    new = entropy.choice((entropy.randrange(256), *b'{}[]",:\\\r\n\0'))
    return data[:at] + bytes([new]) + data[at + 1 :]


def _number(data: bytes, others: list[bytes], entropy: random.Random) -> bytes:
    """A number beyond all ranges, which no JSON library writes."""
    found = list(re.finditer(rb"\b\d+\b|null|true", data))
    if not found:
        return _flip(data, others, entropy)
    match = entropy.choice(found)
    return data[: match.start()] + b"1e999" + data[match.end() :]


def _delete(data: bytes, _others: list[bytes], entropy: random.Random) -> bytes:
    begin, end = _span(data, entropy)
    return data[:begin] + data[end:]


def _repeat(data: bytes, _others: list[bytes], entropy: random.Random) -> bytes:
    begin, end = _span(data, entropy)
    return data[:end] + data[begin:end] * entropy.choice((1, 1, 2, 30)) + data[end:]


def _splice(data: bytes, others: list[bytes], entropy: random.Random) -> bytes:
    other = entropy.choice(others)
    begin, end = _span(other, entropy)
    at = _span(data, entropy)[0]
    return data[:at] + other[begin:end] + data[at:]


def _json(data: bytes, others: list[bytes], entropy: random.Random) -> bytes:
    """Another value somewhere within one of the JSON documents."""
    found = list(_JSON.finditer(data))
    if not found:
        return _flip(data, others, entropy)
    match = entropy.choice(found)
    try:
        value = json.loads(match[1])
    except (ValueError, RecursionError):
        return _flip(data, others, entropy)
    text = json.dumps(_changed(value, entropy), ensure_ascii=entropy.random() < 0.5)
    return data[: match.start(1)] + text.encode("utf-8", "surrogatepass") + data[match.end(1) :]


def _changed(value: object, entropy: random.Random) -> object:
    """The value with one change, the deeper the more likely."""
    if isinstance(value, dict) and value and entropy.random() < 0.9:
        name = entropy.choice(list(value))
        match entropy.randrange(8):
            case 0:
                return {key: inner for key, inner in value.items() if key != name}
            case 1:
                return {**value, entropy.choice(("index", "type", "id", "x")): entropy.choice(_ODD)}
            case _:
                return {**value, name: _changed(value[name], entropy)}
    if isinstance(value, list) and value and entropy.random() < 0.9:
        at = entropy.randrange(len(value))
        if entropy.random() < 0.2:
            return value[:at] + value[at:] * 2
        return [*value[:at], _changed(value[at], entropy), *value[at + 1 :]]
    return entropy.choice(_ODD)
