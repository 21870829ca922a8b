"""Ten thousand random histories of the ledger; a failure names its seed and tells its steps."""

import pytest
from tests.simulation.ledger_history import run_history

QUICK = 300
ALL = 10_000
PART = 970


@pytest.mark.parametrize("first", range(0, QUICK, 100))
def test_histories(first):
    for seed in range(first, first + 100):
        run_history(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, ALL, PART))
def test_many_histories(first):
    for seed in range(first, min(first + PART, ALL)):
        run_history(seed)


def test_a_seed_leads_to_one_history():
    assert run_history(4711).trace == run_history(4711).trace
