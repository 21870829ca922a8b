import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.think_tags import ThinkTags


def split(*pieces: str) -> tuple[str, str]:
    tags = ThinkTags()
    parts = []
    for piece in pieces:
        parts.append(("", piece) if tags.done else tags.feed(piece))
    parts.append(tags.close())
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think>b", ("a", "b")),
        ("\n <think>\na\n</think>\n\nb", ("a\n", "b")),
        ("<think></think>b", ("", "b")),
        ("<think>never closed", ("never closed", "")),
        ("<think>a</thin", ("a</thin", "")),
        ("plain <think>x</think>", ("", "plain <think>x</think>")),
        ("<thin air", ("", "<thin air")),
        ("  indented", ("", "  indented")),
        ("", ("", "")),
    ],
)
def test_only_a_tag_at_the_beginning_counts(text: str, expected: tuple[str, str]):
    assert split(text) == expected


@given(st.text(alphabet="<think/>ab ", max_size=30), st.text(alphabet="</think>b", max_size=20))
def test_pieces_do_not_change_what_is_thought_and_what_is_said(thought: str, said: str):
    text = f"<think>{thought}</think>x{said}"
    assert split(*text) == split(text)
    assert split(*thought) == split(thought)


def test_white_space_is_not_held_for_ever():
    tags = ThinkTags()
    told = [tags.feed("\n" * 100) for _ in range(11)]
    assert "".join(text for _, text in told) == "\n" * 1000
    assert tags.done
