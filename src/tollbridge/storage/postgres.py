"""The ports of the ledger and of the control plane on PostgreSQL, for many machines.

Any number of processes on any number of machines may use one database. A statement of the hot path
names the environments it is about, so that a distributed PostgreSQL can keep an environment on one
shard. Once an answer was given, its transaction is committed; whether it then survives the loss of
the server is the server's setting (`synchronous_commit`, `synchronous_standby_names`).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from tollbridge.app.ports import Alert, KeyRecord
from tollbridge.ledger.model import (
    UNLIMITED,
    Admission,
    Checkpoint,
    Hold,
    Refusal,
    Settled,
    Settlement,
)
from tollbridge.routing.group import Group
from tollbridge.storage import control, group_records, records
from tollbridge.storage.batch import Batch
from tollbridge.storage.control_store import ControlTransactions
from tollbridge.storage.postgres_batch import QUERIES, Reads
from tollbridge.storage.postgres_commit import BATCHES_MAX, CommitQueue
from tollbridge.storage.postgres_connections import (
    Connection,
    Connections,
    Trouble,
    trouble,
    unavailable,
)
from tollbridge.storage.replay import ReplaySession, UnreadError
from tollbridge.storage.session import OutcomeUnknownError, Session, Value
from tollbridge.storage.sweep import due
from tollbridge.units import ALERT_LEVELS_DEFAULT, GIVE_UP_S, EnvId, Millis, PackId, RequestId

CONTROL_CONNECTIONS = 2
"""Beside those of the batches: for keys, lists, reports and changes."""

RETRY_S = 0.05

_LOCKING = {"generation": "lock_environment"}
"""A change of an environment begins with the question whether there is one; the answer locks it."""

T = TypeVar("T")


class PostgresStore(ControlTransactions):
    """Everything that is stored, in the database at `dsn`, which `tollbridge db migrate` prepared.

    `dsn` is a `postgresql://` address and may name several hosts with commas between them. Nothing
    is connected before the first call. Use it in one event loop.

    A cancelled `admit` leaves no hold; a cancelled `settle` is committed all the same.
    """

    def __init__(
        self,
        dsn: str,
        *,
        alert_levels: Sequence[int] = ALERT_LEVELS_DEFAULT,
        batches_max: int = BATCHES_MAX,
    ) -> None:
        self._connections = Connections(dsn, batches_max + CONTROL_CONNECTIONS)
        self._queue = CommitQueue(self._connections, {}, alert_levels, batches_max)

    @property
    def commits(self) -> int:
        """Transactions of batches so far; by it, commands per transaction can be told."""
        return self._queue.commits

    # AccountStore

    async def find_key(self, key_hash: bytes) -> KeyRecord | None:
        """See `AccountStore`."""
        return await self._ask(lambda session: control.find_key(session, key_hash))

    async def generation(self, env_id: EnvId) -> int | None:
        """See `AccountStore`."""
        return await self._ask(lambda session: control.generation(session, env_id))

    async def find_group(self, env_id: EnvId, name: str) -> tuple[int, Group | None]:
        """See `AccountStore`."""
        return await self._ask(lambda session: group_records.find(session, env_id, name))

    async def admit(self, admission: Admission) -> Hold | Refusal:
        """See `AccountStore`."""
        is_limited = admission.limits != UNLIMITED or admission.key_limits != UNLIMITED
        reads = Reads(
            admission.env_id,
            admission.request_id,
            begins=True,
            key_id=admission.key_id if is_limited or admission.key_budgeted else None,
            counts=admission.limits.concurrency > 0 or admission.key_limits.concurrency > 0,
        )

        def run(batch: Batch, doubtful: Hold | Refusal | None) -> Hold | Refusal:
            result = batch.admit(admission)
            if result is Refusal.DUPLICATE and isinstance(doubtful, Hold):
                # The attempt in doubt was committed: nobody else places this request's hold.
                key = (admission.env_id, admission.request_id)
                return result if batch.session.row("hold_legs", *key) is None else doubtful
            return result

        try:
            return await self._queue.submit(run, reads, droppable=True)
        except (asyncio.CancelledError, OutcomeUnknownError):
            # Nobody will be told of the hold, which may be placed already or yet.
            self._abandon(admission)
            raise

    def _abandon(self, admission: Admission) -> None:
        reads = Reads(admission.env_id, admission.request_id, key_id=admission.key_id)
        done = self._queue.submit(lambda batch, _: batch.abandon(admission), reads, patient=True)
        done.add_done_callback(_retrieve)

    async def settle(self, settlement: Settlement) -> Settled:
        """See `AccountStore`."""
        reads = Reads(settlement.env_id, settlement.request_id, key_id=settlement.key_id)

        def run(batch: Batch, doubtful: Settled | None) -> Settled:
            result = batch.settle(settlement)
            return doubtful if result.exists and doubtful is not None else result

        return await self._queue.submit(run, reads)

    async def checkpoint(
        self, worker_id: str, checkpoints: Sequence[Checkpoint], now: Millis
    ) -> None:
        """See `AccountStore`."""
        await self._queue.submit(lambda batch, _: batch.checkpoint(worker_id, checkpoints, now))

    async def sweep(self, now: Millis) -> int:
        """See `AccountStore`."""
        holds, packs, has_dead_workers = await self._ask(lambda session: due(session, now))
        futures = [self._recover(*hold, now) for hold in holds]
        futures += [self._expire(*pack, now) for pack in packs]
        done = await asyncio.gather(*futures)
        if has_dead_workers:
            await self._run("delete_dead_workers", now)
        return sum(done)

    def _recover(self, env_id: EnvId, request_id: RequestId, now: Millis) -> asyncio.Future[bool]:
        return self._queue.submit(
            lambda batch, done: batch.recover(env_id, request_id, now) or bool(done),
            Reads(env_id, request_id),
        )

    def _expire(self, env_id: EnvId, pack_id: PackId, now: Millis) -> asyncio.Future[bool]:
        return self._queue.submit(
            lambda batch, done: batch.expire(env_id, pack_id, now) or bool(done), Reads(env_id)
        )

    async def take_alerts(self, now: Millis) -> Sequence[Alert]:
        """See `AccountStore`."""
        if not await self._ask(lambda session: records.alerts_wait(session, now)):
            return ()
        return await self._write(lambda session: records.take_alerts(session, now))

    async def close(self, worker_id: str) -> None:
        """See `AccountStore`."""
        try:
            await self._queue.drain()
            await self._run("delete_worker", worker_id)
        finally:
            await self._connections.close()

    # ControlTransactions

    async def _ask(self, query: Callable[[Session], T]) -> T:
        """Run statements one by one, each in a snapshot of its own."""

        async def ask(connection: Connection) -> T:
            return await _replay(connection, ReplaySession(), query)

        return await self._try(ask)

    async def _read(self, query: Callable[[Session], T]) -> T:
        async def read(connection: Connection) -> T:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _replay(connection, ReplaySession(), query)

        return await self._try(read)

    async def _write(self, change: Callable[[Session], T]) -> T:
        async def write(connection: Connection) -> T:
            session = ReplaySession()
            committing = False
            try:
                async with connection.transaction():
                    result = await _replay(connection, session, change, _LOCKING)
                    for name, rows in session.writes:
                        await connection.executemany(QUERIES[name], rows)
                    committing = True
            except Exception as error:
                # Whoever asks for a change may ask again: all of them can be repeated.
                if committing and trouble(error) is Trouble.AWAY:
                    raise OutcomeUnknownError(str(error)) from error
                raise
            return result

        return await self._try(write)

    async def _run(self, name: str, *parameters: Value) -> None:
        """A single statement that may be run twice."""

        async def run(connection: Connection) -> None:
            await connection.execute(QUERIES[name], *parameters)

        await self._try(run)

    async def _try(self, work: Callable[[Connection], Coroutine[None, None, T]]) -> T:
        """Do the work on a connection; again if it conflicts, or if the database comes back."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GIVE_UP_S
        while True:
            try:
                async with self._connections.use() as connection:
                    return await work(connection)
            except Exception as error:
                kind = trouble(error)
                if kind in {None, Trouble.REFUSED}:
                    raise
                if kind is Trouble.BROKEN or loop.time() >= deadline:
                    raise unavailable(error) from error
            await asyncio.sleep(RETRY_S)


async def _replay(
    connection: Connection,
    session: ReplaySession,
    work: Callable[[Session], T],
    instead: Mapping[str, str] = MappingProxyType({}),
) -> T:
    """Run the work on what is known until nothing is missing; `instead` renames statements."""
    while True:
        try:
            return work(session)
        except UnreadError as missing:
            session.writes.clear()
            name, *parameters = missing.read
            statement = QUERIES[instead.get(str(name), str(name))]
            found = await connection.fetch(statement, *parameters)
            session.known[missing.read] = [tuple(row) for row in found]


def _retrieve(future: "asyncio.Future[None]") -> None:
    """Nobody waits for it; an error of it was told to whoever met the database last."""
    if not future.cancelled():
        future.exception()
