"""What every store must do about limits; see `store_contract`."""

import asyncio

import msgspec
from tests.contract.samples import (
    DAY_MS,
    ENV,
    admission,
    checkpoint,
    grant,
    key,
    need,
    settlement,
)
from tests.contract.store_contract import Check, Store, World, closed, prepared

from tollbridge.ledger.model import UNLIMITED, Admission, Hold, Limits, Refusal
from tollbridge.units import LEASE_MS, EnvId, KeyId, Millis
from tollbridge.usage import TokenUsage

CHECKS: list[Check] = []
MINUTE = 60_000
FREE = need(0, 0)


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def limited(request_id: str, now: int = 0, tokens: int = 0, **changes: object) -> Admission:
    """A free request of so many expected tokens."""
    return admission(request_id, need(0, 0, tokens, tokens), now, **changes)


async def outcomes(store: Store, admissions: list[Admission]) -> list[str]:
    """Together, so that they share a transaction where the store does that."""
    results = await asyncio.gather(*map(store.admit, admissions))
    return ["held" if isinstance(r, Hold) else r.name.lower() for r in results]


@check
async def a_slot_is_held_as_long_as_the_hold(world: World) -> None:
    store = await prepared(world)
    two = Limits(concurrency=2)
    wanted = [limited(f"r{n}", limits=two) for n in range(4)]
    assert await outcomes(store, wanted) == ["held", "held", "concurrency", "concurrency"]
    assert await outcomes(store, wanted[2:3]) == ["concurrency"]
    results = await asyncio.gather(
        store.settle(settlement("r0", 0)), *map(store.admit, wanted[2:]), return_exceptions=True
    )
    assert [isinstance(result, Hold) for result in results[1:]] == [True, False]
    assert await outcomes(store, [limited("other", limits=UNLIMITED)]) == ["held"]
    await closed(world, store)


@check
async def slots_are_exact_across_stores(world: World) -> None:
    store = await prepared(world)
    other = world.open()
    results = await asyncio.gather(
        *(
            (store, other)[n % 2].admit(limited(f"r{n}", limits=Limits(concurrency=7)))
            for n in range(40)
        )
    )
    assert sum(isinstance(result, Hold) for result in results) == 7
    await other.close("worker-2")
    await closed(world, store)


@check
async def a_dead_workers_slots_are_freed(world: World) -> None:
    store = await prepared(world)
    one = Limits(concurrency=1)
    assert await outcomes(store, [limited("r1", limits=one, worker_id="dead")]) == ["held"]
    assert await outcomes(store, [limited("r2", limits=one)]) == ["concurrency"]
    assert await store.sweep(Millis(LEASE_MS)) == 1
    assert await outcomes(store, [limited("r2", LEASE_MS, limits=one)]) == ["held"]
    await closed(world, store)


@check
async def a_key_has_slots_of_its_own(world: World) -> None:
    store = await prepared(world)
    limits = {"key_limits": Limits(concurrency=1), "limits": Limits(concurrency=2)}
    wanted = [
        limited(f"r{n}", key_id=KeyId(key_id), **limits)
        for n, key_id in enumerate(["a", "a", "b", "c", "a"])
    ]
    assert await outcomes(store, wanted) == [
        *("held", "key_concurrency", "held", "concurrency", "key_concurrency")
    ]
    await closed(world, store)


@check
async def an_environment_does_not_fill_anothers_slots(world: World) -> None:
    store = await prepared(world)
    await store.create_environment(EnvId("other"), "", Millis(0))
    one = Limits(concurrency=1, requests_per_minute=1)
    wanted = [limited(f"r{n}", env_id=EnvId(e), limits=one) for n, e in enumerate([ENV, "other"])]
    assert await outcomes(store, wanted) == ["held", "held"]
    await closed(world, store)


@check
async def requests_are_counted_by_the_minute(world: World) -> None:
    store = await prepared(world)
    limits = {"limits": Limits(requests_per_minute=3), "key_limits": Limits(requests_per_minute=2)}
    wanted = [
        limited(f"r{n}", 1, key_id=KeyId(key_id), **limits) for n, key_id in enumerate("aaabb")
    ]
    expected = ["held", "held", "key_requests", "held", "requests"]
    assert await outcomes(store, wanted) == expected
    await asyncio.gather(*(store.settle(settlement(f"r{n}", 0)) for n in (0, 1, 3)))
    assert await outcomes(store, [limited("r9", MINUTE - 1, **limits)]) == ["requests"]
    assert await outcomes(store, [limited("r9", MINUTE, **limits)]) == ["held"]
    late = [limited(f"late{n}", MINUTE - 1, key_id=KeyId("late"), **limits) for n in range(3)]
    assert await outcomes(store, late) == ["held", "held", "key_requests"], "no way back"
    await closed(world, store)


