"""Streams and bodies to begin with: each holds as many of its vocabulary's words as it can."""

import json


def _events(*values: dict[str, object]) -> bytes:
    return b"".join(
        f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode() for value in values
    )


def _chunk(delta: dict[str, object], finish: str | None = None, **members: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "c"}
    return f"data: {json.dumps({**body, 'choices': [choice], **members})}\n\n".encode()


def _call(index: int, arguments: str, **more: str) -> dict[str, object]:
    function = {"arguments": arguments, **({"name": more["name"]} if "name" in more else {})}
    piece: dict[str, object] = {"index": index, "function": function}
    return {"tool_calls": [{**piece, "id": more["id"]} if "id" in more else piece]}


_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
_BLOCKS: tuple[tuple[dict[str, object], tuple[dict[str, object], ...]], ...] = (
    (
        {"type": "thinking", "thinking": "", "signature": ""},
        (
            {"type": "thinking_delta", "thinking": "Hm."},
            {"type": "signature_delta", "signature": "EqQB"},
        ),
    ),
    ({"type": "redacted_thinking", "data": "AAAA"}, ()),
    ({"type": "text", "text": ""}, ({"type": "text_delta", "text": "Héllo 世界"},)),
    (
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        (
            {"type": "input_json_delta", "partial_json": '{"a"'},
            {"type": "input_json_delta", "partial_json": ":1}"},
        ),
    ),
)
MESSAGES_STREAM = (
    _events(
        {
            "type": "message_start",
            "message": {**_MESSAGE, "usage": {"input_tokens": 9, "output_tokens": 1}},
        },
        {"type": "ping"},
    )
    + b"".join(
        _events(
            {"type": "content_block_start", "index": index, "content_block": block},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        )
        for index, (block, deltas) in enumerate(_BLOCKS)
    )
    + _events(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 7, "cache_read_input_tokens": 3},
        },
        {"type": "message_stop"},
    )
)
MESSAGES_ERROR = _events(
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
)
CHAT_STREAM = (
    _chunk({"role": "assistant", "content": ""})
    + _chunk({"reasoning_content": "Hm."})
    + _chunk({"content": "<think>x</think>Héllo 世界"})
    + _chunk(_call(0, "", id="call_1", name="f"))
    + _chunk(_call(0, '{"a"'))
    + _chunk(_call(1, "{}", id="call_2", name="g"))
    + _chunk(_call(0, ":1}"))
    + _chunk({}, "tool_calls", usage={"prompt_tokens": 9, "completion_tokens": 7})
    + b"data: [DONE]\n\n"
)
CHAT_ERROR = b'data: {"error":{"message":"busy","type":"server_error","code":503}}\n\n'
_DETAIL = {"type": "reasoning.text", "text": "Hm", "signature": "s"}
CHAT_DETAILS = (
    _chunk({"reasoning_details": [_DETAIL, {"type": "reasoning.encrypted", "data": "AAAA"}]})
    + _chunk({"content": "a", "refusal": "no"}, "stop", stop_reason="x")
    + b"data: [DONE]\n\n"
)

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAK"
MESSAGES_BODY = json.dumps(
    {
        "model": "m",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
        "output_config": {"effort": "high"},
        "stop_sequences": ["x"],
        "temperature": 0.5,
        "top_k": 3,
        "metadata": {"user_id": "u"},
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object", "$schema": "u"}},
            {"type": "web_search_20260101", "name": "web_search"},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": _PNG},
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "h", "signature": "EqQB"},
                    {"type": "text", "text": "b"},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True,
                     "content": [{"type": "text", "text": "r"}]},
                ],
            },
            {"role": "system", "content": "middle"},
            {"role": "assistant", "content": "prefill"},
        ],
    }
).encode()  # fmt: skip
CHAT_BODY = json.dumps(
    {
        "model": "c",
        "max_completion_tokens": 100,
        "reasoning_effort": "low",
        "stop": "x",
        "n": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}},
        },
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "custom", "custom": {"name": "p"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "messages": [
            {"role": "developer", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "h",
                "reasoning_details": [_DETAIL],
                "tool_calls": [
                    {"id": "call_1", "type": "function",
                     "function": {"name": "f", "arguments": '{"a":1}'}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "r"},
        ],
    }
).encode()  # fmt: skip
MESSAGE = json.dumps(
    {
        **_MESSAGE,
        "content": [
            {"type": "thinking", "thinking": "h", "signature": "EqQB"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 9, "output_tokens": 7},
    }
).encode()
COMPLETION = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "c",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "Hello",
                    "reasoning": "h",
                    "tool_calls": [
                        {"id": "call_1", "function": {"name": "f", "arguments": '{"a":1}'}}
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7},
    }
).encode()
