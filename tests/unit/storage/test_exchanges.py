"""The commands of an exchange whose asker leaves."""

import asyncio
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, grant, need, settlement

from tollbridge.ledger.audit import audit
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import Millis


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancelled_admission_leaves_no_hold(ticks: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async def scenario() -> str:
        store = SqliteStore(path)
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 100))
        task = asyncio.ensure_future(store.admit(admission("r1", need())))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        fate = "cancelled" if task.cancelled() else "held"
        await store.close("worker-1")
        return fate

    fate = asyncio.run(scenario())
    with audit_rows(path) as rows:
        report = audit(rows)
    assert report.differences == []
    assert (len(report.open_holds) == 1) == (fate == "held")


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancelled_repetition_leaves_the_first_admission_alone(
    ticks: int, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"

    async def scenario() -> None:
        store = SqliteStore(path)
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 100))
        await store.admit(admission("r1", need()))
        task = asyncio.ensure_future(store.admit(admission("r1", need())))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await store.close("worker-1")

    asyncio.run(scenario())
    with audit_rows(path) as rows:
        report = audit(rows)
    assert report.differences == []
    assert len(report.open_holds) == 1


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancelled_settlement_is_committed(ticks: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async def scenario() -> None:
        store = SqliteStore(path)
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 100))
        await store.admit(admission("r1", need()))
        task = asyncio.ensure_future(store.settle(settlement("r1", 30)))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await store.close("worker-1")

    asyncio.run(scenario())
    with audit_rows(path) as rows:
        report = audit(rows)
    assert report.environments[ENV].spent == 30
