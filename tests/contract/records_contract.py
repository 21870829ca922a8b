"""What every store must do about receipts, corrections and alerts; see `store_contract`."""

import pytest
from msgspec.structs import replace
from tests.contract.samples import (
    DAY_MS,
    ENV,
    admission,
    checkpoint,
    correction,
    grant,
    need,
    settlement,
)
from tests.contract.store_contract import Check, World, balances, closed, prepared

from tollbridge.app.ports import (
    CorrectionConflictError,
    CorrectionRefusedError,
    Receipt,
    UnknownEnvironmentError,
    UnknownPackError,
)
from tollbridge.ledger.model import Leg, PackTransfer, TransferKind
from tollbridge.units import ALERT_RETRY_MS, ALERT_TRIES_MAX, LEASE_MS, EnvId, Millis
from tollbridge.usage import Provenance

CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@check
async def a_receipt_explains_a_charge(world: World) -> None:
    store = await prepared(world, 30, 40)
    await store.keep_prices({"v1": '{"tiers":[]}', "v2": "{}"}, Millis(0))
    await store.keep_prices({"v1": "ignored"}, Millis(1))
    await store.admit(admission("r1", need()))
    assert await store.receipt(ENV, "r1") is None
    done = settlement("r1", 90)
    await store.settle(done)
    receipt = Receipt(
        settlement=done,
        overrun=20,
        packs=(Leg("p1", 30), Leg("p2", 40)),
        prices='{"tiers":[]}',
    )
    assert await store.receipt(ENV, "r1") == receipt
    assert await store.receipt(EnvId("other"), "r1") is None
    await closed(world, store)


@check
async def a_recovered_exchange_has_a_whole_receipt(world: World) -> None:
    store = await prepared(world, 100)
    await store.admit(admission("r1", need(), 7, worker_id="dead"))
    await store.checkpoint("dead", [checkpoint("r1", 20)], Millis(7))
    late = Millis(7 + LEASE_MS)
    assert await store.sweep(late) == 1
    receipt = await store.receipt(ENV, "r1")
    assert receipt is not None
    expected = settlement("r1", 20, late, started_at=7, raw_usage="", outcome="killed")
    assert receipt.settlement == replace(expected, provenance=Provenance.RECOVERED)
    assert (receipt.packs, receipt.prices) == ((Leg("p1", 20),), "")
    await closed(world, store)


@check
async def a_void_exchange_has_a_receipt_without_packs(world: World) -> None:
    store = await prepared(world, 100)
    await store.admit(admission("r1", need()))
    await store.settle(settlement("r1", 0))
    receipt = await store.receipt(ENV, "r1")
    assert receipt is not None
    assert receipt.packs == ()
    await closed(world, store)


@check
async def corrections_go_both_ways_once(world: World) -> None:
    store = await prepared(world, 100)
    await store.admit(admission("r1", need()))
    assert await store.correct(correction("c1", "p1", 25, now=1))
    assert await store.correct(correction("c2", "p1", -75, now=2, reason="paid back"))
    assert await balances(store) == [(0, 50, 0, 0)]
    assert not await store.correct(correction("c1", "p1", 25, now=3))
    for other in (
        correction("c1", "p1", 26),
        correction("c1", "p1", 25, reason="another"),
    ):
        with pytest.raises(CorrectionConflictError):
            await store.correct(other)
    with pytest.raises(CorrectionRefusedError):
        await store.correct(correction("c3", "p1", -1))
    with pytest.raises(CorrectionRefusedError):
        await store.correct(correction("c3", "p1", 1, now=DAY_MS))
    with pytest.raises(UnknownPackError):
        await store.correct(correction("c3", "p9", 1))
    assert not await store.grant(grant("p1", 100, expires_at=DAY_MS)), "as it was granted first"
    await store.settle(settlement("r1", 30, now=3))
    (pack,) = await store.packs(ENV)
    assert (pack.granted, pack.available, pack.spent) == (50, 20, 30)
    assert (await closed(world, store)).environments[ENV].granted == 50


