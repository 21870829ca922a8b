"""Compares what upstreams say they billed with what was recorded here, by model and day.

A difference has causes that can be told apart: what we never saw, what they never billed, what we
counted because they did not report, what was recovered after a crash, and what failed before it
delivered anything and was charged to nobody.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec


class Counts(NamedTuple):
    """Tokens by class."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """The sum."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: "Counts") -> "Counts":
        """The difference; members may be negative."""
        return Counts(*(a - b for a, b in zip(self, other, strict=True)))


class Billed(NamedTuple):
    """A line of an upstream's bill: a day (UTC, `2026-01-31`), its name of the model, tokens."""

    day: str
    model: str
    counts: Counts


class Recorded(NamedTuple):
    """What usage records say of one day, model and provenance."""

    day: str
    model: str
    provenance: str
    requests: int
    counts: Counts


class Cause(enum.StrEnum):
    """Why a bill and the records differ."""

    MISSING_HERE = "missing here"
    """Billed, but there is no record of that model and day."""
    MISSING_THERE = "missing there"
    """Recorded, but not billed."""
    COUNTED = "counted, not reported"
    """The upstream told no usage, so we counted; the tokens are what we counted."""
    RECOVERED = "recovered"
    """A gateway process died; the tokens are those of the last checkpoint."""
    VOID = "void"
    """Failed before anything was delivered: charged to nobody, perhaps billed."""
    UNEXPLAINED = "unexplained"
    """Every request was reported, and still the sums differ."""


EXPLAINING = {"counted": Cause.COUNTED, "recovered": Cause.RECOVERED, "void": Cause.VOID}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of one day and model, with one of its causes."""

    day: str
    model: str
    cause: Cause
    requests: int
    """That have this cause."""
    counts: Counts
    """Tokens recorded for them; of `MISSING_HERE` those billed."""
    difference: Counts
    """Billed less recorded, of the whole day and model."""


def reconcile(billed: Iterable[Billed], recorded: Iterable[Recorded]) -> list[Finding]:
    """Every difference by day and model, once for each of its causes. Empty: all sums agree."""
    bills: dict[tuple[str, str], Counts] = defaultdict(Counts)
    for bill in billed:
        bills[bill.day, bill.model] = bills[bill.day, bill.model].plus(bill.counts)
    records: dict[tuple[str, str], list[Recorded]] = defaultdict(list)
    for record in recorded:
        records[record.day, record.model].append(record)
    findings: list[Finding] = []
    for day, model in sorted(bills.keys() | records.keys()):
        findings += _compare(day, model, bills.get((day, model)), records[day, model])
    return findings


def _compare(
    day: str, model: str, bill: Counts | None, records: Sequence[Recorded]
) -> list[Finding]:
    here = Counts()
    for record in records:
        here = here.plus(record.counts)
    difference = (bill or Counts()).minus(here)
    if not any(difference):
        return []
    requests = sum(record.requests for record in records)
    if not records:
        causes = [(Cause.MISSING_HERE, 0, difference)]
    elif bill is None:
        causes = [(Cause.MISSING_THERE, requests, here)]
    else:
        causes = [
            (EXPLAINING[record.provenance], record.requests, record.counts)
            for record in records
            if record.provenance in EXPLAINING
        ] or [(Cause.UNEXPLAINED, requests, here)]
    return [
        Finding(
            day=day, model=model, cause=cause, requests=of, counts=counts, difference=difference
        )
        for cause, of, counts in causes
    ]
