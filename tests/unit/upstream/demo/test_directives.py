from pathlib import Path

import pytest

from tollbridge.upstream.demo import directives


def test_directives_are_put_together_and_taken_out() -> None:
    orders, rest = directives.read("Hello [demo: pace 50][DEMO:stall 1.5] there [demo: tool Add]")
    assert (orders.pace_ms, orders.stall_s, orders.tools) == (50, 1.5, ("Add",))
    assert rest == "Hello  there"
    assert not orders.unknown


@pytest.mark.parametrize(
    ("directive", "field", "value"),
    [
        ("help", "help", True),
        ("think unasked", "think_unasked", True),
        ("long-thinking", "thinking_words", 300),
        ("tool cut", "tool_cut", True),
        ("words 200", "words", 200),
        ("words 999999", "words", 20_000),
        ("empty", "empty", True),
        ("refuse", "refuse", True),
        ("fail 529", "fail_status", 529),
        ("fail midstream", "fail_midstream", True),
        ("cut", "cut", True),
        ("stall 99999", "stall_s", 600),
    ],
)
def test_each(directive: str, field: str, value: object) -> None:
    orders, rest = directives.read(f"[demo: {directive}]")
    assert getattr(orders, field) == value
    assert rest == ""


def test_think_by_itself_orders_nothing_more() -> None:
    assert directives.read("[demo: think]")[0] == directives.Orders()


@pytest.mark.parametrize(
    "directive", ["fail 200", "fail", "stall", "words x", "nix", "cut 5", "pace -1", "tool"]
)
def test_what_is_not_known_is_told(directive: str) -> None:
    assert directives.read(f"[demo: {directive}]")[0].unknown == (directive,)


def test_plain_text_is_left_alone() -> None:
    text = "a demo: help [demo] [1] demo"
    assert directives.read(text) == (directives.Orders(), text)


def test_every_row_of_the_help_is_understood() -> None:
    examples = {"NAME": "f", "N": "3", "MS": "5", "S": "1", "STATUS": "500"}
    for name, effect in directives.HELP:
        words = [examples.get(word, word) for word in name.split()]
        assert not directives.read(f"[demo: {' '.join(words)}]")[0].unknown, name
        assert effect


def test_every_row_of_the_help_is_in_the_docs() -> None:
    page = Path(__file__).parents[4] / "docs" / "demo-model.md"
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `[demo: ")]
    assert [row.split("`")[1] for row in rows] == [f"[demo: {name}]" for name, _ in directives.HELP]
