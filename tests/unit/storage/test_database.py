import asyncio
import sys
from pathlib import Path

import pytest
from tests.fakes.postgres_server import PostgresServer

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.ledger.audit import audit
from tollbridge.storage.database import Database
from tollbridge.storage.migrations import SchemaVersionError, latest


def test_a_file_below_the_data_folder(tmp_path: Path) -> None:
    database = Database(tmp_path / "data")

    async def scenario() -> None:
        assert await database.version() == 0
        assert len(await database.migrate(dry_run=True)) == latest("sqlite")
        assert not database.data.exists()
        await database.prepare(create=True)
        await database.open().close("")
        assert await database.version() == latest("sqlite")
        assert await database.migrate() == []

    asyncio.run(scenario())
    with database.audit_rows() as rows:
        assert audit(rows).transfers == 0


def test_a_server(tmp_path: Path, postgres: PostgresServer) -> None:
    database = Database(tmp_path, postgres.create_database("deployment"))

    async def scenario() -> None:
        with pytest.raises(SchemaVersionError, match="db migrate"):
            await database.prepare(create=False)
        await database.prepare(create=True)
        await database.prepare(create=False)
        assert await database.version() == latest("postgres")
        await database.open().close("")

    asyncio.run(scenario())
    with database.audit_rows() as rows:
        assert audit(rows).transfers == 0


def test_its_name_hides_the_password() -> None:
    url = "postgresql://me:secret@a:5432,b:5433/ledger?sslmode=require&password=secret"
    database = Database(Path("data"), url)
    assert str(database) == repr(database) == "postgresql://a:5432,b:5433/ledger"


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("asyncpg", "tollbridge.storage.postgres")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StoreUnavailableError, match=r"tollbridge\[postgres\]"):
        Database(Path("data"), "postgresql://h/d").open()
