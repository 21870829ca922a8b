"""Random answers of upstreams, in both vocabularies, as streams and as what they add up to."""

import itertools
import json
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st
from tests.stage import IDENTITY

from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Bridge, UpstreamTerms
from tollbridge.translate.pairs import open_bridge
from tollbridge.wire.chat.chunks import Chunk
from tollbridge.wire.chat.fold import fold as fold_chat
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.events import Event
from tollbridge.wire.messages.fold import fold as fold_messages
from tollbridge.wire.sse import DONE, SSEDecoder, encode_data, encode_event

Json = dict[str, Any]

PAIRS: list[tuple[Protocol, Protocol]] = [
    ("messages", "messages"),
    ("messages", "chat"),
    ("chat", "messages"),
    ("chat", "chat"),
]
SIGNATURE = "c2lnbmVk"
ADAPTIVE: Json = {"type": "adaptive"}

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
pieces = st.lists(texts, min_size=1, max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
inputs = st.dictionaries(st.text(max_size=3), values, max_size=3)


class Said(NamedTuple):
    """What an upstream says, in no vocabulary."""

    thoughts: list[str]
    texts: list[str]
    calls: list[list[str]]
    """For each call the pieces of its arguments, which are whole JSON."""
    finish: str
    """`whole`, `length`, or `plain`: an end like any other even where calls were made, which some
    servers tell."""
    refusal: bool
    prompt: int
    cached: int
    output: int
    interleaved: bool
    signed: bool


@st.composite
def cut_json(draw: st.DrawFn) -> list[str]:
    """A tool's input as JSON in one to three pieces."""
    data = json.dumps(draw(inputs), ensure_ascii=draw(st.booleans()))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=2)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def answers(draw: st.DrawFn) -> Said:
    """Thinking, then text, then calls: the order in which a one-shot Chat answer has them."""
    calls = draw(st.lists(cut_json(), max_size=3))
    said = Said(
        thoughts=draw(st.just([]) | pieces),
        texts=draw(st.just([]) | pieces),
        calls=calls,
        finish=draw(st.sampled_from(["whole", "length", "plain"])),
        refusal=not calls and draw(st.booleans()),
        prompt=draw(st.integers(1, 999)),
        cached=draw(st.integers(0, 99)),
        output=draw(st.integers(1, 999)),
        interleaved=draw(st.booleans()),
        signed=draw(st.booleans()),
    )
    return said if said.thoughts or said.texts or calls else said._replace(texts=["x"])


def chunks_of(said: Said) -> list[Json]:
    """The answer as the chunks of a Chat stream."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": thought} for thought in said.thoughts]
    member = "refusal" if said.refusal else "content"
    deltas += [{member: text} for text in said.texts]
    fragments = []
    for index, arguments in enumerate(said.calls):
        head = {"id": f"call_{index}", "type": "function"}
        named = {"name": f"f{index}", "arguments": arguments[0]}
        fragments.append((0, index, {"index": index, **head, "function": named}))
        for place, more in enumerate(arguments[1:], 1):
            fragments.append((place, index, {"index": index, "function": {"arguments": more}}))
    if said.interleaved:
        fragments.sort(key=lambda fragment: fragment[:2])
    deltas += [{"tool_calls": [fragment]} for _, _, fragment in fragments]
    finish = "length" if said.finish == "length" else "stop"
    if said.calls and said.finish == "whole":
        finish = "tool_calls"
    choices: list[Json] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    head = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 5, "model": "up"}
    prompt = said.prompt + said.cached
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": said.output,
        "total_tokens": prompt + said.output,
        "prompt_tokens_details": {"cached_tokens": said.cached, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    return [
        *({**head, "choices": [choice]} for choice in choices),
        {**head, "choices": [], "usage": usage},
    ]


def events_of(said: Said) -> list[Json]:
    """The answer as the events of a Messages stream."""
    usage = {"input_tokens": said.prompt, "cache_read_input_tokens": said.cached}
    message = {
        "id": "msg_up", "type": "message", "role": "assistant", "model": "up", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1},
    }  # fmt: skip
    events: list[Json] = [{"type": "message_start", "message": message}]

    def block(start: Json, deltas: list[Json]) -> None:
        index = sum(event["type"] == "content_block_start" for event in events)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        for delta in deltas:
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})

    if said.thoughts:
        deltas = [{"type": "thinking_delta", "thinking": thought} for thought in said.thoughts]
        if said.signed:
            deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        block({"type": "thinking", "thinking": "", "signature": ""}, deltas)
        if said.signed:
            block({"type": "redacted_thinking", "data": "ZGF0YQ=="}, [])
    if said.texts:
        deltas = [{"type": "text_delta", "text": text} for text in said.texts]
        block({"type": "text", "text": ""}, deltas)
    for index, arguments in enumerate(said.calls):
        start = {"type": "tool_use", "id": f"toolu_{index}", "name": f"f{index}", "input": {}}
        block(start, [{"type": "input_json_delta", "partial_json": one} for one in arguments])
    stop = "refusal" if said.refusal else "end_turn"
    if said.calls and said.finish == "whole":
        stop = "tool_use"
    delta = {"stop_reason": "max_tokens" if said.finish == "length" else stop}
    delta["stop_sequence"] = None  # type: ignore[assignment]
    told = {**usage, "output_tokens": said.output}
    return [
        *events,
        {"type": "message_delta", "delta": delta, "usage": told},
        {"type": "message_stop"},
    ]


def wire(upstream: Protocol, said: Said) -> bytes:
    """The answer as the bytes of a stream."""
    if upstream == "messages":
        values = events_of(said)
        return b"".join(encode_event(value["type"], encode(value)) for value in values)
    return b"".join(encode_data(encode(chunk)) for chunk in chunks_of(said)) + encode_data(DONE)


def folded(upstream: Protocol, said: Said) -> bytes:
    """The body of the one-shot answer that the stream adds up to."""
    if upstream == "messages":
        return encode(fold_messages(_through_json(events_of(said), Event)))
    return encode(fold_chat(_through_json(chunks_of(said), Chunk)))


def _through_json(values: list[Json], form: Any) -> list[Any]:
    return [msgspec.json.decode(encode(value), type=form) for value in values]


def open_for(
    client: Protocol,
    upstream: Protocol,
    *,
    stream: bool,
    thinking: Json | None = ADAPTIVE,
    **more: Any,
) -> Bridge:
    """The bridge of a request, ready for the answer; `thinking` is a Messages client's."""
    body: Json = {
        "model": "mine",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": stream,
        **more,
    }
    if client == "messages" and thinking is not None:
        body["thinking"] = thinking
    data = encode(body)
    bridge = open_bridge(client, upstream, read_ask(client, data), data, IDENTITY)
    bridge.request(UpstreamTerms("up", "openrouter", 4096))
    return bridge


def relayed(bridge: Bridge, data: bytes, cuts: list[int]) -> bytes:
    """What a client gets of a stream whose bytes come in these pieces."""
    stream = bridge.stream()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    sent = [stream.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    return b"".join(sent) + stream.close()


def last_error(client: Protocol, written: bytes) -> Json | None:
    """The error that ends a client's stream, if one does."""
    decoder = SSEDecoder()
    events = [*decoder.feed(written), *decoder.close()]
    if not events or not events[-1].data.startswith(b"{"):
        return None
    last: Json = json.loads(events[-1].data)
    if client == "messages":
        return last if last["type"] == "error" and events[-1].event == "error" else None
    return last if "error" in last else None
