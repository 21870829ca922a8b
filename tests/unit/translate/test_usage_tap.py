import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.usage_tap import LINE_BYTES_MAX, UsageTap
from tollbridge.units import RAW_USAGE_CHARS_MAX

START = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3}}}\n\n'
TEXT = b'data: {"delta":{"text":"they say \\"usage\\": {} and more"}}\n\n'
DELTA = b'data: {"type":"message_delta","usage":{"output_tokens": 9,"tier":"x"}}\r\n\r\n'
BOTH = '[{"input_tokens":3},{"output_tokens": 9,"tier":"x"}]'


def tapped(*parts: bytes) -> str:
    tap = UsageTap()
    for part in parts:
        tap.feed(part)
    return tap.text()


def test_first_and_last_report_of_a_messages_stream() -> None:
    assert tapped(START, TEXT, DELTA) == BOTH
    assert tapped(START, DELTA.replace(b"9", b"1"), DELTA) == BOTH


@given(st.lists(st.integers(0, len(START + TEXT + DELTA)), max_size=8))
def test_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    stream = START + TEXT + DELTA
    edges = [0, *sorted(cuts), len(stream)]
    assert tapped(*(stream[a:b] for a, b in itertools.pairwise(edges))) == BOTH


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b'data: {"choices":[],"usage":{"total_tokens":5, "cost":0.1}}\n',
            '{"total_tokens":5, "cost":0.1}',
        ),
        (b'data:{"choices":[{"usage":{"total_tokens":5}}]}\n', '{"total_tokens":5}'),
        (b'data: {"choices":[],"usage":null}\n', ""),
        (b'data: {"usage":\n', ""),
        (b'data: "usage"\n', ""),
        (b': "usage"\n', ""),
        (TEXT, ""),
    ],
)
def test_reports_of_chat_streams(line: bytes, expected: str) -> None:
    assert tapped(line) == expected
    assert tapped(line, line) == expected, "a repeated report is one"


def test_a_one_shot_answer() -> None:
    tap = UsageTap()
    tap.whole(json.dumps({"content": [], "usage": {"input_tokens": 1}}).encode())
    assert tap.text() == '{"input_tokens": 1}'
    tap = UsageTap()
    tap.whole(b"<html>")
    assert tap.text() == ""


def test_what_is_too_long_is_not_kept() -> None:
    text = b'data: {"usage":{"x":"%b"}}\n'
    assert tapped(text % (b"a" * RAW_USAGE_CHARS_MAX)) == ""
    assert tapped(b"a" * (LINE_BYTES_MAX + 1), b"\n" + DELTA) != ""
    tap = UsageTap()
    tap.feed(b"a" * (LINE_BYTES_MAX + 1))
    assert tap._line == b""
