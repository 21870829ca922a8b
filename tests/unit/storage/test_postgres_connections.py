import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.fakes.postgres_server import PostgresServer, free_port

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.storage.postgres_connections import (
    Connections,
    Trouble,
    connect,
    trouble,
    unavailable,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.SerializationError(""), Trouble.CONFLICT),
        (asyncpg.DeadlockDetectedError(""), Trouble.CONFLICT),
        (asyncpg.UniqueViolationError(""), Trouble.REFUSED),
        (asyncpg.CheckViolationError(""), Trouble.REFUSED),
        (asyncpg.DataError(""), Trouble.REFUSED),
        (asyncpg.NumericValueOutOfRangeError(""), Trouble.REFUSED),
        (asyncpg.AdminShutdownError(""), Trouble.AWAY),
        (asyncpg.CannotConnectNowError(""), Trouble.AWAY),
        (asyncpg.ReadOnlySQLTransactionError(""), Trouble.AWAY),
        (asyncpg.TooManyConnectionsError(""), Trouble.AWAY),
        (asyncpg.ConnectionDoesNotExistError(""), Trouble.AWAY),
        (asyncpg.InterfaceError(""), Trouble.AWAY),
        (ConnectionRefusedError(), Trouble.AWAY),
        (TimeoutError(), Trouble.AWAY),
        (asyncpg.DiskFullError(""), Trouble.BROKEN),
        (asyncpg.UndefinedTableError(""), Trouble.BROKEN),
        (ValueError(), None),
    ],
)
def test_errors_are_told_apart(error: Exception, kind: Trouble | None) -> None:
    assert trouble(error) is kind


def test_a_missing_schema_is_told_with_its_remedy() -> None:
    assert "db migrate" in str(unavailable(asyncpg.UndefinedTableError("")))
    assert "TimeoutError" in str(unavailable(TimeoutError()))


def test_connections_are_used_again_unless_they_broke(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        connections = Connections(postgres.dsn(), 1)
        async with connections.use() as first:
            assert await first.fetchval("SHOW enable_seqscan") == "off"
        async with connections.use() as again:
            assert again is first
        with pytest.raises(asyncpg.CheckViolationError):
            async with connections.use() as again:
                await again.execute("DO 'BEGIN RAISE check_violation; END'")
        async with connections.use() as again:
            assert again is first
        with pytest.raises(ValueError, match="ours"):
            async with connections.use():
                raise ValueError("ours")
        async with connections.use() as other:
            assert other is not first
        await connections.close()
        with pytest.raises(StoreUnavailableError, match="closed"):
            async with connections.use():
                pass

    asyncio.run(scenario())


def test_the_host_that_takes_writes_is_found(postgres: PostgresServer) -> None:
    dsn = postgres.dsn().replace("127.0.0.1:", f"127.0.0.1:{free_port()},127.0.0.1:")

    async def scenario() -> int:
        connections = Connections(dsn, 1)
        async with connections.use() as connection:
            port = await connection.fetchval("SELECT inet_server_port()")
        await connections.close()
        return port

    assert asyncio.run(scenario()) == postgres.port


def test_a_host_that_is_silent_keeps_nobody_from_the_next(postgres: PostgresServer) -> None:
    async def scenario() -> int:
        async with silent_server() as silent:
            address = postgres.dsn().replace("127.0.0.1:", f"127.0.0.1:{silent},127.0.0.1:")
            connection = await connect(address)
            port = await connection.fetchval("SELECT inet_server_port()")
            await connection.close()
        return port

    assert asyncio.run(scenario()) == postgres.port


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """As a machine that hangs: it takes connections, and never answers."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
