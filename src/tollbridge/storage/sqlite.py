"""The store on an embedded SQLite file: `AccountStore` and `ControlStore` of `app.ports`.

One connection writes, on the event loop (see `group_commit`). Reads of the hot path use it too: a
row by its key takes microseconds. What reads a whole table uses a connection and a thread of its
own. Several processes may open the same file, as long as it is on a local disk.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from tollbridge.app.ports import (
    Alert,
    Environment,
    Grant,
    KeyInfo,
    KeyRecord,
    Receipt,
    StoreUnavailableError,
    UpstreamUsageRow,
    UsageRow,
)
from tollbridge.ledger.audit import AuditRows, BudgetRow, HoldRow, JournalRow, UsageCharge
from tollbridge.ledger.model import (
    UNLIMITED,
    Admission,
    Checkpoint,
    Correction,
    Hold,
    Limits,
    Pack,
    PackTransfer,
    Refusal,
    Settled,
    Settlement,
)
from tollbridge.storage import control, records
from tollbridge.storage.batch import QUERIES, Batch, read_pack
from tollbridge.storage.group_commit import GroupCommit
from tollbridge.storage.queries import read_sql
from tollbridge.storage.wal import Checkpointer
from tollbridge.units import (
    ALERT_LEVELS_DEFAULT,
    EnvId,
    KeyId,
    MicroCredits,
    Millis,
    PackId,
    RequestId,
)

SCHEMA_VERSION = 1

CACHE_KIB = 16 * 1024
PAGE_BYTES = 2048
"""A transaction writes about eight pages whole; half of SQLite's default costs a tenth less CPU."""

OPEN_WAIT_S = 5.0
"""While a file is opened its locks are waited for; nothing is served yet."""

T = TypeVar("T")


class SchemaVersionError(Exception):
    """The file was written by another version of Tollbridge, or is not one of its files."""


