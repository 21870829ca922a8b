"""What the fake upstream answers, rendered once: bytes of both protocols, framed for HTTP/1.1.

A request's prompt says what is wanted: `@chunks=100 @pace_ms=20`. An answer is that many words. A
paced word carries the time at which it was sent, so that whoever reads it knows its delay.
"""

import json
import re
from functools import cache
from typing import Literal, NamedTuple

Protocol = Literal["messages", "chat"]
PROTOCOLS: tuple[Protocol, ...] = ("messages", "chat")

PATHS: dict[Protocol, str] = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}
TERMINALS: dict[Protocol, bytes] = {"messages": b'"message_stop"', "chat": b"data: [DONE]"}
WORD = b"word"
STAMP_DIGITS = 12
STAMP_WRAP_US = 10**STAMP_DIGITS
STAMP = re.compile(rb"word@(\d{%d})" % STAMP_DIGITS)
"""Microseconds of the monotonic clock, which all processes of a machine share."""

WANTED = re.compile(rb"@chunks=(\d+) @pace_ms=(\d+)")
STREAMED = (b'"stream":true', b'"stream": true')
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATH_MAX = 100
END = b"0\r\n\r\n"
INPUT_TOKENS = 12


class Wanted(NamedTuple):
    """What a request asks for."""

    protocol: Protocol
    chunks: int
    pace_ms: int
    """Silence between two words; 0: all at once."""
    stream: bool


class IncompleteError(Exception):
    """The request has not arrived whole."""


class NotUnderstoodError(Exception):
    """The request is none that this upstream knows."""


def size_of(buffer: bytes | bytearray) -> int:
    """Bytes of the first request, head and body.

    Raises:
        IncompleteError: the head is not there.
        NotUnderstoodError: the body has no length.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        raise IncompleteError
    length = CONTENT_LENGTH.search(buffer, 0, end + 2)
    if length is None and not buffer.startswith(b"GET "):
        raise NotUnderstoodError(f"no content-length: {bytes(buffer[:end])!r}")
    return end + 4 + (int(length[1]) if length else 0)


def wanted(request: bytes | bytearray, end: int) -> Wanted:
    """What the prompt of a request of so many bytes asks for; long ones are not copied.

    Raises:
        NotUnderstoodError: it says nothing.
    """
    found = WANTED.search(request, 0, end)
    if found is None:
        raise NotUnderstoodError(f"no directive in {bytes(request[:500])!r}")
    return Wanted(
        protocol="messages" if request.find(b"/messages", 0, PATH_MAX) > 0 else "chat",
        chunks=int(found[1]),
        pace_ms=int(found[2]),
        stream=any(request.find(member, 0, end) > 0 for member in STREAMED),
    )


@cache
def whole(asked: Wanted) -> bytes:
    """An answer that is sent at once: one-shot, or a stream without a pace."""
    if asked.stream:
        words = b"".join(framed(delta(asked.protocol, b" word")) for _ in range(asked.chunks))
        return opening(asked.protocol) + words + closing(asked.protocol, asked.chunks)
    text = " ".join(f"word{index}" for index in range(asked.chunks))
    usage = {"input": INPUT_TOKENS, "output": asked.chunks}
    message = _messages_message(text, usage) if asked.protocol == "messages" else _chat(text, usage)
    return json_reply(message)


def json_reply(value: object, status: str = "200 OK") -> bytes:
    """A whole answer with a length."""
    body = json.dumps(value).encode()
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status.encode(),
        len(body),
        body,
    )


@cache
def opening(protocol: Protocol) -> bytes:
    """The head of a stream and what comes before the first word."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    if protocol == "chat":
        return head + framed(_chat_chunk({"role": "assistant", "content": ""}))
    message = _messages_message("", {"input": INPUT_TOKENS, "output": 1})
    start = {**message, "content": [], "stop_reason": None}
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    return (
        head
        + framed(_event("message_start", message=start))
        + framed(_event("content_block_start", **block))
    )


@cache
def template(protocol: Protocol) -> bytes:
    """A paced word; `%` it with the microseconds of `stamp`."""
    placed = delta(protocol, b" word@" + b"0" * STAMP_DIGITS)
    text = framed(placed).replace(b"%", b"%%")
    return text.replace(b"0" * STAMP_DIGITS, b"%%0%dd" % STAMP_DIGITS)


@cache
def closing(protocol: Protocol, words: int) -> bytes:
    """What comes after the last word."""
    if protocol == "chat":
        usage = _chat_usage({"input": INPUT_TOKENS, "output": words})
        return (
            framed(_chat_chunk({}, finish_reason="stop"))
            + framed(_chat_chunk(None, usage=usage))
            + framed(b"data: [DONE]\n\n")
            + END
        )
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        framed(_event("content_block_stop", index=0))
        + framed(_event("message_delta", delta=stop, usage={"output_tokens": words}))
        + framed(_event("message_stop"))
        + END
    )


def delta(protocol: Protocol, text: bytes) -> bytes:
    """The event of one piece of text."""
    if protocol == "chat":
        return _chat_chunk({"content": text.decode()})
    piece = {"type": "text_delta", "text": text.decode()}
    return _event("content_block_delta", index=0, delta=piece)


def framed(piece: bytes) -> bytes:
    """As a chunk of HTTP."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def unframed(body: bytes | bytearray) -> bytes:
    """The content of a chunked body that has arrived whole.

    Raises:
        ValueError: it is not one.
    """
    pieces: list[bytes] = []
    position = 0
    while True:
        line_end = body.index(b"\r\n", position)
        size = int(body[position:line_end].split(b";")[0], 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(bytes(body[line_end + 2 : line_end + 2 + size]))
        position = line_end + 2 + size + 2


def _event(name: str, **data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _compact({"type": name, **data}))


def _messages_message(text: str, usage: dict[str, int]) -> dict[str, object]:
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "messages",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": usage["input"], "output_tokens": usage["output"]},
    }


def _chat_usage(usage: dict[str, int]) -> dict[str, int]:
    return {
        "prompt_tokens": usage["input"],
        "completion_tokens": usage["output"],
        "total_tokens": usage["input"] + usage["output"],
    }


def _chat(text: str, usage: dict[str, int]) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "chat",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _chat_usage(usage),
    }


def _chat_chunk(
    delta: dict[str, str] | None,
    *,
    finish_reason: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk: dict[str, object] = {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion.chunk",
        "created": 1741569952,
        "model": "chat",
        "choices": [] if delta is None else [choice],
    }
    if usage is not None:
        chunk["usage"] = usage
    return b"data: %b\n\n" % _compact(chunk)


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
