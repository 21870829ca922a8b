"""A Messages answer as a Chat completion."""

import json
from typing import Any

import msgspec
import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.response_to_chat import (
    completion,
    finish_reason,
    output_text,
    read_answer,
)
from tollbridge.translate.tables import STOP_TO_FINISH
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.usage import TokenUsage

ASK = Ask(model="mine", stream=False, max_tokens=None, thinking=True)
USAGE = TokenUsage(input=5, cache_read=3, cache_write=2, output=7, reasoning=4)


def plan(*, legacy: bool = False, custom: str = "p") -> ToolPlan:
    result = ToolPlan()
    result.legacy = legacy
    result.custom.add(custom)
    return result


def said(
    *content: dict[str, Any], stop: str = "end_turn", tools: ToolPlan | None = None, **members: Any
) -> dict[str, Any]:
    body = {"content": list(content), "stop_reason": stop, **members}
    answer = read_answer(json.dumps(body).encode())
    got = completion(answer, USAGE, ASK, Identity("req_1", "abc", 7), tools or plan())
    return json.loads(msgspec.json.encode(got))


def message(*content: dict[str, Any], **members: Any) -> dict[str, Any]:
    return said(*content, **members)["choices"][0]["message"]


TEXT = {"type": "text", "text": "Hello "}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"z": 1, "a": 2}}


def test_the_whole_shape() -> None:
    got = said(TEXT, {"type": "text", "text": "world"})
    assert got == {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 7,
        "model": "mine",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello world"},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 7,
            "total_tokens": 17,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }


def test_cliproxyapi_2281_cached_tokens_are_prompt_tokens() -> None:
    assert said(TEXT)["usage"]["prompt_tokens"] == 5 + 3 + 2


def test_tool_calls_keep_their_bytes() -> None:
    body = b'{"content":[{"type":"tool_use","id":"t","name":"f","input":{"z":1.0, "a":[]}}]}'
    got = completion(read_answer(body), USAGE, ASK, Identity("r", "abc", 7), plan())
    assert got.choices is not None
    reply = got.choices[0].message
    assert reply.content is None
    assert reply.tool_calls is not None
    assert reply.tool_calls[0].function is not None
    assert reply.tool_calls[0].function.arguments == '{"z":1.0, "a":[]}'
    assert got.choices[0].finish_reason == "tool_calls"


def test_custom_and_legacy_calls() -> None:
    custom = {**CALL, "name": "p", "input": {"input": "free"}}
    assert message(custom)["tool_calls"] == [
        {"id": "toolu_1", "type": "custom", "custom": {"name": "p", "input": "free"}}
    ]
    got = said(CALL, stop="tool_use", tools=plan(legacy=True))["choices"][0]
    assert got["message"]["function_call"] == {"name": "f", "arguments": '{"z": 1, "a": 2}'}
    assert "tool_calls" not in got["message"]
    assert got["finish_reason"] == "function_call"


def test_thinking_with_what_is_needed_to_send_it_back() -> None:
    got = message(
        {"type": "thinking", "thinking": "a", "signature": "s1"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "b", "signature": ""},
        TEXT,
    )
    assert got["reasoning_content"] == "ab"
    assert got["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "a",
            "signature": "s1",
            "index": 0,
            "format": "anthropic-claude-v1",
        },
        {"type": "reasoning.encrypted", "data": "d", "index": 1, "format": "anthropic-claude-v1"},
    ]


def test_litellm_17254_tools_that_the_upstream_runs_are_no_calls_of_the_client() -> None:
    got = said(
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        TEXT,
        stop="end_turn",
    )["choices"][0]
    assert got["message"] == {"role": "assistant", "content": "Hello "}
    assert got["finish_reason"] == "stop"


def test_a_pause_is_no_clean_stop() -> None:
    assert said(TEXT, stop="pause_turn")["choices"][0]["finish_reason"] == "length"


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "x", "explanation": "No."}
    got = said(stop="refusal", stop_details=details)["choices"][0]
    assert got["finish_reason"] == "content_filter"
    assert got["message"] == {"role": "assistant", "content": None, "refusal": "No."}


def test_nothing_is_empty_text() -> None:
    assert message() == {"role": "assistant", "content": ""}


def test_every_stop_reason_has_its_finish_reason() -> None:
    for stop, finish in STOP_TO_FINISH.items():
        assert finish_reason(stop, called=False, plan=plan()) == finish
    assert finish_reason("new_reason", called=False, plan=plan()) == "stop"
    assert finish_reason(None, called=False, plan=plan()) == "stop"


@pytest.mark.parametrize("stop", ["end_turn", "stop_sequence", None])
def test_a_call_is_a_call_whatever_the_reason(stop: str | None) -> None:
    assert finish_reason(stop, called=True, plan=plan()) == "tool_calls"


@pytest.mark.parametrize(
    ("stop", "finish"), [("max_tokens", "length"), ("refusal", "content_filter")]
)
def test_a_call_that_was_cut_is_no_call(stop: str, finish: str) -> None:
    assert finish_reason(stop, called=True, plan=plan()) == finish


def test_cut_input_is_told_as_it_is() -> None:
    assert (
        message({**CALL, "input": '{"a": "b'})["tool_calls"][0]["function"]["arguments"]
        == '{"a": "b'
    )


def test_everything_generated_counts() -> None:
    answer = read_answer(
        json.dumps({"content": [TEXT, {"type": "thinking", "thinking": "hm"}, CALL]}).encode()
    )
    assert output_text(answer.content or []) == 'Hello hm{"z": 1, "a": 2}'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"type":"error","error":{"type":"rate_limit_error"}}', ErrorCode.UPSTREAM_RATE_LIMITED),
        (b'{"type":"message"}', ErrorCode.UPSTREAM_FAILED),
        (b"", ErrorCode.UPSTREAM_FAILED),
        (b"[" * 100_000, ErrorCode.UPSTREAM_FAILED),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, code: ErrorCode) -> None:
    with pytest.raises(GatewayError) as caught:
        read_answer(body)
    assert caught.value.code is code
