"""That nothing is read which no limit asks for; the contract tests the rest."""

import asyncio
from pathlib import Path

from tests.contract.samples import ENV, admission, need, settlement

from tollbridge.ledger.model import UNLIMITED, Limits
from tollbridge.storage.batch import Batch
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.storage.sqlite_session import SqliteSession
from tollbridge.units import Millis


def statements(path: Path, **changes: object) -> list[str]:
    """What one admission and its settlement run, without their BEGIN and COMMIT."""
    store = SqliteStore(path)
    asyncio.run(store.create_environment(ENV, "", Millis(0)))
    seen: list[str] = []
    connection = store._connection
    connection.set_trace_callback(seen.append)
    batch = Batch(SqliteSession(connection), {})
    batch.admit(admission("r1", need(0, 0), **changes))
    batch.flush()
    batch = Batch(SqliteSession(connection), {})
    batch.settle(settlement("r1", 0))
    batch.flush()
    connection.set_trace_callback(None)
    asyncio.run(store.close(""))
    return seen


def test_limits_that_are_not_set_cost_no_statement(tmp_path: Path) -> None:
    seen = statements(tmp_path / "a.db", limits=UNLIMITED)
    assert not [s for s in seen if "windows" in s or "budgets" in s or "count(*)" in s]


def test_slots_read_the_open_exchanges_and_write_nothing(tmp_path: Path) -> None:
    free, slots = (statements(tmp_path / f"{n}.db", limits=Limits(concurrency=n)) for n in (0, 5))
    assert len(slots) == len(free) + 1


def test_minutes_are_corrected_only_for_tokens(tmp_path: Path) -> None:
    def windows(**limits: int) -> int:
        seen = statements(
            tmp_path / f"{len(limits)}{sum(limits.values())}.db", limits=Limits(**limits)
        )
        return sum("windows" in s for s in seen)

    assert windows(requests_per_minute=9) == 2
    assert windows(tokens_per_minute=8) == 5
