"""`tollbridge env`: tenants."""

import secrets

import typer
from msgspec.structs import asdict

from tollbridge.access.keys import ENV_ID_ENTROPY_BYTES, EnvIdError, mint_env_id, parse_env_id
from tollbridge.app.ports import Store
from tollbridge.cli.context import (
    DEFAULT_DATA,
    Concurrency,
    ConfigFile,
    Data,
    Json,
    RequestsPerMinute,
    TokensPerMinute,
    changed_limits,
    limits_text,
    load_config,
    with_store,
)
from tollbridge.cli.output import fail, print_rows, say, time_text
from tollbridge.ledger.model import UNLIMITED, Limits
from tollbridge.sources import clock
from tollbridge.units import EnvId

CONCURRENCY_DEFAULT = 5
"""Requests under way at once in a new environment: CloudBase's own default."""

app = typer.Typer(no_args_is_help=True, help="Environments: the tenants.")


@app.command("create")
def create(
    env_id: str = typer.Argument("", help="A DNS label; left out, one is made up."),
    name: str = typer.Option("", help="What people call it."),
    concurrency: Concurrency = CONCURRENCY_DEFAULT,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    data: Data = DEFAULT_DATA,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Create an environment; models that are on by default are switched on in it."""
    try:
        new = (
            parse_env_id(env_id)
            if env_id
            else mint_env_id(secrets.token_bytes(ENV_ID_ENTROPY_BYTES))
        )
    except EnvIdError as error:
        fail(str(error), as_json=as_json)
    loaded = load_config(config, as_json=as_json)
    models = [n for n, model in (loaded.models if loaded else {}).items() if model.on_by_default]

    limits = changed_limits(UNLIMITED, concurrency, requests_per_minute, tokens_per_minute)

    async def work(store: Store) -> bool:
        created = await store.create_environment(new, name, clock(), limits)
        if created and models:
            await store.switch(new, models, on=True)
        return created

    if not with_store(data, work, as_json=as_json, create=True):
        fail(f"environment {new!r} exists already; choose another name", as_json=as_json)
    say(
        f"Created environment {new}. It needs a key and credits:\n"
        f"  tollbridge key create --env {new}\n"
        f"  tollbridge pack grant 1M --env {new}",
        {"environment": new, "models_on": models, **asdict(limits)},
        as_json=as_json,
    )


@app.command("list")
def list_all(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List environments."""
    rows = [
        {
            "environment": env.env_id,
            "name": env.name,
            "created": time_text(env.created_at),
            **(asdict(env.limits) if as_json else {"limits": limits_text(env.limits)}),
        }
        for env in with_store(data, lambda store: store.environments(), as_json=as_json)
    ]
    print_rows(rows, as_json=as_json, empty="No environment yet: `tollbridge env create`.")


@app.command("limit")
def limit(
    env_id: str = typer.Argument(help="The environment."),
    concurrency: Concurrency = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Set limits; they hold for the very next request, on every worker. The others stay."""
    env = EnvId(env_id)

    async def work(store: Store) -> Limits:
        now = [known.limits for known in await store.environments() if known.env_id == env]
        limits = changed_limits(
            now[0] if now else UNLIMITED, concurrency, requests_per_minute, tokens_per_minute
        )
        await store.limit_environment(env, limits)
        return limits

    limits = with_store(data, work, as_json=as_json)
    say(
        f"Limits of {env}: {limits_text(limits)}.",
        {"environment": env, **asdict(limits)},
        as_json=as_json,
    )
