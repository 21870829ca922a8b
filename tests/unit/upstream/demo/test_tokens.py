import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.upstream.demo import tokens


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    pieces = tokens.split(text)
    assert "".join(pieces) == text
    assert all(pieces)
    assert tokens.count(text) == len(pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Hello, world", ["Hello", ",", " world"]),
        ("床前明月光", list("床前明月光")),
        ("abcdefghijklmnop", ["abcdefghijkl", "mnop"]),
        ("end \n", ["end", " \n"]),
        ("naïve", ["naïve"]),
    ],
)
def test_words_take_the_space_before_them(text: str, pieces: list[str]) -> None:
    assert tokens.split(text) == pieces


def test_a_very_long_text_is_estimated_from_its_beginning() -> None:
    text = "word " * 13_107
    assert tokens.count(text) == len(tokens.split(text)) == 13_108
    assert tokens.count(text * 100) == pytest.approx(1_310_700, rel=0.01)
