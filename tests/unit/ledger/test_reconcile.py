import pytest

from tollbridge.ledger.reconcile import Billed, Cause, Counts, Recorded, reconcile

DAY = "2026-01-31"


def billed(*counts: int, day: str = DAY, model: str = "m") -> Billed:
    return Billed(day, model, Counts(*counts))


def recorded(provenance: str, requests: int, *counts: int, model: str = "m") -> Recorded:
    return Recorded(DAY, model, provenance, requests, Counts(*counts))


def test_equal_sums_are_no_difference() -> None:
    records = [recorded("reported", 2, 10, 0, 0, 5), recorded("counted", 1, 1, 0, 0, 1)]
    assert reconcile([billed(6, 0, 0, 1), billed(5, 0, 0, 5)], records) == []
    assert reconcile([], []) == []
    assert reconcile([], [recorded("void", 3)]) == [], "nothing billed, nothing charged"


@pytest.mark.parametrize(
    ("bills", "records", "expected"),
    [
        ([billed(1, 2, 3, 4)], [], [(Cause.MISSING_HERE, 0, (1, 2, 3, 4), (1, 2, 3, 4))]),
        (
            [],
            [recorded("reported", 2, 7, 0, 0, 1)],
            [(Cause.MISSING_THERE, 2, (7, 0, 0, 1), (-7, 0, 0, -1))],
        ),
        (
            [billed(9, 0, 0, 9)],
            [recorded("reported", 2, 5, 0, 0, 5), recorded("counted", 1, 3, 0, 0, 3)],
            [(Cause.COUNTED, 1, (3, 0, 0, 3), (1, 0, 0, 1))],
        ),
        (
            [billed(9, 0, 0, 9)],
            [recorded("recovered", 1, 3, 0, 0, 3), recorded("void", 4)],
            [
                (Cause.RECOVERED, 1, (3, 0, 0, 3), (6, 0, 0, 6)),
                (Cause.VOID, 4, (0, 0, 0, 0), (6, 0, 0, 6)),
            ],
        ),
        (
            [billed(9)],
            [recorded("reported", 1, 8)],
            [(Cause.UNEXPLAINED, 1, (8, 0, 0, 0), (1, 0, 0, 0))],
        ),
    ],
)
def test_each_cause(bills: list, records: list, expected: list) -> None:
    findings = reconcile(bills, records)
    assert [(f.cause, f.requests, f.counts, f.difference) for f in findings] == expected


def test_models_and_days_are_apart() -> None:
    findings = reconcile(
        [billed(1, day="2026-01-01"), billed(1, model="b"), billed(1, model="a")],
        [recorded("reported", 1, 1, model="b")],
    )
    assert [(f.day, f.model) for f in findings] == [("2026-01-01", "m"), (DAY, "a")]
