"""The fold of a Messages stream."""

import json
from typing import Any

import msgspec
import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import BLOCKS_MAX
from tollbridge.wire.messages.events import Event
from tollbridge.wire.messages.fold import fold
from tollbridge.wire.messages.responses import Message

START = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}},
}
STOP = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 9},
    },
    {"type": "message_stop"},
]


def event(value: dict[str, Any]) -> Event:
    return msgspec.json.decode(json.dumps(value), type=Event)


def folded(*values: dict[str, Any]) -> Message:
    return fold([event(value) for value in [START, *values, *STOP]])


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def plain(message: Message) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(message))


def test_text_thinking_and_tools_in_order() -> None:
    message = folded(
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        {"type": "ping"},
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "Hel"},
            {"type": "text_delta", "text": "lo"},
            {"type": "citations_delta", "citation": {"b": 1, "a": 2}},
        ),
        *block(
            2,
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"z":1,'},
            {"type": "input_json_delta", "partial_json": ' "a": 2}'},
        ),
    )
    assert plain(message)["content"] == [
        {"type": "thinking", "thinking": "hmm", "signature": "sig"},
        {"type": "text", "text": "Hello", "citations": [{"b": 1, "a": 2}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"z": 1, "a": 2}},
    ]
    assert bytes(message.content[2].input) == b'{"z":1, "a": 2}', "the bytes are kept"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 7
    assert message.usage.output_tokens == 9


def test_litellm_13834_thinking_after_text_is_kept() -> None:
    message = folded(
        *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}),
        *block(
            1,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "b"},
        ),
    )
    assert [item.type for item in message.content] == ["text", "thinking"]


def test_litellm_17737_result_blocks_that_are_complete_in_their_start_are_kept() -> None:
    start = {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "title": "t"}],
    }
    assert plain(folded(*block(0, start)))["content"] == [start]


def test_a_tool_without_input_has_an_empty_object() -> None:
    message = folded(*block(0, {"type": "tool_use", "id": "a", "name": "f", "input": {}}))
    assert bytes(message.content[0].input) == b"{}"


def test_cut_input_is_a_string_and_never_a_whole_input() -> None:
    message = folded(
        *block(
            0,
            {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"cmd": "rm -r'},
        )
    )
    assert plain(message)["content"][0]["input"] == '{"cmd": "rm -r'


def test_the_events_are_not_changed() -> None:
    values = [
        START,
        *block(0, {"type": "text", "text": "a"}, {"type": "text_delta", "text": "b"}),
        *STOP,
    ]
    events = [event(value) for value in values]
    before = msgspec.json.encode(events)
    fold(events)
    assert msgspec.json.encode(events) == before
    assert fold(events).content[0].text == "ab"


@pytest.mark.parametrize(
    "values",
    [
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [
            *block(0, {"type": "text", "text": ""}),
            {"type": "content_block_delta", "index": 10**12, "delta": {"text": "x"}},
        ],
        [piece for n in range(BLOCKS_MAX + 1) for piece in block(n, {"type": "text"})],
        [{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}],
    ],
    ids=["no start", "hostile index", "too many blocks", "error"],
)
def test_events_out_of_order_are_an_upstream_failure(values: list[dict[str, Any]]) -> None:
    with pytest.raises(GatewayError) as caught:
        folded(*values)
    assert caught.value.code is ErrorCode.UPSTREAM_FAILED


def test_a_huge_index_costs_nothing() -> None:
    message = folded(
        *block(10**15, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"})
    )
    assert message.content[0].text == "x"


@pytest.mark.parametrize("length", range(1, 5))
def test_a_cut_stream_is_truncated(length: int) -> None:
    values = [START, *block(0, {"type": "text", "text": ""}), *STOP][:length]
    with pytest.raises(GatewayError) as caught:
        fold([event(value) for value in values])
    assert caught.value.code is ErrorCode.UPSTREAM_TRUNCATED
