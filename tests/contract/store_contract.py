"""What every store must do: each check is a function of a world that opens stores on one database.

A new database joins by a test module that runs `CHECKS` with a world of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest
from tests.contract.samples import (
    DAY_MS,
    ENV,
    MODEL,
    admission,
    checkpoint,
    grant,
    key,
    need,
    settlement,
)

from tollbridge.app.ports import (
    AccountStore,
    ControlStore,
    GrantConflictError,
    SettlementConflictError,
    StoreUnavailableError,
    UnknownEnvironmentError,
    UnknownHoldError,
)
from tollbridge.ledger.audit import AuditReport
from tollbridge.ledger.model import Hold, Leg, Refusal, Settled
from tollbridge.units import LEASE_MS, EnvId, KeyId, Millis
from tollbridge.usage import Provenance, TokenUsage


class Store(AccountStore, ControlStore, Protocol):
    """Both ports at once."""


class World(Protocol):
    """One database."""

    def open(self) -> Store:
        """Another store on it, as another process would open it."""

    def audit(self) -> AuditReport:
        """By the second implementation."""


Check = Callable[[World], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


async def prepared(world: World, *packs: int) -> Store:
    """A store with the environment, and packs p1, p2, ... that expire in this order."""
    store = world.open()
    await store.create_environment(ENV, "Acme", Millis(0))
    for number, amount in enumerate(packs, start=1):
        await store.grant(grant(f"p{number}", amount, expires_at=number * DAY_MS))
    return store


async def balances(store: Store) -> list[tuple[int, int, int, int]]:
    return [(p.available, p.held, p.spent, p.expired) for p in await store.packs(ENV)]


async def closed(world: World, store: Store) -> AuditReport:
    await store.close("worker-1")
    report = world.audit()
    assert report.differences == []
    return report


@check
async def a_hold_is_placed_and_posted(world: World) -> None:
    store = await prepared(world, 100)
    hold = await store.admit(admission("r1", need()))
    assert hold == Hold("r1", (Leg("p1", 50),), 20, 50)
    assert await balances(store) == [(50, 50, 0, 0)]
    assert await store.settle(settlement("r1", 30)) == Settled(30, 0)
    assert await balances(store) == [(70, 0, 30, 0)]
    assert (await closed(world, store)).exchanges == 1


@check
async def a_settlement_is_idempotent(world: World) -> None:
    store = await prepared(world, 100)
    await store.admit(admission("r1", need()))
    await store.settle(settlement("r1", 30))
    assert await store.settle(settlement("r1", 30)) == Settled(30, 0, exists=True)
    with pytest.raises(SettlementConflictError, match="amount"):
        await store.settle(settlement("r1", 31, usage=TokenUsage(input=5, output=15)))
    with pytest.raises(SettlementConflictError, match="upstream"):
        await store.settle(settlement("r1", 30, upstream="other"))
    assert await store.admit(admission("r1", need())) is Refusal.DUPLICATE
    await closed(world, store)


@check
async def a_settlement_is_idempotent_within_one_transaction(world: World) -> None:
    store = await prepared(world, 100)
    await store.admit(admission("r1", need()))
    first, again, other = await asyncio.gather(
        store.settle(settlement("r1", 30)),
        store.settle(settlement("r1", 30)),
        store.settle(settlement("r1", 31)),
        return_exceptions=True,
    )
    assert (first, again) == (Settled(30, 0), Settled(30, 0, exists=True))
    assert isinstance(other, SettlementConflictError)
    assert await balances(store) == [(70, 0, 30, 0)]
    assert (await closed(world, store)).exchanges == 1


@check
async def a_settlement_needs_an_admission(world: World) -> None:
    store = await prepared(world, 100)
    with pytest.raises(UnknownHoldError, match="r1"):
        await store.settle(settlement("r1", 30))
    await closed(world, store)


@check
async def refusals_come_in_order_of_precedence(world: World) -> None:
    store = await prepared(world, 60)
    dear = need(1_000)
    await store.admit(admission("r1", need()))
    assert await store.admit(admission("r1", dear, generation=2)) is Refusal.STALE
    assert await store.admit(admission("r1", dear, env_id=EnvId("other"))) is Refusal.STALE
    assert await store.admit(admission("r1", dear)) is Refusal.DUPLICATE
    assert await store.admit(admission("r2", dear)) is Refusal.EXHAUSTED
    assert await store.admit(admission("r2", need())) is Refusal.HELD
    assert await balances(store) == [(10, 50, 0, 0)]
    await closed(world, store)


@check
async def a_change_of_keys_or_switches_makes_decisions_stale(world: World) -> None:
    store = await prepared(world, 1_000)
    await store.add_key(*key(1))
    await store.switch(ENV, [MODEL], on=True)
    await store.revoke_key(KeyId("key_1"), Millis(9))
    assert await store.generation(ENV) == 4
    assert await store.admit(admission("r1", need(), generation=3)) is Refusal.STALE
    assert isinstance(await store.admit(admission("r1", need(), generation=4)), Hold)
    await closed(world, store)


@check
async def a_free_exchange_leaves_a_record_and_no_transfer(world: World) -> None:
    store = await prepared(world)
    free = need(0, 0)
    assert await store.admit(admission("r1", free)) == Hold("r1", (), 20, 0)
    assert await store.admit(admission("r1", free)) is Refusal.DUPLICATE
    done = settlement("r1", 0, provenance=Provenance.REPORTED)
    assert await store.settle(done) == Settled(0, 0)
    assert await store.settle(done) == Settled(0, 0, exists=True)
    assert await store.admit(admission("r1", free)) is Refusal.DUPLICATE
    report = await closed(world, store)
    assert (report.transfers, report.exchanges) == (0, 1)


@check
async def commands_of_one_tick_share_a_fate_only_if_good(world: World) -> None:
    store = await prepared(world, 100, 1_000)
    await asyncio.gather(*(store.admit(admission(f"r{n}", need())) for n in range(8)))
    malformed = settlement("r3", 30, usage=TokenUsage(input=-1))
    huge = settlement("r4", 30, usage=TokenUsage(input=2**70))
    results = await asyncio.gather(
        *(store.settle(settlement(f"r{n}", 30)) for n in range(3)),
        store.settle(malformed),
        store.settle(huge),
        store.settle(settlement("unknown", 30)),
        store.settle(settlement("r5", 30)),
        store.settle(settlement("r5", 30)),
        store.admit(admission("r9", need())),
        store.admit(admission("r9", need())),
        return_exceptions=True,
    )
    assert results[:3] == [Settled(30, 0)] * 3
    assert all(isinstance(result, Exception) for result in results[3:6])
    assert results[6:8] == [Settled(30, 0), Settled(30, 0, exists=True)]
    assert isinstance(results[8], Hold)
    assert results[9] is Refusal.DUPLICATE
    report = await closed(world, store)
    assert {hold.request_id for hold in report.open_holds} == {"r3", "r4", "r6", "r7", "r9"}


@check
async def a_dead_workers_holds_are_recovered_once(world: World) -> None:
    store = await prepared(world, 300)
    for request_id in ("r1", "r2", "r3"):
        await store.admit(admission(request_id, need(), worker_id="dead"))
    await store.admit(admission("r4", need(0, 0), worker_id="dead"))
    await store.checkpoint("dead", [checkpoint("r1", 20), checkpoint("r3", 60)], Millis(100))
    await store.admit(admission("r5", need(), now=LEASE_MS))
    late = Millis(100 + LEASE_MS)
    assert await store.sweep(Millis(late - 1)) == 0
    other = world.open()
    counts = await asyncio.gather(store.sweep(late), other.sweep(late), store.sweep(late))
    assert sum(counts) == 4
    assert await balances(store) == [(170, 50, 80, 0)]
    assert await store.settle(settlement("r1", 44)) == Settled(20, 0, exists=True)
    await other.close("worker-2")
    report = await closed(world, store)
    assert [hold.request_id for hold in report.open_holds] == ["r5"]
    assert report.exchanges == 4


@check
async def closing_gives_up_the_lease(world: World) -> None:
    store = await prepared(world, 100)
    await store.admit(admission("r1", need()))
    await store.close("worker-1")
    other = world.open()
    assert await other.sweep(Millis(1)) == 1
    await closed(world, other)


@check
async def packs_expire_and_held_credits_expire_when_released(world: World) -> None:
    store = await prepared(world, 100, 100)
    await store.admit(admission("r1", need()))
    await store.checkpoint("worker-1", [], Millis(DAY_MS))
    assert await store.sweep(Millis(DAY_MS)) == 1
    assert await store.sweep(Millis(DAY_MS)) == 0
    assert await balances(store) == [(0, 50, 0, 50), (100, 0, 0, 0)]
    assert await store.settle(settlement("r1", 30, now=DAY_MS + 1)) == Settled(30, 0)
    assert await balances(store) == [(0, 0, 30, 70), (100, 0, 0, 0)]
    await closed(world, store)


@check
async def usage_above_the_hold_is_spent_then_overrun(world: World) -> None:
    store = await prepared(world, 50, 20)
    await store.admit(admission("r1", need()))
    assert await store.settle(settlement("r1", 100)) == Settled(100, 30)
    assert await store.settle(settlement("r1", 100)) == Settled(100, 30, exists=True)
    assert await balances(store) == [(0, 0, 50, 0), (0, 0, 20, 0)]
    report = await closed(world, store)
    assert report.environments[ENV].overrun == 30


@check
async def a_grant_is_idempotent(world: World) -> None:
    store = await prepared(world, 100)
    assert not await store.grant(grant("p1", 100, now=5, expires_at=DAY_MS))
    with pytest.raises(GrantConflictError, match="amount"):
        await store.grant(grant("p1", 101, expires_at=DAY_MS))
    with pytest.raises(GrantConflictError, match="expires_at"):
        await store.grant(grant("p1", 100))
    with pytest.raises(GrantConflictError, match="models"):
        await store.grant(grant("p1", 100, expires_at=DAY_MS, models=("m",)))
    report = await closed(world, store)
    assert report.transfers == 1


@check
async def packs_are_listed_in_the_order_in_which_they_are_drawn(world: World) -> None:
    store = await prepared(world)
    await store.grant(grant("forever", 1, now=0))
    await store.grant(grant("young", 1, now=2, expires_at=50))
    await store.grant(grant("old", 1, now=1, expires_at=50, models=("a/b", "c")))
    await store.grant(grant("soon", 1, now=3, expires_at=20))
    packs = await store.packs(None)
    assert [pack.pack_id for pack in packs] == ["soon", "old", "young", "forever"]
    assert packs[1].models == ("a/b", "c")
    assert await store.packs(ENV) == packs
    await closed(world, store)


@check
async def a_key_is_found_with_its_environment(world: World) -> None:
    store = await prepared(world)
    info, key_hash = key(1, expires_at=77)
    assert await store.find_key(key_hash) is None
    await store.add_key(info, key_hash)
    await store.add_key(*key(2))
    await store.switch(ENV, ["a", "b", "b"], on=True)
    await store.switch(ENV, ["a"], on=False)
    found = await store.find_key(key_hash)
    assert found is not None
    assert (found.key_id, found.env_id, found.expires_at) == (info.key_id, ENV, 77)
    assert (found.models_on, found.revoked_at, found.generation) == ({"b"}, None, 5)
    assert await store.models_on(ENV) == {"b"}
    assert await store.revoke_key(info.key_id, Millis(5))
    assert await store.revoke_key(info.key_id, Millis(6))
    assert not await store.revoke_key(KeyId("key_9"), Millis(5))
    found = await store.find_key(key_hash)
    assert found is not None
    assert found.revoked_at == 5
    assert [k.key_id for k in await store.keys(ENV)] == ["key_1", "key_2"]
    assert await store.keys(None) == await store.keys(ENV)
    await closed(world, store)


@check
async def environments_are_made_once(world: World) -> None:
    store = await prepared(world)
    assert not await store.create_environment(ENV, "again", Millis(1))
    assert await store.create_environment(EnvId("a"), "A", Millis(1))
    listed = [(e.env_id, e.name, e.generation) for e in await store.environments()]
    assert listed == [("a", "A", 1), (ENV, "Acme", 1)]
    assert await store.generation(EnvId("none")) is None
    await closed(world, store)


@check
async def an_unknown_environment_is_told(world: World) -> None:
    store = await prepared(world)
    none = EnvId("none")
    for call in (
        store.add_key(*key(1, env_id=none)),
        store.keys(none),
        store.switch(none, ["a"], on=True),
        store.models_on(none),
        store.grant(grant("p", 1, env_id=none)),
        store.packs(none),
        store.usage(none, Millis(0), Millis(1)),
    ):
        with pytest.raises(UnknownEnvironmentError, match="none"):
            await call
    await closed(world, store)


@check
async def usage_is_added_up_by_day_and_model(world: World) -> None:
    store = await prepared(world)
    await store.grant(grant("p1", 1_000))
    for request_id, ended_at, model in (
        ("r1", 0, "a"),
        ("r2", DAY_MS - 1, "a"),
        ("r3", DAY_MS, "a"),
        ("r4", 5, "b"),
        ("r5", 2 * DAY_MS, "a"),
    ):
        await store.admit(admission(request_id, need(), model=model))
        await store.settle(settlement(request_id, 30, now=ended_at, model=model))
    rows = await store.usage(ENV, Millis(0), Millis(2 * DAY_MS))
    assert [(r.day, r.model, r.requests, r.output, r.amount) for r in rows] == [
        ("1970-01-01", "a", 2, 30, 60),
        ("1970-01-01", "b", 1, 15, 30),
        ("1970-01-02", "a", 1, 15, 30),
    ]
    assert await store.usage(None, Millis(0), Millis(2 * DAY_MS)) == rows
    await closed(world, store)


@check
async def many_at_once_never_overdraw(world: World) -> None:
    store = await prepared(world, 1_000)
    other = world.open()
    results = await asyncio.gather(
        *((store, other)[n % 2].admit(admission(f"r{n}", need(10, 2, 20, 20))) for n in range(200))
    )
    assert sum(isinstance(result, Hold) for result in results) == 20
    assert await balances(store) == [(0, 1_000, 0, 0)]
    await other.close("worker-2")
    await closed(world, store)


@check
async def a_closed_store_is_away(world: World) -> None:
    store = await prepared(world, 100)
    await store.close("worker-1")
    with pytest.raises(StoreUnavailableError):
        await store.admit(admission("r1", need()))
    with pytest.raises(StoreUnavailableError):
        await store.find_key(b"0" * 32)
