import json

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET, Raw
from tests.unit.wire.vendors import any_json, check_only_declared_errors

from tollbridge.errors import GatewayError
from tollbridge.wire.chat.requests import (
    ChatMessage,
    ChatRequest,
    NamedTool,
    Part,
    ToolChoiceObject,
)
from tollbridge.wire.codec import decode

DECODER = msgspec.json.Decoder(ChatRequest)
SCHEMA = b'{"type" : "object",  "properties":{"z":{},"a":{}}, "maximum":1.0}'

AGENT = b"""{
 "model": "gpt", "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
 "max_completion_tokens": 100, "n": 2, "stop": ["a", "b"], "logit_bias": {"50256": -100},
 "reasoning_effort": "high", "min_p": 0.1, "chat_template_kwargs": {"enable_thinking": false},
 "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": %s, "strict": true}},
 "tools": [
  {"type": "function", "function": {"name": "f", "parameters": %s}},
  {"type": "function", "function": {"name": "bare"}},
  {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
  {"type": "tool_of_tomorrow", "x": 1}
 ],
 "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto",
  "tools": [{"type": "function", "function": {"name": "f"}}]}},
 "messages": [
  {"role": "developer", "content": [{"type": "text", "text": "Be brief"}]},
  {"role": "user", "name": "ann", "content": [
   {"type": "text", "text": "What is it?", "prompt_cache_breakpoint": {"mode": "explicit"}},
   {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa", "detail": "low"}},
   {"type": "file", "file": {"file_data": "data:,x", "filename": "x.pdf"}},
   {"type": "hologram", "depth": 3}
  ]},
  {"role": "assistant", "content": null, "reasoning_content": "hm",
   "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}],
   "tool_calls": [
    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}},
    {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "free"}}
   ]},
  {"role": "tool", "tool_call_id": "call_1", "content": "done"},
  {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "done"}]}
 ]
}""".replace(b"%s", SCHEMA)


def test_an_agents_request():
    request = DECODER.decode(AGENT)
    assert (request.model, request.n, request.stop) == ("gpt", 2, ["a", "b"])
    assert request.stream_options is not None
    assert request.stream_options.include_usage is True
    assert isinstance(request.logit_bias, Raw)
    assert bytes(request.logit_bias) == b'{"50256": -100}'
    assert request.tools is not None
    assert request.tools[0].function is not None
    assert isinstance(request.tools[0].function.parameters, Raw)
    assert bytes(request.tools[0].function.parameters) == SCHEMA
    assert request.tools[1].function is not None
    assert request.tools[1].function.parameters is UNSET
    assert request.tools[2].custom is not None
    assert request.tools[3].type == "tool_of_tomorrow"
    assert isinstance(request.tool_choice, ToolChoiceObject)
    assert request.tool_choice.allowed_tools is not None
    assert request.tool_choice.allowed_tools.tools[0].function == NamedTool(name="f")
    user = request.messages[1].content
    assert isinstance(user, list)
    assert [part.type for part in user] == ["text", "image_url", "file", "hologram"]
    assert user[1].image_url is not None
    assert user[1].image_url.detail == "low"
    assert user[3] == Part(type="hologram")
    calls = request.messages[2].tool_calls
    assert calls is not None
    assert calls[0].function is not None
    assert calls[0].function.arguments == '{"a": 1}'
    assert calls[1].custom is not None
    assert calls[1].custom.input == "free"


def test_raw_members_keep_their_bytes_when_written():
    assert msgspec.json.encode(DECODER.decode(AGENT)).count(SCHEMA) == 2


def test_what_is_absent_is_not_written():
    body = {"model": "m", "messages": [{"role": "user", "content": ""}], "stop": "x", "n": 1}
    written = json.loads(msgspec.json.encode(decode(json.dumps(body).encode(), DECODER)))
    assert written == body
    assert msgspec.json.encode(ChatMessage(role="assistant")) == b'{"role":"assistant"}'


@pytest.mark.parametrize("tool_choice", ["auto", "none", "required", "tomorrow"])
def test_plain_words_of_tool_choice(tool_choice: str):
    body = {"model": "m", "messages": [], "tool_choice": tool_choice, "function_call": "auto"}
    request = decode(json.dumps(body).encode(), DECODER)
    assert (request.tool_choice, request.function_call) == (tool_choice, "auto")


@pytest.mark.parametrize(
    ("member", "field"),
    [
        ('"messages":[{"content":"x"}]', "messages[0].role"),
        ('"messages":[{"role":"user","content":5}]', "messages[0].content"),
        ('"messages":[{"role":"user","content":["x"]}]', "messages[0].content[0]"),
        ('"messages":[],"tools":[{"type":"function","function":{}}]', "tools[0].function.name"),
        ('"messages":[],"stop":5', "stop"),
        ('"messages":[],"stop":[5]', "stop[0]"),
        ('"messages":[],"response_format":{}', "response_format.type"),
    ],
)
def test_a_wrong_member_is_named(member: str, field: str):
    with pytest.raises(GatewayError) as caught:
        decode(f'{{"model":"m",{member}}}'.encode(), DECODER)
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field}: ")


@given(any_json(*ChatRequest.__struct_fields__, *ChatMessage.__struct_fields__, "function", "url"))
def test_nothing_but_the_declared_error(body: bytes):
    check_only_declared_errors(body, DECODER)
