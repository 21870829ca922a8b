"""A receipt as JSON: everything that explains one charge. Amounts are micro-credits."""

import msgspec
from msgspec import Raw

from tollbridge.app.ports import Receipt


def receipt_body(receipt: Receipt) -> bytes:
    """The answer of `GET /v1/ai/receipts/<request_id>`."""
    settlement = receipt.settlement
    return msgspec.json.encode(
        {
            "object": "receipt",
            "request_id": settlement.request_id,
            "environment": settlement.env_id,
            "key_id": settlement.key_id,
            "model": settlement.model,
            "upstream": settlement.upstream,
            "upstream_model": settlement.upstream_model,
            "protocol": settlement.client_protocol,
            "stream": settlement.stream,
            "started_at": settlement.started_at,
            "ended_at": settlement.ended_at,
            "outcome": settlement.outcome,
            "provenance": settlement.provenance,
            "usage": settlement.usage,
            "usage_reported": _raw(settlement.raw_usage),
            "charge": settlement.amount,
            "overrun": receipt.overrun,
            "packs": [{"pack": leg.pack_id, "amount": leg.amount} for leg in receipt.packs],
            "price": {"version": settlement.price_version, "book": _raw(receipt.prices)},
        }
    )


def _raw(text: str) -> Raw | None:
    return Raw(text.encode()) if text else None