class SqliteStore:
    """Everything that is stored, in the SQLite file at `path`, which is created if missing.

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
        leases: dict[str, Millis] = {}
        self._group = GroupCommit(
            self._connection, lambda: Batch(self._connection, leases, alert_levels)
        )
        self._checkpointer = Checkpointer(path, lambda: self.commits)

    @property
    def commits(self) -> int:
        """Transactions so far; by it, commands per transaction can be told."""
        return self._group.commits

    # AccountStore

    async def find_key(self, key_hash: bytes) -> KeyRecord | None:
        """See `AccountStore`."""
        with _unavailable():
            return control.find_key(self._connection, key_hash)

    async def generation(self, env_id: EnvId) -> int | None:
        """See `AccountStore`."""
        with _unavailable():
            return control.generation(self._connection, env_id)

    async def admit(self, admission: Admission) -> Hold | Refusal:
        """See `AccountStore`."""
        future = self._group.submit(lambda batch: batch.admit(admission), droppable=True)
        try:
            return await future
        except asyncio.CancelledError:
            # The hold may have been placed just before, and nobody was told of it.
            if not future.cancelled() and future.exception() is None:
                self._group.submit(lambda batch: batch.abandon(admission))
            raise

    async def settle(self, settlement: Settlement) -> Settled:
        """See `AccountStore`."""
        return await self._group.submit(lambda batch: batch.settle(settlement))

    async def checkpoint(
        self, worker_id: str, checkpoints: Sequence[Checkpoint], now: Millis
    ) -> None:
        """See `AccountStore`."""
        await self._group.submit(lambda batch: batch.checkpoint(worker_id, checkpoints, now))

    async def sweep(self, now: Millis) -> int:
        """See `AccountStore`.

        What is due is looked for on a thread. Each hold and pack is then a command of its own that
        looks again, so that sweepers do not get in each other's way, and one hold that cannot be
        recovered does not keep the others from it.
        """
        holds, packs, workers = await self._read(lambda c: _due(c, now))
        futures = [self._group.submit(_recover(*hold, now)) for hold in holds]
        futures += [self._group.submit(_expire(*pack, now)) for pack in packs]
        done = await asyncio.gather(*futures)
        if workers:
            await self._write(lambda c: c.execute(QUERIES["delete_dead_workers"], (now,)))
        return sum(done)

    async def keep_prices(self, books: Mapping[str, str], now: Millis) -> None:
        """See `AccountStore`."""
        await self._write(lambda c: records.keep_prices(c, books, now))

    async def receipt(self, env_id: EnvId, request_id: RequestId) -> Receipt | None:
        """See `AccountStore`."""
        return await self._read(lambda c: records.receipt(c, env_id, request_id))

    async def take_alerts(self, now: Millis) -> Sequence[Alert]:
        """See `AccountStore`."""
        with _unavailable():
            if not records.alerts_wait(self._connection, now):
                return ()
        return await self._write(lambda c: records.take_alerts(c, now))

    async def alert_sent(self, alert: Alert) -> None:
        """See `AccountStore`."""
        await self._write(lambda c: records.alert_sent(c, alert))

    async def close(self, worker_id: str) -> None:
        """See `AccountStore`."""
        try:
            await self._write(lambda c: c.execute(QUERIES["delete_worker"], (worker_id,)))
        finally:
            await asyncio.to_thread(self._checkpointer.stop)
            self._connection.close()

    # ControlStore

    async def create_environment(
        self, env_id: EnvId, name: str, now: Millis, limits: Limits = UNLIMITED
    ) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda c: control.create_environment(c, env_id, name, now, limits))

    async def limit_environment(self, env_id: EnvId, limits: Limits) -> None:
        """See `ControlStore`."""
        await self._write(lambda c: control.limit_environment(c, env_id, limits))

    async def environments(self) -> Sequence[Environment]:
        """See `ControlStore`."""
        return await self._read(control.environments)

    async def add_key(self, key: KeyInfo, key_hash: bytes) -> None:
        """See `ControlStore`."""
        await self._write(lambda c: control.add_key(c, key, key_hash))

    async def keys(self, env_id: EnvId | None) -> Sequence[KeyInfo]:
        """See `ControlStore`."""
        return await self._read(lambda c: control.keys(c, env_id))

    async def revoke_key(self, key_id: KeyId, now: Millis) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda c: control.revoke_key(c, key_id, now))

    async def limit_key(self, key_id: KeyId, limits: Limits, budget: MicroCredits) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda c: control.limit_key(c, key_id, limits, budget))

    async def switch(self, env_id: EnvId, models: Sequence[str], *, on: bool) -> None:
        """See `ControlStore`."""
        await self._write(lambda c: control.switch(c, env_id, models, on=on))

    async def models_on(self, env_id: EnvId) -> frozenset[str]:
        """See `ControlStore`."""
        return await self._read(lambda c: control.models_on(c, env_id))

    async def grant(self, grant: Grant) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda c: control.grant(c, grant))

    async def correct(self, correction: Correction) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda c: records.correct(c, correction))

    async def transfers(self, env_id: EnvId, pack_id: PackId) -> Sequence[PackTransfer]:
        """See `ControlStore`."""
        return await self._read(lambda c: records.transfers(c, env_id, pack_id))

    async def packs(self, env_id: EnvId | None) -> Sequence[Pack]:
        """See `ControlStore`."""
        return await self._read(lambda c: control.packs(c, env_id))

    async def usage(self, env_id: EnvId | None, since: Millis, until: Millis) -> Sequence[UsageRow]:
        """See `ControlStore`."""
        return await self._read(lambda c: control.usage(c, env_id, since, until))

    async def upstream_usage(self, since: Millis, until: Millis) -> Sequence[UpstreamUsageRow]:
        """See `ControlStore`."""
        return await self._read(lambda c: records.upstream_usage(c, since, until))

    async def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        return await self._group.submit(lambda batch: change(batch.connection), alone=True)

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query of any size on a thread, in one snapshot."""

        def run() -> T:
            with _unavailable(), snapshot(self._path) as connection:
                return query(connection)

        return await asyncio.to_thread(run)


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """The writing connection, with the schema in place.

    Raises:
        SchemaVersionError: the file is not of this version.
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=OPEN_WAIT_S, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _switch_to_wal(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA foreign_keys = ON")
        _create_schema(connection)
        connection.execute("PRAGMA busy_timeout = 0")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection that sees one moment."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    with contextlib.closing(connection):
        connection.isolation_level = None
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


def _create_schema(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables:
                raise SchemaVersionError("this is a database of another program")
            for statement in _statements(read_sql("schema.sqlite.sql")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise SchemaVersionError(
                f"the database has schema version {version}, this program needs {SCHEMA_VERSION}"
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """Split at the semicolons that end a statement; `executescript` would commit on the way."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _due(
    connection: sqlite3.Connection, now: Millis
) -> tuple[list[tuple[EnvId, RequestId]], list[tuple[EnvId, PackId]], list[tuple[str]]]:
    """Holds of dead workers, packs whose validity ended, and dead workers."""
    holds = connection.execute(QUERIES["dead_holds"], (now,)).fetchall()
    packs = connection.execute(QUERIES["overdue_packs"], (now,)).fetchall()
    return holds, packs, connection.execute(QUERIES["dead_workers"], (now,)).fetchall()


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
