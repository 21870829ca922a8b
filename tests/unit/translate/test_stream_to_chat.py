"""A Messages stream as a Chat stream: by hand, as a table, and against the folds."""

import json
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from tests.unit.translate.messages_stream import START, block, end, text, thinking, tool, wire

from tollbridge.errors import ErrorCode
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.stream_to_chat import ORDERED, STEPS, ChatStream, Phase
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.wire.sse import SSEDecoder

IDENTITY = Identity("req_1", "abc", 7)


def stream(*, include_usage: bool = False, legacy: bool = False) -> ChatStream:
    ask = Ask(
        model="mine",
        stream=True,
        max_tokens=None,
        thinking=True,
        include_usage=include_usage,
        input_estimate=11,
    )
    plan = ToolPlan()
    plan.legacy = legacy
    plan.custom.add("p")
    return ChatStream(ask, IDENTITY, plan)


def values(data: bytes) -> list[Any]:
    return [
        "DONE" if event.data == b"[DONE]" else json.loads(event.data)
        for event in SSEDecoder().feed(data)
    ]


def run(*events: dict[str, Any], **options: Any) -> list[Any]:
    state = stream(**options)
    sent = state.feed(wire(START, *events)) + state.close()
    assert state.finished
    assert state.failure is None
    return values(sent)


def deltas(sent: list[Any]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in sent if chunk != "DONE" and chunk["choices"]]


def test_text() -> None:
    sent = run({"type": "ping"}, *text(0, "Hel", "", "lo"), *end())
    assert deltas(sent) == [{"role": "assistant", "content": "Hel"}, {"content": "lo"}, {}]
    for chunk in sent[:-1]:
        assert chunk["id"] == "chatcmpl-abc"
        assert chunk["object"] == "chat.completion.chunk"
        assert (chunk["created"], chunk["model"]) == (7, "mine")
    assert [chunk["choices"][0]["finish_reason"] for chunk in sent[:-1]] == [None, None, "stop"]
    assert sent[-2]["usage"]["prompt_tokens"] == 8
    assert sent[-2]["usage"]["completion_tokens"] == 9
    assert sent[-1] == "DONE"


def test_usage_in_a_chunk_of_its_own_for_those_who_asked() -> None:
    sent = run(*text(0, "x"), *end(), include_usage=True)
    assert "usage" not in sent[-3]
    assert sent[-2]["choices"] == []
    assert sent[-2]["id"] == "chatcmpl-abc"
    assert sent[-2]["usage"]["total_tokens"] == 17
    assert sent[-1] == "DONE"


def test_litellm_5231_tool_indices_are_dense_and_the_role_comes_with_the_first_call() -> None:
    sent = run(*tool(0, '{"a":', "1}"), *text(1, "x"), *tool(2, "{}", name="g"), *end("tool_use"))
    first = {"index": 0, "id": "t0", "type": "function", "function": {"name": "f", "arguments": ""}}
    second = {
        "index": 1,
        "id": "t2",
        "type": "function",
        "function": {"name": "g", "arguments": ""},
    }
    assert deltas(sent) == [
        {"role": "assistant", "content": None, "tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"content": "x"},
        {"tool_calls": [second]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert sent[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert "usage" in sent[-2]


def test_litellm_17254_server_tools_are_no_calls() -> None:
    start = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    query = {"type": "input_json_delta", "partial_json": '{"query":"x"}'}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "x"}]}
    sent = run(*block(0, start, query), *block(1, found), *text(2, "a"), *tool(3, "{}"), *end())
    assert deltas(sent)[0] == {"role": "assistant", "content": "a"}
    assert deltas(sent)[1]["tool_calls"][0]["index"] == 0


def test_litellm_13834_thinking_after_text_is_kept() -> None:
    sent = run(*text(0, "a"), *thinking(1, "b", "c"), *text(2, "d"), *end())
    assert deltas(sent) == [
        {"role": "assistant", "content": "a"},
        {"reasoning_content": "b"},
        {"reasoning_content": "c"},
        {
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": "bc",
                    "signature": "sig",
                    "index": 0,
                    "format": "anthropic-claude-v1",
                }
            ]
        },
        {"content": "d"},
        {},
    ]


