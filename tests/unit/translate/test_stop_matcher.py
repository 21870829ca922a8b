from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.translate.chat_streams import (
    answer,
    call,
    calls,
    chunk,
    events_as_structs,
    events_of,
    folded,
    shape,
    text,
    thought,
)

from tollbridge.translate.response_to_messages import completion_to_message
from tollbridge.translate.stop_matcher import StopMatcher
from tollbridge.translate.stream_to_messages import StreamToMessages
from tollbridge.wire.messages.fold import fold


def through(matcher: StopMatcher, *pieces: str) -> str:
    return "".join([*map(matcher.feed, pieces), matcher.release()])


def test_text_before_the_sequence_passes():
    matcher = StopMatcher(["END"])
    assert through(matcher, "a E", "N", "D b", " c") == "a "
    assert matcher.matched == "END"


def test_what_only_looked_like_one_passes_too():
    matcher = StopMatcher(["END", "\n\n"])
    assert through(matcher, "E", "N", "\n", "x", "EN") == "EN\nxEN"
    assert matcher.matched is None


def test_the_sequence_that_is_complete_first_wins():
    matcher = StopMatcher(["abcd", "bc"])
    assert through(matcher, "xabcd") == "x" + "a"
    assert matcher.matched == "bc"


def test_of_two_that_end_together_the_longer_one_wins():
    matcher = StopMatcher(["c", "abc"])
    assert through(matcher, "xabc") == "x"
    assert matcher.matched == "abc"


def test_no_more_is_held_back_than_may_begin_a_sequence():
    matcher = StopMatcher(["STOP"])
    assert matcher.feed("hello S") == "hello "
    assert matcher.feed("Sx") == "SSx"


LETTERS = st.text("ab\n", max_size=12)


@given(
    LETTERS, st.lists(st.text("ab\n", min_size=1, max_size=3), min_size=1, max_size=3), st.data()
)
def test_pieces_make_no_difference(said: str, sequences: list[str], data: st.DataObject):
    cut = data.draw(st.integers(0, len(said)))
    whole, pieces, letters = (StopMatcher(sequences) for _ in range(3))
    expected = through(whole, said)
    assert through(pieces, said[:cut], said[cut:]) == expected
    assert through(letters, *said) == expected
    assert whole.matched == pieces.matched == letters.matched
    assert said.startswith(expected + (whole.matched or ""))
    if whole.matched is None:
        assert expected == said
        assert not any(sequence in said for sequence in sequences)


STOPPING = answer(stop_sequences=("END", "\n\n"), match_stops=True)


def test_a_stop_sequence_that_was_not_told_upstream_ends_the_answer_here():
    stream = StreamToMessages(STOPPING)
    sent = b"".join(stream.feed(piece) for piece in (text("one E"), text("N"), text("D two")))
    assert (stream.finished, stream.stopped_early) == (True, True)
    assert stream.feed(text("three")) == b""
    assert stream.close() == b""
    message = fold(events_as_structs(events_of(sent)))
    assert shape(message) == [("text", "one ")]
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_what_only_looked_like_a_stop_sequence_is_told():
    for last in (chunk(finish="stop"), calls(call(0, "{}", id="c", name="f"), finish="stop")):
        message = folded(text("one E"), last, of=STOPPING)
        assert shape(message)[0] == ("text", "one E")
        assert message.stop_sequence is None


def test_stop_sequences_are_not_looked_for_in_thinking_and_arguments():
    message = folded(
        thought("END"),
        calls(call(0, '{"a":"END"}', id="c", name="f"), finish="tool_calls"),
        of=STOPPING,
    )
    assert shape(message) == [("thinking", "END"), ("f", '{"a":"END"}')]
    assert message.stop_reason == "tool_use"


def test_a_stop_sequence_at_the_very_start_leaves_no_empty_block():
    message = folded(text("END"), of=STOPPING)
    assert message.content == []
    assert message.stop_sequence == "END"


@given(st.text("EN\n D", max_size=15), st.data())
def test_stream_and_one_shot_stop_at_the_same_place(said: str, data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=4)))
    pieces = [said[a:b] for a, b in pairwise([0, *cuts, len(said)])]
    streamed = folded(*map(text, pieces), chunk(finish="stop"), of=STOPPING)
    choice = {"index": 0, "message": {"content": said}, "finish_reason": "stop"}
    body = msgspec.json.encode({"id": "x", "choices": [choice]})
    whole = msgspec.json.decode(completion_to_message(body, STOPPING).body)
    assert [block["text"] for block in whole["content"]] == [t for _, t in shape(streamed)]
    assert whole["stop_sequence"] == streamed.stop_sequence
