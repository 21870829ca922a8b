"""What a request may cost at most, before it is sent."""

from tollbridge.ledger.model import Need
from tollbridge.ledger.pricing import Weights
from tollbridge.units import OUTPUT_FLOOR_TOKENS, MicroCredits, Tokens


def need(input_tokens_max: int, output_tokens_max: int, weights: Weights) -> Need:
    """The need of a request with at most this many tokens.

    Which input tokens a prompt cache will serve or store is not known beforehand, so each is
    taken at the dearest of the three input weights.
    """
    dearest = max(weights.input, weights.cache_read, weights.cache_write)
    return Need(
        MicroCredits(input_tokens_max * dearest),
        MicroCredits(weights.output),
        Tokens(output_tokens_max),
        Tokens(min(OUTPUT_FLOOR_TOKENS, output_tokens_max)),
    )
