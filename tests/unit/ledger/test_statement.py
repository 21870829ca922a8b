import asyncio
import random
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, correction, grant, need, settlement

from tollbridge.ledger.model import Hold, PackTransfer, TransferKind
from tollbridge.ledger.statement import statement
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.units import Millis

KIND = TransferKind


def test_each_kind_of_transfer() -> None:
    lines = statement(
        [
            PackTransfer(0, KIND.GRANT, "p", 100, 0),
            PackTransfer(1, KIND.HOLD, "r1", 60, 0),
            PackTransfer(2, KIND.POST, "r1", 40, 20),
            PackTransfer(3, KIND.HOLD, "r2", 10, 0),
            PackTransfer(4, KIND.VOID, "r2", 10, 0),
            PackTransfer(5, KIND.SPEND, "r3", 5, 0),
            PackTransfer(6, KIND.ADD, "c1", 7, 0, "why"),
            PackTransfer(7, KIND.TAKE_BACK, "c2", 2, 0, "because"),
            PackTransfer(8, KIND.EXPIRE, "p", 60, 0),
        ]
    )
    assert [(n.available, n.held, n.spent, n.expired, n.granted) for n in lines] == [
        (100, 0, 0, 0, 100),
        (40, 60, 0, 0, 100),
        (60, 0, 40, 0, 100),
        (50, 10, 40, 0, 100),
        (60, 0, 40, 0, 100),
        (55, 0, 45, 0, 100),
        (62, 0, 45, 0, 107),
        (60, 0, 45, 0, 105),
        (0, 0, 45, 60, 105),
    ]
    assert [line.reason for line in lines[6:8]] == ["why", "because"]


def test_an_overrun_is_nobodys() -> None:
    with pytest.raises(AssertionError):
        statement([PackTransfer(0, KIND.OVERRUN, "r", 1, 0)])


def test_totals_equal_the_journal(memory: Path) -> None:
    async def live() -> None:
        store = SqliteStore(memory)
        await store.create_environment(ENV, "", Millis(0))
        for number in range(3):
            await store.grant(grant(f"p{number}", 400, expires_at=None if number else 900))
        dice = random.Random(7)
        for number in range(60):
            hold = await store.admit(
                admission(f"r{number}", need(tokens=dice.randrange(40)), number)
            )
            if isinstance(hold, Hold):
                await store.settle(settlement(f"r{number}", dice.randrange(70), number))
            if number % 20 == 9:
                await store.correct(correction(f"c{number}", "p2", dice.choice([-5, 9]), number))
        await store.sweep(Millis(1_000))
        for pack in await store.packs(ENV):
            last = statement(await store.transfers(ENV, pack.pack_id))[-1]
            assert (last.granted, last.available, last.held, last.spent, last.expired) == (
                *(pack.granted, pack.available, pack.held, pack.spent, pack.expired),
            )
        await store.close("w")

    asyncio.run(live())
