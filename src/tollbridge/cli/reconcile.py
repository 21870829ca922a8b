"""`tollbridge ledger reconcile`: what upstreams billed, beside what was recorded."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer
from msgspec.structs import asdict

from tollbridge.cli.context import DEFAULT_DATA, Data, Json, with_store
from tollbridge.cli.output import Cell, fail, print_json, print_rows
from tollbridge.ledger.reconcile import Billed, Counts, Recorded, reconcile
from tollbridge.units import Millis

COLUMNS = ("date", "model", *(f"{name}_tokens" for name in Counts._fields))


class BillError(Exception):
    """The file is no bill; the message names the line and the remedy."""


def run_reconcile(
    path: Path = typer.Argument(metavar="FILE.csv", help=f"With columns {', '.join(COLUMNS)}."),
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Compare what upstreams billed, by model and day, with the usage records.

    The models are named as upstreams name them. Exits with 1 if there is a difference.
    """
    try:
        bills = read_bill(path)
    except (BillError, OSError, UnicodeDecodeError, csv.Error) as error:
        fail(f"{path}: {error}", as_json=as_json)
    days = [bill.day for bill in bills]
    since, until = _midnight(min(days)), _midnight(max(days), days_later=1)
    rows = with_store(data, lambda store: store.upstream_usage(since, until), as_json=as_json)
    findings = reconcile(
        bills,
        (
            Recorded(
                row.day,
                row.upstream_model,
                row.provenance,
                row.requests,
                Counts(row.input, row.cache_read, row.cache_write, row.output),
            )
            for row in rows
        ),
    )
    if as_json:
        print_json(
            [
                {
                    **asdict(finding),
                    "counts": finding.counts._asdict(),
                    "difference": finding.difference._asdict(),
                }
                for finding in findings
            ]
        )
    else:
        table: list[dict[str, Cell]] = [
            {
                "day": finding.day,
                "model": finding.model,
                "cause": finding.cause.value,
                "requests": finding.requests,
                **finding.counts._asdict(),
                "billed less recorded": " ".join(f"{count:+}" for count in finding.difference),
            }
            for finding in findings
        ]
        print_rows(table, as_json=False, empty="Everything agrees.")
    if findings:
        raise typer.Exit(1)


def read_bill(path: Path) -> list[Billed]:
    """The lines of a CSV file; columns that are not asked for are ignored.

    Raises:
        BillError: it has no such columns or no lines, or a day or a number is none.
        OSError: it cannot be read.
    """
    bills = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise BillError(f"there is no column {missing[0]}; wanted are {', '.join(COLUMNS)}")
        for row in reader:
            try:
                day = datetime.strptime(row["date"], "%Y-%m-%d").date().isoformat()
                counts = Counts(*(int(row[name] or 0) for name in COLUMNS[2:]))
            except (TypeError, ValueError) as error:
                raise BillError(f"line {reader.line_num}: {error}") from error
            bills.append(Billed(day, row["model"], counts))
    if not bills:
        raise BillError("there is no line in it")
    return bills


def _midnight(day: str, *, days_later: int = 0) -> Millis:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=days_later)
    return Millis(int(start.timestamp()) * 1000)
