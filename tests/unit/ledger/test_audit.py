"""The auditor is shown an exact ledger, then ledgers with one thing wrong each."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tollbridge.ledger.audit import (
    AuditReport,
    AuditRows,
    BudgetRow,
    HoldRow,
    JournalRow,
    Totals,
    UsageCharge,
    audit,
)
from tollbridge.ledger.model import Pack

PACKS = (
    Pack(env_id="e", pack_id="p", granted=100, available=0, held=10, spent=60, expired=30,
         granted_at=0, seq=7),
    Pack(env_id="e", pack_id="q", granted=5, available=0, spent=5, granted_at=0, seq=2),
)  # fmt: skip
JOURNAL = (
    JournalRow(1, "e", "p", "grant", 0, "p", 100, 0),
    JournalRow(1, "e", "q", "grant", 0, "q", 5, 0),
    JournalRow(2, "e", "r1", "hold", 0, "p", 70, 0),
    JournalRow(3, "e", "r2", "hold", 0, "p", 20, 0),
    JournalRow(4, "e", "r1", "post", 0, "p", 60, 10),
    JournalRow(2, "e", "r1", "spend", 0, "q", 5, 0),
    JournalRow(0, "e", "r1", "overrun", 0, None, 2, 0),
    JournalRow(5, "e", "r2", "void", 0, "p", 20, 0),
    JournalRow(6, "e", "r3", "hold", 0, "p", 10, 0),
    JournalRow(7, "e", "p", "expire", 0, "p", 30, 0),
)
HOLDS = (HoldRow("e", "free", 0, None, 0), HoldRow("e", "r3", 0, "p", 10))
USAGE = (UsageCharge("e", "r1", 67, 2), UsageCharge("e", "r2", 0, 0))


def audited(
    packs: Sequence[Pack] = PACKS,
    journal: Sequence[JournalRow] = JOURNAL,
    holds: Sequence[HoldRow] = HOLDS,
    usage: Sequence[UsageCharge] = USAGE,
) -> AuditReport:
    by_request = sorted(journal, key=lambda row: (row.env_id, row.request_id))
    return audit(AuditRows(packs, iter(journal), by_request, holds, usage))


def changed(number: int, **fields: object) -> tuple[JournalRow, ...]:
    """The journal with another row of this number, counted from 1."""
    rows = list(JOURNAL)
    rows[number - 1] = rows[number - 1]._replace(**fields)
    return tuple(rows)


def without(number: int) -> tuple[JournalRow, ...]:
    return JOURNAL[: number - 1] + JOURNAL[number:]


def test_an_exact_ledger_has_no_differences() -> None:
    report = audited()
    assert report.differences == []
    assert (report.transfers, report.packs, report.exchanges) == (10, 2, 2)
    assert report.open_holds == list(HOLDS)
    assert report.environments == {"e": Totals(105, 0, 10, 65, 30, 2, 67)}


@pytest.mark.parametrize(
    ("wrong", "messages"),
    [
        ({"journal": changed(5, amount=0)}, ["moves 0"]),
        ({"journal": changed(5, amount=80, released=-10)}, ["releases -10"]),
        ({"journal": changed(8, released=1)}, ["row 5 (void) moves 20, releases 1"]),
        ({"journal": changed(1, kind="gift")}, ["unknown kind: gift", "comes before its grant"]),
        ({"journal": changed(2, pack_id="p")}, ["grants it a second time"]),
        ({"journal": without(1)}, ["comes before its grant", "available and"]),
        ({"journal": changed(3, amount=101)}, ["leaves -1 available and 101 held"]),
        ({"journal": changed(5, leg=1)}, ["leg 1 ends without a hold", "open legs are"]),
        ({"journal": changed(5, pack_id="q")}, ["held 70 of p, but ends 70 of q", "held"]),
        ({"journal": changed(5, amount=61)}, ["held 70 of p, but ends 71 of p", "was charged 66"]),
        ({"journal": changed(4, request_id="r1")}, ["leg 0 is placed twice, again in row 3"]),
        ({"journal": changed(8, request_id="r1")}, ["leg 0 ends twice, again in row 5"]),
        ({"journal": without(9)}, ["listed are {0: ('p', 10)}", "held is 10"]),
        ({"journal": without(8)}, ["row 6 (hold) comes after row 4"]),
        ({"journal": without(10)}, ["its last transfer is 7, the journal ends with 6"]),
        ({"journal": without(10)}, ["expired is 30, the journal says 0"]),
        ({"packs": PACKS[:1]}, ["is in the journal, but not among the packs"]),
        ({"packs": [replace(PACKS[0], spent=61, held=9), PACKS[1]]}, ["spent is 61", "held is 9"]),
        ({"holds": HOLDS[:1]}, ["open legs are {0: ('p', 10)}, but listed are {}"]),
        ({"holds": [HOLDS[1]._replace(amount=9)]}, ["listed are {0: ('p', 9)}"]),
        ({"usage": USAGE[:1]}, ["has ended without a usage record"]),
        ({"usage": USAGE[1:]}, ["its usage record says 0", "usage records charge 0"]),
        ({"usage": [*USAGE, USAGE[1]]}, ["has two usage records"]),
        ({"usage": [USAGE[0]._replace(overrun=1), USAGE[1]]}, ["has an overrun of 2"]),
        ({"usage": [*USAGE, UsageCharge("e", "r3", 0, 0)]}, ["is listed as open and as ended"]),
    ],
)
def test_every_kind_of_error_is_found(wrong: dict, messages: list[str]) -> None:
    found = "\n".join(difference.message for difference in audited(**wrong).differences)
    for message in messages:
        assert message in found


def test_nothing_at_all_is_exact() -> None:
    assert audited((), (), (), ()) == AuditReport(0, 0, 0, [], {}, [])


def test_corrections_change_what_was_granted() -> None:
    corrected = (
        *JOURNAL,
        JournalRow(3, "e", "c1", "add", 0, "q", 7, 0),
        JournalRow(4, "e", "c2", "take_back", 0, "q", 4, 0),
    )
    packs = (PACKS[0], replace(PACKS[1], granted=8, available=3, seq=4))
    report = audited(packs=packs, journal=corrected)
    assert report.differences == []
    assert report.environments["e"].granted == 108
    granted, *_ = (
        difference
        for difference in audited(packs=PACKS, journal=corrected).differences
        if "granted" in difference.message
    )
    assert granted.message == "granted is 5, the journal says 8"


def test_budgets_are_compared_with_the_records() -> None:
    def differences(budget: BudgetRow) -> list[str]:
        usage = (UsageCharge("e", "r1", 67, 2, "k"), UsageCharge("e", "r2", 0, 0, "l"))
        holds = (HoldRow("e", "free", 0, None, 0, "k"), HoldRow("e", "r3", 0, "p", 10, "k"))
        by_request = sorted(JOURNAL, key=lambda row: (row.env_id, row.request_id))
        rows = AuditRows(PACKS, iter(JOURNAL), by_request, holds, usage, [budget])
        return [f"{d.subject} {d.message}" for d in audit(rows).differences]

    assert differences(BudgetRow("e", "k", 67, 10)) == []
    assert differences(BudgetRow("e", "k", 66, 10)) == [
        "k the budget says charged 66, the records say 67"
    ]
    assert differences(BudgetRow("e", "l", 0, 1)) == ["l the budget says held 1, the records say 0"]
