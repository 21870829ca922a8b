"""Requests of clients, and pieces of upstreams' answers, in as few words as a test needs."""

import json
from collections.abc import Mapping

OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
BAD_REQUEST = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'


def messages_body(model: str = "m", *, stream: bool = True, **members: object) -> bytes:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    return json.dumps({**body, "stream": stream, **members}).encode()


def chat_body(model: str = "c", *, stream: bool = True, **members: object) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return json.dumps({**body, **members}).encode()


def event(kind: str, **members: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def message_start(model: str = "m", usage: Mapping[str, int] | None = None) -> bytes:
    told = {"input_tokens": 25, "output_tokens": 1} if usage is None else usage
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    return event("message_start", message={**message, "content": [], "usage": told}) + event(
        "content_block_start", index=0, content_block={"type": "text", "text": ""}
    )


def text_delta(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def message_end(output: int | None = 7) -> bytes:
    usage = {} if output is None else {"usage": {"output_tokens": output}}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        event("content_block_stop", index=0)
        + event("message_delta", delta=delta, **usage)
        + event("message_stop")
    )


def message(usage: Mapping[str, int] | None = None, text: str = "Hello there") -> bytes:
    told = {"input_tokens": 25, "output_tokens": 7} if usage is None else usage
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    content = [{"type": "text", "text": text}]
    return json.dumps({**answer, "content": content, "usage": told or None}).encode()


def chunk(text: str | None = None, finish: str | None = None, **members: object) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "c"}
    return f"data: {json.dumps({**head, 'choices': [choice], **members})}\n\n".encode()
