"""`tollbridge env`: tenants."""

import secrets

import typer

from tollbridge.access.keys import ENV_ID_ENTROPY_BYTES, EnvIdError, mint_env_id, parse_env_id
from tollbridge.bootstrap import clock
from tollbridge.cli.context import DEFAULT_DATA, ConfigFile, Data, Json, load_config, with_store
from tollbridge.cli.output import fail, print_rows, say, time_text
from tollbridge.storage.sqlite import SqliteStore

app = typer.Typer(no_args_is_help=True, help="Environments: the tenants.")


@app.command("create")
def create(
    env_id: str = typer.Argument("", help="A DNS label; left out, one is made up."),
    name: str = typer.Option("", help="What people call it."),
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

    async def work(store: SqliteStore) -> bool:
        created = await store.create_environment(new, name, clock())
        if created and models:
            await store.switch(new, models, on=True)
        return created

    if not with_store(data, work, as_json=as_json, create=True):
        fail(f"environment {new!r} exists already; choose another name", as_json=as_json)
    say(
        f"Created environment {new}. It needs a key and credits:\n"
        f"  tollbridge key create --env {new}\n"
        f"  tollbridge pack grant 1M --env {new}",
        {"environment": new, "models_on": models},
        as_json=as_json,
    )


@app.command("list")
def list_all(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List environments."""
    rows = [
        {"environment": env.env_id, "name": env.name, "created": time_text(env.created_at)}
        for env in with_store(data, lambda store: store.environments(), as_json=as_json)
    ]
    print_rows(rows, as_json=as_json, empty="No environment yet: `tollbridge env create`.")
