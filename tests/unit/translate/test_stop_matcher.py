from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.stop_matcher import StopMatcher


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
def test_pieces_make_no_difference(text: str, sequences: list[str], data: st.DataObject):
    cut = data.draw(st.integers(0, len(text)))
    whole, pieces, letters = (StopMatcher(sequences) for _ in range(3))
    expected = through(whole, text)
    assert through(pieces, text[:cut], text[cut:]) == expected
    assert through(letters, *text) == expected
    assert whole.matched == pieces.matched == letters.matched
    assert text.startswith(expected + (whole.matched or ""))
    if whole.matched is None:
        assert expected == text
        assert not any(sequence in text for sequence in sequences)
