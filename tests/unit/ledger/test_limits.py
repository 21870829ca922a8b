import pytest

from tollbridge.ledger.limits import (
    Full,
    Window,
    correct,
    enter,
    is_rated,
    minute_of,
    seconds_left,
)
from tollbridge.ledger.model import UNLIMITED, Limits


def test_minutes_are_those_of_the_clock() -> None:
    assert [minute_of(now) for now in (0, 59_999, 60_000)] == [0, 0, 1]
    assert [seconds_left(now) for now in (0, 1, 999, 1_000, 59_999)] == [60, 60, 60, 59, 1]


def test_only_rates_are_counted_by_the_minute() -> None:
    assert not is_rated(UNLIMITED)
    assert not is_rated(Limits(concurrency=5))
    assert is_rated(Limits(requests_per_minute=1))
    assert is_rated(Limits(tokens_per_minute=1))


@pytest.mark.parametrize(
    ("window", "limits", "tokens", "now", "expected"),
    [
        (None, Limits(0, 1, 1), 1, 60_000, Window(1, 1, 1)),
        (Window(0, 9, 9), Limits(0, 1, 1), 1, 60_000, Window(1, 1, 1)),
        (Window(1, 1, 1), Limits(0, 2, 2), 1, 60_000, Window(1, 2, 2)),
        (Window(2, 1, 1), Limits(0, 2, 2), 1, 60_000, Window(2, 2, 2)),
        (Window(1, 1, 1), Limits(0, 1, 1), 1, 60_000, Full.REQUESTS),
        (Window(1, 1, 1), Limits(0, 2, 1), 1, 60_000, Full.TOKENS),
        (Window(1, 1, 1), Limits(0, 0, 2), 1, 60_000, Window(1, 2, 2)),
        (Window(1, 5, 0), Limits(0, 0, 2), 9, 60_000, Window(1, 6, 9)),
    ],
)
def test_a_minute_admits_up_to_its_limits(window, limits, tokens, now, expected) -> None:
    assert enter(window, limits, tokens, now) == expected


def test_expected_tokens_become_used_ones() -> None:
    window = Window(7, 3, 50)
    assert correct(window, 7, 30, 10) == Window(7, 3, 30)
    assert correct(window, 7, 30, 40) == Window(7, 3, 60)
    assert correct(window, 7, 60, 0) == Window(7, 3, 0)
    assert correct(window, 6, 30, 10) is window
