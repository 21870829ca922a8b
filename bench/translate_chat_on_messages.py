"""CPU of reading events, of passing them through and of translating them for a Chat client.

    PYTHONPATH=src python bench/translate_chat_on_messages.py

Prints microseconds per streamed event, one event in each feed, as a paced stream brings them: the
decoder alone, both identity pairs (with and without another model name), and Messages to Chat; then
milliseconds for a request of 1 MB in 200 turns.
"""

import time
from collections.abc import Callable

import msgspec

from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Ask, Identity, UpstreamTerms
from tollbridge.translate.chat_identity import ChatIdentity, ChatRelay
from tollbridge.translate.chat_on_messages import ChatOnMessages
from tollbridge.translate.identity import MessagesRelay
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.wire.sse import SSEDecoder

EVENTS = 20_000
IDENTITY = Identity("req_bench", "0123456789abcdefghijklmn", 1_700_000_000)
TERMS = UpstreamTerms("claude-opus-4-8", "anthropic", 4096)

START = (
    b"event: message_start\n"
    b'data: {"type":"message_start","message":{"id":"msg_1","model":"up",'
    b'"usage":{"input_tokens":9}}}\n\n'
)


def started(block: bytes) -> bytes:
    start = b'{"type":"content_block_start","index":0,"content_block":%b}' % block
    return START + b"event: content_block_start\ndata: %b\n\n" % start


def delta(members: bytes) -> bytes:
    return (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{%b}}\n\n' % members
    )


TEXT = delta(b'"type":"text_delta","text":" lorem ipsum"')
THOUGHT = delta(b'"type":"thinking_delta","thinking":" lorem ipsum"')
INPUT = delta(b'"type":"input_json_delta","partial_json":"{\\"path\\": \\"a"')
CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"up",'
    b'"choices":[{"index":0,"delta":{"content":" lorem ipsum"},"logprobs":null,'
    b'"finish_reason":null}]}\n\n'
)


def ask(model: str) -> Ask:
    return Ask(model=model, stream=True, max_tokens=4096, thinking=True, input_estimate=10)


def per_event(name: str, feed: Callable[[bytes], object], event: bytes) -> None:
    best = min(_once(feed, event) for _ in range(3))
    print(f"{name:44} {best / EVENTS * 1e6:6.2f} us")


def _once(feed: Callable[[bytes], object], event: bytes) -> float:
    begin = time.process_time()
    for _ in range(EVENTS):
        feed(event)
    return time.process_time() - begin


def messages_relay() -> MessagesRelay:
    relay = MessagesRelay(ask("mine"), IDENTITY)
    relay.feed(started(b'{"type":"text","text":""}'))
    return relay


def chat_stream(block: bytes) -> ChatStream:
    stream = ChatStream(ask("mine"), IDENTITY, ToolPlan())
    stream.feed(started(block))
    return stream


def large_body() -> bytes:
    """200 turns of 5 kB each: a coding agent's calls with their results."""
    messages: list[dict[str, object]] = [{"role": "user", "content": "Go on."}]
    for n in range(100):
        function = {"name": "read", "arguments": '{"path": "%s"}' % ("x" * 5000)}
        call = {"id": f"call_{n}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{n}", "content": "y" * 5000})
    tool = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
    return msgspec.json.encode({"model": "mine", "messages": messages, "tools": [tool]})


def per_request(name: str, run: Callable[[], object]) -> None:
    rounds = 10
    begin = time.process_time()
    for _ in range(rounds):
        run()
    print(f"{name:44} {(time.process_time() - begin) / rounds * 1e3:6.2f} ms")


def main() -> None:
    per_event("SSE decoder, Messages event", SSEDecoder().feed, TEXT)
    per_event("SSE decoder, Chat chunk", SSEDecoder().feed, CHUNK)
    per_event("Messages passed through", messages_relay().feed, TEXT)
    per_event("Chat passed through", ChatRelay(ask("up"), IDENTITY).feed, CHUNK)
    per_event("Chat passed through, model renamed", ChatRelay(ask("mine"), IDENTITY).feed, CHUNK)
    per_event("Messages to Chat, text", chat_stream(b'{"type":"text","text":""}').feed, TEXT)
    per_event("Messages to Chat, thinking", chat_stream(b'{"type":"thinking"}').feed, THOUGHT)
    tool = b'{"type":"tool_use","id":"t","name":"f","input":{}}'
    per_event("Messages to Chat, tool input", chat_stream(tool).feed, INPUT)
    body = large_body()
    seen = read_ask("chat", body)
    per_request("1 MB read", lambda: read_ask("chat", body))
    per_request(
        "1 MB passed through, model renamed",
        lambda: ChatIdentity(seen, body, IDENTITY).request(TERMS),
    )
    per_request(
        "1 MB Chat to Messages", lambda: ChatOnMessages(seen, body, IDENTITY).request(TERMS)
    )


if __name__ == "__main__":
    main()