@check
async def minutes_are_exact_across_stores(world: World) -> None:
    store = await prepared(world)
    other = world.open()
    limits = Limits(requests_per_minute=11, tokens_per_minute=1_000)
    results = await asyncio.gather(
        *((store, other)[n % 2].admit(limited(f"r{n}", 5, limits=limits)) for n in range(40))
    )
    assert sum(isinstance(result, Hold) for result in results) == 11
    await other.close("worker-2")
    await closed(world, store)


@check
async def expected_tokens_count_until_the_used_ones_are_known(world: World) -> None:
    store = await prepared(world)
    limits = {"limits": Limits(tokens_per_minute=100), "input_tokens": 10}
    assert await outcomes(
        store, [limited("r1", tokens=50, **limits), limited("r2", tokens=31, **limits)]
    ) == ["held", "tokens"]
    await store.settle(settlement("r1", 0, usage=TokenUsage(input=5, cache_read=4, output=20)))
    assert await outcomes(store, [limited("r2", tokens=62, **limits)]) == ["tokens"]
    assert await outcomes(store, [limited("r2", tokens=61, **limits)]) == ["held"]
    await store.settle(settlement("r2", 0, usage=TokenUsage(output=500)))
    assert await outcomes(store, [limited("r3", MINUTE - 1, **limits)]) == ["tokens"]
    await closed(world, store)


@check
async def what_ends_in_another_minute_is_not_given_back(world: World) -> None:
    store = await prepared(world)
    limits = {"key_limits": Limits(tokens_per_minute=100)}
    await store.admit(limited("r1", MINUTE - 1, tokens=90, **limits))
    assert await outcomes(store, [limited("r2", MINUTE, tokens=60, **limits)]) == ["held"]
    await store.settle(settlement("r1", 0, MINUTE))
    assert await outcomes(store, [limited("r3", MINUTE, tokens=41, **limits)]) == ["key_tokens"]
    assert await outcomes(store, [limited("r3", MINUTE, tokens=40, **limits)]) == ["held"]
    await closed(world, store)


@check
async def a_request_that_is_too_long_for_a_minute_takes_one_whole(world: World) -> None:
    store = await prepared(world)
    limits = {"limits": Limits(tokens_per_minute=100)}
    wanted = [limited("r1", tokens=400, **limits), limited("r2", tokens=1, **limits)]
    assert await outcomes(store, wanted) == ["held", "tokens"]
    await closed(world, store)


@check
async def a_budget_caps_what_a_key_may_be_charged(world: World) -> None:
    store = await prepared(world, 10_000)
    info, key_hash = key(1)
    await store.add_key(info, key_hash)
    assert await store.limit_key(info.key_id, UNLIMITED, 100)
    found = await store.find_key(key_hash)
    assert found is not None
    assert found.budgeted
    budgeted = {"generation": found.generation, "key_budgeted": True}
    first = await store.admit(admission("r1", need(), **budgeted))
    assert isinstance(first, Hold)
    assert first.output_tokens == 20
    capped = await store.admit(admission("r2", need(20), **budgeted))
    assert isinstance(capped, Hold)
    assert capped.output_tokens == 15
    passing = admission("r3", need(), **budgeted)
    assert await store.admit(passing) is Refusal.KEY_HELD
    assert await store.admit(admission("r3", need(91), **budgeted)) is Refusal.KEY_EXHAUSTED
    await store.settle(settlement("r1", 10))
    again = await store.admit(passing)
    assert isinstance(again, Hold)
    assert again.output_tokens == 15
    await asyncio.gather(store.settle(settlement("r2", 50)), store.settle(settlement("r3", 60)))
    assert await store.admit(admission("r4", need(), **budgeted)) is Refusal.KEY_EXHAUSTED
    await closed(world, store)


@check
async def a_key_is_strict_until_it_is_said_otherwise(world: World) -> None:
    store = await prepared(world)
    (strict, strict_hash), (lenient, lenient_hash) = key(1), key(2)
    await store.add_key(msgspec.structs.replace(strict, strict=True), strict_hash)
    await store.add_key(lenient, lenient_hash)
    assert [k.strict for k in await store.keys(ENV) if k.key_id == strict.key_id] == [True]
    for change, expected in ((None, True), (False, False), (None, False), (True, True)):
        assert await store.limit_key(strict.key_id, UNLIMITED, 0, change)
        found = await store.find_key(strict_hash)
        assert found is not None
        assert found.strict is expected
    other = await store.find_key(lenient_hash)
    assert other is not None
    assert not other.strict
    await closed(world, store)


