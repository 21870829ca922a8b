"""CPU of translating for a Messages client on a Chat upstream.

    PYTHONPATH=src python bench/translate_messages_on_chat.py

Prints microseconds per streamed chunk (text, thinking, tool arguments; one chunk in each feed, as a
paced stream brings them), and milliseconds for a request of 1 MB in 200 turns and for an answer.
"""

import time
from collections.abc import Callable

import msgspec

from tollbridge.translate.bridge import Ask, Identity, UpstreamTerms
from tollbridge.translate.messages_on_chat import MessagesOnChat
from tollbridge.translate.prompt_features import read_features

IDENTITY = Identity("req_bench", "0123456789abcdefghijklmn", 1_700_000_000, b"k" * 32)
TERMS = UpstreamTerms("m", "vllm", 4096)
CHUNKS = 5_000


def ask(*, stream: bool) -> Ask:
    return Ask(model="m", stream=stream, max_tokens=4096, thinking=True, input_estimate=10)


def small_body() -> bytes:
    return msgspec.json.encode(
        {
            "model": "m",
            "max_tokens": 4096,
            "stream": True,
            "thinking": {"type": "adaptive"},
            "messages": [{"role": "user", "content": "Hello"}],
        }
    )


def large_body() -> bytes:
    """200 turns of 5 kB each: a coding agent's calls with their results."""
    messages: list[object] = []
    for turn in range(100):
        tool_input = {"path": f"src/file_{turn}.py", "content": "x = 1  # a line\n" * 310}
        call = {"type": "tool_use", "id": f"toolu_{turn}", "name": "Write", "input": tool_input}
        thought = {"type": "thinking", "thinking": "Let me see. " * 10, "signature": "tb1.AAAA"}
        text = {"type": "text", "text": "I write the file. " * 5}
        messages.append({"role": "assistant", "content": [thought, text, call]})
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{turn}",
            "content": [{"type": "text", "text": 'a line of "output"\n' * 260}],
        }
        messages.append({"role": "user", "content": [result]})
    schema = {"type": "object", "properties": {"path": {"type": "string", "format": "uri"}}}
    tools = [{"name": f"tool_{n}", "description": "d", "input_schema": schema} for n in range(20)]
    first = {"role": "user", "content": "Go."}
    body = {"model": "m", "max_tokens": 4096, "tools": tools, "messages": [first, *messages]}
    return msgspec.json.encode(body)


def chunk(delta: dict[str, object]) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}
    envelope = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [choice],
        "usage": None,
    }
    return b"data: %b\n\n" % msgspec.json.encode(envelope)


def per_chunk(label: str, delta: dict[str, object], first: dict[str, object] | None = None) -> None:
    bridge = MessagesOnChat(ask(stream=True), small_body(), IDENTITY)
    bridge.request(TERMS)
    stream = bridge.stream()
    stream.feed(chunk(first or {"role": "assistant", "content": ""}))
    data = chunk(delta)
    start = time.process_time()
    for _ in range(CHUNKS):
        stream.feed(data)
    spent = time.process_time() - start
    print(f"{label:34} {spent / CHUNKS * 1e6:8.2f} us")


def milliseconds(label: str, run: Callable[[], object], times: int) -> None:
    start = time.process_time()
    for _ in range(times):
        run()
    print(f"{label:34} {(time.process_time() - start) / times * 1e3:8.3f} ms")


def main() -> None:
    per_chunk("text chunk", {"content": " several"})
    per_chunk("text chunk, CJK", {"content": "你好世界"})
    per_chunk("thinking chunk", {"reasoning_content": " several"})
    first = {"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}
    fragment = {"index": 0, "function": {"arguments": '"a": '}}
    per_chunk("tool argument chunk", {"tool_calls": [fragment]}, {"tool_calls": [first]})

    body = large_body()
    milliseconds(f"estimate, {len(body) / 1e6:.2f} MB", lambda: read_features(body), 20)
    asked = ask(stream=False)
    milliseconds(
        "request, the same, 200 turns",
        lambda: MessagesOnChat(asked, body, IDENTITY).request(TERMS),
        20,
    )
    small = small_body()
    milliseconds(
        "request, one turn",
        lambda: MessagesOnChat(asked, small, IDENTITY).request(TERMS),
        2_000,
    )
    bridge = MessagesOnChat(asked, small, IDENTITY)
    message = {"role": "assistant", "content": "An answer. " * 400}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 1200, "total_tokens": 1210}
    answer = msgspec.json.encode({"id": "x", "choices": [choice], "usage": usage})
    milliseconds("one-shot answer of 4 kB", lambda: bridge.reply(answer), 2_000)


if __name__ == "__main__":
    main()
