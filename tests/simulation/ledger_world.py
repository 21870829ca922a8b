"""What surrounds the store in a simulated history: time, a connection that fails, spools, clocks.

Nothing here waits. The loop skips over every delay, and what would run on a thread runs at once, so
that one seed always leads to one history.
"""

import asyncio
import selectors
import sqlite3
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tollbridge.app.ports import SettlementConflictError, UnknownHoldError
from tollbridge.ledger.model import Admission, Checkpoint, Hold, Refusal, Settled, Settlement
from tollbridge.storage.batch import Batch, read_pack
from tollbridge.storage.batches import Batches
from tollbridge.storage.group_commit import GroupCommit
from tollbridge.storage.sqlite import SqliteStore, _unavailable
from tollbridge.storage.sqlite_migrations import migrate
from tollbridge.storage.sqlite_session import QUERIES, SqliteSession
from tollbridge.units import ALERT_LEVELS_DEFAULT

CRASHES = ("crash in a statement", "crash before the commit", "crash after the commit")
FAULTS = ("busy", "rolled back", "commit refused", "commit applied but failed", *CRASHES)


class _Skipping(selectors.SelectSelector):
    """Never waits: the time of a delay is added up instead."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list:
        if timeout is None:
            raise AssertionError("everything waits and nothing will ever happen")
        self.skipped += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is the sum of the delays that it skipped."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.skipped

    def run_in_executor(self, executor: Any, func: Callable, *args: Any) -> asyncio.Future:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  it is told to who waits
            future.set_exception(error)
        return future


class Effect(NamedTuple):
    """A command that was part of a committed transaction."""

    name: str
    command: Any
    result: Any
    before: tuple | None = None
    """The packs and the budget that the first command of a transaction found."""


class WatchedBatch:
    """Notes what the commands of a batch answer; it counts if the transaction is committed."""

    def __init__(self, batch: Batch) -> None:
        self.effects: list[Effect] = []
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def admit(self, admission: Admission) -> Hold | Refusal:
        before = self._before(admission.env_id, admission.key_id)
        result = self._batch.admit(admission)
        self.effects.append(Effect("admit", admission, result, before))
        return result

    def settle(self, settlement: Settlement) -> Settled:
        before = self._before(settlement.env_id, settlement.key_id)
        try:
            result = self._batch.settle(settlement)
        except (UnknownHoldError, SettlementConflictError) as error:
            self.effects.append(Effect("settle", settlement, error))
            raise
        self.effects.append(Effect("settle", settlement, result, before))
        return result

    def checkpoint(self, worker_id: str, checkpoints: list[Checkpoint], now: int) -> None:
        self._batch.checkpoint(worker_id, checkpoints, now)
        self.effects.append(Effect("checkpoint", (worker_id, now), list(checkpoints)))

    def abandon(self, admission: Admission) -> None:
        self._end(self._batch.abandonment(admission))

    def recover(self, env_id: str, request_id: str, now: int) -> bool:
        settled = self._end(self._batch.recovery(env_id, request_id, now))
        return settled is not None and not settled.exists

    def _end(self, settlement: Settlement | None) -> Settled | None:
        return None if settlement is None else self.settle(settlement)

    def _before(self, env_id: str, key_id: str) -> tuple | None:
        if self.effects:
            return None
        packs = [read_pack(row) for row in self.session.rows("packs", env_id)]
        return packs, self.session.row("budget", env_id, key_id)


class Weather:
    """The faults of one history and how likely each is in a transaction."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.rates = {fault: random.choice((0, 0, 0, 0.02, 0.1, 0.25)) for fault in FAULTS}
        self.away = False
        self.calm = False
        """No faults any more: what is left must come to its end."""

    def draw(self) -> str:
        if not self.calm:
            for fault, rate in self.rates.items():
                if rate and self.random.random() < rate:
                    return fault
        return ""


