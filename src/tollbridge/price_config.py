"""Prices in the operator's file: values, and what the types cannot say of them."""

from collections.abc import Iterator

import msgspec

WEIGHT_MAX = 1_000.0
"""Credits per token; far above any price, and far below what would not fit the ledger."""


class TierConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights for prompts of more than `above` tokens; what is left out is as below that length."""

    above: int
    input: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    output: float | None = None


class PriceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights in credits per token. At most six decimals: they become whole micro-credits."""

    input: float = 1.0
    cache_read: float = 0.1
    cache_write: float = 1.25
    output: float = 1.0
    tiers: tuple[TierConfig, ...] = ()
    """The tier of the whole prompt's length prices all tokens of an exchange."""


def price_problems(price: PriceConfig) -> Iterator[str]:
    """What is wrong with a price, each beginning with the setting within it."""
    above = 0
    yield from _weight_problems(price, "")
    for index, tier in enumerate(price.tiers):
        where = f"tiers[{index}]."
        if tier.above <= above:
            yield f"{where}above: must grow from tier to tier"
        above = tier.above
        yield from _weight_problems(tier, where)


def _weight_problems(price: PriceConfig | TierConfig, where: str) -> Iterator[str]:
    for token_class in ("input", "cache_read", "cache_write", "output"):
        weight: float | None = getattr(price, token_class)
        if weight is None:
            continue
        if not 0 <= weight <= WEIGHT_MAX or round(weight, 6) != weight:
            yield f"{where}{token_class}: between 0 and {WEIGHT_MAX:g}, with at most six decimals"
