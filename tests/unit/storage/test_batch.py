import asyncio
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, checkpoint, grant, need, settlement

from tollbridge.storage.batch import Batch
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.units import LEASE_MS, Millis


@pytest.fixture
def store(memory: Path):
    store = SqliteStore(memory)

    async def prepare() -> None:
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 1_000, models=("hy3-preview", "org/other")))

    asyncio.run(prepare())
    yield store
    asyncio.run(store.close("worker-1"))


def transfers(store: SqliteStore) -> list[tuple[str, str, int]]:
    sql = "SELECT request_id, kind, amount FROM journal ORDER BY seq"
    return store._connection.execute(sql).fetchall()


def test_nothing_is_written_before_the_flush(store: SqliteStore) -> None:
    batch = Batch(store._session, {})
    batch.admit(admission("r1", need()))
    batch.admit(admission("r2", need()))
    assert transfers(store) == [("p1", "grant", 1_000)]
    batch.flush()
    assert transfers(store)[1:] == [("r1", "hold", 50), ("r2", "hold", 50)]
    (pack,) = asyncio.run(store.packs(ENV))
    assert (pack.available, pack.held) == (900, 100)


def test_a_command_that_fails_leaves_no_trace(store: SqliteStore) -> None:
    batch = Batch(store._session, {})
    with pytest.raises(AttributeError):
        batch.admit(admission("r1", None))
    batch.admit(admission("r2", need()))
    batch.flush()
    assert [row[0] for row in transfers(store)] == ["p1", "r2"]


def test_admissions_keep_the_lease_alive(store: SqliteStore) -> None:
    leases: dict[str, Millis] = {}

    def admit(request_id: str, now: int) -> list[tuple[str, int]]:
        batch = Batch(store._session, leases)
        batch.admit(admission(request_id, need(), now))
        batch.flush()
        batch.committed()
        return store._connection.execute("SELECT * FROM workers").fetchall()

    assert admit("r1", 0) == [("worker-1", LEASE_MS)]
    assert admit("r2", LEASE_MS // 2) == [("worker-1", LEASE_MS)], "young enough"
    renewed = LEASE_MS // 2 + 1
    assert admit("r3", renewed) == [("worker-1", renewed + LEASE_MS)]


def test_a_lease_that_was_not_committed_is_not_relied_on(store: SqliteStore) -> None:
    leases: dict[str, Millis] = {}
    Batch(store._session, leases).admit(admission("r1", need()))
    assert leases == {}


def test_a_usage_record_holds_the_whole_settlement(store: SqliteStore) -> None:
    batch = Batch(store._session, {})
    batch.admit(admission("r1", need()))
    batch.flush()
    batch = Batch(store._session, {})
    batch.settle(settlement("r1", 30, now=7))
    batch.flush()
    cursor = store._connection.execute("SELECT * FROM usage_records")
    record = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    assert record == {
        "env_id": ENV, "ended_at": 7, "request_id": "r1", "key_id": "key_1",
        "model": "hy3-preview", "upstream": "hunyuan", "upstream_model": "hunyuan-turbo",
        "client_protocol": "chat", "stream": 1, "raw_usage": '{"prompt_tokens":5}',
        "started_at": 0, "input": 5, "cache_read": 0, "cache_write": 0, "output": 15,
        "reasoning": 0, "amount": 30, "overrun": 0, "provenance": "reported",
        "outcome": "finished", "price_version": "v1",
        "pack_id": "p1", "posted": 30, "released": 20, "held_at": 0, "held_seq": 2, "ended_seq": 3,
    }  # fmt: skip


def test_a_recovered_exchange_is_recorded_as_killed(store: SqliteStore) -> None:
    async def scenario() -> None:
        await store.admit(admission("r1", need(), worker_id="dead"))
        await store.checkpoint("dead", [checkpoint("r1", 20)], Millis(5))
        assert await store.sweep(Millis(5 + LEASE_MS)) == 1

    asyncio.run(scenario())
    columns = "key_id, model, ended_at, output, amount, provenance, outcome"
    assert store._connection.execute(f"SELECT {columns} FROM usage_records").fetchall() == [
        ("key_1", "hy3-preview", 5 + LEASE_MS, 10, 20, "recovered", "killed")
    ]
    assert store._connection.execute("SELECT * FROM workers").fetchall() == []
