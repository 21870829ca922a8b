import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.upstream.demo import patterns


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{3}-\d{4}$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^(red|green)$",
        r"^(?:a|b(c|d))+\.x?$",
        r"^[^0-9]+$",
        r"^[\w.]{8,}$",
        r"^\+?[1-9]\d{1,14}$",
        r"^[a-f0-9]{32}$",
        r"^.{3}$",
        r"^$",
        r"^[]a]$",
        r"^(?P<year>\d+)\\n$",
        "demo",
    ],
)
def test_the_example_matches(pattern: str) -> None:
    written = patterns.example(pattern)
    assert written is not None
    assert re.search(pattern, written)


@pytest.mark.parametrize("pattern", ["(", "[", "a" * 300, "[[a]", r"(?=x)y", "\\"])
def test_what_is_beyond_it(pattern: str) -> None:
    assert patterns.example(pattern) is None


@given(st.text(alphabet="ab1()[]{}^$|\\.+*?-,dw", max_size=20))
def test_never_raises_and_never_lies(pattern: str) -> None:
    written = patterns.example(pattern)
    assert written is None or re.search(pattern, written)
