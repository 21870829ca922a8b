"""`tollbridge pack`: prepaid credits."""

import csv
import secrets
import sys

import typer

from tollbridge.app.ports import Grant, Store
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
from tollbridge.cli.output import Cell, credits_text, print_rows, say, time_text
from tollbridge.ledger.model import Correction
from tollbridge.ledger.statement import StatementLine, statement
from tollbridge.sources import clock
from tollbridge.units import EnvId, Millis, PackId

STATEMENT_AMOUNTS = ("amount", "available", "held", "spent", "expired", "granted")

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

    async def work(store: Store) -> tuple[EnvId, bool]:
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


@app.command("correct")
def correct(
    pack_id: str = typer.Argument(help="As `pack list` names it."),
    amount: str = typer.Option(help="Credits to add, or to take back with a minus: --amount=-500."),
    reason: str = typer.Option(help="For those who read the statement."),
    correction_id: str = typer.Option("", "--id", help="Your own id: repeated, it happens once."),
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Add credits to a pack, or take back what it has available, with a reason."""
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    added = parse_credits(amount.removeprefix("-"))
    change = -added if amount.startswith("-") else added
    correction = correction_id or f"corr_{secrets.token_hex(8)}"

    async def work(store: Store) -> bool:
        env_id = await only_environment(store, env, as_json=as_json)
        return await store.correct(
            Correction(
                env_id=env_id,
                pack_id=PackId(pack_id),
                correction_id=correction,
                amount=change,
                reason=reason,
                now=clock(),
            )
        )

    done = with_store(data, work, as_json=as_json)
    verb = "Added {} credits to" if change > 0 else "Took {} credits back from"
    say(
        f"{verb.format(credits_text(added))} {pack_id} as {correction}."
        if done
        else f"{correction} had been made before; nothing changed.",
        {"pack": pack_id, "correction": correction, "micro_credits": change, "exists": not done},
        as_json=as_json,
    )


@app.command("statement")
def show_statement(
    pack_id: str = typer.Argument(help="As `pack list` names it."),
    as_csv: bool = typer.Option(False, "--csv", help="Comma-separated, in micro-credits."),
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show every transfer of a pack, with its balances after each."""

    async def work(store: Store) -> list[StatementLine]:
        env_id = await only_environment(store, env, as_json=as_json)
        return statement(await store.transfers(env_id, PackId(pack_id)))

    lines = with_store(data, work, as_json=as_json)
    exact = as_json or as_csv
    rows: list[dict[str, Cell]] = [
        {
            "at": time_text(line.at),
            "kind": line.kind,
            "request_id": line.request_id,
            **{
                name: amount if exact else credits_text(amount)
                for name in STATEMENT_AMOUNTS
                for amount in (getattr(line, name),)
            },
            "reason": line.reason,
        }
        for line in lines
    ]
    if as_csv:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_rows(rows, as_json=as_json, empty="")
