"""Content blocks that are newer than this gateway, made harmless (protocol notes C.9.21).

A new block type may use a known member's name for a value of another type, and typed decoding
refuses the whole request. New types reach gateways before their documentation does, so that then,
and only then, unknown blocks are reduced to their type and the request is decoded again.
"""

import msgspec

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


def _reduce(holder: object) -> bool:
    """Reduce the blocks in the `content` of a turn or a tool result, in place."""
    content = holder.get("content") if isinstance(holder, dict) else None
    if not isinstance(content, list):
        return False
    changed = False
    for block in content:
        if not isinstance(block, dict):
            continue
        kind = block.get("type")
        if not isinstance(kind, str):
            continue
        if kind in _CORE:
            changed = _reduce(block) or changed
        elif len(block) > 1:
            block.clear()
            block["type"] = kind
            changed = True
    return changed
