"""CPU of translating a streamed chunk, as a multiple of passing the same chunk through.

    PYTHONPATH=src python bench/translate_ratio.py

One chunk in each feed, as a paced stream brings them. The aim is at most 1.3.
"""

import time

import msgspec

from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, StreamBridge, UpstreamTerms
from tollbridge.translate.pairs import open_bridge

IDENTITY = Identity("req_bench", "0123456789abcdefghijklmn", 1_700_000_000, b"k" * 32)
DIALECTS: dict[Protocol, str] = {"messages": "anthropic", "chat": "vllm"}
CHUNKS = 6_000
TURNS = 7
"""The best of so many counts."""
TEXTS = {
    "plain": [" several"],
    "1 of 10 a line end": [" several"] * 9 + ["\n"],
    "all quoted": ['"a": '],
}
"""What the chunks say, over and over."""


def open_stream(client: Protocol, upstream: Protocol) -> StreamBridge:
    body: dict[str, object] = {
        "model": "m", "max_tokens": 4096, "stream": True,
        "messages": [{"role": "user", "content": "Hello"}],
    }  # fmt: skip
    if client == "messages":
        body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    raw = msgspec.json.encode(body)
    bridge = open_bridge(client, upstream, read_ask(client, raw), raw, IDENTITY)
    bridge.request(UpstreamTerms("m", DIALECTS[upstream], 4096))
    return bridge.stream()


def event(name: str, **members: object) -> bytes:
    body = msgspec.json.encode({"type": name, **members})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), body)


def chunk(delta: dict[str, object]) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}
    head = {"id": "chatcmpl-0123456789", "object": "chat.completion.chunk", "created": 1_700_000}
    body = {**head, "model": "m", "system_fingerprint": "fp", "choices": [choice], "usage": None}
    return b"data: %b\n\n" % msgspec.json.encode(body)


def messages_chunks(kind: str, texts: list[str]) -> tuple[bytes, list[bytes]]:
    """The start of a stream, and its deltas."""
    block, member = {
        "text": ({"type": "text", "text": ""}, "text"),
        "thinking": ({"type": "thinking", "thinking": "", "signature": ""}, "thinking"),
        "arguments": ({"type": "tool_use", "id": "t", "name": "f", "input": {}}, "partial_json"),
    }[kind]
    usage = {"input_tokens": 3, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    start = event("message_start", message={**message, "usage": usage})
    start += event("content_block_start", index=0, content_block=block)
    name = {"partial_json": "input_json"}.get(member, member)
    deltas = [{"type": f"{name}_delta", member: text} for text in texts]
    return start, [event("content_block_delta", index=0, delta=delta) for delta in deltas]


def chat_chunks(kind: str, texts: list[str]) -> tuple[bytes, list[bytes]]:
    """The same of Chat."""
    if kind != "arguments":
        name = {"text": "content", "thinking": "reasoning_content"}[kind]
        return chunk({"role": "assistant", "content": ""}), [chunk({name: text}) for text in texts]
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}
    calls = [{"index": 0, "function": {"arguments": text}} for text in texts]
    return chunk({"tool_calls": [call]}), [chunk({"tool_calls": [call]}) for call in calls]


def cost_us(client: Protocol, upstream: Protocol, start: bytes, chunks: list[bytes]) -> float:
    times = []
    for _ in range(TURNS):
        stream = open_stream(client, upstream)
        stream.feed(start)
        begun = time.process_time()
        for _ in range(CHUNKS // len(chunks)):
            for data in chunks:
                stream.feed(data)
        times.append(time.process_time() - begun)
    return min(times) / CHUNKS * 1e6


def main() -> None:
    pairs: tuple[tuple[Protocol, Protocol], ...] = (("chat", "messages"), ("messages", "chat"))
    for upstream, other in pairs:
        write = chat_chunks if upstream == "chat" else messages_chunks
        for kind in ("text", "thinking", "arguments"):
            for label, texts in TEXTS.items():
                start, chunks = write(kind, texts)
                passed = cost_us(upstream, upstream, start, chunks)
                translated = cost_us(other, upstream, start, chunks)
                print(
                    f"{upstream:9}{kind:10}{label:19} passed {passed:5.2f} us,"
                    f" translated {translated:5.2f} us: {translated / passed:.2f}"
                )


if __name__ == "__main__":
    main()