def test_redacted_and_omitted_thinking_can_be_sent_back() -> None:
    redacted = {"type": "redacted_thinking", "data": "d"}
    sent = run(*thinking(0), *block(1, redacted), *text(2, "x"), *end())
    details = [delta["reasoning_details"][0] for delta in deltas(sent)[:2]]
    assert [(d["index"], d.get("text"), d.get("signature"), d.get("data")) for d in details] == [
        (0, "", "sig", None),
        (1, None, None, "d"),
    ]
    assert deltas(sent)[0]["role"] == "assistant"


def test_input_that_came_with_the_start_and_no_input_at_all() -> None:
    sent = run(*tool(0, input={"a": 1}), *tool(1, ""), *end("tool_use"))
    assert [d["tool_calls"][0]["function"]["arguments"] for d in deltas(sent)[:-1]] == [
        "", '{"a": 1}', "", "{}",
    ]  # fmt: skip


def test_a_custom_call_is_told_when_it_is_whole() -> None:
    sent = run(*tool(0, '{"inp', 'ut": "a\\nb"}', name="p"), *end("tool_use"))
    call = {"index": 0, "id": "t0", "type": "custom", "custom": {"name": "p", "input": "a\nb"}}
    assert deltas(sent)[0] == {"role": "assistant", "tool_calls": [call]}


def test_interleaved_custom_calls_keep_their_indices() -> None:
    first, second = tool(0, '{"input":"a"}', name="p"), tool(1, '{"input":"b"}', name="p")
    sent = run(first[0], second[0], *first[1:], *second[1:], *end("tool_use"))
    calls = [delta["tool_calls"][0] for delta in deltas(sent)[:-1]]
    assert [(call["index"], call["custom"]["input"]) for call in calls] == [(0, "a"), (1, "b")]


def test_litellm_33224_a_delta_of_another_kind_does_not_leak_into_a_block() -> None:
    stray = {"type": "thinking_delta", "thinking": "secret"}
    sent = run(*block(0, {"type": "text", "text": ""}, stray, {"text": "a"}), *end())
    assert deltas(sent) == [{"role": "assistant", "content": "a"}, {}]


def test_the_official_accumulator_reads_the_stream() -> None:
    events = [*thinking(0, "hm"), *text(1, "Hel", "lo"), *tool(2, '{"a":', "1}"), *tool(3)]
    sent = run(*events, *end("tool_use"), include_usage=True)
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in sent[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    got = state.get_final_completion()
    message = got.choices[0].message
    assert (message.role, message.content) == ("assistant", "Hello")
    calls = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or []]
    assert calls == [("t2", "f", '{"a":1}'), ("t3", "f", "{}")]
    assert got.choices[0].finish_reason == "tool_calls"
    assert got.usage is not None
    assert got.usage.total_tokens == 17


def test_a_legacy_client_gets_one_function_call() -> None:
    sent = run(*tool(0, '{"a":1}'), *tool(1, "{}"), *end("tool_use"), legacy=True)
    assert deltas(sent) == [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a":1}'}},
        {},
    ]
    assert sent[-2]["choices"][0]["finish_reason"] == "function_call"


def test_a_refusal() -> None:
    details = {"type": "refusal", "explanation": "No."}
    sent = run(*end("refusal", stop_details=details))
    assert deltas(sent) == [{"role": "assistant", "refusal": "No."}]
    assert sent[0]["choices"][0]["finish_reason"] == "content_filter"


def test_an_empty_answer_still_has_a_role() -> None:
    assert deltas(run(*end())) == [{"role": "assistant", "content": ""}]


def test_interleaved_blocks_are_told_apart() -> None:
    first, second = tool(0, '{"a"', ":1}"), tool(1, "{}")
    mixed = [first[0], second[0], first[1], second[1], first[2], second[2], first[3]]
    sent = run(*mixed, *end("tool_use"))
    calls = [delta["tool_calls"][0] for delta in deltas(sent)[:-1]]
    assert [(c["index"], c["function"]["arguments"]) for c in calls] == [
        (0, ""), (1, ""), (0, '{"a"'), (1, "{}"), (0, ":1}"),
    ]  # fmt: skip


