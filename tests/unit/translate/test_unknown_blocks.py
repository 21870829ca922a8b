import msgspec
from tests.unit.translate.chat_streams import bridged, tool_result, tool_use, user

from tollbridge.translate.unknown_blocks import reduce_unknown_blocks

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
