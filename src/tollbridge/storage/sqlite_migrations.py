"""Brings a SQLite file to the schema of this program."""

import sqlite3
from collections.abc import Iterator

from tollbridge.storage.migrations import Migration, SchemaVersionError, pending, require_current


def version(connection: sqlite3.Connection) -> int:
    """Of the schema; 0: there is none yet.

    Raises:
        SchemaVersionError: the file is another program's.
    """
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if found == 0 and tables:
        raise SchemaVersionError("this is a database of another program")
    return found


def migrate(connection: sqlite3.Connection, *, only_empty: bool = False) -> list[Migration]:
    """Apply what is pending, all of it or nothing; returns what was applied.

    With `only_empty` a file that has a schema has to be current.

    Raises:
        SchemaVersionError: the file does not fit this program, or is another program's.
        sqlite3.Error: it cannot be changed.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        before = version(connection)
        if only_empty and before:
            require_current("sqlite", before)
        steps = pending("sqlite", before)
        for step in steps:
            for statement in statements(step.sql):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {step.version:d}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return steps


def statements(script: str) -> Iterator[str]:
    """Split at the semicolons that end a statement; `executescript` would commit on the way."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
