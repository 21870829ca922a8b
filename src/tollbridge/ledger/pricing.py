"""The price of usage, in whole micro-credits.

A price book gives a weight in credits per token with at most six decimals, so a weight is a whole
number of micro-credits and no price is ever rounded: a used token is free only if its weight is 0.
"""

import hashlib

import msgspec

from tollbridge.config import PriceConfig
from tollbridge.units import MICRO, MicroCredits
from tollbridge.usage import TokenUsage


class Weights(msgspec.Struct, frozen=True):
    """Micro-credits per token of each class."""

    input: int
    cache_read: int
    cache_write: int
    output: int


def weights(price: PriceConfig) -> Weights:
    """The weights of a model's price book, in whole micro-credits."""
    return Weights(
        round(price.input * MICRO),
        round(price.cache_read * MICRO),
        round(price.cache_write * MICRO),
        round(price.output * MICRO),
    )


def price(usage: TokenUsage, weights: Weights) -> MicroCredits:
    """What the usage costs. Reasoning is part of the output and not priced a second time."""
    return MicroCredits(
        usage.input * weights.input
        + usage.cache_read * weights.cache_read
        + usage.cache_write * weights.cache_write
        + usage.output * weights.output
    )


def version(weights: Weights) -> str:
    """Twelve hexadecimal digits that name these weights; the same weights, the same name."""
    text = f"{weights.input},{weights.cache_read},{weights.cache_write},{weights.output}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
