"""The row of an exchange that ended: its usage, and the journal's record of its first leg."""

from collections.abc import Sequence

from msgspec.structs import astuple

from tollbridge.ledger.model import Settlement, Transfer, TransferKind
from tollbridge.storage.session import Row
from tollbridge.units import Millis
from tollbridge.usage import TokenUsage


def first_leg(transfers: Sequence[Transfer], held_at: Millis, held_seq: int) -> Row:
    """Of the first leg of a hold that ended: its pack, what was posted and released, its moment,
    and the numbers of both transfers.
    """
    if not held_seq:
        return (None, 0, 0, held_at, 0, 0)
    kind, _, pack_id, amount, released, seq = astuple(transfers[0])
    if kind is TransferKind.VOID:
        return (pack_id, 0, amount, held_at, held_seq, seq)
    return (pack_id, amount, released, held_at, held_seq, seq)


USAGE_COLUMNS = (
    *("request_id", "env_id", "key_id", "model", "upstream", "upstream_model", "client_protocol"),
    *("stream", "started_at", "ended_at", *TokenUsage.__struct_fields__),
    *("amount", "provenance", "outcome", "price_version", "raw_usage"),
)


def usage_row(settlement: Settlement) -> Row:
    """In the order of `USAGE_COLUMNS`."""
    usage = settlement.usage
    return (
        settlement.request_id,
        settlement.env_id,
        settlement.key_id,
        settlement.model,
        settlement.upstream,
        settlement.upstream_model,
        settlement.client_protocol,
        int(settlement.stream),
        settlement.started_at,
        settlement.ended_at,
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.reasoning,
        settlement.amount,
        # SQLite's driver asks at length how to store an enumeration.
        str(settlement.provenance),
        str(settlement.outcome),
        settlement.price_version,
        settlement.raw_usage,
    )
