"""A Messages stream as a Chat stream: by hand, as a table, and against the folds."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbridge.errors import ErrorCode
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.counting import usage_from_messages
from tollbridge.translate.response_to_chat import Answer, completion
from tollbridge.translate.stream_to_chat import ORDERED, ChatStream, Phase
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.chunks import Chunk
from tollbridge.wire.chat.fold import fold as fold_chat
from tollbridge.wire.messages.events import Event
from tollbridge.wire.messages.fold import fold as fold_messages
from tollbridge.wire.sse import SSEDecoder, encode_event

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


def wire(*values: dict[str, Any]) -> bytes:
    return b"".join(encode_event(value["type"], json.dumps(value).encode()) for value in values)


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[dict[str, Any]]:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def tool(index: int, *pieces: str, name: str = "f", **members: Any) -> list[dict[str, Any]]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    start = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}, **members}
    return block(index, start, *deltas)


def thinking(index: int, *pieces: str, signature: str = "sig") -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": p} for p in pieces]
    if signature:
        deltas.append({"type": "signature_delta", "signature": signature})
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


START = {
    "type": "message_start",
    "message": {
        "id": "msg_up",
        "model": "up",
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1},
    },
}


def end(stop: str = "end_turn", **delta: Any) -> list[dict[str, Any]]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, **delta},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]


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
    allowed = (phase, kind) in ChatStream.STEPS or (phase, kind) == (
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


# Properties

pieces = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
objects = st.dictionaries(st.text(max_size=3), json_values, max_size=3)


@st.composite
def blocks(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    made = []
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["text", "thinking", "tool", "custom", "redacted", "server"]))
        if kind == "text":
            made.append(text(index, *draw(pieces)))
        elif kind == "thinking":
            signature = draw(st.sampled_from(["", "c2ln"]))
            made.append(thinking(index, *draw(pieces), signature=signature))
        elif kind == "redacted":
            made.append(block(index, {"type": "redacted_thinking", "data": "d"}))
        elif kind == "server":
            start = {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}
            made.append(block(index, start, {"type": "input_json_delta", "partial_json": "{}"}))
        else:
            value = draw(objects) if kind == "tool" else {"input": draw(st.text(max_size=6))}
            data = json.dumps(value)
            cut = draw(st.integers(0, len(data)))
            name = "f" if kind == "tool" else "p"
            made.append(tool(index, data[:cut], data[cut:], name=name))
    return made


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    stop = draw(st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal", "pause_turn"]))
    details = {"type": "refusal", "explanation": "No."} if stop == "refusal" else None
    body = [event for one in draw(blocks()) for event in one]
    return [START, *body, *end(stop, stop_details=details)]


@settings(max_examples=150, deadline=None)
@given(streams(), st.booleans())
def test_fold_of_the_translation_is_the_translation_of_the_fold(
    events: list[dict[str, Any]], include_usage: bool
) -> None:
    state = stream(include_usage=include_usage)
    sent = state.feed(wire(*events))
    chunks = [
        msgspec.json.decode(event.data, type=Chunk)
        for event in SSEDecoder().feed(sent)
        if event.data != b"[DONE]"
    ]
    folded = fold_messages([msgspec.json.decode(json.dumps(event), type=Event) for event in events])
    answer = Answer(
        content=folded.content, stop_reason=folded.stop_reason, stop_details=folded.stop_details
    )
    usage = usage_from_messages(folded.usage)
    expected = completion(answer, usage, state._ask, IDENTITY, state._plan)
    assert state.usage == usage == TokenUsage(input=5, cache_read=3, output=9)
    assert fold_chat(chunks) == expected


@settings(max_examples=60, deadline=None)
@given(streams(), st.data())
def test_cuts_between_bytes_change_nothing(
    events: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = wire(*events)
    expected = stream().feed(whole)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    state = stream()
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert b"".join(map(state.feed, parts)) + state.close() == expected
