"""Many commands, one transaction, on PostgreSQL: what waits while one is under way goes together.

A few batches are under way at a time; meanwhile commands gather for the next one, so that batches
grow with the load and nothing waits for company. An environment is in one batch of this process at
a time: its commands would only compete with each other. Other processes may compete; a batch that
loses an environment to them too often waits in the queue for the lock on its row instead.

What may happen to a transaction:

- it conflicts with another (40001, 40P01): it is run again as a whole;
- the connection breaks before the write was sent: it is run again on another connection;
- the connection breaks afterwards: nobody knows whether it was committed. Its commands are run
  again as doubtful: a hold or record that is there with the content this process gave it is the
  answer (`doubt`);
- the values are refused: every command is run again alone, so that the others go on;
- the database cannot do it: who waits is told so, and patient commands are run again, each alone.

Everything that lasts longer than `GIVE_UP_S` is told as `StoreUnavailableError`.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from tollbridge.storage.batch import Batch
from tollbridge.storage.postgres_batch import QUERIES, Loaded, Reads
from tollbridge.storage.postgres_connections import (
    Connection,
    Connections,
    Trouble,
    trouble,
    unavailable,
)
from tollbridge.storage.replay import UnreadError
from tollbridge.storage.session import OutcomeUnknownError
from tollbridge.units import GIVE_UP_S, EnvId, Millis

COMMANDS_MAX = 64
"""Commands in one transaction: about 2 ms in which the loop serves nobody else."""

BATCHES_MAX = 2
"""Transactions under way at a time in one process. More of them would only make each smaller."""

RACES_MAX = 2
"""An environment that was lost to other processes this often is locked."""

RETRY_FIRST_S = 0.002
RETRY_LAST_S = 0.25
DRAIN_STEP_S = 0.005

_NEVER = float("inf")

_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly: jitter that needs no randomness."""

T = TypeVar("T")


class Command(Generic[T]):
    """One command, and whoever waits for it."""

    __slots__ = ("alone", "deadline", "doubtful", "droppable", "future", "lost", "reads", "result",
                 "run")  # fmt: skip

    def __init__(
        self,
        run: Callable[[Batch, T | None], T],
        reads: Reads | None,
        future: asyncio.Future[T],
        deadline: float,
        *,
        droppable: bool,
    ) -> None:
        self.run = run
        self.reads = reads
        self.future = future
        self.deadline = deadline
        self.droppable = droppable
        self.alone = False
        self.lost = 0
        self.doubtful: T | None = None
        """What it answered in a transaction of which nobody knows whether it was committed."""
        self.result: T | Exception | None = None

    def fail(self, error: BaseException) -> None:
        """Tell whoever still waits."""
        if not self.future.done():
            self.future.set_exception(error)

    def deliver(self) -> None:
        """Tell the result, now that it is committed."""
        if self.future.done():
            return
        if isinstance(self.result, Exception):
            self.future.set_exception(self.result)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


Commands = Sequence[Command[Any]]