def test_several_message_deltas_and_a_missing_usage() -> None:
    bare = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 10}}
    stop = end("max_tokens")
    sent = run(*text(0, "abcd"), stop[0], bare, stop[1])
    assert sent[-2]["choices"][0]["finish_reason"] == "length"
    assert sent[-2]["usage"]["completion_tokens"] == 10
    state = stream()
    silent = [{"type": "message_start", "message": {}}, *text(0, "abcd")]
    silent += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, end()[1]]
    last = values(state.feed(wire(*silent)))[-2]
    assert last["usage"]["prompt_tokens"] == 11
    assert last["usage"]["completion_tokens"] == 1
    assert state.usage is None, "counted is not reported"


def test_unknown_events_and_deltas_are_passed_over() -> None:
    citation = {"type": "citations_delta", "citation": {"x": 1}}
    new_block = block(1, {"type": "new_block", "text": "x"}, {"type": "new_delta", "text": "y"})
    sent = run(
        {"type": "new_event", "index": 3},
        *block(0, {"type": "text", "text": ""}, citation, {"type": "text_delta", "text": "a"}),
        *new_block,
        *end(),
    )
    assert deltas(sent) == [{"role": "assistant", "content": "a"}, {}]


def test_events_without_a_name_are_read() -> None:
    state = stream()
    data = wire(START, *text(0, "a"), *end())
    bare = b"\n".join(line for line in data.split(b"\n") if not line.startswith(b"event:"))
    assert values(state.feed(bare))[0]["choices"][0]["delta"]["content"] == "a"
    assert state.finished


WHOLE = [START, *thinking(0, "hm"), *text(1, "Hi"), *tool(2, "{}"), *end("tool_use")]


@pytest.mark.parametrize("count", range(len(WHOLE)))
def test_talon_254_a_cut_stream_ends_in_an_error_and_not_in_done(count: int) -> None:
    state = stream()
    sent = values(state.feed(wire(*WHOLE[:count])) + state.close())
    assert sent[-1]["choices"] == []
    assert sent[-1]["error"]["code"] == "stream_truncated"
    assert state.failure is not None
    assert state.failure.code is ErrorCode.UPSTREAM_TRUNCATED
    assert not state.finished


def test_an_upstream_error_ends_the_stream() -> None:
    state = stream()
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    sent = values(state.feed(wire(START, *text(0, "a"), error, *end())) + state.close())
    assert sent[-1]["choices"] == []
    assert "Busy" in sent[-1]["error"]["message"]
    assert state.failure is not None
    assert state.failure.code is ErrorCode.UPSTREAM_OVERLOADED
    assert len(sent) == 2


SAMPLES: dict[str, dict[str, Any]] = {
    "message_start": START,
    "content_block_start": text(0)[0],
    "content_block_delta": text(0, "x")[1],
    "content_block_stop": text(0)[-1],
    "message_delta": end()[0],
    "message_stop": end()[1],
}
PREFIX: dict[Phase, list[dict[str, Any]]] = {
    Phase.BEFORE: [],
    Phase.BODY: [START, text(0)[0]],
    Phase.ENDING: [START, end()[0]],
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", sorted(ORDERED))
def test_every_cell_of_the_table(phase: Phase, kind: str) -> None:
    state = stream()
    state.feed(wire(*PREFIX[phase]))
    state.feed(wire(SAMPLES[kind]))
    allowed = (phase, kind) in STEPS or (phase, kind) == (
        Phase.BODY,
        "content_block_delta",
    )
    assert (state.failure is None) is allowed
    if state.failure is not None:
        assert state.failure.code is ErrorCode.UPSTREAM_FAILED


@pytest.mark.parametrize(
    "bad",
    [
        b'event: content_block_delta\ndata: {"index":99,"delta":{"text":"x"}}\n\n',
        b'event: content_block_delta\ndata: {"index":0}\n\n',
        b"event: content_block_delta\ndata: nonsense\n\n",
        b'event: content_block_start\ndata: {"type":"content_block_start","index":1}\n\n',
        b'event: x\ndata: {"type":5}\n\n',
    ],
)
def test_broken_events_are_a_failure(bad: bytes) -> None:
    state = stream()
    state.feed(wire(START))
    assert b'"choices":[],"error"' in state.feed(bad)
    assert state.failure is not None
