"""What a request may cost at most, before it is sent."""

from tollbridge.ledger.model import Need
from tollbridge.ledger.pricing import PriceBook
from tollbridge.units import OUTPUT_FLOOR_TOKENS, MicroCredits, Tokens


def need(input_tokens_max: int, output_tokens_max: int, book: PriceBook) -> Need:
    """The need of a request with at most this many tokens.

    Which input tokens a prompt cache will serve or store is not known beforehand, so each is
    taken at the dearest of the three input weights, and the weights at the dearest of the tiers
    that the prompt may reach.
    """
    dearest_input = dearest_output = 0
    for weights in book.up_to(input_tokens_max) if book.tiers else (book.base,):
        dearest_output = max(dearest_output, weights.output)
        dearest_input = max(dearest_input, weights.input, weights.cache_read, weights.cache_write)
    return Need(
        MicroCredits(input_tokens_max * dearest_input),
        MicroCredits(dearest_output),
        Tokens(output_tokens_max),
        Tokens(min(OUTPUT_FLOOR_TOKENS, output_tokens_max)),
    )
