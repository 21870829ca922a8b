"""Every state of every stream's table with every input: it moves, or it is a protocol error.

Nothing else may happen: no exception, no silence that loses what was said, no second end.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.upstream_answers import last_error, open_for
from tests.unit.translate.chat_streams import (
    DONE,
    call,
    calls,
    check_order,
    chunk,
    data,
    events_of,
    text,
    thought,
)
from tests.unit.translate.messages_stream import START, wire

from tollbridge.errors import ErrorCode
from tollbridge.translate.block_steps import STEPS, Open, Step
from tollbridge.translate.bridge import StreamBridge
from tollbridge.translate.stream_to_chat import ORDERED, Phase
from tollbridge.translate.stream_to_chat import STEPS as EVENT_STEPS

# Messages towards Chat: phases and events.

PHASES: dict[Phase, list[bytes]] = {
    # What brings a stream into each phase.
    Phase.BEFORE: [],
    Phase.BODY: [wire(START)],
    Phase.ENDING: [
        wire(START),
        wire({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}),
    ],
}
BLOCK = {"type": "text", "text": ""}
EVENTS: dict[str, bytes] = {
    "message_start": wire(START),
    "content_block_start": wire(
        {"type": "content_block_start", "index": 0, "content_block": BLOCK}
    ),
    "content_block_delta": wire(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
    ),
    "content_block_stop": wire({"type": "content_block_stop", "index": 0}),
    "message_delta": wire({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
    "message_stop": wire({"type": "message_stop"}),
    "ping": wire({"type": "ping"}),
    "error": wire({"type": "error", "error": {"type": "api_error", "message": "m"}}),
    "event_of_tomorrow": wire({"type": "event_of_tomorrow", "index": {}}),
}


def test_the_phases_and_events_are_all_here():
    assert set(PHASES) == set(Phase)
    assert set(EVENTS) >= ORDERED


MOVES = {
    # Written down a second time: a row that is lost or made up in the table itself shows here.
    (Phase.BEFORE, "message_start"),
    (Phase.BODY, "content_block_start"),
    (Phase.BODY, "content_block_stop"),
    (Phase.BODY, "message_delta"),
    (Phase.ENDING, "message_delta"),
    (Phase.ENDING, "message_stop"),
}


def test_the_table_has_the_rows_of_the_protocol_and_no_other():
    assert set(EVENT_STEPS) == MOVES


@pytest.mark.parametrize(("phase", "kind"), list(itertools.product(Phase, EVENTS)))
def test_every_event_in_every_phase(phase: Phase, kind: str) -> None:
    stream = open_for("chat", "messages", stream=True).stream()
    before = b"".join(map(stream.feed, PHASES[phase]))
    assert stream.failure is None
    written = stream.feed(EVENTS[kind])
    if (phase, kind) in MOVES or kind in ("ping", "event_of_tomorrow"):
        assert stream.failure is None
        assert stream.finished == (kind == "message_stop")
    else:
        # Also a delta in the body: its block has not been started.
        assert stream.failure is not None
        assert stream.failure.code is ErrorCode.UPSTREAM_FAILED
        assert last_error("chat", before + written) is not None
    rest = stream.close()
    assert stream.finished != (stream.failure is not None)
    assert (last_error("chat", before + written + rest) is None) == stream.finished


# Chat towards Messages: what is open, and what comes.

OPENERS: dict[Open, list[bytes]] = {
    Open.NOTHING: [chunk({"role": "assistant", "content": ""})],
    Open.THINKING: [thought("t")],
    Open.TEXT: [text("x")],
    Open.CALLS: [calls(call(0, '{"a":', id="a", name="f"))],
}
INPUTS: dict[str, bytes] = {
    "thinking": thought("u"),
    "text": text("y"),
    "refusal": chunk({"refusal": "no"}),
    "more of the call": calls(call(0, "1}")),
    "another call": calls(call(1, "{}", id="b", name="g")),
    "a call without a name": calls(call(2, "{}", id="c")),
    "two calls in turn": calls(call(0, "1}"), call(1, "{}", id="b", name="g")),
    "signed thinking": chunk(
        {"reasoning_details": [{"type": "reasoning.text", "text": "s", "signature": "c2ln"}]}
    ),
    "redacted": chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "ZA=="}]}),
    "nothing": chunk({}),
    "everything": chunk(
        {"reasoning_content": "t", "content": "x", "tool_calls": [call(7, "{}", id="d", name="h")]},
        "tool_calls",
        usage={"prompt_tokens": 3, "completion_tokens": 2},
    ),
    "usage": data({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    "stop": chunk({}, "stop"),
    "length": chunk({}, "length"),
    "abort": chunk({}, "abort"),
    "another choice": data({"choices": [{"index": 1, "delta": {"content": "z"}}]}),
    "done": DONE,
    "an error": data({"error": {"message": "m", "type": "server_error"}}),
    "no JSON": b"data: oops\n\n",
    "a comment": b": keep-alive\n\n",
}
ENDS_IN_ERROR = {"an error", "no JSON", "abort"}


def test_every_pair_of_blocks_has_its_steps():
    assert set(STEPS) == set(itertools.product(Open, Open))
    closing = {
        Open.THINKING: Step.CLOSE_THINKING,
        Open.TEXT: Step.CLOSE_TEXT,
        Open.CALLS: Step.CLOSE_CALLS,
    }
    opening = {Open.THINKING: Step.OPEN_THINKING, Open.TEXT: Step.OPEN_TEXT}
    for (now, wanted), steps in STEPS.items():
        expected = [closing.get(now), opening.get(wanted)] if now is not wanted else []
        assert steps == tuple(step for step in expected if step is not None)


@pytest.mark.parametrize(("state", "kind"), list(itertools.product(Open, INPUTS)))
def test_every_chunk_over_every_open_block(state: Open, kind: str) -> None:
    stream = open_for("messages", "chat", stream=True).stream()
    pieces = [*OPENERS[state], INPUTS[kind]]
    written = b"".join(map(stream.feed, pieces))
    if kind in ENDS_IN_ERROR:
        assert stream.failure is not None
    elif kind != "done":
        assert stream.failure is None
    play_out(stream, written)


@given(
    st.lists(st.sampled_from(list(INPUTS)), max_size=8),
    st.sampled_from([None, {"type": "adaptive"}, {"type": "adaptive", "display": "omitted"}]),
    st.sampled_from([[], ["stop_sequences"]]),
)
def test_any_order_of_chunks(
    kinds: list[str], thinking: dict[str, str] | None, stops: list[str]
) -> None:
    more = {key: ["x", "yz"] for key in stops}
    stream = open_for("messages", "chat", stream=True, thinking=thinking, **more).stream()
    play_out(stream, b"".join(stream.feed(INPUTS[kind]) for kind in kinds))


def play_out(stream: StreamBridge, written: bytes) -> None:
    """End the stream; all that was written is in order and ends once, in one of two ways."""
    written += stream.close()
    events = events_of(written)
    check_order(events)
    assert stream.finished != (stream.failure is not None)
    assert (events[-1]["type"] == "error") == (stream.failure is not None)
