from hypothesis import given
from hypothesis import strategies as st

from tollbridge.ledger.estimate import need
from tollbridge.ledger.model import Need
from tollbridge.ledger.pricing import Weights, price
from tollbridge.usage import TokenUsage


def test_input_is_taken_at_the_dearest_weight() -> None:
    assert need(100, 1_000, Weights(4, 1, 5, 20)) == Need(500, 20, 1_000, 16)


def test_the_floor_is_not_above_what_was_asked() -> None:
    assert need(1, 3, Weights(1, 1, 1, 1)).output_floor == 3


COUNTS = st.integers(0, 10**6)


@given(st.builds(TokenUsage, COUNTS, COUNTS, COUNTS, COUNTS), st.builds(Weights, *[COUNTS] * 4))
def test_no_usage_within_the_bounds_costs_more(usage: TokenUsage, weights: Weights) -> None:
    bound = need(usage.prompt, usage.output, weights)
    assert price(usage, weights) <= bound.amount(bound.output_tokens)
