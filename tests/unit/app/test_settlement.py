"""Settlements wait for a database that is away, and nothing else stops them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.contract.samples import settlement
from tests.fakes.exchange_parts import MemorySpool, RecordingObserver
from tests.unit.app.test_pulse import ticking

from tollbridge.app.ports import (
    SettlementConflictError,
    StoreUnavailableError,
    UnknownHoldError,
)
from tollbridge.app.settlement import Settler
from tollbridge.ledger.model import Settled, Settlement
from tollbridge.units import MicroCredits


class Store:
    """Settles, or does what it is told for one request."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.gate: Callable[[], object] | None = None

    async def settle(self, settlement: Settlement) -> Settled:
        if self.gate is not None:
            await self.gate()
        if settlement.request_id in self.errors:
            raise self.errors[settlement.request_id]
        self.done.append(settlement.request_id)
        return Settled(settlement.amount, MicroCredits(0))


def settler(spool: MemorySpool | None = None):
    store, observer = Store(), RecordingObserver()
    return store, observer, Settler(store, observer, spool or MemorySpool())


def test_settles():
    store, _, settles = settler()
    assert asyncio.run(settles.settle(settlement("r1", 5))).amount == 5
    assert store.done == ["r1"]


def test_waits_for_the_database_oldest_first():
    store, observer, settles = settler()
    store.errors = {name: StoreUnavailableError("away") for name in ("r1", "r2")}
    assert asyncio.run(settles.settle(settlement("r1", 5))) is None
    assert asyncio.run(settles.settle(settlement("r2", 5))) is None
    assert len(observer.troubles) == 2
    with pytest.raises(StoreUnavailableError):
        asyncio.run(settles.retry())
    assert [each.request_id for each in settles.waiting] == ["r1", "r2"]
    store.errors.clear()
    asyncio.run(settles.retry())
    assert store.done == ["r1", "r2"]
    assert not settles.waiting


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UnknownHoldError("who?"), "a settlement does not fit the ledger"),
        (SettlementConflictError("amount"), "a settlement does not fit the ledger"),
        (ZeroDivisionError("oh"), "bug in a settlement"),
    ],
)
def test_what_the_ledger_does_not_take_is_set_aside_and_blocks_nobody(error, told):
    spool = MemorySpool()
    store, observer, settles = settler(spool)
    store.errors = {"r1": error}
    assert asyncio.run(settles.settle(settlement("r1", 5))) is None
    settles.waiting.extend([settlement("r1", 5), settlement("r2", 5)])
    asyncio.run(settles.retry())
    assert store.done == ["r2"]
    assert observer.troubles == [(told, error), (told, error)]
    assert spool.rejected == [("r1", str(error))] * 2


@pytest.mark.parametrize("by", ["settle", "retry"])
def test_a_cancelled_settlement_is_done_again(by):
    store, _, settles = settler()

    async def scenario():
        store.gate = asyncio.Event().wait
        if by == "retry":
            settles.waiting.append(settlement("r1", 5))
        waiting = settles.settle(settlement("r1", 5)) if by == "settle" else settles.retry()
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.gate = None
        await settles.retry()

    asyncio.run(scenario())
    assert store.done == ["r1"]


def test_what_waits_is_spooled_until_it_is_settled():
    spool = MemorySpool()
    store, _, settles = settler(spool)
    store.errors = {"r1": StoreUnavailableError("away")}
    asyncio.run(settles.settle(settlement("r1", 5)))
    assert [each.request_id for each in spool.kept] == ["r1"]
    with pytest.raises(StoreUnavailableError):
        asyncio.run(settles.retry())
    assert spool.kept
    store.errors.clear()
    asyncio.run(settles.retry())
    assert spool.kept == []
    settles.close()
    assert spool.closed


def test_what_dead_workers_left_is_settled():
    spool = MemorySpool(settlement("r1", 5), settlement("poisoned", 5), settlement("r2", 5))
    store, observer, settles = settler(spool)
    store.errors = {"poisoned": UnknownHoldError("who?")}
    settles.adopt()
    asyncio.run(settles.retry())
    assert store.done == ["r1", "r2"]
    assert spool.rejected == [("poisoned", "who?")]
    assert len(observer.troubles) == 1


def test_a_full_disk_is_told_and_memory_remembers():
    spool = MemorySpool()
    spool.broken = OSError("no space left")
    store, observer, settles = settler(spool)
    store.errors = {"r1": StoreUnavailableError("away"), "r2": UnknownHoldError("who?")}
    asyncio.run(settles.settle(settlement("r1", 5)))
    asyncio.run(settles.settle(settlement("r2", 5)))
    assert observer.troubles[1][1] is observer.troubles[3][1] is spool.broken
    store.errors.clear()
    asyncio.run(settles.retry())
    assert store.done == ["r1"]


@pytest.mark.parametrize("during", ["settle", "keep"])
def test_a_settlement_that_is_cancelled_as_the_process_ends_is_spooled(during):
    spool = MemorySpool()
    store, _, settles = settler(spool)

    async def scenario():
        gate = asyncio.Event()
        if during == "settle":
            store.gate = gate.wait
        else:
            store.errors = {"r1": StoreUnavailableError("away")}
            # The only thread is busy, so that the spool's work does not begin.
            loop = asyncio.get_running_loop()
            loop.set_default_executor(executor := ThreadPoolExecutor(1))
            executor.submit(blocked.wait)
        task = asyncio.ensure_future(settles.settle(settlement("r1", 5)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        blocked.set()
        assert [each.request_id for each in spool.kept] == ["r1"]
        store.gate, store.errors = None, {}
        await settles.retry()
        assert (store.done, spool.kept) == (["r1"], [])

    blocked = threading.Event()
    asyncio.run(scenario())


@ticking
async def test_a_settlement_the_database_does_not_take_costs_no_lease(world):
    async def stuck(_):
        raise StoreUnavailableError("its environment is locked")

    world.store.settle = stuck
    world.pulse._settler.waiting.append(settlement("r1", 5))
    await world.seconds(8)
    assert world.store.asked[1:] == ["checkpoint"] * 4, "and nobody is swept before it"
