import json

import pytest
from msgspec.structs import replace

from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Bridge, Identity, UpstreamTerms
from tollbridge.translate.chat_on_messages import ChatOnMessages
from tollbridge.translate.messages_on_chat import MessagesOnChat
from tollbridge.translate.pairs import open_bridge
from tollbridge.translate.unknown_members import (
    EVENTS_MAX,
    LOOK_BYTES_MAX,
    SAMPLE,
    is_sampled,
    note_chat_answer,
    note_inside,
    note_messages_answer,
    note_messages_event,
)
from tollbridge.translate.unknown_names import UnknownNames

IDENTITY = Identity("req_1", "abc", 1_700_000_000)
TERMS = UpstreamTerms("up", "generic", 50)


def messages_bridge(**members: object) -> MessagesOnChat:
    asked = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    body = json.dumps({**asked, **members}).encode()
    return MessagesOnChat(read_ask("messages", body), body, IDENTITY)


def chat_bridge(**members: object) -> ChatOnMessages:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    body = json.dumps({**asked, **members}).encode()
    return ChatOnMessages(read_ask("chat", body), body, IDENTITY)


def unknown(bridge: Bridge) -> list[tuple[str, str]]:
    bridge.request(TERMS)
    bridge.request(TERMS)
    return bridge.unknown.names()


def test_what_is_known_is_not_noted():
    turns = [
        {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]},
        {"role": "system", "content": [{"type": "tool_addition"}]},
    ]
    known = messages_bridge(
        speed="fast", tools=[{"type": "web_search_20990101", "name": "web_search"}], messages=turns
    )
    assert unknown(known) == []
    assert known.dropped == ("tools.web_search_20990101", "messages.content.tool_addition")
    assert unknown(chat_bridge(seed=1, prompt_cache_key="k")) == []


def test_a_messages_request_of_tomorrow():
    block = {"type": "hologram", "id": 5}
    bridge = messages_bridge(
        mood="gay",
        tools=[{"type": "teleport_20990101", "name": "t"}],
        messages=[{"role": "user", "content": [block, {"type": "text", "text": "Hi"}]}],
    )
    assert unknown(bridge) == [
        ("messages request field", "mood"),
        ("messages tool kind", "teleport"),
        ("messages content block", "hologram"),
    ]


def test_a_chat_request_of_tomorrow():
    part = {"type": "smell", "smell": {}}
    bridge = chat_bridge(mood="gay", messages=[{"role": "user", "content": [part]}])
    assert unknown(bridge) == [
        ("chat request field", "mood"),
        ("chat content part", "smell"),
    ]


def test_a_messages_stream_of_tomorrow():
    bridge = chat_bridge()
    bridge.request(TERMS)
    stream = bridge.stream()
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 1}}}
    for event in (
        start,
        {"type": "weather", "sunny": True},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "hologram"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "scent_delta", "scent": "x"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta"}},
        {"type": "ping"},
    ):
        stream.feed(
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        )
    assert stream.failure is None
    assert bridge.unknown.names() == [
        ("messages event", "weather"),
        ("messages answer block", "hologram"),
        ("messages delta", "scent_delta"),
    ]


@pytest.mark.parametrize(
    ("delta", "names"),
    [
        ({"content": None, "mood": "gay"}, ["mood"]),
        ({"mood": "gay", "audio": {}}, ["mood"]),
        ({"role": "assistant", "content": ""}, []),
        ({}, []),
    ],
)
def test_a_chat_delta_that_says_nothing_known(delta: dict, names: list[str]):
    bridge = messages_bridge()
    bridge.request(TERMS)
    stream = bridge.stream()
    chunk = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    stream.feed(b"data: %b\n\n" % json.dumps(chunk).encode())
    assert [name for _, name in bridge.unknown.names()] == names


def test_long_bodies_are_not_read_a_second_time():
    long = [{"role": "user", "content": "x" * LOOK_BYTES_MAX}]
    assert unknown(messages_bridge(mood="gay", messages=long)) == []


# One exchange of a sample is looked at closely, whatever the pair.

SAMPLED = Identity("req_1", "ab40", 1_700_000_000)
BLOCK = {"type": "text", "text": "Hi", "scent": 1, "cache_control": {}}
TURNS = [{"role": "user", "content": [BLOCK]}]
ADDED: dict[Protocol, str] = {"messages": "block member", "chat": "part member"}


