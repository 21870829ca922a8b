"""Environments, keys, switches and grants on SQLite: one function, one part of a transaction."""

import sqlite3
from collections.abc import Sequence

import msgspec

from tollbridge.app.ports import (
    Environment,
    Grant,
    GrantConflictError,
    KeyInfo,
    KeyRecord,
    UnknownEnvironmentError,
    UsageRow,
)
from tollbridge.ledger.model import Pack, TransferKind
from tollbridge.storage.batch import QUERIES, read_pack
from tollbridge.units import EnvId, KeyId, Millis


def create_environment(
    connection: sqlite3.Connection, env_id: EnvId, name: str, now: Millis
) -> bool:
    """False: it exists."""
    cursor = connection.execute(QUERIES["insert_environment"], (env_id, name, now))
    return cursor.rowcount == 1


def environments(connection: sqlite3.Connection) -> list[Environment]:
    """All of them, by id."""
    return [
        Environment(env_id=env_id, name=name, created_at=created_at, generation=generation)
        for env_id, name, created_at, generation in connection.execute(QUERIES["environments"])
    ]


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
            *(key.created_at, key.expires_at, key.revoked_at),
        ),
    )


def keys(connection: sqlite3.Connection, env_id: EnvId | None) -> list[KeyInfo]:
    """Of one environment or of all, by creation."""
    if env_id is not None:
        require_environment(connection, env_id)
    return [
        KeyInfo(
            key_id=key_id,
            env_id=owner,
            name=name,
            hint=hint,
            created_at=created_at,
            expires_at=expires_at,
            revoked_at=revoked_at,
        )
        for key_id, owner, name, hint, created_at, expires_at, revoked_at in connection.execute(
            QUERIES["keys"], (env_id,)
        )
    ]


def find_key(connection: sqlite3.Connection, key_hash: bytes) -> KeyRecord | None:
    """One statement, so that key, generation and switches are of one moment."""
    rows = connection.execute(QUERIES["find_key"], (key_hash,)).fetchall()
    if not rows:
        return None
    key_id, env_id, name, expires_at, revoked_at, current, _ = rows[0]
    return KeyRecord(
        key_id=key_id,
        env_id=env_id,
        name=name,
        expires_at=expires_at,
        revoked_at=revoked_at,
        generation=current,
        models_on=frozenset(row[-1] for row in rows if row[-1] is not None),
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
        for name, old, new in (
            ("amount", pack.granted, grant.amount),
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
