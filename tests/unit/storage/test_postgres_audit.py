import asyncio

import pytest
from tests.contract.samples import ENV
from tests.fakes.postgres_server import PostgresServer, free_port
from tests.unit.storage.test_postgres import lived

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.ledger.audit import audit
from tollbridge.storage.postgres_audit import audit_rows


def test_the_auditor_reads_it_all(postgres: PostgresServer) -> None:
    dsn = postgres.create_ledger()
    asyncio.run(lived(dsn))
    with audit_rows(dsn) as rows:
        report = audit(rows)
    assert report.differences == []
    assert (report.transfers, report.packs, report.exchanges) == (4, 1, 1)
    assert (report.environments[ENV].spent, report.environments[ENV].held) == (30, 50)


def test_a_forged_balance_is_found(postgres: PostgresServer) -> None:
    dsn = postgres.create_ledger()
    asyncio.run(lived(dsn))
    forged = "UPDATE packs SET available = available + 1, granted = granted + 1"
    postgres.execute(forged, dsn.rpartition("/")[2])
    with audit_rows(dsn) as rows:
        assert audit(rows).differences != []


def test_a_database_that_is_away_is_told() -> None:
    dsn = f"postgresql://postgres@127.0.0.1:{free_port()}/none"
    with pytest.raises(StoreUnavailableError), audit_rows(dsn):
        pass
