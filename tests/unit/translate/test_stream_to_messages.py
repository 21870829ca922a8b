import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.translate.chat_streams import (
    DONE,
    answer,
    call,
    calls,
    check_order,
    chunk,
    data,
    events_of,
    folded,
    shape,
    text,
    thought,
    translate,
)

from tollbridge.translate.response_to_messages import completion_to_message
from tollbridge.translate.signatures import hidden_thinking, is_own_signature
from tollbridge.translate.stream_to_messages import STEPS, Open, StreamToMessages
from tollbridge.translate.tool_names import ToolNames
from tollbridge.wire.chat.chunks import Chunk
from tollbridge.wire.chat.fold import fold as fold_chat

STOP = chunk({}, "stop")
CALLED = chunk({}, "tool_calls")
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 40},
}


def test_the_step_table_covers_every_pair_of_states():
    assert set(STEPS) == {(a, b) for a in Open for b in Open}
    for (open_now, wanted), steps in STEPS.items():
        assert (steps == ()) == (open_now == wanted or (open_now, wanted) == (
            Open.NOTHING, Open.CALLS))  # fmt: skip


def test_text_with_usage():
    events = translate(
        chunk({"role": "assistant", "content": ""}),
        text("Hel"),
        text("lo"),
        STOP,
        data({"choices": [], "usage": USAGE}),
        DONE,
    )
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start = events[0]["message"]
    assert (start["id"], start["model"], start["role"]) == ("msg_abc", "claude-x", "assistant")
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"] == {
        "input_tokens": 60,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 40,
        "output_tokens": 9,
    }


# The end of a stream.


def test_done_without_a_finish_counts_only_if_something_was_produced():
    assert folded(text("x"), DONE).stop_reason == "end_turn"
    assert translate(chunk({"role": "assistant"}), DONE)[-1]["type"] == "error"
    assert translate()[-1]["type"] == "error"


def test_a_finish_without_done_is_an_end():
    assert folded(text("x"), STOP).stop_reason == "end_turn"
    assert folded(text("x"), STOP.rstrip(b"\n")).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("sensitive", "refusal"),
        ("strange", "end_turn"),
        ("tool_calls", "end_turn"),
    ],
)
def test_finish_reasons(finish: str, stop: str):
    message = folded(text("x"), chunk({}, finish), DONE)
    assert message.stop_reason == stop
    assert (message.stop_details is not None) == (stop == "refusal")


def test_a_cut_call_says_max_tokens_and_keeps_its_json_cut():
    events = translate(calls(call(0, '{"a": "b', id="a", name="f")), chunk({}, "length"), DONE)
    assert events[2]["delta"]["partial_json"] == '{"a": "b'
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


def test_a_refusal_text_is_text_and_the_stop_reason_says_so():
    message = folded(chunk({"refusal": "No."}), STOP, DONE)
    assert shape(message) == [("text", "No.")]
    assert message.stop_reason == "refusal"


@pytest.mark.parametrize("member", ["stop_reason", "matched_stop"])
def test_the_stop_sequence_that_the_upstream_names(member: str):
    of = answer(stop_sequences=("END",))
    message = folded(text("x"), chunk({}, "stop", **{member: "END"}), DONE, of=of)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    message = folded(text("x"), chunk({}, "stop", **{member: 151645}), DONE, of=of)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)


@pytest.mark.parametrize(
    "finish", ["abort", "insufficient_system_resource", "network_error", "error"]
)
def test_a_finish_that_means_failure_is_an_error(finish: str):
    assert translate(text("x"), chunk({}, finish), DONE)[-1]["type"] == "error"


def test_an_error_chunk_is_told_in_the_clients_words():
    for error in (
        {"message": "busy", "type": "overloaded_error"},
        {"message": "busy", "code": 503},
    ):
        events = translate(text("x"), data({"error": error}), DONE)
        assert events[-1]["error"]["type"] == "overloaded_error"
    first = translate(data({"error": {"message": "no", "code": 400}}))
    assert [event["type"] for event in first] == ["error"]
    named = b'event: error\ndata: {"message": "x"}\n\n'
    assert translate(named)[-1]["type"] == "error"


def test_nothing_follows_the_end():
    stream = StreamToMessages(answer())
    stream.feed(text("x") + STOP + DONE)
    assert stream.finished
    assert stream.feed(text("y")) == b""
    assert stream.close() == b""


