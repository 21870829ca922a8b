"""`tollbridge key`: credentials of environments."""

import secrets
from typing import Annotated, NoReturn

import typer
from msgspec.structs import asdict, replace

from tollbridge.access.keys import (
    KEY_ENTROPY_BYTES,
    KEY_ID_ENTROPY_BYTES,
    KEY_PREFIX,
    hash_key,
    key_hint,
    mint_key,
    mint_key_id,
)
from tollbridge.app.ports import KeyInfo, Store
from tollbridge.cli.context import (
    DEFAULT_DATA,
    Concurrency,
    Data,
    Env,
    Json,
    RequestsPerMinute,
    TokensPerMinute,
    changed_limits,
    limits_text,
    only_environment,
    parse_credits,
    parse_duration,
    with_store,
)
from tollbridge.cli.output import Cell, credits_text, fail, print_rows, say, time_text
from tollbridge.ledger.model import UNLIMITED, Limits
from tollbridge.sources import clock
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis

NO_BUDGET = MicroCredits(0)
Budget = Annotated[
    str | None,
    typer.Option(help="Credits that the key may be charged in its life, such as 500k; 0: no limit"),
]

Strict = Annotated[
    bool | None,
    typer.Option(
        "--strict/--lenient",
        help="Refuse what a model's server cannot take, instead of reporting it",
    ),
]

app = typer.Typer(no_args_is_help=True, help="API keys of an environment.")


async def issue_key(
    store: Store,
    env_id: EnvId,
    name: str,
    lifetime_ms: int | None,
    limits: Limits = UNLIMITED,
    budget: MicroCredits = NO_BUDGET,
    *,
    strict: bool = False,
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
        limits=limits,
        budget=budget,
        strict=strict,
    )
    await store.add_key(info, hash_key(key))
    return info, key


@app.command("create")
def create(
    name: str = typer.Option("", help="What the key is for."),
    expires_in: str = typer.Option("", help="Lifetime such as 12h or 90d; left out: for ever."),
    concurrency: Concurrency = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    budget: Budget = None,
    strict: Strict = None,
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Create a key. It is shown this once."""
    lifetime = parse_duration(expires_in) if expires_in else None
    limits = changed_limits(UNLIMITED, concurrency, requests_per_minute, tokens_per_minute)
    budgeted = parse_budget(budget, NO_BUDGET)

    async def work(store: Store) -> tuple[KeyInfo, str]:
        env_id = await only_environment(store, env, as_json=as_json)
        return await issue_key(store, env_id, name, lifetime, limits, budgeted, strict=bool(strict))

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
            "strict": key.strict if as_json else "yes" if key.strict else "",
            **_limits(key, as_json=as_json),
        }
        for key in with_store(data, lambda store: store.keys(env_id), as_json=as_json)
    ]
    print_rows(rows, as_json=as_json, empty="No key yet: `tollbridge key create`.")


@app.command("limit")
def limit(
    key_id: str = typer.Argument(help="As `key list` names it: key_..., never the key itself."),
    concurrency: Concurrency = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    budget: Budget = None,
    strict: Strict = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Set limits; they hold for the very next request, on every worker. The others stay."""

    async def work(store: Store) -> KeyInfo:
        found = [key for key in await store.keys(None) if key.key_id == key_id]
        if not found:
            _unknown(key_id, as_json=as_json)
        (key,) = found
        limits = changed_limits(key.limits, concurrency, requests_per_minute, tokens_per_minute)
        allowed = parse_budget(budget, key.budget)
        await store.limit_key(key.key_id, limits, allowed, strict)
        stays = key.strict if strict is None else strict
        return replace(key, limits=limits, budget=allowed, strict=stays)

    key = with_store(data, work, as_json=as_json)
    told = _limits(key, as_json=as_json)
    say(
        f"Limits of {key_id}: {limits_text(key.limits)};"
        f" budget: {credits_text(key.budget) if key.budget else 'none'}"
        f"{'; strict' if key.strict else ''}.",
        {"key_id": key_id, "strict": key.strict, **told},
        as_json=as_json,
    )


@app.command("revoke")
def revoke(
    key_id: str = typer.Argument(help="As `key list` names it: key_..., never the key itself."),
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Revoke a key: the very next request with it is refused, on every worker."""
    if not with_store(data, lambda s: s.revoke_key(KeyId(key_id), clock()), as_json=as_json):
        _unknown(key_id, as_json=as_json)
    say(f"Revoked {key_id}.", {"key_id": key_id, "revoked": True}, as_json=as_json)


def parse_budget(text: str | None, before: MicroCredits) -> MicroCredits:
    """A budget as a person writes it; `0` is none, nothing leaves it as it was."""
    if text is None:
        return before
    return NO_BUDGET if text == "0" else parse_credits(text)


def _limits(key: KeyInfo, *, as_json: bool) -> dict[str, Cell]:
    if as_json:
        return {**asdict(key.limits), "budget": key.budget}
    budget = credits_text(key.budget) if key.budget else "none"
    return {"limits": limits_text(key.limits), "budget": budget}


def _unknown(key_id: str, *, as_json: bool) -> NoReturn:
    # Whoever pastes the key itself must not find it in a log.
    named = "such key" if key_id.startswith(KEY_PREFIX) else f"key {key_id!r}"
    fail(f"there is no {named}; see the ids in `tollbridge key list`", as_json=as_json)
