"""What a batch leaves to the next one, and when it does not."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, grant, need, settlement

from tollbridge.app.ports import UnknownHoldError
from tollbridge.ledger.model import Hold, Limits, Refusal
from tollbridge.storage import memory
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.units import Millis

WRITES = ("BEGIN", "PRAGMA data_version", "INSERT", "UPDATE", "DELETE", "COMMIT", "-- ")


@pytest.fixture
def open_store(memory: Path):
    stores: list[SqliteStore] = []

    def open_one() -> SqliteStore:
        stores.append(SqliteStore(memory))
        return stores[-1]

    async def close() -> None:
        for store in stores:
            await store.close("worker-1")

    yield open_one
    asyncio.run(close())


async def prepare(store: SqliteStore) -> None:
    await store.create_environment(ENV, "Acme", Millis(0))
    await store.grant(grant("p1", 1_000))


def reads(store: SqliteStore) -> list[str]:
    """Statements that read, from now on."""
    seen: list[str] = []

    def trace(statement: str) -> None:
        if not statement.startswith(WRITES):
            seen.append(statement)

    store._connection.set_trace_callback(trace)
    return seen


async def together(store: SqliteStore, *names: str) -> list[Hold | Refusal]:
    return await asyncio.gather(*(store.admit(admission(name, need())) for name in names))


Scenario = Callable[[], SqliteStore]


def test_what_this_process_wrote_is_not_read_again(open_store: Scenario) -> None:
    async def scenario() -> list[str]:
        store = open_store()
        await prepare(store)
        await together(store, "r1", "r2")
        seen = reads(store)
        await together(store, "r3", "r4")
        await asyncio.gather(*(store.settle(settlement(f"r{n}", 30)) for n in range(1, 5)))
        store._connection.set_trace_callback(None)
        return seen

    assert asyncio.run(scenario()) == []


def test_what_another_process_wrote_is_read(open_store: Scenario) -> None:
    async def scenario() -> None:
        store, other = open_store(), open_store()
        await prepare(store)
        for name in ("r1", "r2", "r3", "r4"):
            held = await store.admit(admission(name, need()))
            assert isinstance(held, Hold)
            (pack,) = await store.packs(ENV)
            assert held.available == pack.available
            await other.settle(settlement(name, 30))
            assert (await store.settle(settlement(name, 30))).exists
        await other.limit_environment(ENV, Limits(concurrency=1))
        assert await store.admit(admission("r5", need())) is Refusal.STALE

    asyncio.run(scenario())


def test_what_this_process_changed_by_a_command_of_its_own_is_read(open_store: Scenario) -> None:
    async def scenario() -> None:
        store = open_store()
        await prepare(store)
        held = await store.admit(admission("r1", need()))
        assert isinstance(held, Hold)
        await store.grant(grant("p2", 1_000))
        more = await store.admit(admission("r2", need()))
        assert isinstance(more, Hold)
        assert more.available == held.available + 1_000 - 50

    asyncio.run(scenario())


def test_a_batch_that_was_rolled_back_leaves_nothing(open_store: Scenario) -> None:
    async def scenario() -> None:
        store = open_store()
        await prepare(store)
        held = await together(store, "r1", "r2", "r2", "r3")
        assert [result for result in held if isinstance(result, Refusal)] == [Refusal.DUPLICATE]
        (pack,) = await store.packs(ENV)
        assert (pack.available, pack.held) == (850, 150)
        with pytest.raises(UnknownHoldError):
            await store.settle(settlement("r4", 30))

    asyncio.run(scenario())


def test_an_ended_request_is_not_admitted_again_among_others(open_store: Scenario) -> None:
    async def scenario() -> None:
        store = open_store()
        await prepare(store)
        await store.admit(admission("r1", need(0, 0)))
        await store.settle(settlement("r1", 0))
        again = [store.admit(admission(name, need(0, 0))) for name in ("r2", "r1", "r3")]
        results = await asyncio.gather(*again)
        assert [isinstance(result, Hold) for result in results] == [True, False, True]
        assert results[1] is Refusal.DUPLICATE

    asyncio.run(scenario())


def test_of_many_environments_nothing_is_kept(
    open_store: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ENTRIES_MAX", 0)

    async def scenario() -> list[str]:
        store = open_store()
        await prepare(store)
        await store.admit(admission("r1", need()))
        seen = reads(store)
        await together(store, "r2", "r3")
        store._connection.set_trace_callback(None)
        return seen

    assert len(asyncio.run(scenario())) == 2
