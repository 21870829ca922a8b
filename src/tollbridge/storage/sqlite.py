"""The store on an embedded SQLite file: `AccountStore` and `ControlStore` of `app.ports`.

One connection writes, on the event loop (see `group_commit`). Reads of the hot path use it too: a
row by its key takes microseconds. What reads a whole table uses a connection and a thread of its
own. Several processes may open the same file, as long as it is on a local disk.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from tollbridge.app.ports import (
    Alert,
    KeyRecord,
    StoreUnavailableError,
)
from tollbridge.ledger.audit import AuditRows, BudgetRow, HoldRow, JournalRow, UsageCharge
from tollbridge.ledger.model import (
    Admission,
    Checkpoint,
    Hold,
    Refusal,
    Settled,
    Settlement,
)
from tollbridge.routing.group import Group
from tollbridge.storage import control, exchanges, group_records, records
from tollbridge.storage.batch import Batch, read_pack
from tollbridge.storage.batches import Batches
from tollbridge.storage.control_store import ControlTransactions
from tollbridge.storage.group_commit import GroupCommit
from tollbridge.storage.migrations import Migration, pending
from tollbridge.storage.session import Session
from tollbridge.storage.sqlite_files import connect_to
from tollbridge.storage.sqlite_migrations import migrate, version
from tollbridge.storage.sqlite_session import QUERIES, SqliteSession
from tollbridge.storage.sweep import due
from tollbridge.storage.wal import LOG_BYTES_MAX, Checkpointer
from tollbridge.units import (
    ALERT_LEVELS_DEFAULT,
    EnvId,
    Millis,
    PackId,
    RequestId,
)

CACHE_KIB = 16 * 1024
PAGE_BYTES = 2048
"""A transaction writes about eight pages whole; half of SQLite's default costs a tenth less CPU."""

OPEN_WAIT_S = 5.0
"""While a file is opened its locks are waited for; nothing is served yet."""

T = TypeVar("T")


