import asyncio
import re

import pytest
from tests.contract.samples import ENV, admission, grant, need
from tests.fakes.postgres_server import PostgresServer

from tollbridge.ledger.model import Hold
from tollbridge.storage.batch import Batch
from tollbridge.storage.postgres import PostgresStore
from tollbridge.storage.postgres_batch import BULK, QUERIES, Loaded, Reads
from tollbridge.storage.postgres_connections import connect
from tollbridge.storage.sqlite_session import QUERIES as SQLITE_QUERIES
from tollbridge.units import Millis, RequestId

HOT_ON_SQLITE_ONLY = {
    "update_pack", "insert_hold", "delete_hold", "insert_usage", "checkpoint_hold", "write_window",
    "update_budget", "insert_alert", "renew_lease",
}  # fmt: skip


def test_both_engines_know_the_same_statements() -> None:
    assert set(SQLITE_QUERIES) - set(QUERIES) == HOT_ON_SQLITE_ONLY
    assert set(BULK) >= HOT_ON_SQLITE_ONLY
    assert set(QUERIES) - set(SQLITE_QUERIES) == {"lock_environment", "lock_environments"}


def test_every_statement_fits_the_schema(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        connection = await connect(postgres.create_ledger())
        for name, statement in QUERIES.items():
            assert (await connection.prepare(statement)).get_query(), name
        await connection.close()

    asyncio.run(scenario())


def test_loading_reads_no_whole_table(postgres: PostgresServer) -> None:
    async def scenario() -> str:
        connection = await connect(postgres.create_ledger())
        arrays = ", ".join(["ARRAY['a']::text[]"] * 8)
        await connection.execute(f"PREPARE load AS {BULK['load']}")
        lines = await connection.fetch(f"EXPLAIN EXECUTE load({arrays})")
        await connection.close()
        return "\n".join(line[0] for line in lines)

    plan = asyncio.run(scenario())
    assert "Index Scan" in plan
    assert not re.search("Seq Scan|SubPlan|Hash|Merge", plan), plan


@pytest.mark.parametrize("is_late", [False, True])
def test_only_what_nobody_changed_meanwhile_is_written(
    postgres: PostgresServer, *, is_late: bool
) -> None:
    dsn = postgres.create_ledger()

    async def scenario() -> None:
        store = PostgresStore(dsn)
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 100))
        connection = await connect(dsn)
        loaded = Loaded()
        await loaded.load(connection, [Reads(ENV, RequestId("r1"), begins=True)])
        batch = Batch(loaded, {})
        assert isinstance(batch.admit(admission("r1", need())), Hold)
        batch.flush()
        if is_late:
            await store.switch(ENV, ["m"], on=True)
        assert await loaded.store(connection) == ({ENV} if is_late else set())
        (pack,) = await store.packs(ENV)
        assert pack.held == (0 if is_late else 50)
        assert await connection.fetchval("SELECT count(*) FROM journal") == (1 if is_late else 2)
        await connection.close()
        await store.close("worker-1")

    asyncio.run(scenario())
