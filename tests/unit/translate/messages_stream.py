"""Events of a Messages stream, for tests of what becomes of them."""

import json
from typing import Any

from tollbridge.wire.sse import encode_event


def wire(*values: dict[str, Any]) -> bytes:
    return b"".join(encode_event(value["type"], json.dumps(value).encode()) for value in values)


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[dict[str, Any]]:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def tool(index: int, *pieces: str, name: str = "f", **members: Any) -> list[dict[str, Any]]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    start = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}, **members}
    return block(index, start, *deltas)


def thinking(index: int, *pieces: str, signature: str = "sig") -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": p} for p in pieces]
    if signature:
        deltas.append({"type": "signature_delta", "signature": signature})
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


START = {
    "type": "message_start",
    "message": {
        "id": "msg_up",
        "model": "up",
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1},
    },
}


def end(stop: str = "end_turn", **delta: Any) -> list[dict[str, Any]]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, **delta},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]
