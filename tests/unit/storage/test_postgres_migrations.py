import asyncio

import pytest
from tests.fakes.postgres_server import PostgresServer, free_port

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.storage.migrations import SchemaVersionError, latest
from tollbridge.storage.postgres_migrations import migrate, version_of


def test_several_may_migrate_an_empty_database_at_once(postgres: PostgresServer) -> None:
    dsn = postgres.create_database("fresh")

    async def scenario() -> None:
        assert await version_of(dsn) == 0
        assert len(await migrate(dsn, dry_run=True)) == latest("postgres")
        assert await version_of(dsn) == 0
        done = await asyncio.gather(*(migrate(dsn) for _ in range(4)))
        assert sorted(map(len, done)) == [0, 0, 0, latest("postgres")]
        assert await version_of(dsn) == latest("postgres")
        assert await migrate(dsn, only_empty=True) == []

    asyncio.run(scenario())


def test_another_programs_database_is_left_alone(postgres: PostgresServer) -> None:
    dsn = postgres.create_database("other")
    postgres.execute("CREATE TABLE mine (a int)", "other")
    with pytest.raises(SchemaVersionError, match="another program"):
        asyncio.run(migrate(dsn))


def test_a_newer_database_is_left_alone(postgres: PostgresServer) -> None:
    dsn = postgres.create_ledger()
    postgres.execute("INSERT INTO schema_version VALUES (99)", dsn.rpartition("/")[2])
    with pytest.raises(SchemaVersionError, match="version 99"):
        asyncio.run(migrate(dsn))


def test_a_server_that_is_away_is_told() -> None:
    with pytest.raises(StoreUnavailableError):
        asyncio.run(migrate(f"postgresql://postgres@127.0.0.1:{free_port()}/none"))
