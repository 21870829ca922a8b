from tests.contract.samples import settlement

from tollbridge.ledger.model import Transfer, TransferKind
from tollbridge.storage.usage_rows import USAGE_COLUMNS, first_leg, usage_row
from tollbridge.units import MicroCredits, Millis, PackId


def test_a_row_has_a_value_for_every_column() -> None:
    row = dict(zip(USAGE_COLUMNS, usage_row(settlement("r1", 30, now=7)), strict=True))
    assert (row["request_id"], row["amount"], row["ended_at"]) == ("r1", 30, 7)
    assert row["provenance"] == "reported"


def test_the_end_of_a_hold_is_its_first_transfer() -> None:
    pack, amount, rest = PackId("p"), MicroCredits(30), MicroCredits(20)
    post = Transfer(TransferKind.POST, 0, pack, amount, rest, seq=3)
    later = Transfer(TransferKind.SPEND, 0, pack, amount, seq=4)
    assert first_leg((post, later), Millis(5), 2) == ("p", 30, 20, 5, 2, 3)
    void = Transfer(TransferKind.VOID, 0, pack, amount, seq=3)
    assert first_leg((void,), Millis(5), 2) == ("p", 0, 30, 5, 2, 3)


def test_a_free_exchange_moved_nothing() -> None:
    overrun = Transfer(TransferKind.OVERRUN, 0, None, MicroCredits(1))
    assert first_leg((overrun,), Millis(5), 0) == (None, 0, 0, 5, 0, 0)
