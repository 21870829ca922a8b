"""Time and entropy as they are."""

from tollbridge.sources import ENTROPY_BYTES, Entropy, clock


def test_the_clock_tells_milliseconds():
    assert 1_600_000_000_000 < clock() < 10_000_000_000_000


def test_entropy_is_given_out_once():
    entropy = Entropy()
    drawn = [entropy(16) for _ in range(3 * ENTROPY_BYTES // 16)]
    assert len(set(drawn)) == len(drawn)
    assert {len(one) for one in drawn} == {16}


def test_more_entropy_than_is_drawn_at_once():
    assert len(Entropy()(3 * ENTROPY_BYTES)) == 3 * ENTROPY_BYTES
