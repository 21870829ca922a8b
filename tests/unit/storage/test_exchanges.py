"""The commands of an exchange whose asker leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, grant, need, settlement

from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import Millis


def left(path: Path, ticks: int, asked: Callable[[SqliteStore], Awaitable[object]]) -> bool:
    """One hold, then a command whose asker leaves after so many ticks; whether it was too late."""

    async def scenario() -> bool:
        store = SqliteStore(path)
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 100))
        await store.admit(admission("r1", need()))
        task = asyncio.ensure_future(asked(store))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await store.close("worker-1")
        return not task.cancelled()

    return asyncio.run(scenario())


def audited(path: Path) -> AuditReport:
    with audit_rows(path) as rows:
        report = audit(rows)
    assert report.differences == []
    return report


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancelled_admission_leaves_no_hold(ticks: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    too_late = left(path, ticks, lambda store: store.admit(admission("r2", need())))
    assert len(audited(path).open_holds) == 1 + too_late


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancelled_repetition_leaves_the_first_admission_alone(
    ticks: int, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    left(path, ticks, lambda store: store.admit(admission("r1", need())))
    assert len(audited(path).open_holds) == 1


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancelled_settlement_is_committed(ticks: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    left(path, ticks, lambda store: store.settle(settlement("r1", 30)))
    assert audited(path).environments[ENV].spent == 30
