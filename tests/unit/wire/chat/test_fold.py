"""The fold of a Chat stream."""

import json
from typing import Any

import msgspec
import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import TOOL_CALLS_MAX
from tollbridge.wire.chat.chunks import Chunk
from tollbridge.wire.chat.fold import CHOICES_MAX, fold


def chunk(delta: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "created": 5, "model": "m", "choices": [choice], **members}


def call(index: int | None, arguments: str, **members: Any) -> dict[str, Any]:
    function = {"arguments": arguments}
    if "name" in members:
        function["name"] = members.pop("name")
    return {"index": index, "function": function, **members}


def folded(*values: dict[str, Any]) -> dict[str, Any]:
    chunks = [msgspec.json.decode(json.dumps(value), type=Chunk) for value in values]
    before = msgspec.json.encode(chunks)
    completion = fold(chunks)
    assert msgspec.json.encode(chunks) == before, "the chunks are not changed"
    return json.loads(msgspec.json.encode(completion))


END = chunk({}, "stop")


def test_text_reasoning_usage_and_finish() -> None:
    completion = folded(
        chunk({"role": "assistant", "content": ""}, usage=None),
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning_content": "m"}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        END,
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    )
    assert completion["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "reasoning_content": "hm"},
            "finish_reason": "stop",
        }
    ]
    assert completion["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}
    assert (completion["id"], completion["created"], completion["model"]) == ("c", 5, "m")


def test_usage_inside_a_choice() -> None:
    end = chunk({}, "stop")
    end["choices"][0]["usage"] = {"prompt_tokens": 1}
    assert folded(end)["usage"] == {"prompt_tokens": 1}


def test_interleaved_tool_calls_and_repeated_ids() -> None:
    completion = folded(
        chunk({"tool_calls": [call(0, "", id="a", type="function", name="f")]}),
        chunk(
            {"tool_calls": [call(1, "[", id="b", name="g"), call(0, '{"x"', id="a", name="f")]},
        ),
        chunk({"tool_calls": [call(0, ":1}"), call(1, "]")]}, "tool_calls"),
    )
    assert completion["choices"][0]["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "[]"}},
    ]


def test_tool_calls_without_an_index() -> None:
    completion = folded(
        chunk({"tool_calls": [call(None, "{", id="a", name="f")]}),
        chunk({"tool_calls": [call(None, "}")]}),
        chunk({"tool_calls": [call(None, "{}", id="b", name="g")]}, "tool_calls"),
    )
    calls = completion["choices"][0]["message"]["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [("a", "{}"), ("b", "{}")]


def test_custom_calls_and_legacy_functions() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "p", "input": "x"}}
    legacy = {"function_call": {"name": "f", "arguments": "{}"}}
    message = folded(chunk({"tool_calls": [custom]}), chunk(legacy), END)["choices"][0]["message"]
    assert message["tool_calls"][0]["custom"] == {"name": "p", "input": "x"}
    assert message["function_call"] == {"name": "f", "arguments": "{}"}


def test_reasoning_details_grow_by_index() -> None:
    def detail(**members: Any) -> dict[str, Any]:
        return chunk({"reasoning_details": [members]})

    message = folded(
        detail(type="reasoning.text", index=0, text="a"),
        detail(type="reasoning.text", index=0, text="b"),
        detail(type="reasoning.text", index=0, signature="s"),
        detail(type="reasoning.encrypted", index=1, data="d"),
        END,
    )["choices"][0]["message"]
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "ab", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "index": 1},
    ]


def test_several_choices_in_order() -> None:
    values = [
        {"choices": [{"index": n, "delta": {"content": str(n)}, "finish_reason": "stop"}]}
        for n in (1, 0)
    ]
    assert [c["message"]["content"] for c in folded(*values)["choices"]] == ["0", "1"]


@pytest.mark.parametrize(
    "values",
    [
        [{"choices": [{"index": n, "delta": {}}]} for n in range(CHOICES_MAX + 1)],
        [chunk({"tool_calls": [call(n, "") for n in range(TOOL_CALLS_MAX + 1)]})],
        [{"error": {"message": "broken"}}],
        [{"error": "broken"}],
    ],
    ids=["choices", "tool calls", "error", "error text"],
)
def test_hostile_and_failed_streams_are_an_upstream_failure(values: list[dict[str, Any]]) -> None:
    with pytest.raises(GatewayError) as caught:
        folded(*values)
    assert caught.value.code is ErrorCode.UPSTREAM_FAILED


def test_a_huge_index_costs_nothing() -> None:
    completion = folded(chunk({"tool_calls": [call(10**15, "{}", id="a", name="f")]}), END)
    assert completion["choices"][0]["message"]["tool_calls"][0]["id"] == "a"


@pytest.mark.parametrize("values", [[], [chunk({"content": "x"})]])
def test_a_stream_without_a_finish_is_truncated(values: list[dict[str, Any]]) -> None:
    with pytest.raises(GatewayError) as caught:
        folded(*values)
    assert caught.value.code is ErrorCode.UPSTREAM_TRUNCATED
