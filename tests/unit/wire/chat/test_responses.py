import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from tests.unit.wire.vendors import any_json, check_only_declared_errors

from tollbridge.wire.chat.responses import (
    ChatError,
    ChatUsage,
    Choice,
    Completion,
    FinishReason,
    Reply,
)

DECODER = msgspec.json.Decoder(Completion)
ANSWER = b"""{
 "id": "chatcmpl-1", "object": "chat.completion", "created": 1800000000, "model": "gpt",
 "system_fingerprint": "fp", "service_tier": "default",
 "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": {"content" : []},
  "message": {"role": "assistant", "content": null, "refusal": null, "annotations": [],
   "tool_calls": [{"id": "call_1", "type": "function",
    "function": {"name": "f", "arguments": "{}"}}]}}],
 "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
  "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
  "completion_tokens_details": {"reasoning_tokens": 2}}
}"""


def test_a_real_answer():
    completion = DECODER.decode(ANSWER)
    assert completion.choices is not None
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].id == "call_1"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 4
    assert completion.error is None
    assert b'{"content" : []}' in msgspec.json.encode(completion)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
        {"prompt_tokens": 9, "cached_tokens": 4},
        {"prompt_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0},
        {"prompt_tokens": None, "prompt_tokens_details": None, "estimated_cost": 0.1},
        {},
    ],
)
def test_other_servers_names_of_cached_tokens(usage: dict[str, object]):
    decoded = msgspec.json.decode(json.dumps(usage), type=ChatUsage)
    written = json.loads(msgspec.json.encode(decoded))
    known = ChatUsage.__struct_fields__
    assert written == {n: v for n, v in usage.items() if n in known and v is not None}


@pytest.mark.parametrize("reason", [17, "</s>", None])
def test_what_vllm_and_sglang_add(reason: str | int | None):
    body = {"message": {}, "finish_reason": "stop", "stop_reason": reason, "matched_stop": reason}
    choice = msgspec.json.decode(json.dumps(body), type=Choice)
    assert (choice.stop_reason, choice.matched_stop) == (reason, reason)


def test_a_finish_reason_of_tomorrow_is_kept():
    completion = DECODER.decode(ANSWER.replace(b'"tool_calls", "log', b'"tomorrow", "log'))
    assert completion.choices is not None
    assert completion.choices[0].finish_reason == "tomorrow"
    assert "tomorrow" not in get_args(FinishReason)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ('{"message":"M","type":"t","param":null,"code":"c"}', "c"),
        ('{"message":"M","code":429}', 429),
        ('{"message":"M"}', None),
    ],
)
def test_an_error_inside_an_answer(error: str, code: str | int | None):
    completion = DECODER.decode(f'{{"error":{error}}}')
    assert isinstance(completion.error, ChatError)
    assert (completion.error.message, completion.error.code) == ("M", code)
    assert DECODER.decode('{"error":"plain text"}').error == "plain text"


def test_role_and_content_are_always_written():
    assert json.loads(msgspec.json.encode(Reply())) == {"role": "assistant", "content": None}
    told = json.loads(msgspec.json.encode(Reply(content="", refusal="no")))
    assert told == {"role": "assistant", "content": "", "refusal": "no"}


@given(any_json(*Completion.__struct_fields__, *Choice.__struct_fields__, *Reply.__struct_fields__))
def test_nothing_but_the_declared_error(body: bytes):
    check_only_declared_errors(body, DECODER)
