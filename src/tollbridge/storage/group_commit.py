"""Many commands, one transaction: what arrives without a pause commits together.

A transaction on SQLite costs several times what a command in it costs, so commands wait for the
first tick of the event loop in which no other arrives, and share one. Alone it is the next tick,
which comes at once; under load twice as many share one as if they waited for a tick only. It runs
on the event loop: handing it to a thread and back would cost more than the transaction does. What
could block the loop is kept away: another process's write lock is never waited for, only tried
again later; and the disk is synced by `wal.Checkpointer` on a thread of its own.

A command reads first and hands its writes to the batch at its very end. So one that fails on the
way has written nothing and its neighbours go on. If the writes themselves are refused by a
constraint, the transaction is rolled back and every command of the batch is tried again alone.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.storage.session import OutcomeUnknownError
from tollbridge.units import GIVE_UP_S

COMMANDS_MAX = 64
"""Commands in one transaction: about 2 ms in which the loop serves nobody else."""

RETRY_FIRST_S = 0.0005
RETRY_GROWTH = 1.5
RETRY_LAST_S = 0.01
"""A batch that found the database locked comes back after a delay between these, times a fraction
between a half and one, so that two processes do not meet again and again."""


_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly: jitter that needs no randomness."""


class Transaction(Protocol):
    """What the commands of one transaction share."""

    def flush(self) -> None:
        """Write what the commands have decided."""

    def committed(self) -> None:
        """It is committed."""


T = TypeVar("T")
B = TypeVar("B", bound=Transaction)


class _Entry(Generic[B, T]):
    """A command and whoever waits for it."""

    __slots__ = ("_error", "_result", "alone", "command", "droppable", "future", "lasting")

    def __init__(
        self,
        command: Callable[[B], T],
        future: asyncio.Future[T],
        *,
        alone: bool,
        droppable: bool,
        lasting: bool,
    ) -> None:
        self.command = command
        self.future = future
        self.alone = alone
        self.droppable = droppable
        self.lasting = lasting
        self._error: Exception | None = None

    def run(self, batch: B) -> None:
        """Keep the command's result or error, but let the database's own errors through."""
        self._error = None
        try:
            self._result = self.command(batch)
        except sqlite3.Error:
            raise
        except Exception as error:
            if self.alone:
                raise
            self._error = error

    def deliver(self) -> None:
        """Tell the result, now that it is committed."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)

    def fail_away(self, error: Exception, *, in_doubt: bool) -> None:
        """The database is away; `in_doubt` if it may have committed all the same."""
        message = f"the database cannot be written: {error}"
        away = StoreUnavailableError(message)
        if in_doubt and self._error is None:
            away = OutcomeUnknownError(message, self._result)
        away.__cause__ = error
        self.fail(away)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class GroupCommit(Generic[B]):
    """The queue in front of a connection's transactions.

    `start_batch` is told whether the batch is of one command, so that a refusal hits no other.
    """

    def __init__(self, connection: sqlite3.Connection, start_batch: Callable[[bool], B]) -> None:
        self._connection = connection
        self._start_batch = start_batch
        self._queue: deque[_Entry[B, Any]] = deque()
        self._unmade: list[_Entry[B, Any]] = []
        """Lasting commands that failed: they join the next transaction that others begin."""
        self._scheduled_on: asyncio.AbstractEventLoop | None = None
        self._seen = 0
        self._tries = 0
        self._locked_since = 0.0
        self._jitter = os.getpid()
        self._committing = False
        self.commits = 0

    def submit(
        self,
        command: Callable[[B], T],
        *,
        alone: bool = False,
        droppable: bool = False,
        lasting: bool = False,
    ) -> asyncio.Future[T]:
        """Run `command` in the next transaction; the future is done when that is committed.

        `alone` gives it a transaction of its own, in which it may write at any point. A
        `droppable` command is not run if its future is cancelled before the transaction begins;
        any other is run even if nobody waits for it any more. A `lasting` one waits until the
        database is back; its future never tells that it is away.

        Raises (through the future):
            StoreUnavailableError: the database is away or was locked for `GIVE_UP_S`.
            OutcomeUnknownError: it went away while it committed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.append(
            _Entry(command, future, alone=alone, droppable=droppable, lasting=lasting)
        )
        # A loop that was closed with a retry pending will not come back to it.
        if self._scheduled_on is not loop:
            self._scheduled_on = loop
            loop.call_soon(self._run, loop)
        return future

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        # As long as more arrives with each tick, the next one is worth waiting for.
        if self._seen < len(self._queue) < COMMANDS_MAX:
            self._seen = len(self._queue)
            loop.call_soon(self._run, loop)
            return
        self._seen = 0
        entries = self._take()
        if entries and not self._commit(entries, loop):
            return
        if self._queue:
            loop.call_soon(self._run, loop)
        else:
            self._scheduled_on = None

    def _take(self) -> list[_Entry[B, Any]]:
        entries: list[_Entry[B, Any]] = []
        queue = self._queue
        if queue and not queue[0].alone:
            entries, self._unmade = self._unmade, entries
        while queue and len(entries) < COMMANDS_MAX:
            if queue[0].alone and entries:
                break
            entry = queue.popleft()
            if not (entry.droppable and entry.future.cancelled()):
                entries.append(entry)
                if entry.alone:
                    break
        return entries

    def _commit(self, entries: list[_Entry[B, Any]], loop: asyncio.AbstractEventLoop) -> bool:
        """Returns False if the database was locked; then the batch is scheduled again."""
        try:
            self._transact(entries)
        except Exception as error:  # noqa: BLE001  every error ends at those who wait
            if _is_busy(error):
                return self._try_later(entries, loop, error)
            if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
                self._fail(entries, error, in_doubt=self._committing)
            elif len(entries) == 1:
                entries[0].fail(error)
            else:
                for entry in entries:
                    entry.alone = True
                self._queue.extendleft(reversed(entries))
        else:
            self.commits += 1
            for entry in entries:
                entry.deliver()
        self._tries = 0
        return True

    def _transact(self, entries: list[_Entry[B, Any]]) -> None:
        connection = self._connection
        self._committing = False
        if connection.in_transaction:  # the last one could not even be rolled back
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        try:
            batch = self._start_batch(len(entries) == 1)
            for entry in entries:
                entry.run(batch)
            batch.flush()
            self._committing = True
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        batch.committed()

    def _fail(self, entries: list[_Entry[B, Any]], error: Exception, *, in_doubt: bool) -> None:
        self._unmade += [entry for entry in entries if entry.lasting]
        for entry in entries:
            if not entry.lasting:
                entry.fail_away(error, in_doubt=in_doubt)

    def _try_later(
        self, entries: list[_Entry[B, Any]], loop: asyncio.AbstractEventLoop, error: Exception
    ) -> bool:
        if self._tries == 0:
            self._locked_since = loop.time()
        elif loop.time() - self._locked_since >= GIVE_UP_S:
            self._tries = 0
            # A lock is no doubt: what it kept from being committed was rolled back.
            self._fail([*entries, *self._queue], error, in_doubt=False)
            self._queue.clear()
            return True
        self._queue.extendleft(reversed(entries))
        self._jitter += 1
        fraction = 0.5 + (self._jitter * _GOLDEN) % 1 / 2
        delay = min(RETRY_FIRST_S * RETRY_GROWTH**self._tries, RETRY_LAST_S)
        self._tries = min(self._tries + 1, 32)
        loop.call_later(delay * fraction, self._run, loop)
        return False


def _is_busy(error: Exception) -> bool:
    # The low byte is the primary code; the rest says which lock.
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
