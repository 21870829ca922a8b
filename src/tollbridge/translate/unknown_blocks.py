"""Blocks and events that are newer than this gateway, made harmless (protocol notes C.9.21).

A new type may use a known member's name for a value of another type, and typed decoding refuses
the whole. New types reach gateways before their documentation does, so that then, and only then,
what is of an unknown type is reduced to its type, and the rest is decoded again.
"""

from collections.abc import Container
from typing import cast

import msgspec

from tollbridge.translate.dispositions import MESSAGES
from tollbridge.wire.codec import encode

_CORE = frozenset(
    {"text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use",
     "tool_result", "tool_reference", "compaction"}
)  # fmt: skip
"""The types whose members the vocabulary declares; these keep them, right or wrong."""


def reduce_unknown_blocks(body: bytes) -> bytes | None:
    """The body with unknown blocks reduced to their type; None if it has none."""
    request: object = msgspec.json.decode(body)
    turns = request.get("messages") if isinstance(request, dict) else None
    reduced = [_reduce(turn) for turn in turns] if isinstance(turns, list) else []
    return encode(request) if any(reduced) else None


def reduce_unknown_answer(body: bytes) -> bytes | None:
    """A one-shot answer with unknown blocks reduced to their type; None if it has none."""
    answer = _read(body)
    return encode(answer) if _reduce(answer) else None


def reduce_unknown_event(data: bytes) -> bytes | None:
    """A stream's event, or its block or delta, reduced to a type that is unknown; else None."""
    event = _read(data)
    if not isinstance(event, dict):
        return None
    block, delta = event.get("content_block"), event.get("delta")
    reduced = (
        _reduce_to_type(event, MESSAGES["event"])
        or _reduce_to_type(block, _CORE)
        or (
            event.get("type") == "content_block_delta" and _reduce_to_type(delta, MESSAGES["delta"])
        )
    )
    return encode(event) if reduced else None


def _read(data: bytes) -> object:
    try:
        return cast("object", msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _reduce_to_type(value: object, known: Container[str]) -> bool:
    """Reduce an object of an unknown type, in place; whether that left something out."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(kind, str) or kind in known:
        return False
    fewer = len(value) > 1
    value.clear()
    value["type"] = kind
    return fewer


def _reduce(holder: object) -> bool:
    """Reduce the blocks in the `content` of a turn or a tool result, in place."""
    content = holder.get("content") if isinstance(holder, dict) else None
    if not isinstance(content, list):
        return False
    changed = False
    for block in content:
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            continue
        if block.get("type") in _CORE:
            changed = _reduce(block) or changed
        else:
            changed = _reduce_to_type(block, _CORE) or changed
    return changed
