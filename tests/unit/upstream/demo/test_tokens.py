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
