"""`tollbridge pack`: prepaid credits."""

import secrets

import typer

from tollbridge.app.ports import Grant
from tollbridge.bootstrap import clock
from tollbridge.cli.context import (
    DEFAULT_DATA,
    Data,
    Env,
    Json,
    only_environment,
    parse_credits,
    parse_duration,
    with_store,
)
from tollbridge.cli.output import credits_text, print_rows, say, time_text
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.units import EnvId, Millis, PackId

app = typer.Typer(no_args_is_help=True, help="Prepaid packs of credits.")


@app.command("grant")
def grant(
    amount: str = typer.Argument(help="Credits, such as 1000000, 500k or 100M."),
    pack_id: str = typer.Option("", "--id", help="Your own id: a repeated grant happens once."),
    expires_in: str = typer.Option("", help="Validity such as 30d; left out: for ever."),
    model: list[str] = typer.Option([], help="Only for this model; may be repeated."),
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Grant a pack of credits. One credit pays for one token at weight 1."""
    amount_granted = parse_credits(amount)
    lifetime = parse_duration(expires_in) if expires_in else None
    now = clock()
    pack = PackId(pack_id or f"pack_{secrets.token_hex(8)}")

    async def work(store: SqliteStore) -> tuple[EnvId, bool]:
        env_id = await only_environment(store, env, as_json=as_json)
        expires_at = None if lifetime is None else Millis(now + lifetime)
        return env_id, await store.grant(
            Grant(
                env_id=env_id,
                pack_id=pack,
                amount=amount_granted,
                expires_at=expires_at,
                models=tuple(model),
                now=now,
            )
        )

    env_id, granted = with_store(data, work, as_json=as_json)
    text = f"Granted {credits_text(amount_granted)} credits to {env_id} as {pack}."
    say(
        text if granted else f"{pack} had been granted before; nothing changed.",
        {
            "pack": pack,
            "environment": env_id,
            "micro_credits": amount_granted,
            "exists": not granted,
        },
        as_json=as_json,
    )


@app.command("list")
def list_all(env: Env = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List packs in the order in which they are drawn, with their balances in credits."""
    env_id = None if env is None else EnvId(env)
    packs = with_store(data, lambda store: store.packs(env_id), as_json=as_json)
    show = (lambda amount: amount) if as_json else credits_text
    rows = [
        {
            "pack": pack.pack_id,
            "environment": pack.env_id,
            "granted": show(pack.granted),
            "available": show(pack.available),
            "held": show(pack.held),
            "spent": show(pack.spent),
            "expired": show(pack.expired),
            "models": ", ".join(pack.models) or "all",
            "granted_at": time_text(pack.granted_at),
            "expires_at": time_text(pack.expires_at),
        }
        for pack in packs
    ]
    print_rows(rows, as_json=as_json, empty="No pack yet: `tollbridge pack grant`.")
