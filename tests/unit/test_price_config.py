import math

import pytest

from tollbridge.price_config import PriceConfig, TierConfig, price_problems


def test_a_good_price():
    tiers = (TierConfig(above=1, input=2.0), TierConfig(above=2, output=0.000001))
    assert list(price_problems(PriceConfig(input=0.0, tiers=tiers))) == []


@pytest.mark.parametrize("weight", [-1.0, 1_000.1, 0.0000001, math.inf, math.nan])
def test_weights_that_do_not_fit_the_ledger(weight: float):
    told = list(price_problems(PriceConfig(cache_read=weight, tiers=(TierConfig(above=1),))))
    assert told == ["cache_read: between 0 and 1000, with at most six decimals"]
    (told_of_tier,) = price_problems(PriceConfig(tiers=(TierConfig(above=1, output=weight),)))
    assert told_of_tier.startswith("tiers[0].output: between 0 and 1000")


def test_tiers_grow():
    tiers = (TierConfig(above=2), TierConfig(above=2))
    assert list(price_problems(PriceConfig(tiers=tiers))) == [
        "tiers[1].above: must grow from tier to tier"
    ]
