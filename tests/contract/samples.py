"""Small worlds for tests of the ledger: one environment, short ids, round amounts."""

import hashlib

from tollbridge.app.ports import Grant, KeyInfo
from tollbridge.ledger.model import (
    UNLIMITED,
    Admission,
    Checkpoint,
    Correction,
    Limits,
    Need,
    Settlement,
)
from tollbridge.routing.group import Group
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId, RequestId, Tokens
from tollbridge.usage import Provenance, TokenUsage

ENV = EnvId("acme")
MODEL = "hy3-preview"
DAY_MS = 86_400_000


def need(input_amount: int = 10, weight: int = 2, tokens: int = 20, floor: int = 5) -> Need:
    """By default 50 at most and 20 at least."""
    return Need(MicroCredits(input_amount), MicroCredits(weight), Tokens(tokens), Tokens(floor))


def admission(request_id: str, need: Need, now: int = 0, **changes: object) -> Admission:
    fields = {
        "request_id": RequestId(request_id),
        "env_id": ENV,
        "key_id": KeyId("key_1"),
        "generation": 1,
        "model": MODEL,
        "need": need,
        "worker_id": "worker-1",
        "now": Millis(now),
        "client_protocol": "chat",
        "stream": True,
        "price_version": "v1",
    }
    return Admission(**(fields | changes))


def settlement(request_id: str, amount: int, now: int = 0, **changes: object) -> Settlement:
    fields = {
        "request_id": RequestId(request_id),
        "env_id": ENV,
        "key_id": KeyId("key_1"),
        "model": MODEL,
        "upstream": "hunyuan",
        "upstream_model": "hunyuan-turbo",
        "raw_usage": '{"prompt_tokens":5}',
        "client_protocol": "chat",
        "stream": True,
        "started_at": Millis(0),
        "ended_at": Millis(now),
        "usage": TokenUsage(input=5, output=amount // 2),
        "amount": MicroCredits(amount),
        "provenance": Provenance.REPORTED if amount else Provenance.VOID,
        "outcome": "finished",
        "price_version": "v1",
    }
    return Settlement(**(fields | changes))


def checkpoint(request_id: str, amount: int) -> Checkpoint:
    usage = TokenUsage(input=5, output=amount // 2)
    return Checkpoint(
        RequestId(request_id), ENV, usage, MicroCredits(amount), "hunyuan", "hunyuan-turbo"
    )


def correction(
    correction_id: str, pack_id: str, amount: int, now: int = 0, reason: str = "a promise"
) -> Correction:
    return Correction(
        env_id=ENV,
        pack_id=PackId(pack_id),
        correction_id=correction_id,
        amount=amount,
        reason=reason,
        now=Millis(now),
    )


def grant(
    pack_id: str,
    amount: int,
    now: int = 0,
    expires_at: int | None = None,
    models: tuple[str, ...] = (),
    *,
    env_id: EnvId = ENV,
) -> Grant:
    return Grant(
        env_id=env_id,
        pack_id=PackId(pack_id),
        amount=MicroCredits(amount),
        expires_at=None if expires_at is None else Millis(expires_at),
        models=models,
        now=Millis(now),
    )


def key(
    number: int,
    env_id: EnvId = ENV,
    expires_at: int | None = None,
    limits: Limits = UNLIMITED,
    budget: int = 0,
) -> tuple[KeyInfo, bytes]:
    """A key as it is listed, and its hash."""
    info = KeyInfo(
        key_id=KeyId(f"key_{number}"),
        env_id=env_id,
        name=f"key {number}",
        hint=f"{number:04}",
        created_at=Millis(number),
        expires_at=None if expires_at is None else Millis(expires_at),
        revoked_at=None,
        limits=limits,
        budget=MicroCredits(budget),
    )
    return info, hashlib.sha256(str(number).encode()).digest()


def group(name: str, **changes: object) -> Group:
    """An upstream of the environment's own."""
    fields = {
        "env_id": ENV,
        "name": name,
        "base_url": "https://a.test/v1",
        "protocol": "chat",
        "dialect": "generic",
        "models": ("*",),
        "created_at": Millis(7),
    }
    return Group(**(fields | changes))
