"""The named statements on a SQLite connection."""

import sqlite3
from collections.abc import Sequence

from tollbridge.storage.queries import parse_queries, read_sql
from tollbridge.storage.session import Row, Session, Value

QUERIES = parse_queries(read_sql("queries.sqlite.sql"))


class SqliteSession(Session):
    """Runs each statement at once, inside whatever transaction the connection is in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._version = 0

    def changed_elsewhere(self) -> bool:
        """Whether another connection may have written to the file since this was asked last."""
        before = self._version
        (self._version,) = self.connection.execute("PRAGMA data_version").fetchone()
        return self._version != before

    def rows(self, name: str, *parameters: Value) -> Sequence[Row]:
        """See `Session`."""
        return self.connection.execute(QUERIES[name], parameters).fetchall()

    def write(self, name: str, *rows: Row) -> None:
        """See `Session`."""
        self.connection.executemany(QUERIES[name], rows)
