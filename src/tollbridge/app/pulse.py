"""The one tick of a worker: heartbeats, checkpoints, the lease, the sweeper and the figures.

Streams cost no timer of their own. Each has an entry in `live`; the tick looks at all of them.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Protocol

from tollbridge.app.alerts import Alerter
from tollbridge.app.ports import AccountStore, Clock, Observer, Scoreboard, StoreUnavailableError
from tollbridge.app.settlement import Settler
from tollbridge.ledger.model import Checkpoint
from tollbridge.units import CHECKPOINT_MS, CUT_S, HEARTBEAT_MS, LEASE_MS, Millis

TICK_S = 1.0
DRAIN_STEP_S = 0.02
CHECKPOINTS_MAX = 16
"""In one transaction: a tenth of a millisecond in which no stream goes on."""
_CHECKPOINT_TICKS = CHECKPOINT_MS // 1000
_HEARTBEAT_TICKS = HEARTBEAT_MS // 1000
_ALERT_TICKS = 2
_FIGURES_TICKS = 2
_SWEEP_TICKS = 2 * _CHECKPOINT_TICKS


class Live(Protocol):
    """An exchange under way, as the tick sees it."""

    @property
    def beat(self) -> int:
        """The tick at which bytes last went to the client."""

    def checkpoint(self) -> Checkpoint | None:
        """How far it is; None: nothing that costs anything has happened yet."""

    def keep_alive(self) -> None:
        """Break the silence, if this exchange can; must not wait and never raises."""

    def interrupt(self) -> None:
        """End it now, with an error to the client."""


class Door(Protocol):
    """Where exchanges come in."""

    @property
    def inside(self) -> int:
        """How many there are, those included whose request is still arriving."""

    def cut(self) -> None:
        """Wait for no more of requests that are still arriving; tell their clients why."""


class Pulse:
    """Ticks once a second from `start` to `stop`."""

    def __init__(
        self,
        store: AccountStore,
        settler: Settler,
        observer: Observer,
        worker_id: str,
        clock: Clock,
        alerter: Alerter | None = None,
        scoreboard: Scoreboard | None = None,
    ) -> None:
        self.clock = clock
        self.worker_id = worker_id
        self.live: dict[Live, None] = {}
        """In the order of their admission: their rows in the ledger stand side by side, so that the
        checkpoints of some dirty a few pages and not one each, which costs half."""
        self.tick = 0
        self._store = store
        self._settler = settler
        self._observer = observer
        self._alerter = alerter
        self._scoreboard = scoreboard
        self._task: asyncio.Task[None] | None = None
        self._chores: asyncio.Task[None] | None = None
        self._checkpoint_tick = _CHECKPOINT_TICKS
        self._sweep_tick = 0
        self._renewed_at = Millis(0)
        self._sweep_from = Millis(0)

    async def start(self) -> None:
        """Take the lease before the first admission, then tick."""
        self._renewed_at = self.clock()
        await self._store.checkpoint(self.worker_id, (), self._renewed_at)
        # What dead workers spooled comes before any sweeper sees their holds.
        self._settler.adopt()
        await self._careful(self._settler.retry())
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def drain(self, bound_s: float, door: Door) -> None:
        """Wait for the exchanges under way, but not for ever; the rest is interrupted and settled
        for what it delivered.
        """
        # Polled: exchanges end a thousand times more often than a worker stops.
        now = asyncio.get_running_loop().time
        deadline = now() + bound_s
        while (self.live or door.inside) and now() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_STEP_S)
        deadline = now() + CUT_S
        while (self.live or door.inside) and now() < deadline:
            door.cut()
            for live in list(self.live):
                live.interrupt()
            await asyncio.sleep(DRAIN_STEP_S)

    async def stop(self) -> None:
        """Stop ticking, and settle what still waits if the database is there."""
        for task in (self._task, self._chores):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._alerter is not None:
            await self._alerter.stop()
        if self._scoreboard is not None:
            await self._scoreboard.stop()
        await self._careful(self._settler.retry())
        self._settler.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._beat()

    def _beat(self) -> None:
        self.tick += 1
        for live in [live for live in self.live if self.tick - live.beat >= _HEARTBEAT_TICKS]:
            try:
                live.keep_alive()
            except Exception as error:  # noqa: BLE001  # the tick is everybody's
                self._observer.trouble("bug in a heartbeat", error)
        if self._alerter is not None and self.tick % _ALERT_TICKS == 0:
            self._alerter.wake()
        if self._scoreboard is not None and self.tick % _FIGURES_TICKS == 0:
            self._scoreboard.wake(len(self.live))
        # A database that hangs must not keep the heartbeats waiting.
        if self._chores is None or self._chores.done():
            self._chores = asyncio.ensure_future(self._careful(self._keep_accounts(self.tick)))

    async def _careful(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except StoreUnavailableError as error:
            # The streams go on; the lease is renewed when the database is back.
            self._observer.trouble("the database is away", error)
        except Exception as error:  # noqa: BLE001  # without the next tick all holds would be lost
            self._observer.trouble("bug in the tick of the worker", error)

    async def _keep_accounts(self, tick: int) -> None:
        renews = tick >= self._checkpoint_tick
        if renews:
            self._checkpoint_tick = tick + _CHECKPOINT_TICKS
            # First: a settlement that the database does not take must not cost the lease.
            await self._renew()
        await self._settler.retry()
        if renews and tick >= self._sweep_tick and self._renewed_at >= self._sweep_from:
            self._sweep_tick = tick + _SWEEP_TICKS
            await self._store.sweep(self._renewed_at)

    async def _renew(self) -> None:
        now = self.clock()
        lives = list(self.live)
        for start in range(0, len(lives) or 1, CHECKPOINTS_MAX):
            checkpoints = self._checkpoints(lives[start : start + CHECKPOINTS_MAX])
            await self._store.checkpoint(self.worker_id, checkpoints, now)
        if now - self._renewed_at >= LEASE_MS // 2:
            # The database or this machine was away: others, alive as we are, need time to renew.
            self._sweep_from = Millis(now + LEASE_MS)
        self._renewed_at = now

    def _checkpoints(self, lives: Sequence[Live]) -> list[Checkpoint]:
        checkpoints = []
        for live in lives:
            if live not in self.live:
                continue  # it has ended meanwhile
            try:
                checkpoint = live.checkpoint()
            except Exception as error:  # noqa: BLE001  # the lease is everybody's
                self._observer.trouble("bug in a checkpoint", error)
            else:
                if checkpoint is not None:
                    checkpoints.append(checkpoint)
        return checkpoints
