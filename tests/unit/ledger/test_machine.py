import itertools
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from tollbridge.ledger import machine
from tollbridge.ledger.machine import (
    correct,
    draw_order,
    expire,
    levels_reached,
    place_hold,
    settle,
)
from tollbridge.ledger.model import (
    Budget,
    Ending,
    HoldPlan,
    Leg,
    Need,
    Pack,
    Refusal,
    Transfer,
    TransferKind,
)


def settled(legs: list[Leg], packs: Iterable[Pack], *rest: object) -> Ending:
    return settle(legs, {pack.pack_id: pack for pack in packs}, *rest)


def pack(pack_id: str, available: int, **fields: object) -> Pack:
    accounts = {name: fields.pop(name, 0) for name in ("held", "spent", "expired")}
    return Pack(
        env_id="acme",
        pack_id=pack_id,
        granted=available + sum(accounts.values()),
        available=available,
        granted_at=fields.pop("granted_at", 0),
        **accounts,
        **fields,
    )


def test_packs_are_drawn_soonest_to_expire_first_then_oldest() -> None:
    ordered = [
        pack("soon", 1, expires_at=5, granted_at=9),
        pack("z-old", 1, expires_at=7, granted_at=1),
        pack("same", 1, expires_at=7, granted_at=2),
        pack("same-too", 1, expires_at=7, granted_at=2),
        pack("never", 1),
    ]
    for shuffled in itertools.permutations(ordered):
        assert draw_order(shuffled, "m", 0) == ordered


def test_expired_and_out_of_scope_packs_are_not_drawn() -> None:
    over = pack("over", 1, expires_at=5)
    begun = pack("begun", 0, expires_at=9, held=1, expired=1)
    other = pack("other", 1, models=("n", "o"))
    mine = pack("mine", 1, models=("m",))
    assert draw_order([over, begun, other, mine], "m", 5) == [mine]
    assert draw_order([over, begun], "m", 4) == [over]


def test_a_hold_spans_packs_and_skips_empty_ones() -> None:
    plan = place_hold([pack("a", 30), pack("b", 0, held=9), pack("c", 40)], Need(10, 1, 50, 5))
    assert isinstance(plan, HoldPlan)
    assert plan.legs == (Leg("a", 30), Leg("c", 30))
    assert (plan.output_tokens, plan.available) == (50, 10)
    assert [(p.pack_id, p.available, p.held) for p in plan.packs] == [("a", 0, 30), ("c", 10, 30)]
    assert plan.transfers == (
        Transfer(TransferKind.HOLD, 0, "a", 30, seq=2),
        Transfer(TransferKind.HOLD, 1, "c", 30, seq=2),
    )


@pytest.mark.parametrize(
    ("available", "held", "expected"),
    [
        (110, 0, (50, 0)),
        (109, 0, (49, 1)),
        (20, 0, (5, 0)),
        (19, 1, Refusal.HELD),
        (19, 0, Refusal.EXHAUSTED),
        (0, 20, Refusal.HELD),
    ],
)
def test_the_output_is_capped_down_to_its_floor(
    available: int, held: int, expected: object
) -> None:
    plan = place_hold([pack("a", available, held=held)], Need(10, 2, 50, 5))
    if isinstance(plan, HoldPlan):
        assert (plan.output_tokens, plan.available) == expected
    else:
        assert plan is expected


def test_a_free_need_is_held_without_packs() -> None:
    assert place_hold([], Need(0, 0, 50, 5)) == HoldPlan((), 50, 0, (), ())


def test_every_small_settlement_adds_up() -> None:
    """All worlds of two packs with small balances, all charges."""
    for first, second, spare, amount, now in itertools.product(
        range(1, 4), range(3), range(3), range(9), (0, 5)
    ):
        packs = [pack("a", spare, held=first, expires_at=5), pack("b", spare, held=second)]
        legs = [Leg("a", first)] + ([Leg("b", second)] if second else [])
        ending = settled(legs, packs, "m", amount, now)
        books = {pack.pack_id: pack for pack in packs}
        assert ending == machine._settle_any(legs, books, "m", amount, now), "one case of many"
        after = {p.pack_id: p for p in packs} | {p.pack_id: p for p in ending.packs}
        spent = sum(p.spent for p in after.values())
        assert spent + ending.overrun == amount
        assert sum(p.held for p in after.values()) == 0
        assert all(transfer.amount > 0 for transfer in ending.transfers)
        if ending.overrun:
            assert all(not p.available for p in after.values())
        if now == 5:
            assert after["a"].available == 0
            assert after["a"].spent <= first


