"""`tollbridge model`: the switch per environment and model."""

from pathlib import Path
from typing import Annotated

import typer

from tollbridge.app.ports import Store
from tollbridge.cli.context import (
    DEFAULT_DATA,
    ConfigFile,
    Data,
    Env,
    Json,
    only_environment,
    with_store,
)
from tollbridge.cli.deployment import deployed
from tollbridge.cli.output import fail, print_rows, say
from tollbridge.units import EnvId

Names = Annotated[list[str], typer.Argument(help="As `model list` names them.")]

app = typer.Typer(no_args_is_help=True, help="Switch models on and off in an environment.")


@app.command("on")
def switch_on(
    names: Names,
    env: Env = None,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Switch models on."""
    known = deployed(config, as_json=as_json).models
    unknown = [name for name in names if name not in known]
    if unknown:
        fail(f"no model {unknown[0]!r}; there are: {', '.join(known)}", as_json=as_json)
    _switch(data, env, names, on=True, as_json=as_json)


@app.command("off")
def switch_off(
    names: Names, env: Env = None, data: Data = DEFAULT_DATA, as_json: Json = False
) -> None:
    """Switch models off: the very next request for one is refused, on every worker."""
    _switch(data, env, names, on=False, as_json=as_json)


@app.command("list")
def list_all(
    env: Env = None,
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """List the operator's models and whether they are on."""

    async def work(store: Store) -> frozenset[str]:
        return await store.models_on(await only_environment(store, env, as_json=as_json))

    models_on = with_store(data, work, as_json=as_json)
    models = deployed(config, as_json=as_json).models
    rows = [
        {
            "model": name,
            "switch": "on" if name in models_on else "off",
            "upstreams": ", ".join(target.upstream for target in model.targets),
            "window": model.context_window,
            "output_limit": model.output_limit,
        }
        for name, model in models.items()
    ]
    print_rows(rows, as_json=as_json, empty="No model is deployed.")


def _switch(data: Path, env: str | None, names: list[str], *, on: bool, as_json: bool) -> None:
    async def work(store: Store) -> tuple[EnvId, frozenset[str]]:
        env_id = await only_environment(store, env, as_json=as_json)
        before = await store.models_on(env_id)
        await store.switch(env_id, names, on=on)
        return env_id, before

    env_id, before = with_store(data, work, as_json=as_json)
    word = "on" if on else "off"
    already = [name for name in names if (name in before) == on]
    changed = [name for name in names if name not in already]
    lines = []
    if changed:
        lines.append(f"Switched {word} in {env_id}: {', '.join(changed)}.")
    if already:
        # A name with a typing error must not look as if its model were off now.
        lines.append(f"Was {word} already in {env_id}: {', '.join(already)}.")
    say(
        "\n".join(lines),
        {"environment": env_id, "models": names, "switch": word, "already": already},
        as_json=as_json,
    )
