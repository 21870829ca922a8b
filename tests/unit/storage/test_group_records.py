"""What `tests/contract/groups_contract.py` does not see: the rows themselves."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.contract.samples import ENV, group

from tollbridge.storage import group_records
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.storage.sqlite_session import SqliteSession
from tollbridge.units import Millis


async def filled(path: Path) -> None:
    store = SqliteStore(path)
    await store.create_environment(ENV, "", Millis(0))
    await store.put_group(group("kimi", models=("a", "b"), secret=b"sealed"))
    await store.put_group(group("any"))
    await store.close("nobody")


def test_the_models_of_a_group_go_with_it(tmp_path: Path):
    asyncio.run(filled(tmp_path / "a.db"))
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    session = SqliteSession(connection)
    assert group_records.remove(session, ENV, "kimi")
    rows = connection.execute("SELECT * FROM group_models").fetchall()
    assert rows == [(ENV, "any", "*")]
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE groups SET name = 'cloudbase-mine'",
        "UPDATE groups SET name = ''",
        "UPDATE groups SET protocol = 'smtp'",
        "UPDATE groups SET output_limit = 0",
        "UPDATE groups SET hint = 'five!'",
        "INSERT INTO group_models VALUES ('acme', 'nothing', 'm')",
        "INSERT INTO group_models VALUES ('acme', 'any', '')",
    ],
)
def test_the_database_refuses_what_cannot_be(statement: str, tmp_path: Path):
    asyncio.run(filled(tmp_path / "a.db"))
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.close()
