import json

import pytest

from tollbridge.ledger.pricing import PriceBook, Tier, Weights, price_book
from tollbridge.price_config import PriceConfig, TierConfig
from tollbridge.usage import TokenUsage

TIERED = PriceBook(
    Weights(1, 1, 1, 1), (Tier(10, Weights(2, 3, 5, 7)), Tier(20, Weights(20, 30, 50, 70)))
)


def test_weights_are_whole_micro_credits() -> None:
    assert price_book(PriceConfig()).base == Weights(1_000_000, 100_000, 1_250_000, 1_000_000)
    tiny = PriceConfig(input=0.000001, cache_read=0.29, cache_write=0, output=4.35)
    assert price_book(tiny).base == Weights(1, 290_000, 0, 4_350_000)


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
    assert PriceBook(Weights(2, 3, 5, 7)).price(usage) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (TokenUsage(input=10, output=100), 110),
        (TokenUsage(input=11, output=1), 29),
        (TokenUsage(input=1, cache_read=9, cache_write=1, output=1), 41),
        (TokenUsage(input=20), 40),
        (TokenUsage(input=1, cache_read=20), 620),
    ],
)
def test_the_tier_of_the_whole_prompt_prices_all_tokens(usage: TokenUsage, expected: int) -> None:
    assert TIERED.price(usage) == expected


def test_the_tiers_that_a_prompt_may_reach() -> None:
    assert [weights.input for weights in TIERED.up_to(10)] == [1]
    assert [weights.input for weights in TIERED.up_to(11)] == [1, 2]
    assert [weights.input for weights in TIERED.up_to(99)] == [1, 2, 20]


def test_a_tier_leaves_out_what_does_not_change() -> None:
    book = price_book(
        PriceConfig(
            input=1,
            output=2,
            tiers=(TierConfig(above=16_000, input=2), TierConfig(above=32_000, output=0)),
        )
    )
    million = 1_000_000
    assert book.base == Weights(million, 100_000, 1_250_000, 2 * million)
    assert book.tiers == (
        Tier(16_000, Weights(2 * million, 100_000, 1_250_000, 2 * million)),
        Tier(32_000, Weights(2 * million, 100_000, 1_250_000, 0)),
    )


def test_large_prices_are_exact() -> None:
    book = PriceBook(Weights(0, 0, 0, 10**6 + 1))
    assert book.price(TokenUsage(output=10**12 + 1)) == (10**12 + 1) * (10**6 + 1)


def test_a_version_names_the_content() -> None:
    plain = price_book(PriceConfig())
    assert plain == price_book(PriceConfig())
    assert len(plain.version) == 12
    tiered = price_book(PriceConfig(tiers=(TierConfig(above=1, input=2),)))
    other = price_book(PriceConfig(tiers=(TierConfig(above=2, input=2),)))
    assert len({plain.version, tiered.version, other.version}) == 3
    assert json.loads(plain.text()) == {
        "base": {
            "input": 1_000_000,
            "cache_read": 100_000,
            "cache_write": 1_250_000,
            "output": 1_000_000,
        },
        "tiers": [],
    }
