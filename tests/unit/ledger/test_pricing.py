import pytest

from tollbridge.config import PriceConfig
from tollbridge.ledger.pricing import Weights, price, version, weights
from tollbridge.usage import TokenUsage


def test_weights_are_whole_micro_credits() -> None:
    assert weights(PriceConfig()) == Weights(1_000_000, 100_000, 1_250_000, 1_000_000)
    tiny = PriceConfig(input=0.000001, cache_read=0.29, cache_write=0, output=4.35)
    assert weights(tiny) == Weights(1, 290_000, 0, 4_350_000)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (TokenUsage(), 0),
        (TokenUsage(input=1), 2),
        (TokenUsage(cache_read=1), 3),
        (TokenUsage(cache_write=1), 5),
        (TokenUsage(output=1), 7),
        (TokenUsage(output=1, reasoning=1), 7),
        (TokenUsage(input=1000, cache_read=100, cache_write=10, output=1), 2357),
    ],
)
def test_each_class_of_tokens_has_its_price(usage: TokenUsage, expected: int) -> None:
    assert price(usage, Weights(2, 3, 5, 7)) == expected


def test_large_prices_are_exact() -> None:
    assert price(TokenUsage(output=10**12 + 1), Weights(0, 0, 0, 10**6 + 1)) == (10**12 + 1) * (
        10**6 + 1
    )


def test_a_version_names_the_weights() -> None:
    assert version(Weights(1, 2, 3, 4)) == version(Weights(1, 2, 3, 4))
    assert len(version(Weights(1, 2, 3, 4))) == 12
    assert version(Weights(1, 23, 3, 4)) != version(Weights(12, 3, 3, 4))
