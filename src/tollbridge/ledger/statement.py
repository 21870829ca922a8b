"""The life of a pack, transfer by transfer, with its balances after each."""

from collections.abc import Iterable

import msgspec

from tollbridge.ledger.model import PackTransfer, TransferKind
from tollbridge.units import Millis


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer and what the pack is after it. All amounts are micro-credits."""

    at: Millis
    kind: TransferKind
    request_id: str
    amount: int
    """What the transfer moves; of a post, what was charged."""
    available: int
    held: int
    spent: int
    expired: int
    granted: int
    """The sum of the other four, after every transfer."""
    reason: str


def statement(transfers: Iterable[PackTransfer]) -> list[StatementLine]:
    """The lines in the order of the transfers."""
    available = held = spent = expired = 0
    lines = []
    for transfer in transfers:
        amount = transfer.amount
        match transfer.kind:
            case TransferKind.GRANT | TransferKind.ADD:
                available += amount
            case TransferKind.TAKE_BACK:
                available -= amount
            case TransferKind.HOLD:
                available -= amount
                held += amount
            case TransferKind.POST:
                held -= amount + transfer.released
                spent += amount
                available += transfer.released
            case TransferKind.VOID:
                held -= amount
                available += amount
            case TransferKind.SPEND:
                available -= amount
                spent += amount
            case TransferKind.EXPIRE:
                available -= amount
                expired += amount
            case TransferKind.OVERRUN:
                raise AssertionError("an overrun is nobody's pack")
        lines.append(
            StatementLine(
                at=transfer.at,
                kind=transfer.kind,
                request_id=transfer.request_id,
                amount=amount,
                available=available,
                held=held,
                spent=spent,
                expired=expired,
                granted=available + held + spent + expired,
                reason=transfer.reason,
            )
        )
    return lines
