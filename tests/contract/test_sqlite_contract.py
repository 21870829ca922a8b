"""The SQLite store keeps the contract, on a file and in memory."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from tests.contract.groups_contract import CHECKS as GROUPS_CHECKS
from tests.contract.limits_contract import CHECKS as LIMITS_CHECKS
from tests.contract.records_contract import CHECKS as RECORDS_CHECKS
from tests.contract.store_contract import CHECKS as STORE_CHECKS
from tests.contract.store_contract import Check

from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.storage.sqlite_files import connect_to


class SqliteWorld:
    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> SqliteStore:
        return SqliteStore(self.path)

    def audit(self) -> AuditReport:
        with audit_rows(self.path) as rows:
            return audit(rows)


CHECKS = [*STORE_CHECKS, *LIMITS_CHECKS, *RECORDS_CHECKS, *GROUPS_CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_sqlite_keeps_the_contract(check: Check, tmp_path: Path) -> None:
    asyncio.run(check(SqliteWorld(tmp_path / "ledger.db")))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_sqlite_in_memory_keeps_the_contract(check: Check, memory: Path) -> None:
    with contextlib.closing(connect_to(memory, wait_s=1)):  # it outlives the stores
        asyncio.run(check(SqliteWorld(memory)))
