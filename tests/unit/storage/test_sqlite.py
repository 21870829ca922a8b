import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contract.samples import ENV, admission, grant, need, settlement

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import Hold
from tollbridge.storage.migrations import SchemaVersionError
from tollbridge.storage.sqlite import SqliteStore, audit_rows, connect
from tollbridge.units import Millis


async def lived(path: Path) -> None:
    """One hold, posted and recorded."""
    store = SqliteStore(path)
    await store.create_environment(ENV, "Acme", Millis(0))
    await store.grant(grant("p1", 100))
    await store.admit(admission("r1", need()))
    await store.settle(settlement("r1", 30))
    await store.admit(admission("r2", need()))
    await store.close("worker-1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "UPDATE usage_records SET amount = 0",
        "DELETE FROM usage_records",
        "UPDATE packs SET available = available + 1",
        "UPDATE packs SET available = available + held + 1, held = -1",
        "UPDATE packs SET spent = NULL",
        "UPDATE packs SET spent = 'much'",
        "UPDATE environments SET generation = 0",
        "DELETE FROM environments",
        "INSERT INTO packs SELECT 'none', pack_id, granted, available, held, spent, expired, 0, NULL, '[]', 1 FROM packs",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, 'p1', 99, 0, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, 'p1', 99, 1, 1, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, NULL, 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'hold', 1, 'p1', 0, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'gift', 1, 'p1', 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'void', 0, 'p1', 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'p1', 'grant', 0, 'p1', 99, 1, 0, 0)",
        "INSERT INTO transfers VALUES ('acme', 'r9', 'post', 1, 'p1', 98, 1, 0, 0), ('acme', 'r9', 'void', 1, 'p1', 99, 1, 0, 0)",
        "INSERT INTO usage_records SELECT * FROM usage_records",
        "UPDATE packs SET seq = 0",
        "UPDATE holds SET seq = 0",
        "INSERT INTO holds SELECT env_id, 'r1', leg, pack_id, amount, seq, key_id, model, worker_id, started_at, client_protocol, stream, price_version, 0, 0, '', '', 0, 0, 0, 0, 0, 0 FROM holds",
        "UPDATE holds SET amount = 0",
        "UPDATE holds SET charge = -1",
        "INSERT INTO keys VALUES (x'00', 'k', 'acme', '', '', 0, NULL, NULL, 0, 0, 0, 0)",
        "UPDATE environments SET concurrency = -1",
        "INSERT INTO budgets VALUES ('acme', 'k', 0, 0, 0)",
        "INSERT INTO budgets VALUES ('acme', 'k', 1, 0, -1)",
        "INSERT INTO windows VALUES ('acme', 'k', 1, -1, 0)",
        "INSERT INTO corrections VALUES ('acme', 'c', 'p1', 0, 'why', 0)",
        "INSERT INTO corrections VALUES ('acme', 'c', 'p1', 1, '', 0)",
        "INSERT INTO corrections VALUES ('acme', 'c', 'p9', 1, 'why', 0)",
        "INSERT INTO price_versions VALUES ('v1', NULL, 0)",
        "INSERT INTO alerts VALUES ('acme', 'p1', 0, 0, 1, 1, 0, 0)",
    ],
)
def test_the_database_refuses_what_the_rules_forbid(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    asyncio.run(lived(path))
    connection = connect(path, "NORMAL")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connect(path, "NORMAL").close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaVersionError, match="version 99"):
        SqliteStore(path)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with pytest.raises(SchemaVersionError, match="another program"):
        SqliteStore(path)


def test_what_is_no_database_is_away(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database at all" * 100)
    with pytest.raises(StoreUnavailableError):
        SqliteStore(path)
    with pytest.raises(StoreUnavailableError):
        SqliteStore(tmp_path / "no" / "folder.db")
    with pytest.raises(StoreUnavailableError), audit_rows(tmp_path / "missing.db"):
        pass


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ThreadPoolExecutor(8) as threads:
        for connection in threads.map(lambda _: connect_elsewhere(path), range(8)):
            assert connection == 1


def connect_elsewhere(path: Path) -> int:
    connection = connect(path, "NORMAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return version


def test_full_durability_can_be_had(tmp_path: Path) -> None:
    for synchronous, level in (("NORMAL", 1), ("FULL", 2)):
        connection = connect(tmp_path / "ledger.db", synchronous)
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (0,)
        connection.close()


def test_an_audit_sees_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    asyncio.run(lived(path))
    with audit_rows(path) as rows:
        first = list(rows.packs)
        asyncio.run(grant_more(path))
        assert len(list(rows.journal)) == len(list(rows.by_request)) == 4
        assert [pack.pack_id for pack in first] == ["p1"]


async def grant_more(path: Path) -> None:
    store = SqliteStore(path)
    await store.grant(grant("p2", 100))
    await store.close("worker-2")


def test_pages_are_small_and_the_log_is_left_to_the_thread(tmp_path: Path) -> None:
    connection = connect(tmp_path / "ledger.db", "NORMAL")
    assert connection.execute("PRAGMA page_size").fetchone() == (2048,)
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    connection.close()


class FailingDisk(sqlite3.Connection):
    """Its next commit fails, after it was applied or instead, and so do `failures` after it."""

    applies = True
    failures = 0

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        if sql != "COMMIT" or not self.failures:
            return super().execute(sql, *parameters)
        self.failures -= 1
        if self.applies:
            super().execute(sql)
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("applies", [True, False])
@pytest.mark.parametrize("failures", [1, 3])
def test_a_commit_that_failed_leaves_no_hold_behind(
    failures: int, applies: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = []

    def connect_badly(path: Path, **options: object) -> sqlite3.Connection:
        disks.append(FailingDisk(path, **options))
        return disks[-1]

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", connect_badly)
            store = SqliteStore(tmp_path / "ledger.db")
        disk = disks[0]  # the log's checkpointer connects too
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 100))
        disk.applies, disk.failures = applies, failures
        with pytest.raises(StoreUnavailableError):
            await store.admit(admission("r1", need()))
        while disk.failures:
            with pytest.raises(StoreUnavailableError):
                await store.checkpoint("worker-1", (), Millis(0))
        await store.checkpoint("worker-1", (), Millis(0))
        assert [(p.available, p.held) for p in await store.packs(ENV)] == [(100, 0)]
        assert isinstance(await store.admit(admission("r2", need())), Hold)
        await store.settle(settlement("r2", 30))
        await store.close("worker-1")

    asyncio.run(scenario())
    with audit_rows(tmp_path / "ledger.db") as rows:
        report = audit(rows)
    assert (report.differences, report.open_holds) == ([], [])
    assert report.exchanges == 1 + applies, "what was undone is recorded as void"
