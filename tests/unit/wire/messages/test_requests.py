import json

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET, Raw
from tests.unit.wire.vendors import any_json, check_only_declared_errors

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.wire.codec import decode
from tollbridge.wire.messages.requests import Block, MessagesRequest, Source

DECODER = msgspec.json.Decoder(MessagesRequest)
RAW_INPUT = b'{"b" : 1.0,"a":\t[1e3, "\\u00e9"] }'

AGENT = b"""{
 "model": "claude", "max_tokens": 32000, "stream": true,
 "system": [{"type": "text", "text": "You are", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
 "thinking": {"type": "enabled", "budget_tokens": 4000},
 "metadata": {"user_id": "{\\"device\\": 1}"},
 "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
 "tools": [
  {"name": "Bash", "description": "Runs", "input_schema": {"type": "object", "z": 1, "a": 2}},
  {"type": "web_search_20260101", "name": "web_search", "max_uses": 3},
  {"type": "browser_toolset_20260801"}
 ],
 "tool_choice": {"type": "tool", "name": "Bash", "disable_parallel_tool_use": true},
 "messages": [
  {"role": "user", "content": "Hello"},
  {"role": "assistant", "content": [
   {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
   {"type": "redacted_thinking", "data": "b3BhcXVl"},
   {"type": "text", "text": "I run it"},
   {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": %s, "caller": {"type": "direct"}}
  ]},
  {"role": "user", "content": [
   {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
    {"type": "text", "text": "no"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
   ]},
   {"type": "document", "title": "T", "source": {"type": "content", "content": [
    {"type": "text", "text": "page"}]}},
   {"type": "search_result", "source": "https://x.example", "title": "S",
    "content": [{"type": "text", "text": "found"}]},
   {"type": "hologram", "depth": 3}
  ]},
  {"role": "system", "content": "Later"}
 ]
}""".replace(b"%s", RAW_INPUT)


def test_an_agents_request():
    request = DECODER.decode(AGENT)
    assert (request.model, request.max_tokens, request.stream) == ("claude", 32000, True)
    assert isinstance(request.system, list)
    control = request.system[0].cache_control
    assert isinstance(control, Raw)
    assert bytes(control) == b'{"type": "ephemeral", "ttl": "1h"}'
    assert request.thinking is not None
    assert request.thinking.budget_tokens == 4000
    assert request.tools is not None
    assert [tool.name for tool in request.tools] == ["Bash", "web_search", None]
    assert request.tools[2].input_schema is UNSET
    schema = request.tools[0].input_schema
    assert isinstance(schema, Raw)
    assert bytes(schema) == b'{"type": "object", "z": 1, "a": 2}'
    turn = request.messages[1]
    assert isinstance(turn.content, list)
    assert [block.type for block in turn.content] == [
        "thinking", "redacted_thinking", "text", "tool_use",
    ]  # fmt: skip
    assert isinstance(turn.content[3].input, Raw)
    assert bytes(turn.content[3].input) == RAW_INPUT
    results = request.messages[2].content
    assert isinstance(results, list)
    assert isinstance(results[0].content, list)
    assert isinstance(results[0].content[1].source, Source)
    assert results[0].content[1].source.data == "aaaa"
    assert isinstance(results[1].source, Source)
    assert isinstance(results[1].source.content, list)
    assert results[2].source == "https://x.example"
    assert results[3] == Block(type="hologram")


def test_raw_members_keep_their_bytes_when_written():
    written = msgspec.json.encode(DECODER.decode(AGENT))
    assert RAW_INPUT in written
    assert b'{"type": "object", "z": 1, "a": 2}' in written


def test_what_is_absent_is_not_written():
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    assert json.loads(msgspec.json.encode(decode(json.dumps(body).encode(), DECODER))) == body
    assert msgspec.json.encode(Block(type="text", text="")) == b'{"type":"text","text":""}'


def test_null_and_absent_cache_control_differ_where_bytes_matter():
    block = msgspec.json.decode(b'{"type":"text","text":"x","cache_control":null}', type=Block)
    assert isinstance(block.cache_control, Raw)
    assert bytes(block.cache_control) == b"null"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ('[{"text": "x"}]', "messages[0].content[0].type"),
        ('[{"type": "tool_result", "tool_use_id": 5}]', "messages[0].content[0].tool_use_id"),
        ('[{"type": "image", "source": {}}]', "messages[0].content[0].source.type"),
        ('[{"type": "x", "content": [{"type": 1}]}]', "messages[0].content[0].content[0].type"),
        ("null", "messages[0].content"),
    ],
)
def test_a_wrong_block_is_named(content: str, field: str):
    body = f'{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":{content}}}]}}'
    with pytest.raises(GatewayError) as caught:
        decode(body.encode(), DECODER)
    assert caught.value.code in {ErrorCode.FIELD_INVALID, ErrorCode.FIELD_MISSING}
    assert caught.value.field == field


@given(any_json(*MessagesRequest.__struct_fields__, *Block.__struct_fields__))
def test_nothing_but_the_declared_error(body: bytes):
    check_only_declared_errors(body, DECODER)