def test_a_charge_above_the_hold_is_spent_then_overrun() -> None:
    packs = [pack("a", 0, held=10), pack("b", 5), pack("n", 99, models=("n",))]
    ending = settled([Leg("a", 10)], packs, "m", 18, 0)
    assert ending.overrun == 3
    assert ending.transfers == (
        Transfer(TransferKind.POST, 0, "a", 10, seq=2),
        Transfer(TransferKind.SPEND, 0, "b", 5, seq=2),
        Transfer(TransferKind.OVERRUN, 0, None, 3),
    )


def test_a_charge_of_nothing_voids_every_leg() -> None:
    packs = [pack("a", 0, held=10), pack("b", 5, held=5)]
    ending = settled([Leg("a", 10), Leg("b", 5)], packs, "m", 0, 0)
    assert [transfer.kind for transfer in ending.transfers] == [TransferKind.VOID] * 2
    assert [(p.available, p.held) for p in ending.packs] == [(10, 0), (10, 0)]


def test_a_free_exchange_moves_nothing() -> None:
    assert settled([], [pack("a", 5)], "m", 0, 0) == Ending((), (), 0)


def test_credits_expire_when_their_time_has_come() -> None:
    valid = pack("a", 5, held=3, expires_at=9)
    assert expire(valid, 8) is valid
    over = expire(valid, 9)
    assert (over.available, over.held, over.expired) == (0, 3, 5)
    assert expire(over, 9) is over
    assert expire(pack("b", 5), 10**15).available == 5


def test_a_hold_cannot_end_twice() -> None:
    after = settled([Leg("a", 10)], [pack("a", 0, held=10)], "m", 4, 0).packs
    with pytest.raises(AssertionError, match="a hold ends once"):
        settled([Leg("a", 10)], after, "m", 4, 0)


def test_a_broken_pack_is_noticed() -> None:
    broken = replace(pack("a", 50), granted=49)
    with pytest.raises(AssertionError):
        place_hold([broken], Need(1, 0, 0, 0))


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(1_000, 0, 0), (50, 890)),
        (Budget(110, 0, 0), (50, 890)),
        (Budget(110, 1, 0), (49, 892)),
        (Budget(110, 0, 90), (5, 980)),
        (Budget(110, 0, 91), Refusal.KEY_HELD),
        (Budget(110, 91, 0), Refusal.KEY_EXHAUSTED),
        (Budget(110, 200, 50), Refusal.KEY_EXHAUSTED),
    ],
)
def test_a_budget_caps_like_a_pack(budget: Budget, expected: object) -> None:
    plan = place_hold([pack("a", 1_000)], Need(10, 2, 50, 5), budget)
    if isinstance(plan, HoldPlan):
        assert (plan.output_tokens, plan.available) == expected
    else:
        assert plan is expected


def test_the_key_is_told_before_the_packs() -> None:
    wide, narrow = Budget(1_000, 0, 0), Budget(5, 0, 0)
    assert place_hold([pack("a", 9)], Need(10, 2, 50, 5), wide) is Refusal.EXHAUSTED
    assert place_hold([pack("a", 9)], Need(10, 2, 50, 5), narrow) is Refusal.KEY_EXHAUSTED


def test_corrections() -> None:
    before = pack("a", 50, held=10, expires_at=9)
    transfer, after = correct(before, 7, 0)
    assert transfer == Transfer(TransferKind.ADD, 0, "a", 7, seq=2)
    assert (after.granted, after.available, after.held) == (67, 57, 10)
    transfer, after = correct(before, -50, 0)
    assert transfer == Transfer(TransferKind.TAKE_BACK, 0, "a", 50, seq=2)
    assert (after.granted, after.available, after.held) == (10, 0, 10)
    assert correct(before, -51, 0) is None
    assert correct(before, 7, 9) is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(0, 49, []), (49, 50, [50]), (50, 51, []), (0, 100, [50, 80, 100]), (99, 100, [100])],
)
def test_levels_that_are_reached(before: int, after: int, expected: list[int]) -> None:
    packs = (pack("a", 100 - spent, spent=spent) for spent in (before, after))
    assert levels_reached(*packs, [50, 80, 100]) == expected