class Line:
    """One worker's connection to the database that all share, with the faults of the weather."""

    def __init__(
        self, connection: sqlite3.Connection, weather: Weather, history: list[Effect], trace: list
    ) -> None:
        self.cut = False
        """The worker has died."""
        self.batch: WatchedBatch | None = None
        self._connection = connection
        self._weather = weather
        self._history = history
        self._trace = trace
        self._fault = ""
        self._countdown = 0
        self._version = 0
        self._changes = connection.total_changes
        """Those of the connection when this line had committed last."""

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: tuple = ()) -> sqlite3.Cursor | None:
        if sql == "ROLLBACK":
            self._fault = ""
            return self._connection.execute(sql)
        if sql == "BEGIN IMMEDIATE":
            self._begin()
        elif sql == "COMMIT":
            return self._commit()
        self._pass()
        if sql == "PRAGMA data_version":
            return self._connection.execute("SELECT ?", (self._version,))
        return self._connection.execute(sql, parameters)

    def executemany(self, sql: str, rows: tuple) -> None:
        self._pass()
        if sql == QUERIES["delete_dead_workers"]:
            self.batch.effects.append(Effect("bury", rows[0][0], None))
        self._connection.executemany(sql, rows)

    def _begin(self) -> None:
        self.batch = None
        self._version += self._connection.total_changes != self._changes
        self._fault = "" if self.cut else self._weather.draw()
        self._countdown = self._weather.random.randrange(1, 15)
        if self._fault:
            self._trace.append(f"    fault: {self._fault} ({self._countdown})")
        if self._fault == "busy":
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error

    def _commit(self) -> None:
        fault, self._fault = self._fault, ""
        self.cut = self.cut or fault == "crash before the commit"
        self._pass()
        if fault == "commit refused":
            raise sqlite3.OperationalError("disk I/O error")
        self._connection.execute("COMMIT")
        self._changes = self._connection.total_changes
        self._history += self.batch.effects
        if fault in {"crash after the commit", "commit applied but failed"}:
            self.cut = fault == "crash after the commit"
            raise sqlite3.OperationalError("connection lost")

    def _pass(self) -> None:
        if self._fault in {"rolled back", "crash in a statement"}:
            self._countdown -= 1
            if self._countdown == 0:
                self.cut = self._fault == "crash in a statement"
                self._fault = ""
                raise sqlite3.OperationalError("disk I/O error")
        if self.cut or self._weather.away:
            raise sqlite3.OperationalError("the database cannot be reached")


class SimulatedStore(SqliteStore):
    """The SQLite store on a line instead of a file; everything but the opening is its own."""

    def __init__(self, line: Line) -> None:
        self._session = SqliteSession(line)
        self.batches = Batches(self._session, ALERT_LEVELS_DEFAULT)

        def start_batch(is_single: bool) -> WatchedBatch:
            line.batch = WatchedBatch(self.batches.start(is_single))
            return line.batch

        self._group = GroupCommit(line, start_batch)
        self._group._jitter = 0

    @property
    def idle(self) -> bool:
        """Nothing waits for a transaction."""
        return self._group._scheduled_on is None

    @property
    def unmade(self) -> bool:
        """Holds have to be undone, by the next transaction that succeeds."""
        return bool(self._group._unmade)

    async def _read(self, query: Callable) -> Any:
        with _unavailable():
            return query(self._session)


class Shelf:
    """The folder of the spools: what is kept there outlives the workers."""

    def __init__(self) -> None:
        self.files: dict[str, list[Settlement]] = {}
        self.locks: dict[str, str] = {}
        self.rejected: list[tuple[Settlement, str]] = []


class ShelfSpool:
    """`app.ports.Spool` on a shelf. A worker that has died keeps nothing any more."""

    def __init__(self, shelf: Shelf, worker_id: str, line: Line) -> None:
        self._shelf = shelf
        self._worker_id = worker_id
        self._line = line
        self._shelf.locks[worker_id] = worker_id

    def keep(self, settlement: Settlement) -> None:
        if not self._line.cut:
            self._shelf.files.setdefault(self._worker_id, []).append(settlement)

    def adopt(self) -> list[Settlement]:
        free = [name for name in self._shelf.files if name not in self._shelf.locks]
        self._shelf.locks |= dict.fromkeys(free, self._worker_id)
        return [settlement for name in free for settlement in self._shelf.files[name]]

    def clear(self) -> None:
        for name, holder in list(self._shelf.locks.items()):
            if holder == self._worker_id and not self._line.cut:
                self._shelf.files.pop(name, None)
                if name != self._worker_id:
                    del self._shelf.locks[name]

    def reject(self, settlement: Settlement, reason: str) -> None:
        self._shelf.rejected.append((settlement, reason))

    def close(self) -> None:
        """The lock goes with the process."""
        locks = self._shelf.locks
        self._shelf.locks = {name: by for name, by in locks.items() if by != self._worker_id}


def empty_database() -> bytes:
    """A database with the schema and no rows, for `Connection.deserialize`."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    return connection.serialize()
