import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, correction, grant, group, key, need, settlement
from tests.fakes.postgres_server import PostgresServer

from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import Hold, Limits, Settled
from tollbridge.storage.migrations import MoveRefusedError
from tollbridge.storage.move import TABLES, move
from tollbridge.storage.postgres import PostgresStore
from tollbridge.storage.postgres_audit import audit_rows
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.units import LEASE_MS, EnvId, KeyId, Millis

LATER = Millis(LEASE_MS + 1)


async def life(path: Path) -> None:
    """Something in every table."""
    store = SqliteStore(path, alert_levels=(10,))
    limits = Limits(5, 100, 10_000)
    await store.create_environment(ENV, "Acme", Millis(0), limits)
    await store.create_environment(EnvId("b"), "Other", Millis(0))
    await store.add_key(*key(1, budget=500))
    await store.switch(ENV, ["m"], on=True)
    await store.put_group(group("kimi", secret=b"\0sealed", models=("a", "b")))
    await store.keep_prices({"v1": "{}"}, Millis(0))
    await store.grant(grant("p1", 100))
    await store.grant(grant("p2", 70, env_id=EnvId("b"), expires_at=99, models=("m",)))
    await store.correct(correction("c1", "p1", -10))
    about = {"generation": 4, "limits": limits, "key_limits": limits, "key_budgeted": True}
    assert isinstance(await store.admit(admission("r1", need(), **about)), Hold)
    await store.settle(settlement("r1", 30))
    assert isinstance(await store.admit(admission("r2", need(), **about)), Hold)
    await store.close("nobody")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    asyncio.run(life(path))
    return path


def test_a_whole_ledger_moves(source: Path, postgres: PostgresServer) -> None:
    with sqlite3.connect(source) as file:
        counts = {t: file.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES}
        listed = file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    file.close()
    assert all(counts.values()), counts
    assert sorted(TABLES) == sorted(name for (name,) in listed)
    dsn = postgres.create_ledger()
    report = move(source, dsn, LATER)
    assert report.environments[ENV].granted == 90
    assert [hold.request_id for hold in report.open_holds] == ["r2"]
    asyncio.run(goes_on(dsn))
    with audit_rows(dsn) as rows:
        assert audit(rows).differences == []


async def goes_on(dsn: str) -> None:
    store = PostgresStore(dsn)
    assert await store.settle(settlement("r2", 40, key_id=KeyId("key_1"))) == Settled(40, 0)
    assert isinstance(
        await store.admit(admission("r3", need(5, 1), generation=4, key_budgeted=True)), Hold
    )
    packs = await store.packs(ENV)
    assert (packs[0].available, packs[0].spent) == (0, 70)
    await store.close("worker-2")


def test_a_target_that_is_not_empty_is_refused(source: Path, postgres: PostgresServer) -> None:
    dsn = postgres.create_ledger()
    move(source, dsn, LATER)
    with pytest.raises(MoveRefusedError, match="not empty"):
        move(source, dsn, LATER)


def test_a_ledger_in_use_is_refused(source: Path, postgres: PostgresServer) -> None:
    with pytest.raises(MoveRefusedError, match="gateway is running"):
        move(source, postgres.create_ledger(), Millis(1))


def test_a_ledger_that_does_not_add_up_is_refused(source: Path, postgres: PostgresServer) -> None:
    with sqlite3.connect(source) as file:
        file.execute("UPDATE packs SET available = available + 1, granted = granted + 1")
    file.close()
    dsn = postgres.create_ledger()
    with pytest.raises(MoveRefusedError, match="does not add up"):
        move(source, dsn, LATER)
    assert postgres.execute("SELECT count(*) FROM packs", dsn.rpartition("/")[2]) == "0\n"
