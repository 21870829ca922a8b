"""The auditor notices whatever is changed in a ledger behind the store's back.

Each row of an exact ledger's file is deleted, and each column that says who paid what is changed,
one at a time, with the triggers and constraints that forbid it out of the way.
"""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, correction, grant, key, need, settlement

from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import KeyId, Millis

NUMBERS = {
    "packs": ("granted", "available", "held", "spent", "expired", "seq"),
    "transfers": ("amount", "released"),
    "holds": ("amount", "seq"),
    "usage_records": ("amount", "overrun", "posted", "released", "held_seq", "ended_seq"),
    "budgets": ("charged", "held"),
}
NAMES = {
    "packs": ("env_id", "pack_id"),
    "transfers": ("env_id", "kind", "pack_id"),
    "holds": ("env_id", "pack_id", "key_id"),
    "usage_records": ("env_id", "request_id", "pack_id"),
    "budgets": ("env_id", "key_id"),
}
KINDS = {"grant", "add", "take_back", "hold", "post", "void", "spend", "overrun", "expire"}
CHANGES = [
    *((table, "DELETE FROM {table}") for table in NUMBERS if table != "budgets"),
    *((t, f"UPDATE {{table}} SET {c} = {c} + 1") for t, cs in NUMBERS.items() for c in cs),
    *((t, f"UPDATE {{table}} SET {c} = {c} || 'x'") for t, cs in NAMES.items() for c in cs),
    # Where a column means money: an overrun has no number, a correction's id is its own.
    ("transfers", "UPDATE {table} SET seq = seq + (seq > 0)"),
    (
        "transfers",
        "UPDATE {table} SET request_id = request_id || iif(leg OR kind = 'overrun', 'x', '')",
    ),
    ("usage_records", "UPDATE {table} SET key_id = key_id || iif(amount > 0, 'x', '')"),
]


async def life(path: Path) -> None:
    """Every kind of transfer, an exchange of two legs, one under way, a key with a budget."""
    store = SqliteStore(path)
    await store.create_environment(ENV, "Acme", Millis(0))
    await store.add_key(*key(1, budget=10_000))
    await store.grant(grant("p0", 5, expires_at=40, models=("other",)))
    await store.grant(grant("p1", 70, expires_at=50))
    await store.grant(grant("p2", 60, expires_at=900))
    await store.correct(correction("c1", "p2", 10))
    await store.correct(correction("c2", "p2", -5))
    about = {"generation": 2, "key_budgeted": True}
    owner = {"key_id": KeyId("key_1")}
    for name in ("r1", "r2"):
        await store.admit(admission(name, need(), **about))
    await store.settle(settlement("r2", 0, **owner))
    await store.settle(settlement("r1", 60, **owner))
    for name in ("r3", "r4"):
        await store.admit(admission(name, need(), **about))
    await store.settle(settlement("r3", 90, **owner))
    assert await store.sweep(Millis(100)) == 1
    await store.close("nobody")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    asyncio.run(life(path))
    return path


def audited(path: Path) -> AuditReport:
    with audit_rows(path) as rows:
        return audit(rows)


def test_the_ledger_is_exact(ledger: Path) -> None:
    report = audited(ledger)
    assert report.differences == []
    assert (report.exchanges, [hold.leg for hold in report.open_holds]) == (3, [0])
    with closing(sqlite3.connect(ledger)) as connection:
        kinds = {kind for (kind,) in connection.execute("SELECT kind FROM journal")}
    assert kinds == KINDS


@pytest.mark.parametrize(("table", "change"), CHANGES)
def test_every_row_that_is_changed_is_noticed(
    table: str, change: str, ledger: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        key = ", ".join(name for _, name, *_, place in columns if place)
        rows = connection.execute(f"SELECT {key} FROM {table}").fetchall()
    assert rows
    for row in rows:
        copy = tmp_path / "copy.db"
        shutil.copyfile(ledger, copy)
        where = f"({key}) = ({', '.join('?' * len(row))})"
        if changed(copy, table, f"{change.format(table=table)} WHERE {where}", row):
            assert audited(copy).differences, f"{change} of {row} is not noticed"


def changed(path: Path, table: str, statement: str, row: tuple[object, ...]) -> bool:
    """Returns whether anything is different now: a column may be NULL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        for (trigger,) in connection.execute(triggers).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        everything = f"SELECT * FROM {table}"
        before = connection.execute(everything).fetchall()
        connection.execute(statement, row)
        return before != connection.execute(everything).fetchall()
