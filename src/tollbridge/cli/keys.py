"""`tollbridge key`: credentials of environments."""

import secrets

import typer

from tollbridge.access.keys import (
    KEY_ENTROPY_BYTES,
    KEY_ID_ENTROPY_BYTES,
    KEY_PREFIX,
    hash_key,
    key_hint,
    mint_key,
    mint_key_id,
)
from tollbridge.app.ports import KeyInfo
from tollbridge.bootstrap import clock
from tollbridge.cli.context import (
    DEFAULT_DATA,
    Data,
    Env,
    Json,
    only_environment,
    parse_duration,
    with_store,
)
from tollbridge.cli.output import fail, print_rows, say, time_text
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.units import EnvId, KeyId, Millis

app = typer.Typer(no_args_is_help=True, help="API keys of an environment.")


async def issue_key(
    store: SqliteStore, env_id: EnvId, name: str, lifetime_ms: int | None
) -> tuple[KeyInfo, str]:
    """Make a key and store its hash. The key itself is returned once and kept nowhere."""
    key = mint_key(secrets.token_bytes(KEY_ENTROPY_BYTES))
    now = clock()
    info = KeyInfo(
        key_id=mint_key_id(secrets.token_bytes(KEY_ID_ENTROPY_BYTES)),
        env_id=env_id,
        name=name,
        hint=key_hint(key),
        created_at=now,
        expires_at=None if lifetime_ms is None else Millis(now + lifetime_ms),
        revoked_at=None,
    )
    await store.add_key(info, hash_key(key))
    return info, key


@app.command("create")
def create(
    name: str = typer.Option("", help="What the key is for."),
    expires_in: str = typer.Option("", help="Lifetime such as 12h or 90d; left out: for ever."),
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Create a key. It is shown this once."""
    lifetime = parse_duration(expires_in) if expires_in else None

    async def work(store: SqliteStore) -> tuple[KeyInfo, str]:
        return await issue_key(
            store, await only_environment(store, env, as_json=as_json), name, lifetime
        )

    info, key = with_store(data, work, as_json=as_json)
    value = {
        "key": key,
        "key_id": info.key_id,
        "environment": info.env_id,
        "expires": time_text(info.expires_at),
    }
    say(
        f"{key}\nThis is {info.key_id} of environment {info.env_id}. It is not shown again.",
        value,
        as_json=as_json,
    )


@app.command("list")
def list_all(env: Env = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List keys, revoked ones too; never the keys themselves."""
    env_id = None if env is None else EnvId(env)
    rows = [
        {
            "key_id": key.key_id,
            "environment": key.env_id,
            "name": key.name,
            "ends_in": key.hint,
            "created": time_text(key.created_at),
            "expires": time_text(key.expires_at),
            "revoked": time_text(key.revoked_at),
        }
        for key in with_store(data, lambda store: store.keys(env_id), as_json=as_json)
    ]
    print_rows(rows, as_json=as_json, empty="No key yet: `tollbridge key create`.")


@app.command("revoke")
def revoke(
    key_id: str = typer.Argument(help="As `key list` names it: key_..., never the key itself."),
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Revoke a key: the very next request with it is refused, on every worker."""
    if not with_store(data, lambda s: s.revoke_key(KeyId(key_id), clock()), as_json=as_json):
        # Whoever pastes the key itself must not find it in a log.
        named = "such key" if key_id.startswith(KEY_PREFIX) else f"key {key_id!r}"
        fail(f"there is no {named}; see the ids in `tollbridge key list`", as_json=as_json)
    say(f"Revoked {key_id}.", {"key_id": key_id, "revoked": True}, as_json=as_json)
