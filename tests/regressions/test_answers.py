"""Answers and their usage: the reports of protocol notes F that have no test elsewhere."""

from tests.unit.translate.chat_streams import (
    DONE,
    call,
    calls,
    chunk,
    data,
    folded,
    shape,
    text,
    thought,
    translate,
)

STOP = chunk({}, "stop")
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 60},
}


def test_litellm_29600_a_thought_after_text_and_one_without_any_are_thinking_blocks():
    assert shape(folded(text("a"), thought("b"), STOP, DONE))[-1] == ("thinking", "b")
    empty = chunk({"content": "", "reasoning_content": "x"})
    assert shape(folded(empty, STOP, DONE)) == [("thinking", "x")]


def test_cooperbench_66_arguments_never_come_before_their_block():
    events = translate(calls(call(0, '{"a"')), calls(call(0, ": 1}", id="a", name="f")), STOP, DONE)
    kinds = [event["type"] for event in events]
    assert kinds.index("content_block_start") < kinds.index("content_block_delta")


def test_ccrelay_119_a_call_that_comes_whole_is_told_in_deltas():
    events = translate(calls(call(0, '{"a":1}', id="a", name="f"), finish="tool_calls"), DONE)
    pieces = [event["delta"]["partial_json"] for event in events if "partial_json" in
              event.get("delta", {})]  # fmt: skip
    assert pieces == ['{"a":1}']
    started = [event["content_block"] for event in events if "content_block" in event]
    assert started[0]["input"] == {}


def test_litellm_25321_arguments_that_come_only_at_the_end_arrive():
    message = folded(
        calls(call(0, id="a", name="f")), calls(call(0, '{"a":1}'), finish="tool_calls"), DONE
    )
    assert shape(message) == [("f", '{"a":1}')]


def test_maka_2297_silence_after_half_an_answer_is_an_error():
    for cut in ([text("half")], [thought("half")], [text("half"), b": keep-alive\n\n"], []):
        assert translate(*cut)[-1]["type"] == "error"


def test_praxis_ai_387_and_omlx_1487_the_cached_part_is_not_in_input_tokens():
    for stream in (
        (text("x"), STOP, data({"choices": [], "usage": USAGE}), DONE),
        (chunk({"content": "x"}, usage=USAGE), chunk({}, "stop", usage=USAGE), DONE),
    ):
        usage = translate(*stream)[-2]["usage"]
        assert usage["input_tokens"] == 40
        assert usage["cache_read_input_tokens"] == 60


def test_router_1681_two_sources_of_the_cached_part_are_subtracted_once():
    both = {**USAGE, "prompt_cache_hit_tokens": 60, "cached_tokens": 60}
    usage = translate(text("x"), chunk({}, "stop", usage=both), DONE)[-2]["usage"]
    assert usage["input_tokens"] == 40
