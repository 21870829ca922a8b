"""Ranks, weights and affinity."""

from collections import Counter

import pytest

from tollbridge.routing.catalog import Target
from tollbridge.routing.order import order

KEYS = [str(number).encode() for number in range(6_000)]


def target(name: str, weight: float = 1.0, rank: int = 0) -> Target:
    return Target(name, "m", "chat", "vllm", rank=rank, weight=weight)


def firsts(targets: list[Target]) -> Counter[str]:
    return Counter(order(targets, key)[0].upstream for key in KEYS)


def test_ranks_come_first_whatever_the_weights():
    targets = [target("b", 1_000, rank=1), target("a", 0.001, rank=0)]
    assert all([t.upstream for t in order(targets, key)] == ["a", "b"] for key in KEYS[:500])


def test_one_key_gives_one_order_whatever_the_order_of_the_file():
    targets = [target(name) for name in "abcd"]
    for key in KEYS[:100]:
        assert order(targets, key) == order(targets[::-1], key)


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (1, 2, 7), (0.5, 1.5)])
def test_shares_are_in_proportion_to_the_weights(weights):
    counted = firsts([target(f"up{index}", weight) for index, weight in enumerate(weights)])
    for index, weight in enumerate(weights):
        expected = len(KEYS) * weight / sum(weights)
        deviation = (expected * (1 - weight / sum(weights))) ** 0.5
        assert abs(counted[f"up{index}"] - expected) < 4 * deviation


def test_what_goes_away_moves_only_its_own_sessions():
    targets = [target(name) for name in "abc"]
    for key in KEYS[:500]:
        before = order(targets, key)
        after = order([t for t in targets if t.upstream != "b"], key)
        assert after == [t for t in before if t.upstream != "b"]


def test_models_of_one_upstream_are_different_targets():
    targets = [target("a"), target("a")._replace(model="other")]
    assert {order(targets, key)[0].model for key in KEYS[:50]} == {"m", "other"}
