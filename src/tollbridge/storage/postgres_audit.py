"""Reads a ledger on PostgreSQL for the auditor, row by row, in one snapshot."""

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg

from tollbridge.ledger.audit import AuditRows, BudgetRow, HoldRow, JournalRow, UsageCharge
from tollbridge.storage.batch import read_pack
from tollbridge.storage.postgres_batch import QUERIES
from tollbridge.storage.postgres_connections import Connection, connect, trouble, unavailable
from tollbridge.storage.session import Row, Value

ROWS_AT_ONCE = 5_000


@contextlib.contextmanager
def audit_rows(dsn: str) -> Iterator[AuditRows]:
    """What `ledger.audit` reads; the gateways may be running.

    It blocks, with an event loop of its own: call it where no other one is running.

    Raises:
        StoreUnavailableError: the database cannot be read.
    """
    with contextlib.ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        try:
            connection = loop.run_until_complete(connect(dsn))
            stack.callback(lambda: loop.run_until_complete(connection.close()))
            begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; RESET ALL"
            loop.run_until_complete(connection.execute(begin))

            yield read_rows(loop, connection)
        except Exception as error:
            if trouble(error) is None:
                raise
            raise unavailable(error) from error


def read_rows(loop: asyncio.AbstractEventLoop, connection: Connection) -> AuditRows:
    """The same of a connection that is in a transaction, in whose loop nothing else runs."""

    def rows(name: str, *parameters: Value) -> Iterator[Row]:
        return _rows(loop, connection, name, *parameters)

    return AuditRows(
        packs=map(read_pack, rows("packs", None)),
        journal=map(JournalRow._make, rows("audit_journal")),
        by_request=map(JournalRow._make, rows("audit_journal_by_request")),
        holds=map(HoldRow._make, rows("audit_holds")),
        usage=map(UsageCharge._make, rows("audit_usage")),
        budgets=map(BudgetRow._make, rows("audit_budgets")),
    )


def _rows(
    loop: asyncio.AbstractEventLoop, connection: Connection, name: str, *parameters: Value
) -> Iterator[Row]:
    async def open_cursor() -> "asyncpg.cursor.Cursor[asyncpg.Record]":
        return await connection.cursor(QUERIES[name], *parameters)

    cursor = loop.run_until_complete(open_cursor())
    while found := loop.run_until_complete(cursor.fetch(ROWS_AT_ONCE)):
        yield from map(tuple, found)
