"""What explains charges,: receipts, statements, corrections, price books and alerts."""

from collections.abc import Mapping
from typing import Any

from tollbridge.app.ports import (
    Alert,
    CorrectionConflictError,
    CorrectionRefusedError,
    Receipt,
    UnknownPackError,
    UpstreamUsageRow,
)
from tollbridge.ledger import machine
from tollbridge.ledger.model import (
    Correction,
    Leg,
    Pack,
    PackTransfer,
    Settlement,
    TransferKind,
)
from tollbridge.storage.batch import read_pack
from tollbridge.storage.control import require_environment
from tollbridge.storage.session import Session
from tollbridge.units import (
    ALERT_RETRY_MS,
    ALERT_TRIES_MAX,
    EnvId,
    MicroCredits,
    Millis,
    PackId,
    RequestId,
)
from tollbridge.usage import Provenance, TokenUsage


def correct(session: Session, correction: Correction) -> bool:
    """Add to a pack or take back. False: done before with the same content."""
    env_id, pack_id = correction.env_id, correction.pack_id
    correction_id, amount, now = correction.correction_id, correction.amount, correction.now
    pack = _pack(session, env_id, pack_id)
    content = (pack_id, amount, correction.reason)
    key = (env_id, correction_id)
    found = session.row("find_correction", *key)
    if found is not None:
        for name, old, new in zip(("pack", "amount", "reason"), found, content, strict=True):
            if old != new:
                raise CorrectionConflictError(
                    f"correction {correction_id} was made before with another {name}"
                )
        return False
    corrected = machine.correct(pack, amount, now)
    if corrected is None:
        raise CorrectionRefusedError(
            f"pack {pack_id} is over, or has less than that available: {pack.available}"
        )
    transfer, pack = corrected
    session.write("insert_correction", (*key, *content, now))
    session.write(
        "insert_transfer",
        (*key, transfer.kind.value, transfer.leg, pack_id, transfer.seq, transfer.amount, 0, now),
    )
    session.write("correct_pack", (pack.granted, pack.available, pack.seq, env_id, pack_id))
    return True


def transfers(session: Session, env_id: EnvId, pack_id: PackId) -> list[PackTransfer]:
    """Every transfer of one pack, in the order in which they happened."""
    _pack(session, env_id, pack_id)
    return [
        PackTransfer(at, TransferKind(kind), request_id, amount, released, reason)
        for at, kind, request_id, amount, released, reason in session.rows(
            "transfers", env_id, pack_id
        )
    ]


def receipt(session: Session, env_id: EnvId, request_id: RequestId) -> Receipt | None:
    """Of an exchange that has ended."""
    key = (env_id, request_id)
    found = session.row("find_usage", *key)
    if found is None:
        return None
    settlement, overrun = _read_usage(found)
    book = session.row("find_price", settlement.price_version)
    drawn = session.rows("packs_drawn", *key)
    return Receipt(
        settlement=settlement,
        overrun=overrun,
        packs=tuple(Leg(pack_id, amount) for pack_id, amount in drawn),
        prices="" if book is None else book[0],
    )


def keep_prices(session: Session, books: Mapping[str, str], now: Millis) -> None:
    """Store price books that are not known yet."""
    rows = [(version, book, now) for version, book in books.items()]
    session.write("keep_price", *rows)


def alerts_wait(session: Session, now: Millis) -> bool:
    """Whether `take_alerts` would find one."""
    return session.row("alerts_due", now) is not None


def take_alerts(session: Session, now: Millis) -> list[Alert]:
    """Alerts that are due; the caller delivers them."""
    fields = Alert.__struct_fields__
    found = session.rows("alerts_due", now)
    alerts = [Alert(**dict(zip(fields, row, strict=True))) for row in found]
    for alert in alerts:
        last = alert.tries >= ALERT_TRIES_MAX
        next_try = None if last else Millis(now + (ALERT_RETRY_MS << alert.tries - 1))
        _write_alert(session, alert, next_try)
    return alerts


def alert_sent(session: Session, alert: Alert) -> None:
    """Nobody gets it again."""
    _write_alert(session, alert, None)


def upstream_usage(session: Session, since: Millis, until: Millis) -> list[UpstreamUsageRow]:
    """Added up by day, upstream, its model's name and provenance."""
    fields = UpstreamUsageRow.__struct_fields__
    rows = session.rows("upstream_usage", since, until)
    return [UpstreamUsageRow(**dict(zip(fields, row, strict=True))) for row in rows]


def _read_usage(row: tuple[Any, ...]) -> tuple[Settlement, MicroCredits]:
    """A settlement and its overrun from the columns of the statement `find_usage`."""
    request_id, env_id, key_id, model, upstream, upstream_model, protocol, stream, *rest = row
    started_at, ended_at, *counts, amount, provenance, outcome, version, raw_usage, overrun = rest
    settlement = Settlement(
        request_id=request_id,
        env_id=env_id,
        key_id=key_id,
        model=model,
        upstream=upstream,
        upstream_model=upstream_model,
        client_protocol=protocol,
        stream=bool(stream),
        started_at=started_at,
        ended_at=ended_at,
        usage=TokenUsage(*counts),
        amount=amount,
        provenance=Provenance(provenance),
        outcome=outcome,
        price_version=version,
        raw_usage=raw_usage,
    )
    return settlement, overrun


def _pack(session: Session, env_id: EnvId, pack_id: PackId) -> Pack:
    require_environment(session, env_id)
    found = session.row("find_pack", env_id, pack_id)
    if found is None:
        raise UnknownPackError(f"environment {env_id} has no pack {pack_id}")
    return read_pack(found)


def _write_alert(session: Session, alert: Alert, next_try: Millis | None) -> None:
    row = (alert.tries, next_try, alert.env_id, alert.pack_id, alert.level)
    session.write("try_alert", row)
