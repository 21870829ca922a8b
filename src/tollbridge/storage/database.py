"""The database of a deployment: the embedded file, or a PostgreSQL that the operator's file names.

PostgreSQL's driver is an extra, so nothing of it is imported before an address asks for it.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tollbridge.app.ports import Store, StoreUnavailableError
from tollbridge.ledger.audit import AuditRows
from tollbridge.storage import sqlite
from tollbridge.storage.migrations import Migration, require_current
from tollbridge.units import ALERT_LEVELS_DEFAULT

DATABASE_NAME = "tollbridge.sqlite3"


@dataclass(frozen=True, repr=False)
class Database:
    """Where it is. An empty `url` means the file below `data`."""

    data: Path
    url: str = ""

    @property
    def path(self) -> Path:
        """Of the embedded file."""
        return self.data / DATABASE_NAME

    def __str__(self) -> str:
        """As it may be shown: without its password."""
        if not self.url:
            return str(self.path)
        parts = urlsplit(self.url)
        hosts = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, hosts, parts.path, "", ""))

    __repr__ = __str__

    def open(self, alert_levels: Sequence[int] = ALERT_LEVELS_DEFAULT) -> Store:
        """A store on it. A file is made if it is not there; nothing is connected yet.

        Raises:
            SchemaVersionError, StoreUnavailableError: of a file.
        """
        if not self.url:
            self.data.mkdir(parents=True, exist_ok=True)
            return sqlite.SqliteStore(self.path, alert_levels=alert_levels)
        with _driver():
            from tollbridge.storage.postgres import PostgresStore  # noqa: PLC0415  an extra
        return PostgresStore(self.url, alert_levels=alert_levels)

    async def prepare(self, *, create: bool) -> None:
        """Check that it has the schema of this program; `create` gives it to an empty one.

        Raises:
            SchemaVersionError: it is of another version, or another program's.
            StoreUnavailableError: it cannot be reached.
        """
        if not self.url:
            return  # a file is checked when it is opened
        if create:
            await self.migrate(only_empty=True)
        require_current("postgres", await self.version())

    async def version(self) -> int:
        """Of the schema; 0: there is none yet.

        Raises:
            SchemaVersionError: it is another program's.
            StoreUnavailableError: it cannot be reached.
        """
        if not self.url:
            return sqlite.version_of(self.path) if self.path.exists() else 0
        with _driver():
            from tollbridge.storage import postgres_migrations  # noqa: PLC0415  an extra
        return await postgres_migrations.version_of(self.url)

    async def migrate(self, *, dry_run: bool = False, only_empty: bool = False) -> list[Migration]:
        """Bring it to the schema of this program; returns what was (or would be) applied.

        Raises:
            SchemaVersionError: it is newer than this program, or another program's.
            StoreUnavailableError: it cannot be reached or changed.
        """
        if not self.url:
            if not dry_run:
                self.data.mkdir(parents=True, exist_ok=True)
            return sqlite.migrate_file(self.path, dry_run=dry_run)
        with _driver():
            from tollbridge.storage import postgres_migrations  # noqa: PLC0415  an extra
        return await postgres_migrations.migrate(self.url, dry_run=dry_run, only_empty=only_empty)

    def audit_rows(self) -> contextlib.AbstractContextManager[AuditRows]:
        """What the auditor reads, of one moment; the gateway may be running.

        Blocks; call it where no event loop is running.
        """
        if not self.url:
            return sqlite.audit_rows(self.path)
        with _driver():
            from tollbridge.storage.postgres_audit import audit_rows  # noqa: PLC0415  an extra
        return audit_rows(self.url)


@contextlib.contextmanager
def _driver() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise StoreUnavailableError(
            "PostgreSQL needs its driver; install it with `pip install 'tollbridge[postgres]'`"
        ) from error