class CommitQueue:
    """The queues in front of the transactions, one for each environment."""

    def __init__(
        self,
        connections: Connections,
        leases: dict[str, Millis],
        levels: Sequence[int],
        batches_max: int = BATCHES_MAX,
    ) -> None:
        self._batches_max = batches_max
        self._connections = connections
        self._leases = leases
        self._levels = levels
        self._queues: dict[EnvId | None, deque[Command[Any]]] = {}
        self._ready: deque[EnvId | None] = deque()
        self._busy: set[EnvId | None] = set()
        self._batches: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None
        self._failures = 0
        self._resume_at = 0.0
        self._jitter = os.getpid()
        self.commits = 0

    def submit(
        self,
        run: Callable[[Batch, T | None], T],
        reads: Reads | None = None,
        *,
        droppable: bool = False,
        patient: bool = False,
    ) -> asyncio.Future[T]:
        """Run a command in one of the next transactions; the future is done when it is committed.

        `run` is given the answer of an attempt that is in doubt, if there was one. A `droppable`
        command is not run if its future is cancelled before. A `patient` one never gives up.

        Raises (through the future):
            StoreUnavailableError: the database was away, or too busy, for `GIVE_UP_S`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        deadline = _NEVER if patient else loop.time() + GIVE_UP_S
        self._put([Command(run, reads, future, deadline, droppable=droppable)])
        self._schedule(loop)
        return future

    async def drain(self) -> None:
        """Return when everything that waits is committed, or the database turns out to be away."""
        while any(self._queues.values()) or self._batches:
            if self._failures:
                return
            await asyncio.sleep(DRAIN_STEP_S)

    def _put(self, commands: Iterable[Command[Any]], *, again: bool = False) -> None:
        """Into the queue of their environment: at its end, or again at its beginning."""
        for command in commands:
            env_id = command.reads.env_id if command.reads else None
            queue = self._queues.get(env_id)
            if queue is None:
                queue = self._queues[env_id] = deque()
                if env_id not in self._busy:
                    self._ready.append(env_id)
            if again:
                queue.appendleft(command)
            else:
                queue.append(command)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            if self._failures:
                self._timer = loop.call_at(self._resume_at, self._begin, loop)
            else:
                self._timer = loop.call_soon(self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        # While the database is away one batch at a time tries whether it is back.
        batches_max = 1 if self._failures else self._batches_max
        while len(self._batches) < batches_max:
            environments, commands = self._take()
            if not commands:
                return
            task = loop.create_task(self._serve(environments, commands))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    def _take(self) -> tuple[list[EnvId | None], list[Command[Any]]]:
        """The next batch: all that waits, of environments that are in no other batch."""
        environments: list[EnvId | None] = []
        commands: list[Command[Any]] = []
        while self._ready and len(commands) < COMMANDS_MAX:
            env_id = self._ready[0]
            queue = self._queues[env_id]
            needs_own = queue and (queue[0].alone or queue[0].lost > RACES_MAX)
            if needs_own and commands:
                break
            self._ready.popleft()
            taken = _take_from(queue, COMMANDS_MAX - len(commands))
            if not taken:
                del self._queues[env_id]
                continue
            self._busy.add(env_id)
            environments.append(env_id)
            commands += taken
            if needs_own:
                break
        return environments, commands

    async def _serve(self, environments: Iterable[EnvId | None], commands: Commands) -> None:
        delay_s = 0.0
        try:
            await self._transact(commands)
            self._failures = 0
        except Exception as error:  # noqa: BLE001  every error ends at those who wait
            delay_s = self._after(error, commands)
        except BaseException:
            for command in commands:
                command.future.cancel()
            raise
        finally:
            for env_id in environments:
                self._busy.discard(env_id)
                if self._queues.get(env_id):
                    self._ready.append(env_id)
                else:
                    self._queues.pop(env_id, None)
            loop = asyncio.get_running_loop()
            # This batch still counts as under way, so the next one begins a tick later.
            self._resume_at = loop.time() + delay_s
            loop.call_soon(self._schedule, loop)

    async def _transact(self, commands: Commands) -> None:
        before = [command.doubtful for command in commands]
        lost: set[EnvId] = set()
        try:
            async with self._connections.use() as connection:
                if commands[0].lost > RACES_MAX:
                    environments = sorted({c.reads.env_id for c in commands if c.reads})
                    async with connection.transaction():
                        await connection.fetch(QUERIES["lock_environments"], environments)
                        lost, batch = await self._run(connection, commands)
                else:
                    lost, batch = await self._run(connection, commands)
        except Exception as error:
            if trouble(error) is not Trouble.AWAY:
                _restore(commands, before)
            raise
        _restore(commands, before)
        batch.committed()
        self.commits += 1
        again = []
        for command in commands:
            if command.reads is not None and command.reads.env_id in lost:
                command.lost += 1
                again.append(command)
            else:
                command.deliver()
        self._put(reversed(again), again=True)

    async def _run(self, connection: Connection, commands: Commands) -> tuple[set[EnvId], Batch]:
        """Read, decide, write; returns the environments that were lost to others."""
        loaded = Loaded()
        await loaded.load(connection, (c.reads for c in commands if c.reads is not None))
        while True:
            batch = Batch(loaded, self._leases, self._levels)
            try:
                for command in commands:
                    _decide(command, batch)
                batch.flush()
                break
            except UnreadError as missing:
                loaded.writes.clear()
                await loaded.fetch(connection, missing.read)
        if not loaded.writes:
            return set(), batch
        for command in commands:
            if not isinstance(command.result, Exception):
                command.doubtful = command.result
        return await loaded.store(connection), batch

    def _after(self, error: Exception, commands: Commands) -> float:
        """What becomes of a batch that failed; returns how long to wait before the next."""
        kind = trouble(error)
        if kind in {Trouble.CONFLICT, Trouble.AWAY}:
            self._failures += 1
            self._put(reversed(commands), again=True)
            self._give_up(error)
            self._jitter += 1
            fraction = 0.5 + (self._jitter * _GOLDEN) % 1 / 2
            return min(RETRY_FIRST_S * 2.0 ** min(self._failures, 16), RETRY_LAST_S) * fraction
        if kind is Trouble.REFUSED and len(commands) > 1:
            for command in commands:
                command.alone = True
            self._put(reversed(commands), again=True)
        elif kind is Trouble.BROKEN:
            patient = [command for command in commands if command.deadline == _NEVER]
            for command in commands:
                if command.deadline == _NEVER:
                    command.alone = True  # perhaps only this one fails
                elif command.doubtful is not None:
                    command.fail(OutcomeUnknownError(str(error)))
                else:
                    command.fail(unavailable(error))
            if patient:
                self._failures += 1
                self._put(reversed(patient), again=True)
                self._give_up(error)
                return RETRY_LAST_S
        else:
            for command in commands:
                command.fail(error)
        return 0.0

    def _give_up(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        for queue in self._queues.values():
            for command in list(queue):
                if command.deadline <= now:
                    if command.doubtful is None:
                        queue.remove(command)
                        command.fail(unavailable(error))
                    else:
                        # It stays, so that whoever undoes it comes after it.
                        command.fail(OutcomeUnknownError(str(error)))


def _restore(commands: Commands, doubtful: Sequence[object]) -> None:
    """The attempt is not in doubt; what was before stays."""
    for command, before in zip(commands, doubtful, strict=True):
        command.doubtful = before


def _take_from(queue: deque[Command[Any]], count: int) -> list[Command[Any]]:
    """Commands that can go together: none of them for a request that another one is for."""
    taken: list[Command[Any]] = []
    requests = set()
    while queue and len(taken) < count:
        command = queue[0]
        request_id = command.reads.request_id if command.reads else None
        if request_id in requests or (command.alone and taken):
            break
        queue.popleft()
        if command.droppable and command.doubtful is None and command.future.cancelled():
            continue
        taken.append(command)
        if request_id is not None:
            requests.add(request_id)
        if command.alone:
            break
    return taken


def _decide(command: Command[Any], batch: Batch) -> None:
    """Keep the command's result or its error; one that fails has written nothing."""
    try:
        command.result = command.run(batch, command.doubtful)
    except UnreadError:
        raise
    except Exception as error:  # noqa: BLE001  it is told to whoever waits for this command
        command.result = error
