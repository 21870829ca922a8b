import json
from typing import get_args

import msgspec
from hypothesis import given
from tests.unit.wire.vendors import any_json, check_only_declared_errors

from tollbridge.wire.messages.responses import ErrorBody, Message, StopReason, Usage

DECODER = msgspec.json.Decoder(Message)
ANSWER = b"""{
 "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
 "content": [
  {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
  {"type": "text", "text": "Hello", "citations": null},
  {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q" : 1}},
  {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1",
   "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}}
 ],
 "stop_reason": "refusal", "stop_sequence": null,
 "stop_details": {"type": "refusal", "category": "x", "new": 1},
 "usage": {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3,
  "cache_creation": {"ephemeral_5m_input_tokens": 0}, "output_tokens": 9,
  "output_tokens_details": {"thinking_tokens": 2}, "service_tier": "standard", "iterations": []},
 "container": null, "diagnostics": {"cache_miss_reason": "x"}
}"""


def test_a_real_answer():
    message = DECODER.decode(ANSWER)
    assert [block.type for block in message.content] == [
        "thinking", "text", "server_tool_use", "web_search_tool_result",
    ]  # fmt: skip
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.category == "x"
    assert message.usage.cache_read_input_tokens == 3
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens == 2
    assert b'{"q" : 1}' in msgspec.json.encode(message)


def test_the_message_is_written_with_every_member_but_usage_only_with_what_is_known():
    written = json.loads(
        msgspec.json.encode(Message(id="msg_1", model="m", usage=Usage(output_tokens=0)))
    )
    assert written == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None, "stop_details": None,
        "usage": {"output_tokens": 0},
    }  # fmt: skip


def test_a_stop_reason_of_tomorrow_is_kept():
    message = DECODER.decode(ANSWER.replace(b'"refusal", "stop_seq', b'"tomorrow", "stop_seq'))
    assert message.stop_reason == "tomorrow"
    assert "tomorrow" not in get_args(StopReason)


def test_errors_of_imitators_are_read_too():
    decoder = msgspec.json.Decoder(ErrorBody)
    full = decoder.decode(
        b'{"type":"error","error":{"type":"overloaded_error","message":"M","details":{}},"request_id":"r"}'
    )
    assert (full.error.type, full.error.message, full.request_id) == ("overloaded_error", "M", "r")
    assert decoder.decode(b'{"error":{}}').error.type == "api_error"


@given(any_json(*Message.__struct_fields__, *Usage.__struct_fields__))
def test_nothing_but_the_declared_error(body: bytes):
    check_only_declared_errors(body, DECODER)