def test_usage_is_the_last_that_was_told_wherever_it_stood():
    stream = StreamToMessages(answer())
    stream.feed(chunk({"content": "x"}, usage={"prompt_tokens": 5, "completion_tokens": 1}))
    assert stream.usage is not None
    assert stream.usage.output == 1
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}
    written = stream.feed(data({"choices": [choice], "usage": None}) + DONE)
    assert events_of(written)[-2]["usage"]["output_tokens"] == 9
    assert stream.usage.cache_read == 40


def test_without_usage_our_own_count_is_told():
    events = translate(text("word " * 40), STOP, DONE)
    assert events[-2]["usage"]["input_tokens"] == 7
    assert 40 <= events[-2]["usage"]["output_tokens"] <= 60


# Thinking.


def test_a_client_that_did_not_ask_gets_no_thinking_but_it_is_counted():
    stream = StreamToMessages(answer(thinking=False))
    events = events_of(stream.feed(thought("long thoughts " * 10) + text("Hi") + STOP + DONE))
    check_order(events)
    assert [event["content_block"]["type"] for event in events if "content_block" in event] == [
        "text"
    ]
    assert stream.counted_output > 30


def test_thinking_bears_a_signature_of_our_own():
    message = folded(thought("a"), thought("b"), text("c"), STOP, DONE)
    assert message.content[0].thinking == "ab"
    assert is_own_signature(message.content[0].signature or "")


def test_omitted_thinking_travels_inside_the_signature():
    of = answer(hidden=True, seal_key=b"k")
    events = translate(thought("secret "), thought("plan"), text("c"), STOP, DONE, of=of)
    kinds = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert kinds == ["signature_delta", "text_delta"]
    assert hidden_thinking(b"k", events[2]["delta"]["signature"]) == "secret plan"


def test_mirrored_reasoning_is_told_once():
    both = {"reasoning": "t", "reasoning_content": "t"}
    details = {"reasoning": "t", "reasoning_details": [{"type": "reasoning.text", "text": "t"}]}
    for delta in (both, details):
        assert shape(folded(chunk(delta), STOP, DONE)) == [("thinking", "t")]


def test_genuine_signatures_and_encrypted_reasoning_are_handed_on():
    detail = {"type": "reasoning.text", "index": 0}
    message = folded(
        chunk({"reasoning_details": [{**detail, "text": "a"}]}),
        chunk({"reasoning_details": [{**detail, "signature": "SIG"}]}),
        chunk({"reasoning_details": [{**detail, "index": 1, "text": "b"}]}),
        chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "ENC"}]}),
        text("c"),
        STOP,
        DONE,
    )
    assert shape(message) == [
        ("thinking", "a"),
        ("thinking", "b"),
        ("redacted_thinking", "ENC"),
        ("text", "c"),
    ]
    assert message.content[0].signature == "SIG"
    assert is_own_signature(message.content[1].signature or "")


def test_leaked_think_tags_become_thinking():
    of = answer(think_tags=True)
    pieces = [text(piece) for piece in ("<th", "ink>\nhm", "m</thi", "nk>\n\nHi", " <think>")]
    assert shape(folded(*pieces, STOP, DONE, of=of)) == [
        ("thinking", "hmm"),
        ("text", "Hi <think>"),
    ]
    assert shape(folded(text("<thi"), STOP, DONE, of=of)) == [("text", "<thi")]


# Calls.


def test_a_call_without_index_or_id():
    message = folded(
        calls(call(None, '{"a"', name="f")), calls(call(None, ":1}")),
        calls(call(None, "{}", name="g")), CALLED, DONE,
    )  # fmt: skip
    assert shape(message) == [("f", '{"a":1}'), ("g", "{}")]
    ids = [block.id for block in message.content]
    assert len(set(ids)) == 2
    assert all(ids)


def test_repeated_and_empty_ids_and_names_belong_to_the_same_call():
    again = call(0, ":1}", id="a", name="f")
    message = folded(calls(call(0, '{"a"', id="a", name="f")), calls(again), CALLED, DONE)
    assert shape(message) == [("f", '{"a":1}')]


def test_duplicate_ids_in_one_turn_are_told_apart():
    message = folded(
        calls(call(0, "{}", id="a", name="f"), call(1, "{}", id="a", name="g")), CALLED, DONE
    )
    assert message.content[0].id != message.content[1].id


def test_ids_that_messages_does_not_allow_are_wrapped():
    message = folded(calls(call(0, "{}", id="functions.Bash:0", name="f")), CALLED, DONE)
    assert message.content[0].id == "tb1_ZnVuY3Rpb25zLkJhc2g6MA"


def test_a_call_without_arguments_has_an_empty_input():
    for arguments in ("", None):
        message = folded(calls(call(0, arguments, id="a", name="f")), CALLED, DONE)
        assert shape(message) == [("f", "{}")]