@check
async def a_budget_counts_what_was_before_it(world: World) -> None:
    store = await prepared(world, 10_000)
    info, key_hash = key(1)
    await store.add_key(info, key_hash)
    await store.admit(admission("r1", need(), generation=2))
    await store.settle(settlement("r1", 30))
    await store.admit(admission("r2", need(), generation=2, worker_id="dead"))
    await store.checkpoint("dead", [checkpoint("r2", 20)], Millis(0))
    assert await store.limit_key(info.key_id, UNLIMITED, 1_000)
    assert [k.budget for k in await store.keys(ENV)] == [1_000]
    budgeted = {"generation": 3, "key_budgeted": True}
    assert await store.admit(admission("r3", need(921, 0), **budgeted)) is Refusal.KEY_HELD
    assert isinstance(await store.admit(admission("r3", need(920, 0), **budgeted)), Hold)
    await store.sweep(LEASE_MS)
    await store.settle(settlement("r3", 0))
    assert await store.admit(admission("r4", need(951, 0), **budgeted)) is Refusal.KEY_EXHAUSTED
    assert isinstance(await store.admit(admission("r4", need(950, 0), **budgeted)), Hold)
    assert await store.limit_key(info.key_id, UNLIMITED, 0)
    await store.settle(settlement("r4", 950))
    await closed(world, store)


@check
async def a_key_with_a_budget_can_be_made(world: World) -> None:
    store = await prepared(world, 10_000)
    info, key_hash = key(1, limits=Limits(1, 2, 3), budget=49)
    await store.add_key(info, key_hash)
    assert await store.keys(ENV) == [info]
    found = await store.find_key(key_hash)
    assert found is not None
    assert (found.limits, found.env_limits, found.budgeted) == (Limits(1, 2, 3), UNLIMITED, True)
    hold = await store.admit(admission("r1", need(), generation=2, key_budgeted=True))
    assert isinstance(hold, Hold)
    assert hold.output_tokens == 19
    await closed(world, store)


@check
async def limits_hold_for_the_very_next_request(world: World) -> None:
    store = await prepared(world)
    assert await store.create_environment(EnvId("small"), "", Millis(0), Limits(5, 6, 7))
    info, key_hash = key(1)
    await store.add_key(info, key_hash)
    await store.limit_environment(ENV, Limits(concurrency=9))
    await store.limit_key(info.key_id, Limits(tokens_per_minute=8), 0)
    assert not await store.limit_key(KeyId("none"), UNLIMITED, 0)
    found = await store.find_key(key_hash)
    assert found is not None
    assert (found.env_limits, found.limits) == (Limits(9), Limits(0, 0, 8))
    assert not found.budgeted
    assert await store.admit(limited("r1", generation=found.generation - 1)) is Refusal.STALE
    assert isinstance(await store.admit(limited("r1", generation=found.generation)), Hold)
    assert [e.limits for e in await store.environments()] == [Limits(9), Limits(5, 6, 7)]
    await closed(world, store)


@check
async def limits_come_after_credits(world: World) -> None:
    store = await prepared(world, 60)
    await store.grant(grant("p2", 1_000, models=("other",)))
    full = {
        "limits": Limits(1, 1, 1),
        "key_limits": Limits(1, 1, 1),
        "key_expires_at": Millis(DAY_MS),
        "input_tokens": 5,
    }
    assert isinstance(await store.admit(admission("r1", need(), **full)), Hold)
    dear = need(1_000)
    late = {**full, "now": Millis(DAY_MS)}
    assert await store.admit(admission("r2", dear, generation=2, **full)) is Refusal.STALE
    assert await store.admit(admission("r1", dear, **late)) is Refusal.DUPLICATE
    assert await store.admit(admission("r2", dear, **late)) is Refusal.KEY_EXPIRED
    assert await store.admit(admission("r2", dear, **full)) is Refusal.EXHAUSTED
    assert await store.admit(admission("r2", need(), **full)) is Refusal.HELD
    cheap = need(1, 0)
    expected = [
        (full, Refusal.KEY_CONCURRENCY),
        ({**full, "key_limits": Limits(0, 1, 1)}, Refusal.CONCURRENCY),
        ({**full, "key_limits": Limits(0, 1, 1), "limits": Limits(0, 1, 1)}, Refusal.KEY_REQUESTS),
        ({**full, "key_limits": Limits(0, 0, 1), "limits": Limits(0, 1, 1)}, Refusal.KEY_TOKENS),
        ({**full, "key_limits": UNLIMITED, "limits": Limits(0, 1, 1)}, Refusal.REQUESTS),
        ({**full, "key_limits": UNLIMITED, "limits": Limits(0, 0, 1)}, Refusal.TOKENS),
    ]
    for limits, refusal in expected:
        assert await store.admit(admission("r2", cheap, **limits)) is refusal
    assert isinstance(await store.admit(admission("r2", cheap)), Hold)
    await closed(world, store)