class SqliteStore(ControlTransactions):
    """Everything that is stored, in the SQLite file at `path`, which is created if missing.

    Below `sqlite_files.MEMORY` it is no file: for tests.

    With `synchronous="NORMAL"` what was committed survives the death of the process; a power cut
    may lose the last second, never consistency. With `"FULL"` it survives a power cut too, and
    each transaction holds up the event loop for a sync of the disk.

    A cancelled `admit` leaves no hold; a cancelled `settle` is committed all the same.

    Raises:
        SchemaVersionError: the file is not of this version.
        StoreUnavailableError: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        alert_levels: Sequence[int] = ALERT_LEVELS_DEFAULT,
    ) -> None:
        self._path = path
        with _unavailable():
            self._connection = connect(path, synchronous)
        self._session = SqliteSession(self._connection)
        batches = Batches(self._session, alert_levels)
        self._group = GroupCommit(self._connection, batches.start)
        self._checkpointer = Checkpointer(path, lambda: self.commits)

    @property
    def commits(self) -> int:
        """Transactions so far; by it, commands per transaction can be told."""
        return self._group.commits

    # AccountStore

    async def find_key(self, key_hash: bytes) -> KeyRecord | None:
        """See `AccountStore`."""
        with _unavailable():
            return control.find_key(self._session, key_hash)

    async def generation(self, env_id: EnvId) -> int | None:
        """See `AccountStore`."""
        with _unavailable():
            return control.generation(self._session, env_id)

    async def find_group(self, env_id: EnvId, name: str) -> tuple[int, Group | None]:
        """See `AccountStore`."""
        with _unavailable():
            return group_records.find(self._session, env_id, name)

    def admit(self, admission: Admission) -> Awaitable[Hold | Refusal]:
        """See `AccountStore`."""
        return exchanges.admit(self._group, admission)

    def settle(self, settlement: Settlement) -> Awaitable[Settled]:
        """See `AccountStore`."""
        return exchanges.settle(self._group, settlement)

    async def checkpoint(
        self, worker_id: str, checkpoints: Sequence[Checkpoint], now: Millis
    ) -> None:
        """See `AccountStore`."""
        await self._group.submit(lambda batch: batch.checkpoint(worker_id, checkpoints, now))

    async def sweep(self, now: Millis) -> int:
        """See `AccountStore`.

        What is due is looked for on a thread.
        """
        holds, packs, has_dead_workers = await self._read(lambda s: due(s, now))
        futures = [self._group.submit(_recover(*hold, now)) for hold in holds]
        futures += [self._group.submit(_expire(*pack, now)) for pack in packs]
        done = await asyncio.gather(*futures)
        if has_dead_workers:
            await self._write(lambda s: s.write("delete_dead_workers", (now,)))
        return sum(done)

    async def take_alerts(self, now: Millis) -> Sequence[Alert]:
        """See `AccountStore`."""
        with _unavailable():
            if not records.alerts_wait(self._session, now):
                return ()
        return await self._write(lambda s: records.take_alerts(s, now))

    async def close(self, worker_id: str) -> None:
        """See `AccountStore`."""
        try:
            await self._write(lambda s: s.write("delete_worker", (worker_id,)))
        finally:
            await asyncio.to_thread(self._checkpointer.stop)
            self._connection.close()

    async def _write(self, change: Callable[[Session], T]) -> T:
        return await self._group.submit(lambda batch: batch.change(change), alone=True)

    async def _read(self, query: Callable[[Session], T]) -> T:
        """Run a query of any size on a thread, in one snapshot."""

        def run() -> T:
            with _unavailable(), snapshot(self._path) as connection:
                return query(SqliteSession(connection))

        return await asyncio.to_thread(run)


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """The writing connection, with the schema in place.

    Raises:
        SchemaVersionError: the file is not of this version.
        sqlite3.Error: it cannot be opened.
    """
    connection = connect_to(path, wait_s=OPEN_WAIT_S)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _switch_to_wal(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection, only_empty=True)
        connection.execute("PRAGMA busy_timeout = 0")
    except BaseException:
        connection.close()
        raise
    return connection


def version_of(path: Path) -> int:
    """Of the schema of a file.

    Raises:
        SchemaVersionError: the file is another program's.
        StoreUnavailableError: it cannot be read.
    """
    with _unavailable(), snapshot(path) as connection:
        return version(connection)


def migrate_file(path: Path, *, dry_run: bool = False) -> list[Migration]:
    """Bring a file to the schema of this program; returns what was (or would be) applied.

    Raises:
        SchemaVersionError: it is newer than this program, or another program's.
        StoreUnavailableError: it cannot be read or written.
    """
    with _unavailable():
        if dry_run:
            return pending("sqlite", version_of(path) if path.exists() else 0)
        with contextlib.closing(connect_to(path, wait_s=OPEN_WAIT_S)) as connection:
            return migrate(connection)


@contextlib.contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection that sees one moment."""
    with contextlib.closing(connect_to(path, mode="ro", wait_s=OPEN_WAIT_S)) as connection:
        connection.execute("BEGIN")
        yield connection


@contextlib.contextmanager
def audit_rows(path: Path) -> Iterator[AuditRows]:
    """What `ledger.audit` reads, of one moment, row by row; the gateway may be running.

    Raises:
        StoreUnavailableError: the file cannot be read.
    """
    with _unavailable(), snapshot(path) as connection:
        yield AuditRows(
            packs=map(read_pack, connection.execute(QUERIES["packs"], (None,))),
            journal=map(JournalRow._make, connection.execute(QUERIES["audit_journal"])),
            by_request=map(
                JournalRow._make, connection.execute(QUERIES["audit_journal_by_request"])
            ),
            holds=map(HoldRow._make, connection.execute(QUERIES["audit_holds"])),
            usage=map(UsageCharge._make, connection.execute(QUERIES["audit_usage"])),
            budgets=map(BudgetRow._make, connection.execute(QUERIES["audit_budgets"])),
        )


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for this lock by itself when several processes open a new file at once.
    deadline = time.monotonic() + OPEN_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _recover(env_id: EnvId, request_id: RequestId, now: Millis) -> Callable[[Batch], bool]:
    return lambda batch: batch.recover(env_id, request_id, now)


def _expire(env_id: EnvId, pack_id: PackId, now: Millis) -> Callable[[Batch], bool]:
    return lambda batch: batch.expire(env_id, pack_id, now)


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the database cannot be read: {error}") from error
