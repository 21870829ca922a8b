import json

import msgspec
import pytest
from tests.unit.translate.chat_streams import bridged, tool_result, tool_use, user

from tollbridge.translate.unknown_blocks import (
    reduce_unknown_answer,
    reduce_unknown_blocks,
    reduce_unknown_event,
)

NEW = {"type": "hologram", "text": {"depth": 3}, "source": [1]}


def test_a_block_of_tomorrow_does_not_refuse_the_request():
    blocks = [
        {"type": "text", "text": "a"},
        NEW,
        tool_result("c", [NEW, {"type": "text", "text": "b"}]),
    ]
    sent, bridge = bridged({"messages": [user(blocks)]})
    assert [message["content"] for message in sent["messages"]] == ["b", "a"]
    assert bridge.dropped == ("messages.content.hologram",)


def test_only_unknown_blocks_are_touched():
    body = {
        "messages": [user("a"), {"role": "assistant", "content": [tool_use("c", "f", {"x": 1})]}]
    }
    assert reduce_unknown_blocks(msgspec.json.encode(body)) is None
    for odd in ([], {"messages": 7}, {"messages": [7, {"content": [7]}]}):
        assert reduce_unknown_blocks(msgspec.json.encode(odd)) is None


@pytest.mark.parametrize(
    ("event", "reduced"),
    [
        ({"type": "tomorrow", "index": {}}, {"type": "tomorrow"}),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "t", "text": 1}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "t"}},
        ),
        (
            {"type": "content_block_delta", "index": 0, "delta": {"type": "t", "text": []}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "t"}},
        ),
        ({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}, None),
        ({"type": "tomorrow"}, None),
        ({"type": 1}, None),
        ([], None),
    ],
)
def test_events_of_unknown_types_are_reduced_to_them(event: object, reduced: object):
    found = reduce_unknown_event(json.dumps(event).encode())
    assert (found and json.loads(found)) == reduced


def test_what_is_no_json_cannot_be_reduced():
    assert reduce_unknown_event(b"{") is reduce_unknown_answer(b"\xff") is None


def test_answers_keep_the_blocks_that_are_known():
    content = [{"type": "t", "text": {}}, {"type": "text", "text": "x"}]
    found = reduce_unknown_answer(json.dumps({"content": content}).encode())
    assert found is not None
    assert json.loads(found)["content"] == [{"type": "t"}, content[1]]
    assert reduce_unknown_answer(b'{"content":[{"type":"text","text":"x"}]}') is None
