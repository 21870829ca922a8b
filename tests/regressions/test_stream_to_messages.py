"""Streams to Messages clients: one test per report of protocol notes F, by its name."""

from tests.unit.translate.chat_streams import (
    DONE,
    answer,
    call,
    calls,
    chunk,
    events_of,
    folded,
    shape,
    text,
    thought,
    translate,
)

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.stream_to_messages import StreamToMessages

STOP = chunk({}, "stop")
CALLED = chunk({}, "tool_calls")
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 40},
}


def test_litellm_15307_a_second_call_is_a_block_of_its_own():
    for second in (call(1, "{}", id="b", name="g"), call(0, "{}", id="b", name="g")):
        message = folded(calls(call(0, "{}", id="a", name="f")), calls(second), CALLED, DONE)
        assert shape(message) == [("f", "{}"), ("g", "{}")]


def test_headroom_2890_interleaved_calls_do_not_mix():
    message = folded(
        calls(call(0, '{"a":', id="a", name="f")),
        calls(call(1, '{"b":', id="b", name="g")),
        calls(call(0, " 1}"), call(1, " 2}")),
        CALLED,
        DONE,
    )
    assert shape(message) == [("f", '{"a": 1}'), ("g", '{"b": 2}')]


def test_a_call_after_a_whole_one_streams_live():
    stream = StreamToMessages(answer())
    stream.feed(calls(call(0, '{"a":1}', id="a", name="f")))
    live = events_of(stream.feed(calls(call(1, '{"b', id="b", name="g"))))
    assert [event["type"] for event in live] == [
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ]


def test_litellm_33224_reasoning_never_lands_in_a_text_block():
    message = folded(text("a"), thought("b"), text("c"), STOP, DONE)
    assert shape(message) == [("text", "a"), ("thinking", "b"), ("text", "c")]


def test_litellm_32357_one_message_start_and_reasoning_stays_reasoning():
    events = translate(chunk({"role": "assistant"}), thought("x"), text("y"), STOP, DONE)
    assert [event["type"] for event in events].count("message_start") == 1


def test_litellm_29533_reasoning_alone_opens_no_text_block():
    assert shape(folded(thought("x"), STOP, DONE)) == [("thinking", "x")]


def test_litellm_13373_and_vllm_39056_arguments_before_the_name_wait():
    message = folded(calls(call(0, '{"a"', id="a")), calls(call(0, ":1}", name="f")), CALLED, DONE)
    assert shape(message) == [("f", '{"a":1}')]


def test_ik_llama_1524_indices_stay_dense_through_every_change_of_block():
    translate(
        thought("t"), text("x"), calls(call(3, "{}", id="a", name="f")), text("y"), thought("u"),
        calls(call(9, "{}", id="b", name="g")), CALLED, DONE,
    )  # fmt: skip


def test_ollama_14816_a_call_right_after_thinking_gets_the_next_index():
    events = translate(thought("t"), calls(call(0, "{}", id="a", name="f")), CALLED, DONE)
    starts = [event for event in events if event["type"] == "content_block_start"]
    assert [(start["index"], start["content_block"]["type"]) for start in starts] == [
        (0, "thinking"),
        (1, "tool_use"),
    ]


def test_ollama_17225_and_litellm_13834_thinking_after_text_is_a_block_of_its_own():
    assert shape(folded(text("a"), thought("b"), STOP, DONE))[1] == ("thinking", "b")


def test_ollama_15105_text_and_thinking_blocks_bear_no_input():
    events = translate(thought("t"), text("x"), STOP, DONE)
    starts = [event["content_block"] for event in events if "content_block" in event]
    assert starts == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
    ]


def test_litellm_25321_antseed_15_and_cc_switch_2557_input_comes_as_deltas():
    events = translate(calls(call(0, '{"a":1}', id="a", name="f")), CALLED, DONE)
    assert events[1]["content_block"] == {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    assert events[2]["delta"] == {"type": "input_json_delta", "partial_json": '{"a":1}'}


def test_litellm_32004_the_first_delta_of_every_block_arrives():
    message = folded(
        chunk({"content": "a", "tool_calls": [call(0, "{", id="a", name="f")]}),
        calls(call(0, "}")),
        chunk({"content": "z"}, "tool_calls"),
        DONE,
    )
    assert shape(message) == [("text", "a"), ("f", "{}"), ("text", "z")]


def test_weave_os_250_a_turn_with_a_call_ends_in_tool_use():
    for finish in ("stop", "tool_calls", "function_call", "tool_call", "eos"):
        message = folded(calls(call(0, "{}", id="a", name="f")), chunk({}, finish), DONE)
        assert message.stop_reason == "tool_use"
    assert folded(calls(call(0, "{}", id="a", name="f")), DONE).stop_reason == "tool_use"


def test_cliproxy_1700_message_start_has_an_estimate():
    assert translate(text("x"), STOP, DONE)[0]["message"]["usage"]["input_tokens"] == 7


def test_ollama_13934_the_first_chunks_usage_is_in_message_start():
    events = translate(
        chunk({"content": "x"}, usage={"prompt_tokens": 50, "completion_tokens": 0}), STOP, DONE
    )
    assert events[0]["message"]["usage"]["input_tokens"] == 50


def test_litellm_32159_a_cut_in_tool_json_is_an_error():
    events = translate(calls(call(0, '{"a', id="a", name="f")))
    assert events[-1]["error"]["type"] == "api_error"
    assert translate(calls(call(0, '{"a', id="a", name="f")), DONE)[-1]["type"] == "error"


def test_billion_context_239_no_finish_reason_is_no_end_turn():
    events = translate(text("half an ans"))
    assert events[-1]["type"] == "error"
    assert events[-1]["code"] == "UPSTREAM_TRUNCATED"


def test_talon_254_an_upstreams_death_ends_the_stream_in_an_error():
    stream = StreamToMessages(answer())
    stream.feed(text("half"))
    written = stream.fail(GatewayError(ErrorCode.UPSTREAM_TIMEOUT, "Too late."))
    assert events_of(written)[-1]["error"] == {"type": "timeout_error", "message": "Too late."}
    assert stream.feed(text("more")) == stream.close() == b""
    assert stream.fail(GatewayError(ErrorCode.INTERNAL, "Again.")) == b""
