"""Environments, keys, switches and grants: one function, one part of a transaction."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import astuple

from tollbridge.app.ports import (
    Environment,
    Grant,
    GrantConflictError,
    KeyInfo,
    KeyRecord,
    UnknownEnvironmentError,
    UsageRow,
)
from tollbridge.ledger.model import Limits, Pack, TransferKind
from tollbridge.storage.batch import read_pack
from tollbridge.storage.session import Session
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis


def create_environment(
    session: Session, env_id: EnvId, name: str, now: Millis, limits: Limits
) -> bool:
    """False: it exists."""
    row = (env_id, name, now, *astuple(limits))
    return session.row("insert_environment", *row) is not None


def environments(session: Session) -> list[Environment]:
    """All of them, by id."""
    return [
        Environment(
            env_id=env_id,
            name=name,
            created_at=created_at,
            generation=generation,
            limits=Limits(*limits),
        )
        for env_id, name, created_at, generation, *limits in session.rows("environments")
    ]


def limit_environment(session: Session, env_id: EnvId, limits: Limits) -> None:
    """Set what an environment may do at once and in a minute."""
    raise_generation(session, env_id)
    session.write("limit_environment", (env_id, *astuple(limits)))


def generation(session: Session, env_id: EnvId) -> int | None:
    """The environment's generation; None: no such environment."""
    found = session.row("generation", env_id)
    return None if found is None else int(found[0])


def add_key(session: Session, key: KeyInfo, key_hash: bytes) -> None:
    """Store a key's hash."""
    raise_generation(session, key.env_id)
    session.write(
        "insert_key",
        (
            *(key_hash, key.key_id, key.env_id, key.name, key.hint),
            *(key.created_at, key.expires_at, key.revoked_at, *astuple(key.limits)),
            int(key.strict),
        ),
    )
    if key.budget:
        session.write("set_budget", (key.env_id, key.key_id, key.budget))


def limit_key(
    session: Session, key_id: KeyId, limits: Limits, budget: MicroCredits, strict: bool | None
) -> bool:
    """Set a key's limits, its budget (0: none) and, unless None, `strict`. False: no such key."""
    found = session.row("key_environment", key_id)
    if found is None:
        return False
    env_id = EnvId(found[0])
    raise_generation(session, env_id)
    session.write("limit_key", (key_id, *astuple(limits), None if strict is None else int(strict)))
    if budget:
        session.write("set_budget", (env_id, key_id, budget))
    else:
        session.write("delete_budget", (env_id, key_id))
    session.write("mark_holds", (env_id, key_id, int(budget > 0)))
    return True


def keys(session: Session, env_id: EnvId | None) -> list[KeyInfo]:
    """Of one environment or of all, by creation."""
    if env_id is not None:
        require_environment(session, env_id)
    return [
        KeyInfo(
            key_id=row[0],
            env_id=row[1],
            name=row[2],
            hint=row[3],
            created_at=row[4],
            expires_at=row[5],
            revoked_at=row[6],
            limits=Limits(*row[7:10]),
            strict=bool(row[10]),
            budget=row[11],
        )
        for row in session.rows("keys", env_id)
    ]


def find_key(session: Session, key_hash: bytes) -> KeyRecord | None:
    """One statement, so that key, generation and switches are of one moment."""
    rows = session.rows("find_key", key_hash)
    if not rows:
        return None
    key_id, env_id, name, expires_at, revoked_at, current, *limits, strict, budgeted, _ = rows[0]
    return KeyRecord(
        key_id=key_id,
        env_id=env_id,
        name=name,
        expires_at=expires_at,
        revoked_at=revoked_at,
        generation=current,
        models_on=frozenset(row[-1] for row in rows if row[-1] is not None),
        limits=Limits(*limits[:3]),
        env_limits=Limits(*limits[3:]),
        budgeted=bool(budgeted),
        strict=bool(strict),
    )


def revoke_key(session: Session, key_id: KeyId, now: Millis) -> bool:
    """False: no such key."""
    found = session.row("key_environment", key_id)
    if found is None:
        return False
    session.write("revoke_key", (key_id, now))
    raise_generation(session, EnvId(found[0]))
    return True


def switch(session: Session, env_id: EnvId, models: Sequence[str], *, on: bool) -> None:
    """Turn models on or off."""
    raise_generation(session, env_id)
    name = "switch_on" if on else "switch_off"
    session.write(name, *((env_id, model) for model in models))


def models_on(session: Session, env_id: EnvId) -> frozenset[str]:
    """The models that are switched on."""
    require_environment(session, env_id)
    return frozenset(model for (model,) in session.rows("models_on", env_id))


def grant(session: Session, grant: Grant) -> bool:
    """Grant a pack. False: it exists with the same content."""
    env_id, pack_id = grant.env_id, grant.pack_id
    require_environment(session, env_id)
    found = session.row("find_pack", env_id, pack_id)
    if found is not None:
        pack = read_pack(found)
        ((granted,),) = session.rows("granted_first", env_id, pack_id)
        for name, old, new in (
            ("amount", granted, grant.amount),
            ("expires_at", pack.expires_at, grant.expires_at),
            ("models", pack.models, grant.models),
        ):
            if old != new:
                raise GrantConflictError(f"pack {pack_id} was granted before with another {name}")
        return False
    models = msgspec.json.encode(grant.models).decode()
    session.write(
        "insert_pack",
        (env_id, pack_id, grant.amount, grant.now, grant.expires_at, models),
    )
    kind = TransferKind.GRANT.value
    session.write(
        "insert_transfer",
        (env_id, pack_id, kind, 0, pack_id, 1, grant.amount, 0, grant.now),
    )
    return True


def packs(session: Session, env_id: EnvId | None) -> list[Pack]:
    """In the order in which they are drawn."""
    if env_id is not None:
        require_environment(session, env_id)
    return [read_pack(row) for row in session.rows("packs", env_id)]


def usage(session: Session, env_id: EnvId | None, since: Millis, until: Millis) -> list[UsageRow]:
    """Added up by environment, day and model."""
    if env_id is not None:
        require_environment(session, env_id)
    fields = UsageRow.__struct_fields__
    rows = session.rows("usage", env_id, since, until)
    return [UsageRow(**dict(zip(fields, row, strict=True))) for row in rows]


def require_environment(session: Session, env_id: EnvId) -> None:
    """Raise `UnknownEnvironmentError` if there is none."""
    if generation(session, env_id) is None:
        raise UnknownEnvironmentError(f"there is no environment {env_id}")


def raise_generation(session: Session, env_id: EnvId) -> None:
    """Every change begins with it. Raises `UnknownEnvironmentError`."""
    require_environment(session, env_id)
    session.write("raise_generation", (env_id,))
