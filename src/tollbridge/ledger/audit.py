"""The auditor: replays the journal by rules of its own and lists every difference.

It shares no code with `ledger.machine`, so that a mistake there is not repeated here. It works on
streams: what it keeps in memory are the packs and the legs of one request.

What is checked: amounts are positive; every pack was granted once; its transfers are numbered
without a gap; no account is negative at any
moment; a hold ends at most once and in the pack it was placed in; a post and what it releases make
up the leg; the rows of open holds are exactly the legs that have not ended; each exchange's usage
record says what the journal charged for it; the balances of packs equal the replay; and what the
budgets of keys say was charged and is held equals the records.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from tollbridge.ledger.model import Pack


class JournalRow(NamedTuple):
    """One transfer, as stored."""

    seq: int
    """Its number within its pack."""
    env_id: str
    request_id: str
    kind: str
    leg: int
    pack_id: str | None
    amount: int
    released: int


class HoldRow(NamedTuple):
    """One leg of an exchange under way; of a free one without a pack."""

    env_id: str
    request_id: str
    leg: int
    pack_id: str | None
    amount: int
    key_id: str = ""


class UsageCharge(NamedTuple):
    """What an exchange that ended was charged, and how much of it no pack could bear."""

    env_id: str
    request_id: str
    amount: int
    overrun: int
    key_id: str = ""


class BudgetRow(NamedTuple):
    """What a key with a budget was charged, and what its exchanges under way hold."""

    env_id: str
    key_id: str
    charged: int
    held: int


class AuditRows(NamedTuple):
    """Everything the auditor reads, of one moment."""

    packs: Iterable[Pack]
    journal: Iterable[JournalRow]
    """By `seq`, as far as it concerns one pack."""
    by_request: Iterable[JournalRow]
    """The same rows by environment and request."""
    holds: Iterable[HoldRow]
    """By environment, request and leg."""
    usage: Iterable[UsageCharge]
    """By environment and request."""
    budgets: Iterable[BudgetRow] = ()


class Difference(msgspec.Struct, frozen=True):
    """Something that does not add up. `subject` is a pack, request or key, or `total`."""

    env_id: str
    subject: str
    message: str


class Totals(msgspec.Struct):
    """Sums over an environment's packs, from the replay; all in micro-credits."""

    granted: int = 0
    available: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0
    overrun: int = 0
    charged: int = 0
    """From the usage records: equals `spent + overrun`."""


class AuditReport(msgspec.Struct):
    """What was read, and what is wrong with it. No differences: the ledger is exact."""

    transfers: int
    packs: int
    exchanges: int
    open_holds: list[HoldRow]
    environments: dict[str, Totals]
    differences: list[Difference]


ACCOUNTS = ("granted", "available", "held", "spent", "expired")


class _Balances(msgspec.Struct):
    seq: int = 0
    granted: int = 0
    available: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0


def audit(rows: AuditRows) -> AuditReport:
    """Replay and compare everything."""
    differences: list[Difference] = []
    environments: dict[str, Totals] = {}
    replayed, transfers = _replay(rows.journal, environments, differences)
    packs = _compare_packs(rows.packs, replayed, environments, differences)
    open_holds: list[HoldRow] = []
    budgets = _Budgets(rows.budgets)
    exchanges = _check_requests(rows, open_holds, environments, differences, budgets)
    differences += budgets.differences()
    for env_id, totals in environments.items():
        accounts = totals.available + totals.held + totals.spent + totals.expired
        if totals.granted != accounts:
            message = f"granted {totals.granted}, but the accounts hold {accounts}"
            differences.append(Difference(env_id, "total", message))
        if totals.charged != totals.spent + totals.overrun:
            message = (
                f"usage records charge {totals.charged}, the journal {totals.spent} spent"
                f" and {totals.overrun} overrun"
            )
            differences.append(Difference(env_id, "total", message))
    return AuditReport(transfers, packs, exchanges, open_holds, environments, differences)