def sampled(
    client: Protocol, upstream: Protocol, identity: Identity = SAMPLED, **members: object
) -> Bridge:
    asked = {"model": "up", "max_tokens": 50, "messages": TURNS, "mood": "gay", **members}
    body = json.dumps(asked).encode()
    bridge = open_bridge(client, upstream, read_ask(client, body), body, identity)
    bridge.request(TERMS)
    return bridge


def test_one_of_so_many_is_in_the_sample():
    ids = [f"{number:024x}" for number in range(1024)]
    chosen = [one for one in ids if is_sampled(replace(SAMPLED, message_id=one))]
    assert len(chosen) * SAMPLE == len(ids)


@pytest.mark.parametrize("client", ADDED)
@pytest.mark.parametrize("upstream", ADDED)
def test_inside_of_known_blocks_and_in_bytes_that_pass(client: Protocol, upstream: Protocol):
    expected = {(f"{client} request field", "mood"), (f"{client} {ADDED[client]}", "scent")}
    if client == "chat":
        expected.add(("chat part member", "cache_control"))
    assert set(sampled(client, upstream).unknown.names()) == expected


@pytest.mark.parametrize("protocol", ADDED)
def test_bytes_that_pass_are_not_looked_at_out_of_the_sample(protocol: Protocol):
    asked = {"stream_options": {"include_usage": True}} if protocol == "chat" else {}
    bridge = sampled(protocol, protocol, IDENTITY, stream=True, **asked)
    assert bridge.unknown.names() == []
    renamed = sampled(protocol, protocol, IDENTITY, model="mine")
    assert renamed.unknown.names() == [(f"{protocol} request field", "mood")], "read anyway"


def test_long_bodies_are_looked_at_in_the_sample():
    long = [{"role": "user", "content": "x" * LOOK_BYTES_MAX}]
    bridge = sampled("messages", "chat", messages=long)
    assert bridge.unknown.names() == [("messages request field", "mood")]


def test_a_completion_and_a_chunk_that_pass():
    said = {"content": "x", "scent": 1}
    choice = {"index": 0, "finish_reason": "stop", "colour": 1, "message": said}
    bridge = sampled("chat", "chat")
    bridge.reply(json.dumps({"choices": [choice], "weather": 1, "model": "up"}).encode())
    assert set(bridge.unknown.names()) >= {
        ("chat answer field", "weather"), ("chat choice field", "colour"), ("chat delta", "scent"),
    }  # fmt: skip
    streaming = sampled("chat", "chat", stream=True)
    stream = streaming.stream()
    for name in ["scent"] * EVENTS_MAX + ["too_late"]:
        # The escape that is none of ours keeps it from being taken by its bytes, without a look.
        chunk = {"choices": [{"index": 0, "delta": {"content": "é", name: 1}}]}
        stream.feed(b"data: %b\n\n" % json.dumps(chunk).encode())
    names = streaming.unknown.names()
    assert ("chat delta", "scent") in names
    assert ("chat delta", "too_late") not in names


def test_a_message_and_events_that_pass():
    bridge = sampled("messages", "messages")
    content = [{"type": "text", "text": "x"}, {"type": "hologram"}]
    message = {"type": "message", "model": "up", "content": content, "weather": 1}
    bridge.reply(json.dumps(message).encode())
    assert set(bridge.unknown.names()) >= {
        ("messages answer field", "weather"), ("messages answer block", "hologram"),
    }  # fmt: skip
    streaming = sampled("messages", "messages", stream=True)
    stream = streaming.stream()
    for event in (
        {"type": "message_start", "message": {}},
        {"type": "weather"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "hologram"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "scent_delta"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"ink": 1}},
    ):
        stream.feed(b"event: x\ndata: %b\n\n" % json.dumps(event).encode())
    assert set(streaming.unknown.names()) >= {
        ("messages event", "weather"), ("messages answer block", "hologram"),
        ("messages delta", "scent_delta"), ("messages usage field", "ink"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"choices":3}', b'{"content":[3]}', b'{"type":3}', b"[" * 5000]
)
def test_what_is_of_another_shape_is_not_minded(data: bytes):
    names = UnknownNames()
    note_chat_answer(data, names)
    note_messages_answer(data, names)
    note_messages_event(data, names)
    note_inside("chat", data, SAMPLED, names)
    assert {name for _, name in names.names()} <= {"choices", "content", "type"}
