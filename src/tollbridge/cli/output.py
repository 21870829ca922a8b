"""How commands answer: a table for people, JSON for scripts."""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import msgspec
import typer

from tollbridge.units import MICRO

Cell = str | int | None
_AMOUNT = re.compile(r"[0-9,]+(\.[0-9]+)?")

PIPE_COLUMNS = 1000


def print_json(value: object) -> None:
    """One JSON document on one line."""
    print(msgspec.json.encode(value).decode(), flush=True)


def print_rows(rows: Sequence[Mapping[str, Cell]], *, as_json: bool, empty: str) -> None:
    """Rows of equal members. `empty` is said to a person when there are none."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        print(empty)
        return
    # Rich takes a while to import; commands that print no table do without.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(_AMOUNT.fullmatch(str(row[name])) for row in rows)
        table.add_column(
            name.replace("_", " "), justify="right" if numeric else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row.values()))
    # In a pipe every row is one line; brackets in a name are no markup.
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)


def say(text: str, value: object, *, as_json: bool) -> None:
    """A sentence for a person, or the value for a script."""
    if as_json:
        print_json(value)
    else:
        print(text)


def fail(message: str, *, as_json: bool = False) -> NoReturn:
    """End the command with exit code 1 and a reason on standard error."""
    if as_json:
        print_json({"error": message})
    print(f"tollbridge: {message}", file=sys.stderr)
    raise typer.Exit(1)


def credits_text(amount: int) -> str:
    """Micro-credits as credits, exact, without trailing zeros."""
    whole, micro = divmod(amount, MICRO)
    return f"{whole:,}" + (f".{micro:06d}".rstrip("0") if micro else "")


def time_text(at: int | None) -> str | None:
    """Milliseconds since the epoch as a UTC time to the second."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
