"""The tariff as a table: one row, one line."""

import pytest

from tollbridge.ledger.tariff import TOKENS_MAX, Outcome, charge, delivered
from tollbridge.usage import Provenance, TokenUsage

COUNTED = TokenUsage(input=20, output=10)
REPORTED = TokenUsage(input=25, cache_read=5, output=12, reasoning=3)
STARTED = TokenUsage(input=25, cache_read=5, output=1)
NOTHING = TokenUsage()


@pytest.mark.parametrize(
    ("outcome", "reported", "usage", "provenance"),
    [
        (Outcome.FINISHED, REPORTED, REPORTED, Provenance.REPORTED),
        (Outcome.FINISHED, None, COUNTED, Provenance.COUNTED),
        (Outcome.CLIENT_GONE, None, COUNTED, Provenance.COUNTED),
        (
            Outcome.CLIENT_GONE,
            STARTED,
            TokenUsage(input=25, cache_read=5, output=10),
            Provenance.COUNTED,
        ),
        (Outcome.CLIENT_GONE, REPORTED, REPORTED, Provenance.COUNTED),
        (
            Outcome.FAILED_MIDWAY,
            STARTED,
            TokenUsage(input=25, cache_read=5, output=10),
            Provenance.COUNTED,
        ),
        (Outcome.FAILED_EARLY, REPORTED, NOTHING, Provenance.VOID),
        (Outcome.FAILED_EARLY, None, NOTHING, Provenance.VOID),
        (Outcome.KILLED, None, COUNTED, Provenance.RECOVERED),
        # Reports that are none.
        (Outcome.FINISHED, NOTHING, COUNTED, Provenance.COUNTED),
        (
            Outcome.FINISHED,
            TokenUsage(input=25),
            TokenUsage(input=25, output=10),
            Provenance.COUNTED,
        ),
        (
            Outcome.FINISHED,
            TokenUsage(output=12),
            TokenUsage(input=20, output=12),
            Provenance.COUNTED,
        ),
        (Outcome.FINISHED, TokenUsage(input=TOKENS_MAX + 1, output=1), COUNTED, Provenance.COUNTED),
    ],
)
def test_row(outcome, reported, usage, provenance):
    assert charge(outcome, reported, COUNTED) == (usage, provenance)


def test_an_answer_without_words_is_reported_all_the_same():
    silent = TokenUsage(input=25)
    assert charge(Outcome.FINISHED, silent, TokenUsage(input=20)) == (silent, Provenance.REPORTED)


def test_what_was_delivered_is_never_less_than_what_was_counted():
    assert delivered(STARTED, COUNTED).output == COUNTED.output
    assert delivered(REPORTED, COUNTED).output == REPORTED.output


@pytest.mark.parametrize("outcome", Outcome)
def test_an_upstream_of_the_environments_own(outcome):
    usage, _ = charge(outcome, REPORTED, COUNTED)
    assert charge(outcome, REPORTED, COUNTED, own=True) == (usage, Provenance.OWN)


def test_every_outcome_has_a_row():
    assert {charge(outcome, REPORTED, COUNTED)[1] for outcome in Outcome} == {
        Provenance.REPORTED, Provenance.COUNTED, Provenance.VOID, Provenance.RECOVERED,
    }  # fmt: skip
