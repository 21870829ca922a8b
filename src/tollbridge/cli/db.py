"""`tollbridge db`: the schema of the database, and the way to a bigger one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import typer

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.cli.context import (
    DEFAULT_DATA,
    STORE_REMEDY,
    Data,
    Json,
    require_database,
    the_database,
)
from tollbridge.cli.output import credits_text, fail, print_rows, say
from tollbridge.sources import clock
from tollbridge.storage.database import Database
from tollbridge.storage.migrations import Migration, MoveRefusedError, SchemaVersionError

app = typer.Typer(no_args_is_help=True, help="The database: its schema, and moving to PostgreSQL.")

T = TypeVar("T")


@app.command("status")
def status(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Show which steps of the schema the database lacks; exits with 1 if there are any."""
    database = the_database(data, as_json=as_json)
    steps = _run(lambda: database.migrate(dry_run=True), database, as_json=as_json)
    version = _run(database.version, database, as_json=as_json)
    _print_steps(steps, f"{database}: schema version {version}, nothing to do.", as_json=as_json)
    if steps:
        raise typer.Exit(1)


@app.command("migrate")
def migrate(
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be done."),
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Bring the schema to this program's version, all of it or nothing. Stop the gateways first."""
    database = the_database(data, as_json=as_json)
    steps = _run(lambda: database.migrate(dry_run=dry_run), database, as_json=as_json)
    _print_steps(steps, f"{database} has the schema of this program.", as_json=as_json)


@app.command("move")
def move_to(
    to: str = typer.Option(..., "--to", help="The postgresql:// address of an empty database."),
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Copy the embedded database to PostgreSQL and prove that every balance is the same.

    The file stays as it was; name the address as `url` under `[storage]` in the operator's file.
    """
    source, target = Database(data), Database(data, to)
    require_database(source, as_json=as_json)
    _run(lambda: target.prepare(create=True), target, as_json=as_json)
    try:
        from tollbridge.storage.move import move  # noqa: PLC0415  needs the driver of the extra

        report = move(source.path, to, clock())
    except MoveRefusedError as error:
        fail(f"{source}: {error}", as_json=as_json)
    except StoreUnavailableError as error:
        fail(f"{target}: {error}; {STORE_REMEDY}", as_json=as_json)
    available = sum(totals.available for totals in report.environments.values())
    say(
        f"Moved {report.transfers:,} transfers, {report.packs:,} packs and"
        f" {report.exchanges:,} exchanges; both sides add up to"
        f" {credits_text(available)} credits available. Now name the address as `url` under"
        " [storage] in tollbridge.toml.",
        {"transfers": report.transfers, "packs": report.packs, "exchanges": report.exchanges,
         "available": available},
        as_json=as_json,
    )  # fmt: skip


def _run(work: Callable[[], Coroutine[None, None, T]], database: Database, *, as_json: bool) -> T:
    try:
        return asyncio.run(work())
    except (SchemaVersionError, StoreUnavailableError, OSError) as error:
        fail(f"{database}: {error}; {STORE_REMEDY}", as_json=as_json)


def _print_steps(steps: list[Migration], nothing: str, *, as_json: bool) -> None:
    rows: list[dict[str, str | int | None]] = [
        {"version": step.version, "step": step.name} for step in steps
    ]
    print_rows(rows, as_json=as_json, empty=nothing)
