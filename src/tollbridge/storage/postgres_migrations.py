"""Brings a PostgreSQL database to the schema of this program."""

import contextlib
from collections.abc import AsyncIterator

from tollbridge.storage.migrations import Migration, SchemaVersionError, pending
from tollbridge.storage.postgres_connections import Connection, connect, trouble, unavailable

_LOCK = 5_410_722_193_118_041
"""An advisory lock that nobody else takes: one migration at a time."""


async def version(connection: Connection) -> int:
    """Of the schema; 0: there is none yet.

    Raises:
        SchemaVersionError: the database is another program's.
    """
    # One statement: another process may be migrating.
    tables = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    )
    if not tables:
        return 0
    if ("schema_version",) not in map(tuple, tables):
        raise SchemaVersionError("this is a database of another program")
    return int(await connection.fetchval("SELECT max(version) FROM schema_version"))


async def version_of(dsn: str) -> int:
    """Of the schema of the database at `dsn`.

    Raises:
        SchemaVersionError: the database is another program's.
        StoreUnavailableError: it cannot be reached.
    """
    async with _connected(dsn) as connection:
        return await version(connection)


async def migrate(dsn: str, *, dry_run: bool = False, only_empty: bool = False) -> list[Migration]:
    """Apply what is pending, all of it or nothing; returns what was (or would be) applied.

    With `only_empty` a database that has a schema is left alone.

    Raises:
        SchemaVersionError: the database is newer than this program, or another program's.
        StoreUnavailableError: it cannot be reached or changed.
    """
    async with _connected(dsn) as connection:
        steps = pending("postgres", before := await version(connection))
        if dry_run or not steps or (only_empty and before):
            return steps
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            # Another one may have been faster while this one waited.
            steps = pending("postgres", await version(connection))
            for step in steps:
                await connection.execute(step.sql)
                await connection.execute("INSERT INTO schema_version VALUES ($1)", step.version)
        return steps


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    try:
        connection = await connect(dsn)
        try:
            yield connection
        finally:
            await connection.close()
    except Exception as error:
        if trouble(error) is None:
            raise
        raise unavailable(error) from error
