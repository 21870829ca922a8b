"""The steps from one version of the schema to the next: numbered SQL files, applied in order.

`sql/migrations/ENGINE/NNNN_NAME.sql` are never changed once released; `sql/schema.ENGINE.sql` is
what they lead to, to be read whole. A change of the schema changes the one and adds to the others.
"""

import re
from importlib import resources
from typing import Literal, NamedTuple

Engine = Literal["sqlite", "postgres"]

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One step."""

    version: int
    """Of the schema afterwards."""
    name: str
    sql: str


class SchemaVersionError(Exception):
    """The database is of another version of Tollbridge, or is not one of its databases."""


class MoveRefusedError(Exception):
    """The ledger cannot be moved; the message says why, and the target is as it was."""


def migrations(engine: Engine) -> list[Migration]:
    """All steps, from an empty database on.

    Raises:
        ValueError: a file has another name, or a number is missing or given twice.
    """
    steps: list[Migration] = []
    folder = resources.files("tollbridge.storage").joinpath("sql", "migrations", engine)
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        match = _FILE.fullmatch(file.name)
        if match is None or int(match[1]) != len(steps) + 1:
            raise ValueError(f"{file.name}: expected {len(steps) + 1:04}_NAME.sql")
        steps.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return steps


def latest(engine: Engine) -> int:
    """The version that this program needs."""
    return migrations(engine)[-1].version


def pending(engine: Engine, version: int) -> list[Migration]:
    """The steps from `version` on.

    Raises:
        SchemaVersionError: the database is newer than this program.
    """
    steps = migrations(engine)
    if version > len(steps):
        raise SchemaVersionError(
            f"the database has schema version {version}, this program knows {len(steps)}:"
            " it needs a newer Tollbridge"
        )
    return steps[version:]


def require_current(engine: Engine, version: int) -> None:
    """Check that the program and the database fit.

    Raises:
        SchemaVersionError: they do not; the message names the remedy.
    """
    steps = pending(engine, version)
    if steps:
        raise SchemaVersionError(
            f"the database has schema version {version}, this program needs {steps[-1].version}:"
            " stop all gateways and run `tollbridge db migrate`"
        )
