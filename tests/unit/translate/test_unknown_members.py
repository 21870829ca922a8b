import json

import pytest

from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Bridge, Identity, UpstreamTerms
from tollbridge.translate.chat_on_messages import ChatOnMessages
from tollbridge.translate.messages_on_chat import MessagesOnChat
from tollbridge.translate.unknown_members import LOOK_BYTES_MAX

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
