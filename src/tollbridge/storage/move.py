"""Moves a ledger from the embedded file to PostgreSQL, and proves that nothing changed on the way.

Everything happens in one transaction: either the whole ledger is there and the auditor finds the
same on both sides, or the target is as empty as before. The file is only read.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.storage import sqlite
from tollbridge.storage.migrations import MoveRefusedError
from tollbridge.storage.postgres_audit import read_rows
from tollbridge.storage.postgres_connections import Connection, connect, trouble, unavailable
from tollbridge.storage.session import Row
from tollbridge.units import Millis

TABLES = (
    "environments", "keys", "budgets", "windows", "switches", "groups", "group_models", "packs",
    "transfers", "holds", "usage_records", "price_versions", "corrections", "alerts", "workers",
)  # fmt: skip
"""Every table of the file, in an order that foreign keys allow."""

ROWS_AT_ONCE = 5_000


def move(source: Path, dsn: str, now: Millis) -> AuditReport:
    """Copy everything and compare; returns what the auditor found on both sides. Blocks.

    Raises:
        MoveRefusedError: a gateway is running, the target is not empty, or the ledgers differ.
        StoreUnavailableError: one of them cannot be read or written.
    """
    before = _audited(source)
    loop = asyncio.new_event_loop()
    try:
        connection = loop.run_until_complete(connect(dsn))
        try:
            transaction = connection.transaction()
            loop.run_until_complete(transaction.start())
            loop.run_until_complete(_copy(source, connection, now))
            loop.run_until_complete(connection.execute("RESET ALL"))
            after = audit(read_rows(loop, connection))
            _compare(before, after)
            loop.run_until_complete(transaction.commit())
        finally:
            loop.run_until_complete(connection.close())
    except Exception as error:
        if trouble(error) is None:
            raise
        raise unavailable(error) from error
    finally:
        loop.close()
    return after


def _audited(source: Path) -> AuditReport:
    with sqlite.audit_rows(source) as rows:
        report = audit(rows)
    if report.differences:
        raise MoveRefusedError(
            f"the ledger does not add up: {report.differences[0]}; see `tollbridge ledger audit`"
        )
    return report


async def _copy(source: Path, connection: Connection, now: Millis) -> None:
    if await connection.fetchval("SELECT EXISTS (SELECT 1 FROM environments)"):
        raise MoveRefusedError("the target is not empty; name another database")
    try:
        with sqlite.snapshot(source) as file:
            alive = file.execute("SELECT count(*) FROM workers WHERE lease_until > ?", (now,))
            if alive.fetchone() != (0,):
                raise MoveRefusedError("a gateway is running on it; stop it first")
            for table in TABLES:
                await _copy_table(file, connection, table)
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the file cannot be read: {error}") from error


async def _copy_table(file: sqlite3.Connection, connection: Connection, table: str) -> None:
    # Table names are this module's own.
    cursor = file.execute(f"SELECT * FROM {table}")  # noqa: S608
    columns = [column[0] for column in cursor.description]
    for rows in _pages(cursor):
        await connection.copy_records_to_table(table, records=rows, columns=columns)


def _pages(cursor: sqlite3.Cursor) -> Iterator[list[Row]]:
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield rows


def _compare(before: AuditReport, after: AuditReport) -> None:
    if after.differences:
        raise MoveRefusedError(f"the copy does not add up: {after.differences[0]}")
    for name in ("transfers", "packs", "exchanges", "open_holds", "environments"):
        if getattr(before, name) != getattr(after, name):
            raise MoveRefusedError(f"the copy has other {name.replace('_', ' ')}; nothing moved")