@check
async def a_pack_tells_its_transfers(world: World) -> None:
    store = await prepared(world, 100, 100)
    await store.admit(admission("r1", need(), 1))
    await store.correct(correction("c1", "p1", 25, now=2))
    await store.settle(settlement("r1", 30, now=3))
    await store.admit(admission("r2", need(), 4))
    await store.settle(settlement("r2", 0, now=5))
    kind = TransferKind
    assert await store.transfers(ENV, "p1") == [
        PackTransfer(0, kind.GRANT, "p1", 100, 0),
        PackTransfer(1, kind.HOLD, "r1", 50, 0),
        PackTransfer(2, kind.ADD, "c1", 25, 0, "a promise"),
        PackTransfer(3, kind.POST, "r1", 30, 20),
        PackTransfer(4, kind.HOLD, "r2", 50, 0),
        PackTransfer(5, kind.VOID, "r2", 50, 0),
    ]
    assert len(await store.transfers(ENV, "p2")) == 1
    with pytest.raises(UnknownPackError):
        await store.transfers(ENV, "p9")
    with pytest.raises(UnknownEnvironmentError):
        await store.transfers(EnvId("none"), "p1")
    await closed(world, store)


@check
async def each_level_of_a_pack_is_told_once(world: World) -> None:
    store = await prepared(world, 100)
    for number, amount in enumerate([49, 1, 1, 31]):
        await store.admit(admission(f"r{number}", need(amount, 0)))
        await store.settle(settlement(f"r{number}", amount, now=number))
    other = world.open()
    first = await store.take_alerts(Millis(10))
    assert [(a.pack_id, a.level, a.at, a.granted, a.spent, a.tries) for a in first] == [
        ("p1", 50, 1, 100, 50, 1),
        ("p1", 80, 3, 100, 82, 1),
    ]
    assert await other.take_alerts(Millis(10)) == ()
    await store.alert_sent(first[0])
    again = await other.take_alerts(Millis(10 + ALERT_RETRY_MS))
    assert [(alert.level, alert.tries) for alert in again] == [(80, 2)]
    now = 10 + ALERT_RETRY_MS
    for tries in range(3, ALERT_TRIES_MAX + 1):
        now += ALERT_RETRY_MS << (tries - 2)
        assert await store.take_alerts(Millis(now - 1)) == ()
        assert [alert.tries for alert in await store.take_alerts(Millis(now))] == [tries]
    assert await store.take_alerts(Millis(now * 1_000)) == ()
    await store.correct(correction("c1", "p1", 900))
    await store.admit(admission("big", need(700, 0)))
    await store.settle(settlement("big", 700))
    assert await store.take_alerts(Millis(now * 1_000)) == (), "both were told before"
    await other.close("worker-2")
    await closed(world, store)


@check
async def usage_is_added_up_as_upstreams_see_it(world: World) -> None:
    store = await prepared(world)
    await store.grant(grant("p1", 1_000))
    for request_id, amount, ended_at, changes in (
        ("r1", 30, 0, {}),
        ("r2", 30, 5, {}),
        ("r3", 30, 5, {"provenance": Provenance.COUNTED}),
        ("r4", 30, 5, {"upstream_model": "other"}),
        ("r5", 30, DAY_MS, {}),
        ("r6", 30, 2 * DAY_MS, {}),
    ):
        await store.admit(admission(request_id, need()))
        await store.settle(settlement(request_id, amount, ended_at, **changes))
    rows = await store.upstream_usage(Millis(0), Millis(2 * DAY_MS))
    assert [
        (r.day, r.upstream, r.upstream_model, r.provenance, r.requests, r.input, r.output)
        for r in rows
    ] == [
        ("1970-01-01", "hunyuan", "hunyuan-turbo", "counted", 1, 5, 15),
        ("1970-01-01", "hunyuan", "hunyuan-turbo", "reported", 2, 10, 30),
        ("1970-01-01", "hunyuan", "other", "reported", 1, 5, 15),
        ("1970-01-02", "hunyuan", "hunyuan-turbo", "reported", 1, 5, 15),
    ]
    await closed(world, store)
