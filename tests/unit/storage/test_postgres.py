import asyncio

import asyncpg
import pytest
from tests.contract.samples import ENV, admission, grant, key, need, settlement
from tests.fakes.postgres_server import PostgresServer

from tollbridge.storage.postgres import PostgresStore
from tollbridge.storage.postgres_connections import connect
from tollbridge.units import LEASE_MS, Millis


async def lived(dsn: str) -> None:
    """One hold, posted and recorded, and one that is open."""
    store = PostgresStore(dsn)
    await store.create_environment(ENV, "Acme", Millis(0))
    await store.grant(grant("p1", 100))
    await store.admit(admission("r1", need()))
    await store.settle(settlement("r1", 30))
    await store.admit(admission("r2", need()))
    await store.close("worker-1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "TRUNCATE transfers",
        "UPDATE usage_records SET amount = 0",
        "DELETE FROM usage_records",
        "UPDATE packs SET available = available + 1",
        "UPDATE packs SET available = available + held + 1, held = -1",
        "UPDATE packs SET spent = NULL",
        "UPDATE environments SET generation = 0",
        "DELETE FROM environments",
        "INSERT INTO packs (env_id, pack_id, granted, available, held, spent, expired, granted_at, seq) VALUES ('none', 'p', 1, 1, 0, 0, 0, 0, 1)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, 'p1', 99, 0, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, 'p1', 99, 1, 1, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, NULL, 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, 'p1', 0, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'gift', 1, 'p1', 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'void', 0, 'p1', 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'p1', 'grant', 0, 'p1', 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'post', 1, 'p1', 98, 1, 0, 0), ('acme', 'r9', 'void', 1, 'p1', 99, 1, 0, 0)",
        "INSERT INTO usage_records SELECT * FROM usage_records",
        "UPDATE packs SET seq = 0",
        "UPDATE holds SET seq = 0",
        "UPDATE holds SET amount = 0",
        "UPDATE holds SET charge = -1",
        "INSERT INTO keys VALUES ('x', 'k', 'acme', '', '', 0, NULL, NULL)",
    ],
)
def test_the_database_refuses_what_the_rules_forbid(
    statement: str, postgres: PostgresServer
) -> None:
    dsn = postgres.create_ledger()

    async def scenario() -> None:
        await lived(dsn)
        connection = await connect(dsn)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute(statement)
        await connection.close()

    asyncio.run(scenario())


def test_whoever_has_no_more_than_the_gateways_rights_cannot_rewrite_the_journal(
    postgres: PostgresServer,
) -> None:
    dsn = postgres.create_ledger()
    database = dsn.rpartition("/")[2]
    rights = postgres.execute(
        "SELECT has_table_privilege(c.relowner::regrole::text, c.oid, 'UPDATE'), relacl"
        " FROM pg_class c WHERE relname = 'transfers'",
        database,
    )
    assert "postgres=arxt/postgres" in rights, "insert, select, references and triggers are left"


def test_a_change_and_a_batch_do_not_overlook_each_other(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        store = PostgresStore(postgres.create_ledger())
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 10_000))
        await store.add_key(*key(1))

        async def spend(number: int) -> None:
            name = f"r{number}"
            await store.admit(admission(name, need(), generation=2))
            await store.settle(settlement(name, 30))

        grants = (store.grant(grant(f"q{n}", 50)) for n in range(10))
        await asyncio.gather(*map(spend, range(30)), *grants)
        assert sum(pack.spent for pack in await store.packs(ENV)) == 30 * 30
        assert len(await store.packs(ENV)) == 11
        await store.close("worker-1")

    asyncio.run(scenario())


def test_a_stopped_worker_is_forgotten_when_its_holds_are_recovered(
    postgres: PostgresServer,
) -> None:
    dsn = postgres.create_ledger()

    async def scenario() -> None:
        await lived(dsn)
        store = PostgresStore(dsn)
        assert await store.sweep(Millis(1)) == 1
        assert await store.sweep(Millis(LEASE_MS)) == 0
        await store.close("worker-2")

    asyncio.run(scenario())
    assert postgres.execute("SELECT count(*) FROM workers", dsn.rpartition("/")[2]) == "0\n"