def _replay(
    journal: Iterable[JournalRow],
    environments: dict[str, Totals],
    differences: list[Difference],
) -> tuple[dict[tuple[str, str], _Balances], int]:
    """Balances by pack, and the number of rows; what goes negative on the way is told."""
    packs: dict[tuple[str, str], _Balances] = {}
    count = 0
    for row in journal:
        count += 1
        totals = environments.setdefault(row.env_id, Totals())
        if row.amount <= 0 or row.released < 0 or (row.released and row.kind != "post"):
            message = f"row {row.seq} ({row.kind}) moves {row.amount}, releases {row.released}"
            differences.append(Difference(row.env_id, row.request_id, message))
        if row.pack_id is None:
            totals.overrun += row.amount
            continue
        key = (row.env_id, row.pack_id)
        if row.kind == "grant":
            if key in packs:
                message = f"row {row.seq} grants it a second time"
                differences.append(Difference(row.env_id, row.pack_id, message))
            packs.setdefault(key, _Balances()).granted += row.amount
        elif key not in packs:
            message = f"row {row.seq} ({row.kind}) comes before its grant"
            differences.append(Difference(row.env_id, row.pack_id, message))
        balances = packs.setdefault(key, _Balances())
        if row.seq != balances.seq + 1:
            message = f"row {row.seq} ({row.kind}) comes after row {balances.seq}"
            differences.append(Difference(row.env_id, row.pack_id, message))
        balances.seq = row.seq
        if not _move(balances, row):
            message = f"row {row.seq} is of an unknown kind: {row.kind}"
            differences.append(Difference(row.env_id, row.request_id, message))
        if min(balances.available, balances.held) < 0:
            message = f"row {row.seq} ({row.kind}) leaves {balances.available} available"
            message += f" and {balances.held} held"
            differences.append(Difference(row.env_id, row.pack_id, message))
    return packs, count


def _move(balances: _Balances, row: JournalRow) -> bool:
    """Returns False for an unknown kind."""
    match row.kind:
        case "grant":
            balances.available += row.amount
        case "hold":
            balances.available -= row.amount
            balances.held += row.amount
        case "post":
            balances.held -= row.amount + row.released
            balances.spent += row.amount
            balances.available += row.released
        case "void":
            balances.held -= row.amount
            balances.available += row.amount
        case "spend":
            balances.available -= row.amount
            balances.spent += row.amount
        case "expire":
            balances.available -= row.amount
            balances.expired += row.amount
        case "add":
            balances.granted += row.amount
            balances.available += row.amount
        case "take_back":
            balances.granted -= row.amount
            balances.available -= row.amount
        case _:
            return False
    return True


def _compare_packs(
    packs: Iterable[Pack],
    replayed: dict[tuple[str, str], _Balances],
    environments: dict[str, Totals],
    differences: list[Difference],
) -> int:
    count = 0
    unseen = dict(replayed)
    for pack in packs:
        count += 1
        balances = unseen.pop((pack.env_id, pack.pack_id), _Balances())
        totals = environments.setdefault(pack.env_id, Totals())
        if pack.seq != balances.seq:
            message = f"its last transfer is {pack.seq}, the journal ends with {balances.seq}"
            differences.append(Difference(pack.env_id, pack.pack_id, message))
        for account in ACCOUNTS:
            stored, counted = getattr(pack, account), getattr(balances, account)
            setattr(totals, account, getattr(totals, account) + counted)
            if stored != counted:
                message = f"{account} is {stored}, the journal says {counted}"
                differences.append(Difference(pack.env_id, pack.pack_id, message))
    for env_id, pack_id in unseen:
        differences.append(
            Difference(env_id, pack_id, "is in the journal, but not among the packs")
        )
    return count


class _Budgets:
    """What the records say of the keys that have a budget."""

    def __init__(self, rows: Iterable[BudgetRow]) -> None:
        self._rows = {(row.env_id, row.key_id): row for row in rows}
        self._charged: Counter[tuple[str, str]] = Counter()
        self._held: Counter[tuple[str, str]] = Counter()

    def add(self, request: "_Request") -> None:
        if self._rows:
            for record in request.records:
                self._charged[record.env_id, record.key_id] += record.amount
            for hold in request.open:
                self._held[hold.env_id, hold.key_id] += hold.amount

    def differences(self) -> Iterator[Difference]:
        for key, row in self._rows.items():
            for name, stored, counted in (
                ("charged", row.charged, self._charged[key]),
                ("held", row.held, self._held[key]),
            ):
                if stored != counted:
                    message = f"the budget says {name} {stored}, the records say {counted}"
                    yield Difference(row.env_id, row.key_id, message)


