"""`tollbridge ledger` and `tollbridge usage`: what was charged, and whether it adds up."""

import typer

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.cli.context import (
    DEFAULT_DATA,
    STORE_REMEDY,
    Data,
    Env,
    Json,
    parse_duration,
    require_database,
    the_database,
    with_store,
)
from tollbridge.cli.output import credits_text, fail, print_json, print_rows
from tollbridge.cli.reconcile import run_reconcile
from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.sources import clock
from tollbridge.units import EnvId, Millis

app = typer.Typer(no_args_is_help=True, help="Prove that the journal of credits adds up.")
app.command("reconcile")(run_reconcile)


@app.command("audit")
def run_audit(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Replay the journal with a second implementation and list every difference.

    Exits with 1 if there is one. May run while the gateway serves.
    """
    database = the_database(data, as_json=as_json)
    require_database(database, as_json=as_json)
    try:
        with database.audit_rows() as rows:
            report = audit(rows)
    except StoreUnavailableError as error:
        fail(f"{database}: {error}; {STORE_REMEDY}", as_json=as_json)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report.differences:
        raise typer.Exit(1)


def _print_report(report: AuditReport) -> None:
    held = sum(hold.amount for hold in report.open_holds)
    print(
        f"Transfers: {report.transfers:,}. Packs: {report.packs:,}."
        f" Exchanges: {report.exchanges:,}."
        f" Open holds: {len(report.open_holds):,}, of {credits_text(held)} credits."
    )
    for difference in report.differences:
        print(f"DIFFERENCE  {difference}")
    print("Everything adds up." if not report.differences else "It does NOT add up.")


def usage(
    since: str = typer.Option("30d", help="How far back, such as 24h or 30d."),
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Usage and charges by environment, day and model."""
    now = clock()
    begin = Millis(now - parse_duration(since))
    env_id = None if env is None else EnvId(env)
    found = with_store(
        data, lambda store: store.usage(env_id, begin, Millis(now + 1)), as_json=as_json
    )
    rows = [
        {
            "day": row.day,
            "environment": row.env_id,
            "model": row.model,
            "requests": row.requests,
            "input": row.input,
            "cache_read": row.cache_read,
            "cache_write": row.cache_write,
            "output": row.output,
            "charged": row.amount if as_json else credits_text(row.amount),
        }
        for row in found
    ]
    print_rows(rows, as_json=as_json, empty="Nothing was used in this time.")
