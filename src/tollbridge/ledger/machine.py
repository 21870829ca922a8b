"""The rules of the ledger: packs and a command in, transfers and new packs out.

Pure and total: a store runs them inside its own transaction on packs it has locked, writes what
they return and nothing else. Every pack that leaves this module comes out of `_moved`, which
states the guarantees as assertions; they stay on in production, because a balance that is wrong is
worse than a request that fails.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

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
from tollbridge.units import MicroCredits, Millis, PackId, Tokens


def draw_order(packs: Iterable[Pack], model: str, now: Millis) -> list[Pack]:
    """The packs this model may draw from: soonest to expire first, then oldest.

    Packs that are empty for the moment are included: what they hold tells a passing refusal from
    a final one.
    """
    eligible = [
        pack
        for pack in packs
        if not _is_over(pack, now) and (not pack.models or model in pack.models)
    ]
    if len(eligible) > 1:
        eligible.sort(key=_draw_key)
    return eligible


def place_hold(
    packs: Sequence[Pack], need: Need, budget: Budget | None = None
) -> HoldPlan | Refusal:
    """Hold the price of a request in `packs`, drawn in the order given.

    If the packs or the key's budget cannot pay for all the output, it is capped to what they can
    pay, but not below `need.output_floor`. Below that the refusal is `HELD` (or `KEY_HELD`) if the
    credits would suffice once the requests under way have ended without using them, otherwise
    `EXHAUSTED` (or `KEY_EXHAUSTED`).
    """
    available = packs[0].available if len(packs) == 1 else sum(pack.available for pack in packs)
    payable = available if budget is None else min(available, budget.left)
    output_tokens: int = need.output_tokens
    amount: int = need.amount(output_tokens)
    if amount > payable:
        floor = need.amount(min(need.output_floor, output_tokens))
        if budget is not None and floor > budget.left:
            passing = budget.left + budget.held >= floor
            return Refusal.KEY_HELD if passing else Refusal.KEY_EXHAUSTED
        if floor > available:
            held = sum(pack.held for pack in packs)
            return Refusal.HELD if available + held >= floor else Refusal.EXHAUSTED
        output_tokens = (payable - need.input_amount) // need.output_weight
        amount = need.amount(output_tokens)
        assert amount <= payable
    legs: list[Leg] = []
    transfers: list[Transfer] = []
    changed: list[Pack] = []
    due = amount
    for pack in packs:
        if not due:
            break
        drawn = MicroCredits(min(due, pack.available))
        if drawn:
            moved = _moved(pack, available=-drawn, held=drawn)
            transfers.append(
                Transfer(TransferKind.HOLD, len(legs), pack.pack_id, drawn, seq=moved.seq)
            )
            legs.append(Leg(pack.pack_id, drawn))
            changed.append(moved)
            due -= drawn
    assert due == 0, "a hold is placed whole or not at all"
    return HoldPlan(
        tuple(legs),
        Tokens(output_tokens),
        MicroCredits(available - amount),
        tuple(transfers),
        tuple(changed),
    )


def settle(
    legs: Sequence[Leg],
    packs: Mapping[PackId, Pack],
    model: str,
    amount: MicroCredits,
    now: Millis,
) -> Ending:
    """End a hold with a charge of `amount`; 0 voids it.

    The charge is posted over the legs in order and the rest of the hold is released. A charge
    above the hold is spent from what the packs the model may draw from have available, and beyond
    that it is the operator's overrun. A pack that has expired since the hold was placed bears its
    leg all the same; only what returns to it expires.

    `packs` are the environment's by id, at least all that hold something.
    """
    if len(legs) == 1 and amount <= legs[0].amount:
        # Nearly every exchange ends so. It is one case of those below, only quicker.
        moved, end = _end(legs[0], 0, amount, packs[legs[0].pack_id])
        if not _is_over(moved, now):
            return Ending((end,), (moved,), MicroCredits(0))
    return _settle_any(legs, packs, model, amount, now)


def _settle_any(
    legs: Sequence[Leg],
    packs: Mapping[PackId, Pack],
    model: str,
    amount: MicroCredits,
    now: Millis,
) -> Ending:
    transfers = []
    changed: dict[PackId, Pack] = {}
    due: int = amount
    for index, leg in enumerate(legs):
        pack = changed.get(leg.pack_id) or packs[leg.pack_id]
        changed[leg.pack_id], end = _end(leg, index, due, pack)
        transfers.append(end)
        due -= min(due, leg.amount)
    if due:
        index = 0
        for pack in draw_order({**packs, **changed}.values(), model, now):
            spent = MicroCredits(min(due, pack.available))
            if spent:
                moved = changed[pack.pack_id] = _moved(pack, available=-spent, spent=spent)
                transfers.append(
                    Transfer(TransferKind.SPEND, index, pack.pack_id, spent, seq=moved.seq)
                )
                index += 1
                due -= spent
        if due:
            transfers.append(Transfer(TransferKind.OVERRUN, 0, None, MicroCredits(due)))
    for index, (pack_id, pack) in enumerate(changed.items()):
        expired = expire(pack, now)
        if expired is not pack:
            lost = MicroCredits(pack.available)
            transfers.append(Transfer(TransferKind.EXPIRE, index, pack_id, lost, seq=expired.seq))
            changed[pack_id] = expired
    return Ending(tuple(transfers), tuple(changed.values()), MicroCredits(due))


def _end(leg: Leg, index: int, due: int, pack: Pack) -> tuple[Pack, Transfer]:
    """Post as much of what is due as the leg holds, and release the rest."""
    posted = MicroCredits(min(due, leg.amount))
    released = MicroCredits(leg.amount - posted)
    moved = _moved(pack, available=released, held=-leg.amount, spent=posted)
    if posted:
        end = Transfer(TransferKind.POST, index, leg.pack_id, posted, released, moved.seq)
    else:
        end = Transfer(TransferKind.VOID, index, leg.pack_id, leg.amount, seq=moved.seq)
    return moved, end


def expire(pack: Pack, now: Millis) -> Pack:
    """The pack without what can no longer be drawn; the same object if nothing expires.

    This is the only place where credits expire: what a pack has available when its validity ends,
    and what returns to it afterwards.
    """
    if not pack.available or not _is_over(pack, now):
        return pack
    return _moved(pack, available=-pack.available, expired=pack.available)


def correct(pack: Pack, amount: int, now: Millis) -> tuple[Transfer, Pack] | None:
    """Add `amount` to what a pack has available, or take it back if it is negative.

    None: the pack is over, or has less available than is taken back.
    """
    if _is_over(pack, now) or pack.available + amount < 0:
        return None
    kind = TransferKind.ADD if amount > 0 else TransferKind.TAKE_BACK
    corrected = replace(
        pack,
        granted=pack.granted + amount,
        available=pack.available + amount,
        seq=pack.seq + 1,
    )
    transfer = Transfer(kind, 0, pack.pack_id, MicroCredits(abs(amount)), seq=corrected.seq)
    return transfer, corrected


def levels_reached(before: Pack, after: Pack, levels: Sequence[int]) -> list[int]:
    """The levels, in percent of what was granted, that what is spent has just reached."""
    return [
        level for level in levels if before.spent * 100 < level * after.granted <= after.spent * 100
    ]


def _is_over(pack: Pack, now: Millis) -> bool:
    # A pack of which anything has expired stays over for a worker whose clock is behind.
    return pack.expires_at is not None and (pack.expires_at <= now or pack.expired > 0)


def _draw_key(pack: Pack) -> tuple[bool, int, int, str]:
    return (pack.expires_at is None, pack.expires_at or 0, pack.granted_at, pack.pack_id)


def _moved(
    pack: Pack, *, available: int = 0, held: int = 0, spent: int = 0, expired: int = 0
) -> Pack:
    assert available + held + spent + expired == 0, "a transfer neither makes nor loses credits"
    moved = replace(
        pack,
        available=pack.available + available,
        held=pack.held + held,
        spent=pack.spent + spent,
        expired=pack.expired + expired,
        seq=pack.seq + 1,
    )
    assert moved.available >= 0, "no pack is overdrawn"
    assert moved.held >= 0, "a hold ends once"
    assert moved.spent >= pack.spent, "what is spent stays spent"
    assert moved.expired >= pack.expired, "what has expired stays expired"
    assert moved.granted == moved.available + moved.held + moved.spent + moved.expired
    return moved
