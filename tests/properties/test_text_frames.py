"""Events that are taken by their bytes become what they would have become in full."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.bodies import message_end, message_start

from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Ask, Identity, StreamBridge, UpstreamTerms
from tollbridge.translate.pairs import open_bridge
from tollbridge.translate.paused_turns import PausedTurn
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.translate.usage_tap import UsageTap

IDENTITY = Identity("req_1", "abc", 1_800_000_000, b"key")
PLAIN = st.text(st.sampled_from("abc de,.工é"), min_size=1, max_size=6)
TEXTS = st.lists(PLAIN | st.text(max_size=6), max_size=30)


def ask_body(client: str) -> bytes:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    return json.dumps(body | ({"max_tokens": 99} if client == "messages" else {})).encode()


def sse(event: dict[str, object], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def upstream_bytes(protocol: str, texts: list[str]) -> bytes:
    if protocol == "chat":
        frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        chunks = [{"delta": {"content": text}, "finish_reason": None} for text in texts]
        chunks = [{"delta": {"role": "assistant", "content": ""}}, *chunks]
        chunks.append({"delta": {}, "finish_reason": "stop"})
        events = [sse({**frame, "choices": [{"index": 0, **chunk}]}) for chunk in chunks]
        return b"".join(events) + b"data: [DONE]\n\n"
    deltas = [
        sse(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": text},
            },
            "content_block_delta",
        )
        for text in texts
    ]
    return message_start() + b"".join(deltas) + message_end(7)


def open_stream(client: str, upstream: str) -> StreamBridge:
    body = ask_body(client)
    bridge = open_bridge(client, upstream, read_ask(client, body), body, IDENTITY)
    bridge.request(UpstreamTerms("m", "generic", 99))
    return bridge.stream()


def events(data: bytes) -> list[bytes]:
    return [event + b"\n\n" for event in data.split(b"\n\n")[:-1]]


def play_at_length(stream: StreamBridge, data: bytes) -> tuple[bytes, int, bool]:
    """Every event goes the long way: what is learned from one is forgotten before the next."""
    sent = b""
    for event in events(data):
        stream._frames.forget()
        sent += stream.feed(event)
    return sent + stream.close(), stream.counted_output, stream.finished


def play(stream: StreamBridge, data: bytes, cuts: list[int]) -> tuple[bytes, int, bool]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    sent = b"".join(stream.feed(data[a:b]) for a, b in itertools.pairwise(edges))
    return sent + stream.close(), stream.counted_output, stream.finished


@pytest.mark.parametrize("client", ["messages", "chat"])
@pytest.mark.parametrize("upstream", ["messages", "chat"])
@given(texts=TEXTS, cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_the_short_way_leads_to_the_same_place(
    client: str, upstream: str, texts: list[str], cuts: list[int]
):
    data = upstream_bytes(upstream, texts)
    expected = play_at_length(open_stream(client, upstream), data)
    assert play(open_stream(client, upstream), data, cuts) == expected


def test_words_that_were_taken_go_back_upstream_after_a_pause():
    request = b'{"model":"m","max_tokens":90,"messages":[]}'
    turn = PausedTurn(request)
    ask = Ask(model="m", stream=True, max_tokens=None, thinking=True)
    stream = ChatStream(ask, IDENTITY, ToolPlan(), turn=turn)
    words = [f"word{index} " for index in range(20)]
    paused = upstream_bytes("messages", words).replace(b"end_turn", b"pause_turn")
    stream.feed(paused)
    asked = turn.resume()
    assert asked is not None
    assert json.loads(asked)["messages"][-1]["content"][0]["text"] == "".join(words)


def test_arguments_that_were_taken_count_for_the_end_of_a_call():
    pieces = ["{", '"a":[[[[[[', "1", "2", "3", "4", *"]]]]]]", "}"]
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
    calls = [call, *({"index": 0, "function": {"arguments": piece}} for piece in pieces)]
    deltas = [{"delta": {"tool_calls": [piece]}} for piece in calls]
    data = b"".join(sse({"choices": [{"index": 0, **delta}]}) for delta in deltas)
    stream = open_stream("messages", "chat")
    sent, _, finished = play(stream, data + b"data: [DONE]\n\n", [])
    assert finished, f"{stream.failure}"
    assert b'"stop_reason":"tool_use"' in sent


@pytest.mark.parametrize("client", ["messages", "chat"])
@pytest.mark.parametrize("upstream", ["messages", "chat"])
def test_a_long_answer_is_taken_by_its_bytes(client: str, upstream: str):
    words = [f"word{index} " for index in range(100)]
    stream = open_stream(client, upstream)
    chars = 0
    for event in events(upstream_bytes(upstream, words)):
        found = stream._frames.take(event, 0) if stream._frames.ready else None
        chars += 0 if found is None else len(found.text)
        stream.feed(event)
    assert chars > 0.9 * sum(map(len, words))


@pytest.mark.parametrize("client", ["messages", "chat"])
@pytest.mark.parametrize("upstream", ["messages", "chat"])
@given(texts=TEXTS, cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_what_is_only_text_reports_no_usage(
    client: str, upstream: str, texts: list[str], cuts: list[int]
):
    """A tap that sees the rest alone keeps what one keeps that sees it all."""
    data = upstream_bytes(upstream, [*texts, "a", "b", "c"])
    data = data.replace(b'"finish_reason": null', b'"finish_reason": null, "usage": null')
    data = data.replace(b'"finish_reason": "stop"', b'"usage": {"completion_tokens": 5}')
    seen, all_seen = UsageTap(), UsageTap()
    stream = open_stream(client, upstream)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for a, b in itertools.pairwise(edges):
        stream.feed(data[a:b])
        all_seen.feed(data[a:b])
        seen.feed(stream.notable)
    assert seen.text() == all_seen.text() != ""


def test_a_word_on_its_own_is_only_text():
    data = upstream_bytes("chat", ["one", "two", "three", "four"])
    events = [event + b"\n\n" for event in data.split(b"\n\n")[:-1]]
    stream = open_stream("messages", "chat")
    known = []
    for event in events:
        stream.feed(event)
        known.append(not stream.notable)
    # The first of four words opens a block; two teach what stands around them.
    assert known == [False, False, False, False, True, False, False]
