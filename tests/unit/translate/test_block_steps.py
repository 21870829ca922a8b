from itertools import product

from tollbridge.translate.block_steps import STEPS, Open, Step

OPENS = {Open.THINKING: Step.OPEN_THINKING, Open.TEXT: Step.OPEN_TEXT}
CLOSES = {
    Open.THINKING: Step.CLOSE_THINKING,
    Open.TEXT: Step.CLOSE_TEXT,
    Open.CALLS: Step.CLOSE_CALLS,
}


def test_every_cell_closes_what_is_open_and_opens_what_is_wanted():
    assert set(STEPS) == set(product(Open, Open))
    for (opened, wanted), steps in STEPS.items():
        if opened is wanted:
            assert steps == ()
            continue
        expected = [CLOSES.get(opened), OPENS.get(wanted)]
        assert list(steps) == [step for step in expected if step is not None]
