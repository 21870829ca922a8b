"""The price of usage, in whole micro-credits.

A price book gives a weight in credits per token with at most six decimals, so a weight is a whole
number of micro-credits and no price is ever rounded: a used token is free only if its weight is 0.
A book may have tiers: the tier of the whole prompt's length prices all tokens of the exchange.
"""

import hashlib
from collections.abc import Iterator

import msgspec

from tollbridge.price_config import PriceConfig, TierConfig
from tollbridge.units import MICRO, MicroCredits
from tollbridge.usage import TokenUsage


class Weights(msgspec.Struct, frozen=True):
    """Micro-credits per token of each class."""

    input: int
    cache_read: int
    cache_write: int
    output: int


class Tier(msgspec.Struct, frozen=True):
    """The weights for prompts of more than `above` tokens."""

    above: int
    weights: Weights


class PriceBook(msgspec.Struct, frozen=True):
    """A model's prices."""

    base: Weights
    tiers: tuple[Tier, ...] = ()
    """By length."""
    version: str = ""
    """Twelve hexadecimal digits that name the content: the same prices, the same version."""

    def at(self, prompt: int) -> Weights:
        """The weights for a prompt of this length, cached tokens included."""
        weights = self.base
        for tier in self.tiers:
            if prompt <= tier.above:
                break
            weights = tier.weights
        return weights

    def price(self, usage: TokenUsage) -> MicroCredits:
        """What the usage costs. Reasoning is part of the output and not priced a second time."""
        weights = self.at(usage.prompt) if self.tiers else self.base
        return MicroCredits(
            usage.input * weights.input
            + usage.cache_read * weights.cache_read
            + usage.cache_write * weights.cache_write
            + usage.output * weights.output
        )

    def up_to(self, prompt: int) -> Iterator[Weights]:
        """Every weights that a prompt of at most this length may be priced with."""
        yield self.base
        for tier in self.tiers:
            if tier.above < prompt:
                yield tier.weights

    def text(self) -> str:
        """The content as JSON: the same text for the same prices."""
        return msgspec.json.encode({"base": self.base, "tiers": self.tiers}).decode()


def price_book(config: PriceConfig) -> PriceBook:
    """The book of a checked configuration; what a tier leaves out is as below it."""
    base = _weights(config, Weights(0, 0, 0, 0))
    tiers: list[Tier] = []
    weights = base
    for tier in config.tiers:
        weights = _weights(tier, weights)
        tiers.append(Tier(tier.above, weights))
    book = PriceBook(base, tuple(tiers))
    version = hashlib.sha256(book.text().encode()).hexdigest()[:12]
    return msgspec.structs.replace(book, version=version)


def _weights(config: PriceConfig | TierConfig, below: Weights) -> Weights:
    return Weights(
        *(
            getattr(below, name) if weight is None else round(weight * MICRO)
            for name in Weights.__struct_fields__
            for weight in (getattr(config, name),)
        )
    )


OWN_BOOK = price_book(PriceConfig(input=0.0, cache_read=0.0, cache_write=0.0, output=0.0))
"""Of upstreams that environments bring: they pay for them elsewhere."""
