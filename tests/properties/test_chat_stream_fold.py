"""What a Messages stream says is the same, folded before or after it is translated to Chat."""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.translate.messages_stream import START, block, end, text, thinking, tool, wire

from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.counting import usage_from_messages
from tollbridge.translate.messages_views import Answer
from tollbridge.translate.response_to_chat import completion
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.chunks import Chunk
from tollbridge.wire.chat.fold import fold as fold_chat
from tollbridge.wire.messages.events import Event
from tollbridge.wire.messages.fold import fold as fold_messages
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
