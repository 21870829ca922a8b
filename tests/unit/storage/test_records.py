"""What the contract cannot see: the rows that records leave. The contract tests the rest."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.samples import ENV, correction, grant

from tollbridge.ledger.model import UNLIMITED
from tollbridge.storage import control, records
from tollbridge.storage.sqlite import connect
from tollbridge.storage.sqlite_session import SqliteSession
from tollbridge.units import Millis


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SqliteSession]:
    session = SqliteSession(connect(tmp_path / "ledger.db", "NORMAL"))
    control.create_environment(session, ENV, "Acme", Millis(0), UNLIMITED)
    control.grant(session, grant("p1", 100))
    yield session
    session.connection.close()


def test_a_correction_is_a_transfer_with_a_reason(session: SqliteSession) -> None:
    assert records.correct(session, correction("c1", "p1", -30, now=5))
    assert session.connection.execute("SELECT * FROM journal WHERE seq > 1").fetchall() == [
        (ENV, "c1", "take_back", 0, "p1", 2, 30, 0, 5)
    ]
    assert session.connection.execute("SELECT * FROM corrections").fetchall() == [
        (ENV, "c1", "p1", -30, "a promise", 5)
    ]


def test_a_price_version_keeps_its_first_text(session: SqliteSession) -> None:
    records.keep_prices(session, {"v1": "{}"}, Millis(3))
    records.keep_prices(session, {"v1": "[]"}, Millis(4))
    rows = session.connection.execute("SELECT * FROM price_versions").fetchall()
    assert rows == [("v1", "{}", 3)]
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        session.connection.execute("UPDATE price_versions SET book = ''")


def test_no_alert_waits_at_first(session: SqliteSession) -> None:
    assert not records.alerts_wait(session, Millis(10**15))
    assert records.take_alerts(session, Millis(10**15)) == []