_Row = JournalRow | HoldRow | UsageCharge


class _Request:
    """Everything about one request: its transfers, open legs and usage record."""

    def __init__(self, env_id: str, request_id: str) -> None:
        self.env_id = env_id
        self.request_id = request_id
        self.held: dict[int, JournalRow] = {}
        self.ended: dict[int, JournalRow] = {}
        self.spent = 0
        self.overrun = 0
        self.open: list[HoldRow] = []
        self.records: list[UsageCharge] = []
        self.messages: list[str] = []

    def add(self, row: _Row) -> None:
        if isinstance(row, HoldRow):
            self.open.append(row)
        elif isinstance(row, UsageCharge):
            self.records.append(row)
        elif row.kind in {"hold", "post", "void"}:
            legs = self.held if row.kind == "hold" else self.ended
            if row.leg in legs:
                again = "is placed" if row.kind == "hold" else "ends"
                self.messages.append(f"leg {row.leg} {again} twice, again in row {row.seq}")
            legs[row.leg] = row
            self.spent += row.amount if row.kind == "post" else 0
        elif row.kind == "spend":
            self.spent += row.amount
        elif row.kind == "overrun":
            self.overrun += row.amount

    def check(self) -> list[str]:
        messages = self.messages
        for leg, end in self.ended.items():
            hold = self.held.get(leg)
            if hold is None:
                messages.append(f"leg {leg} ends without a hold")
            elif (hold.pack_id, hold.amount) != (end.pack_id, end.amount + end.released):
                messages.append(
                    f"leg {leg} held {hold.amount} of {hold.pack_id}, but ends"
                    f" {end.amount + end.released} of {end.pack_id}"
                )
        pending = {
            leg: (hold.pack_id, hold.amount)
            for leg, hold in self.held.items()
            if leg not in self.ended
        }
        listed = {row.leg: (row.pack_id, row.amount) for row in self.open if row.amount}
        if pending != listed:
            messages.append(f"open legs are {pending}, but listed are {listed}")
        if self.open and self.records:
            messages.append("is listed as open and as ended")
        if len(self.records) > 1:
            messages.append("has two usage records")
        charged = sum(record.amount for record in self.records)
        if charged != self.spent + self.overrun:
            messages.append(
                f"was charged {self.spent} and {self.overrun} overrun, its usage record says"
                f" {charged}"
            )
        if sum(record.overrun for record in self.records) != self.overrun:
            messages.append(f"has an overrun of {self.overrun}, its usage record differs")
        if self.ended and not self.records:
            messages.append("has ended without a usage record")
        return messages


def _check_requests(
    rows: AuditRows,
    open_holds: list[HoldRow],
    environments: dict[str, Totals],
    differences: list[Difference],
    budgets: _Budgets,
) -> int:
    """Returns how many exchanges have ended."""
    exchanges = 0
    for request in _requests(rows):
        open_holds += request.open
        budgets.add(request)
        exchanges += len(request.records)
        totals = environments.setdefault(request.env_id, Totals())
        totals.charged += sum(record.amount for record in request.records)
        differences += [
            Difference(request.env_id, request.request_id, message) for message in request.check()
        ]
    return exchanges


def _requests(rows: AuditRows) -> Iterator[_Request]:
    """Merge the three streams that are ordered by environment and request."""

    def key(row: _Row) -> tuple[str, str]:
        return (row.env_id, row.request_id)

    streams: tuple[Iterable[_Row], ...] = (rows.by_request, rows.holds, rows.usage)
    merged = heapq.merge(*streams, key=key)
    for (env_id, request_id), group in itertools.groupby(merged, key):
        request = _Request(env_id, request_id)
        for row in group:
            request.add(row)
        yield request
