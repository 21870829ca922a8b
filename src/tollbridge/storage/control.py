"""Environments, keys, switches and grants on SQLite: one function, one part of a transaction."""

import sqlite3
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
from tollbridge.storage.batch import QUERIES, read_pack
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis


def create_environment(
    connection: sqlite3.Connection, env_id: EnvId, name: str, now: Millis, limits: Limits
) -> bool:
    """False: it exists."""
    row = (env_id, name, now, *astuple(limits))
    return connection.execute(QUERIES["insert_environment"], row).rowcount == 1


def environments(connection: sqlite3.Connection) -> list[Environment]:
    """All of them, by id."""
    return [
        Environment(
            env_id=env_id,
            name=name,
            created_at=created_at,
            generation=generation,
            limits=Limits(*limits),
        )
        for env_id, name, created_at, generation, *limits in connection.execute(
            QUERIES["environments"]
        )
    ]


def limit_environment(connection: sqlite3.Connection, env_id: EnvId, limits: Limits) -> None:
    """Set what an environment may do at once and in a minute."""
    _raise_generation(connection, env_id)
    connection.execute(QUERIES["limit_environment"], (env_id, *astuple(limits)))


def generation(connection: sqlite3.Connection, env_id: EnvId) -> int | None:
    """The environment's generation; None: no such environment."""
    found = connection.execute(QUERIES["generation"], (env_id,)).fetchone()
    return None if found is None else int(found[0])


def add_key(connection: sqlite3.Connection, key: KeyInfo, key_hash: bytes) -> None:
    """Store a key's hash."""
    _raise_generation(connection, key.env_id)
    connection.execute(
        QUERIES["insert_key"],
        (
            *(key_hash, key.key_id, key.env_id, key.name, key.hint),
            *(key.created_at, key.expires_at, key.revoked_at, *astuple(key.limits)),
        ),
    )
    if key.budget:
        connection.execute(QUERIES["set_budget"], (key.env_id, key.key_id, key.budget))


def limit_key(
    connection: sqlite3.Connection, key_id: KeyId, limits: Limits, budget: MicroCredits
) -> bool:
    """Set a key's limits and its budget (0: none). False: no such key."""
    found = connection.execute(QUERIES["key_environment"], (key_id,)).fetchone()
    if found is None:
        return False
    env_id = EnvId(found[0])
    _raise_generation(connection, env_id)
    connection.execute(QUERIES["limit_key"], (key_id, *astuple(limits)))
    if budget:
        connection.execute(QUERIES["set_budget"], (env_id, key_id, budget))
    else:
        connection.execute(QUERIES["delete_budget"], (env_id, key_id))
    connection.execute(QUERIES["mark_holds"], (env_id, key_id, int(budget > 0)))
    return True


def keys(connection: sqlite3.Connection, env_id: EnvId | None) -> list[KeyInfo]:
    """Of one environment or of all, by creation."""
    if env_id is not None:
        require_environment(connection, env_id)
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
            budget=row[10],
        )
        for row in connection.execute(QUERIES["keys"], (env_id,))
    ]


def find_key(connection: sqlite3.Connection, key_hash: bytes) -> KeyRecord | None:
    """One statement, so that key, generation and switches are of one moment."""
    rows = connection.execute(QUERIES["find_key"], (key_hash,)).fetchall()
    if not rows:
        return None
    key_id, env_id, name, expires_at, revoked_at, current, *limits, budgeted, _ = rows[0]
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
    )


def revoke_key(connection: sqlite3.Connection, key_id: KeyId, now: Millis) -> bool:
    """False: no such key."""
    found = connection.execute(QUERIES["key_environment"], (key_id,)).fetchone()
    if found is None:
        return False
    connection.execute(QUERIES["revoke_key"], (key_id, now))
    _raise_generation(connection, EnvId(found[0]))
    return True


def switch(
    connection: sqlite3.Connection, env_id: EnvId, models: Sequence[str], *, on: bool
) -> None:
    """Turn models on or off."""
    _raise_generation(connection, env_id)
    name = "switch_on" if on else "switch_off"
    connection.executemany(QUERIES[name], [(env_id, model) for model in models])


def models_on(connection: sqlite3.Connection, env_id: EnvId) -> frozenset[str]:
    """The models that are switched on."""
    require_environment(connection, env_id)
    return frozenset(model for (model,) in connection.execute(QUERIES["models_on"], (env_id,)))


def grant(connection: sqlite3.Connection, grant: Grant) -> bool:
    """Grant a pack. False: it exists with the same content."""
    env_id, pack_id = grant.env_id, grant.pack_id
    require_environment(connection, env_id)
    found = connection.execute(QUERIES["find_pack"], (env_id, pack_id)).fetchone()
    if found is not None:
        pack = read_pack(found)
        (granted,) = connection.execute(QUERIES["granted_first"], (env_id, pack_id)).fetchone()
        for name, old, new in (
            ("amount", granted, grant.amount),
            ("expires_at", pack.expires_at, grant.expires_at),
            ("models", pack.models, grant.models),
        ):
            if old != new:
                raise GrantConflictError(f"pack {pack_id} was granted before with another {name}")
        return False
    models = msgspec.json.encode(grant.models).decode()
    connection.execute(
        QUERIES["insert_pack"],
        (env_id, pack_id, grant.amount, grant.now, grant.expires_at, models),
    )
    kind = TransferKind.GRANT.value
    connection.execute(
        QUERIES["insert_journal"],
        (env_id, pack_id, kind, 0, pack_id, grant.amount, 0, grant.now),
    )
    return True


def packs(connection: sqlite3.Connection, env_id: EnvId | None) -> list[Pack]:
    """In the order in which they are drawn."""
    if env_id is not None:
        require_environment(connection, env_id)
    return [read_pack(row) for row in connection.execute(QUERIES["packs"], (env_id,))]


def usage(
    connection: sqlite3.Connection, env_id: EnvId | None, since: Millis, until: Millis
) -> list[UsageRow]:
    """Added up by environment, day and model."""
    if env_id is not None:
        require_environment(connection, env_id)
    fields = UsageRow.__struct_fields__
    rows = connection.execute(QUERIES["usage"], (env_id, since, until))
    return [UsageRow(**dict(zip(fields, row, strict=True))) for row in rows]


def require_environment(connection: sqlite3.Connection, env_id: EnvId) -> None:
    """Raise `UnknownEnvironmentError` if there is none."""
    if generation(connection, env_id) is None:
        raise UnknownEnvironmentError(f"there is no environment {env_id}")


def _raise_generation(connection: sqlite3.Connection, env_id: EnvId) -> None:
    require_environment(connection, env_id)
    connection.execute(QUERIES["raise_generation"], (env_id,))
