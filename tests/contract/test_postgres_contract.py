"""The PostgreSQL store keeps the contract."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.contract.store_contract import Check
from tests.contract.test_sqlite_contract import CHECKS
from tests.fakes.postgres_server import PostgresServer

from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.storage.postgres import PostgresStore
from tollbridge.storage.postgres_audit import audit_rows


class PostgresWorld:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def open(self) -> PostgresStore:
        return PostgresStore(self.dsn)

    def audit(self) -> AuditReport:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._audit).result()

    def _audit(self) -> AuditReport:
        with audit_rows(self.dsn) as rows:
            return audit(rows)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_postgres_keeps_the_contract(check: Check, postgres: PostgresServer) -> None:
    asyncio.run(check(PostgresWorld(postgres.create_ledger())))
