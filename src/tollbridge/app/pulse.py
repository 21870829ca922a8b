"""The one tick of a worker: heartbeats, checkpoints, the lease and the sweeper.

Streams cost no timer of their own. Each has an entry in `live`; the tick looks at all of them.
"""

import asyncio
import contextlib
from typing import Protocol

from tollbridge.app.ports import AccountStore, Clock, Observer, StoreUnavailableError
from tollbridge.app.settlement import Settler
from tollbridge.ledger.model import Checkpoint
from tollbridge.units import CHECKPOINT_MS, HEARTBEAT_MS, LEASE_MS

TICK_S = 1.0
DRAIN_S = 20.0
"""How long a stopping worker waits for the exchanges under way."""
DRAIN_STEP_S = 0.02
_CHECKPOINT_TICKS = CHECKPOINT_MS // 1000
_HEARTBEAT_TICKS = HEARTBEAT_MS // 1000
_SWEEP_TICKS = LEASE_MS // 2000


class Live(Protocol):
    """An exchange under way, as the tick sees it."""

    @property
    def beat(self) -> int:
        """The tick at which bytes last went to the client."""

    def checkpoint(self) -> Checkpoint | None:
        """How far it is; None: nothing that costs anything has happened yet."""

    def keep_alive(self) -> None:
        """Break the silence, if this exchange can; must not wait."""

    def interrupt(self) -> None:
        """End it now, with an error to the client."""


class Pulse:
    """Ticks once a second from `start` to `stop`."""

    def __init__(
        self,
        store: AccountStore,
        settler: Settler,
        observer: Observer,
        worker_id: str,
        clock: Clock,
    ) -> None:
        self.worker_id = worker_id
        self.live: set[Live] = set()
        self.tick = 0
        self._store = store
        self._settler = settler
        self._observer = observer
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the lease before the first admission, then tick."""
        await self._store.checkpoint(self.worker_id, (), self._clock())
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def drain(self) -> None:
        """Wait for the exchanges under way, but not for ever; the rest is interrupted and settled
        for what it delivered.
        """
        # Polled: exchanges end a thousand times more often than a worker stops.
        deadline = asyncio.get_running_loop().time() + DRAIN_S
        while self.live and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_STEP_S)
        for live in list(self.live):
            live.interrupt()
        while self.live:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_STEP_S)

    async def stop(self) -> None:
        """Stop ticking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.tick += 1
            try:
                await self._once()
            except StoreUnavailableError as error:
                # The streams go on; the lease is renewed when the database is back.
                self._observer.trouble("the database is away", error)

    async def _once(self) -> None:
        silent = [live for live in self.live if self.tick - live.beat >= _HEARTBEAT_TICKS]
        for live in silent:
            live.keep_alive()
        if self.tick % _CHECKPOINT_TICKS == 0:
            checkpoints = [c for live in self.live if (c := live.checkpoint()) is not None]
            await self._store.checkpoint(self.worker_id, checkpoints, self._clock())
        await self._settler.retry()
        if self.tick % _SWEEP_TICKS == 1:
            await self._store.sweep(self._clock())
