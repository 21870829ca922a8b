from hypothesis import given
from hypothesis import strategies as st

from tollbridge.ledger.estimate import need
from tollbridge.ledger.model import Need
from tollbridge.ledger.pricing import PriceBook, Tier, Weights
from tollbridge.usage import TokenUsage


def test_input_is_taken_at_the_dearest_weight() -> None:
    assert need(100, 1_000, PriceBook(Weights(4, 1, 5, 20))) == Need(500, 20, 1_000, 16)


def test_tiers_that_the_prompt_may_reach_count() -> None:
    book = PriceBook(
        Weights(4, 1, 1, 20), (Tier(50, Weights(8, 1, 1, 5)), Tier(100, Weights(99, 99, 99, 99)))
    )
    assert need(50, 1_000, book) == Need(200, 20, 1_000, 16)
    assert need(100, 1_000, book) == Need(800, 20, 1_000, 16)


def test_the_floor_is_not_above_what_was_asked() -> None:
    assert need(1, 3, PriceBook(Weights(1, 1, 1, 1))).output_floor == 3


COUNTS = st.integers(0, 10**6)
WEIGHTS = st.builds(Weights, *[COUNTS] * 4)
TIERS = st.lists(st.builds(Tier, st.integers(1, 3 * 10**6), WEIGHTS), max_size=3).map(
    lambda tiers: tuple(sorted(tiers, key=lambda tier: tier.above))
)


@given(
    st.builds(TokenUsage, COUNTS, COUNTS, COUNTS, COUNTS),
    st.builds(PriceBook, WEIGHTS, TIERS),
)
def test_no_usage_within_the_bounds_costs_more(usage: TokenUsage, book: PriceBook) -> None:
    bound = need(usage.prompt, usage.output, book)
    assert book.price(usage) <= bound.amount(bound.output_tokens)
