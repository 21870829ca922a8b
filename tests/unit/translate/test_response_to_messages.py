from typing import Any

import msgspec
import pytest
from tests.unit.translate.chat_streams import Json, answer

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.response_to_messages import completion_to_message


def reply(
    message: Json, finish: str | None = "stop", of: AnswerTerms | None = None, **more: Any
) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = msgspec.json.encode({"id": "x", "choices": [choice], **more})
    value: Json = msgspec.json.decode(completion_to_message(body, of or answer()).body)
    return value


def test_a_whole_answer():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    message = {"reasoning_content": "t", "content": "Hi", "tool_calls": [call]}
    body = reply(message, "tool_calls", usage=usage)
    assert body["content"].pop(0)["thinking"] == "t"
    assert body == {
        "id": "msg_abc",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 5,
        },
    }


def test_a_client_that_did_not_ask_finds_the_text_first():
    body = reply({"reasoning": "t", "content": "Hi"}, of=answer(thinking=False))
    assert body["content"] == [{"type": "text", "text": "Hi"}]


def test_calls_without_index_and_with_arguments_as_an_object():
    calls = [{"function": {"name": name, "arguments": {"n": name}}} for name in ("f", "g")]
    body = reply({"content": None, "tool_calls": calls}, "stop")
    assert [block["input"] for block in body["content"]] == [{"n": "f"}, {"n": "g"}]
    assert body["stop_reason"] == "tool_use"


def test_an_answer_that_came_whole_needs_no_finish_reason():
    assert reply({"content": "Hi"}, None)["stop_reason"] == "end_turn"


def test_an_empty_answer_is_an_answer():
    body = reply({"content": ""})
    assert (body["content"], body["stop_reason"]) == ([], "end_turn")


def test_a_refusal_is_told_with_its_details():
    body = reply({"content": None, "refusal": "No."}, "stop")
    assert body["content"] == [{"type": "text", "text": "No."}]
    assert (body["stop_reason"], body["stop_details"]) == ("refusal", {"type": "refusal"})


def test_usage_as_reported_and_as_counted():
    body = msgspec.json.encode({"choices": [{"message": {"content": "word " * 40}}]})
    told = completion_to_message(body, answer())
    assert told.usage is None
    assert told.counted_output >= 40
    assert msgspec.json.decode(told.body)["usage"]["output_tokens"] == told.counted_output


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "m", "code": "insufficient_quota"}}, ErrorCode.UPSTREAM_QUOTA),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]},
         ErrorCode.UPSTREAM_TRUNCATED),
        ({"choices": [{"message": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]},
         ErrorCode.UPSTREAM_FAILED),
    ],
)  # fmt: skip
def test_failures_are_raised(body: Json, code: ErrorCode):
    with pytest.raises(GatewayError) as caught:
        completion_to_message(msgspec.json.encode(body), answer())
    assert caught.value.code is code