def test_arguments_as_an_object_and_a_legacy_call():
    message = folded(
        chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": {"a": 1}}}]}),
        CALLED,
        DONE,
    )
    assert shape(message) == [("f", '{"a":1}')]
    legacy = chunk({"function_call": {"name": "g", "arguments": "{}"}}, "function_call")
    assert shape(folded(legacy, DONE)) == [("g", "{}")]


def test_text_between_the_fragments_of_a_call_comes_after_it():
    message = folded(
        calls(call(0, '{"a":', id="a", name="f")), text("mean"), calls(call(0, "1}")),
        text("while"), CALLED, DONE,
    )  # fmt: skip
    assert shape(message) == [("f", '{"a":1}'), ("text", "meanwhile")]
    held = folded(calls(call(0, "", id="a", name="f")), text("x"), CALLED, DONE)
    assert shape(held) == [("f", "{}"), ("text", "x")]


def test_a_thought_between_the_fragments_of_a_call_does_not_break_it():
    message = folded(
        calls(call(0, '{"a":', id="a", name="f")), thought("hm"), calls(call(0, "1}")), CALLED, DONE
    )
    assert shape(message) == [("f", '{"a":1}')]


def test_a_call_that_never_gets_a_name_is_a_failure():
    assert translate(calls(call(0, "{}", id="a")), CALLED, DONE)[-1]["type"] == "error"


def test_a_shortened_tool_name_is_restored():
    names = ToolNames(20)
    short = names.shorten("mcp__server__a_long_tool")
    of = answer(names=names)
    message = folded(calls(call(0, "{}", id="a", name=short)), CALLED, DONE, of=of)
    assert message.content[0].name == "mcp__server__a_long_tool"


def test_only_the_first_choice_is_translated():
    choices = [{"index": n, "delta": {"content": str(n)}, "finish_reason": "stop"} for n in (0, 1)]
    assert shape(folded(data({"choices": choices}), DONE)) == [("text", "0")]


def test_the_first_bytes_begin_the_message_even_if_they_are_a_comment():
    stream = StreamToMessages(answer())
    assert events_of(stream.feed(b": PROCESSING\n\n"))[0]["type"] == "message_start"


# However the bytes are cut, and streamed or not, the answer is the same.

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@st.composite
def chat_streams(draw: st.DrawFn) -> list[bytes]:
    """A stream in the canonical order: thinking, text, calls, finish, usage."""
    pieces = [chunk({"role": "assistant", "content": ""})]
    pieces += [thought(piece) for piece in draw(st.lists(texts, max_size=3))]
    pieces += [text(piece) for piece in draw(st.lists(texts, max_size=3))]
    arguments = draw(st.lists(st.dictionaries(texts, texts, max_size=2), max_size=3))
    for index, value in enumerate(arguments):
        json = msgspec.json.encode(value).decode()
        cut = draw(st.integers(0, len(json)))
        pieces.append(calls(call(index, json[:cut], id=f"id{index}", name=f"f{index}")))
        pieces.append(calls(call(index, json[cut:])))
    pieces.append(
        chunk({}, "tool_calls" if arguments else draw(st.sampled_from(["stop", "length"])))
    )
    if draw(st.booleans()):
        pieces.append(data({"choices": [], "usage": USAGE}))
    return [*pieces, DONE]


@given(chat_streams())
def test_fold_after_translation_is_translation_after_fold(pieces: list[bytes]):
    streamed = folded(*pieces)
    chunks = [
        msgspec.json.decode(piece.removeprefix(b"data: "), type=Chunk) for piece in pieces[:-1]
    ]
    body = msgspec.json.encode(fold_chat(chunks))
    whole = completion_to_message(body, answer())
    assert msgspec.json.decode(whole.body) == msgspec.json.decode(msgspec.json.encode(streamed))


@given(chat_streams(), st.integers(1, 40))
def test_the_way_the_bytes_are_cut_does_not_matter(pieces: list[bytes], size: int):
    joined = b"".join(pieces)
    cut = [joined[start : start + size] for start in range(0, len(joined), size)]
    assert folded(*cut) == folded(joined)


@given(chat_streams(), st.data())
def test_a_stream_cut_before_its_finish_ends_in_an_error(pieces: list[bytes], draw: st.DataObject):
    last = next(n for n, piece in enumerate(pieces) if b'"finish_reason":"' in piece)
    kept = draw.draw(st.integers(0, last))
    assert translate(*pieces[:kept])[-1]["type"] == "error"
