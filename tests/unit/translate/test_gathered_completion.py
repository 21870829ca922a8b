"""A Chat stream as the completion it stands for: nothing of it is lost."""

import json
from typing import Any

import pytest

from tollbridge.errors import ErrorCode
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity
from tollbridge.translate.gathered_completion import GatheredCompletion

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"
ASK = read_ask("chat", b'{"model":"mine","messages":[{"role":"user","content":"x"}]}')
ENVELOPE = {"id": "up-1", "object": "chat.completion.chunk", "created": 7, "model": "theirs"}


def gatherer() -> GatheredCompletion:
    return GatheredCompletion(ASK, Identity("req_1", "m1", 1))


def chunk(delta: Json | None = None, finish: str | None = None, **more: Any) -> Json:
    choice: Json = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    members = {name: more.pop(name) for name in ("logprobs", "stop_reason") if name in more}
    return {**ENVELOPE, "choices": [{**choice, **members}], **more}


def feed(answer: GatheredCompletion, *chunks: Json, end: bytes = DONE) -> GatheredCompletion:
    for one in chunks:
        said = answer.feed(b"data: %b\n\n" % json.dumps(one).encode())
        assert said == b"" or answer.failure is not None, "only an error is told at once"
    answer.feed(end)
    answer.close()
    return answer


def completion(*chunks: Json, end: bytes = DONE) -> Json:
    answer = feed(gatherer(), *chunks, end=end)
    assert answer.failure is None
    assert answer.finished
    return json.loads(answer.reply().body)


def test_every_member_of_the_stream_is_in_the_answer() -> None:
    whole = completion(
        chunk({"role": "assistant", "content": None}, system_fingerprint="b1"),
        chunk({"reasoning_content": "Let me "}),
        chunk({"reasoning_content": "see."}),
        chunk({"content": "It "}, logprobs={"content": [{"token": "It "}]}),
        chunk({"content": "floats."}, logprobs={"content": [{"token": "floats."}]}),
        chunk({"annotations": [{"a": 1}]}),
        chunk({"annotations": [{"a": 2}], "vendor": "last"}),
        chunk({}, "stop", stop_reason="END", service_tier="default", obfuscation="xx"),
        {**ENVELOPE, "choices": [], "usage": {"prompt_tokens": 9, "extra": 1}, "timings": {"ms": 2}},
    )  # fmt: skip
    assert whole == {
        "id": "up-1", "object": "chat.completion", "created": 7, "model": "mine",
        "system_fingerprint": "b1", "service_tier": "default",
        "usage": {"prompt_tokens": 9, "extra": 1}, "timings": {"ms": 2},
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": "It floats.", "reasoning_content": "Let me see.",
                "annotations": [{"a": 1}, {"a": 2}], "vendor": "last",
            },
            "finish_reason": "stop", "stop_reason": "END",
            "logprobs": {"content": [{"token": "It "}, {"token": "floats."}]},
        }],
    }  # fmt: skip


def test_choices_that_alternate() -> None:
    def piece(index: int, text: str, finish: str | None = None) -> Json:
        return {
            **ENVELOPE,
            "choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}],
        }

    whole = completion(piece(1, "b"), piece(0, "a"), piece(1, "B", "length"), piece(0, "A", "stop"))
    told = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in whole["choices"]]
    assert told == [(0, "aA", "stop"), (1, "bB", "length")]


def test_calls_that_alternate() -> None:
    def part(index: int, **members: Any) -> Json:
        return chunk({"tool_calls": [{"index": index, **members}]})

    whole = completion(
        part(1, id="b", type="function", function={"name": "g", "arguments": ""}),
        part(0, id="a", type="function", function={"name": "f", "arguments": '{"x"'}),
        part(1, function={"arguments": "{}"}),
        part(0, id="a", function={"name": "f", "arguments": ":1}"}),
        chunk({}, "tool_calls"),
    )
    assert whole["choices"][0]["message"] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_calls_without_an_index() -> None:
    def part(**members: Any) -> Json:
        return chunk({"tool_calls": [members]})

    whole = completion(
        part(id="a", function={"name": "f", "arguments": "{"}),
        part(function={"arguments": "}"}),
        part(id="b", function={"name": "g", "arguments": "{}"}),
        chunk({}, "tool_calls"),
    )
    calls = whole["choices"][0]["message"]["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [("a", "{}"), ("b", "{}")]


def test_the_usage_that_stands_in_a_choice() -> None:
    one = chunk({"content": "x"}, "stop")
    one["choices"][0]["usage"] = {"prompt_tokens": 4, "completion_tokens": 1}
    answer = feed(gatherer(), one)
    whole = json.loads(answer.reply().body)
    assert whole["usage"] == {"prompt_tokens": 4, "completion_tokens": 1}
    assert "usage" not in whole["choices"][0]
    assert answer.usage is not None
    assert (answer.usage.input, answer.usage.output) == (4, 1)


def test_what_is_generated_is_counted() -> None:
    answer = feed(
        gatherer(),
        chunk({"reasoning_content": "x" * 40}),
        chunk({"function_call": {"name": "f", "arguments": "y" * 40}}, "function_call"),
    )
    assert answer.counted_output == 20
    assert json.loads(answer.reply().body)["choices"][0]["message"]["function_call"]["name"] == "f"


@pytest.mark.parametrize("end", [b"", DONE])
def test_an_end_without_a_finish_reason_is_a_cut(end: bytes) -> None:
    answer = feed(gatherer(), chunk({"content": "half an ans"}), end=end)
    assert answer.failure is not None
    assert answer.failure.code is ErrorCode.UPSTREAM_TRUNCATED
    assert not answer.finished


def test_an_end_without_done_is_an_end() -> None:
    assert (
        completion(chunk({"content": "x"}, "stop"), end=b"")["choices"][0]["finish_reason"]
        == "stop"
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"error": {"message": "Busy", "type": "overloaded_error"}}, ErrorCode.UPSTREAM_OVERLOADED),
        ({"error": "Gone"}, ErrorCode.UPSTREAM_FAILED),
        ({"choices": [{"index": n, "delta": {}} for n in range(129)]}, ErrorCode.UPSTREAM_FAILED),
        ({"choices": 3}, ErrorCode.UPSTREAM_FAILED),
        ([], ErrorCode.UPSTREAM_FAILED),
    ],
)
def test_errors_end_it(data: Any, code: ErrorCode) -> None:
    answer = feed(gatherer(), data)
    assert answer.failure is not None
    assert answer.failure.code is code


def test_members_of_another_kind_are_no_reason_to_fail() -> None:
    whole = completion(
        chunk({"content": "x"}, logprobs={"content": 3, "refusal": None}),
        chunk({}, "stop", logprobs={"content": [1]}),
    )
    assert whole["choices"][0]["logprobs"] == {"content": [1], "refusal": None}
