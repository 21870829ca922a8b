"""What the contract cannot see: which rows a change leaves. The contract tests the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.samples import ENV, grant, key

from tollbridge.app.ports import UnknownEnvironmentError
from tollbridge.ledger.model import UNLIMITED
from tollbridge.storage import control
from tollbridge.storage.sqlite import connect
from tollbridge.storage.sqlite_session import SqliteSession
from tollbridge.units import EnvId, KeyId, Millis


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SqliteSession]:
    session = SqliteSession(connect(tmp_path / "ledger.db", "NORMAL"))
    control.create_environment(session, ENV, "Acme", Millis(0), UNLIMITED)
    yield session
    session.connection.close()


def test_a_revoked_key_stays(session: SqliteSession) -> None:
    info, key_hash = key(1)
    control.add_key(session, info, key_hash)
    assert control.revoke_key(session, info.key_id, Millis(5))
    found = control.find_key(session, key_hash)
    assert found is not None
    assert found.revoked_at == 5
    assert session.connection.execute("SELECT key_hash FROM keys").fetchall() == [(key_hash,)]


def test_every_change_raises_the_generation(session: SqliteSession) -> None:
    seen = [control.generation(session, ENV)]
    info, key_hash = key(1)
    for change in (
        lambda: control.add_key(session, info, key_hash),
        lambda: control.switch(session, ENV, ["a"], on=True),
        lambda: control.switch(session, ENV, ["a"], on=False),
        lambda: control.revoke_key(session, info.key_id, Millis(5)),
        lambda: control.revoke_key(session, KeyId("none"), Millis(5)),
    ):
        change()
        seen.append(control.generation(session, ENV))
    assert seen == [1, 2, 3, 4, 5, 5]


def test_a_grant_is_in_the_journal(session: SqliteSession) -> None:
    assert control.grant(session, grant("p1", 100, now=3))
    assert session.connection.execute("SELECT * FROM journal").fetchall() == [
        (ENV, "p1", "grant", 0, "p1", 1, 100, 0, 3)
    ]


def test_an_environment_is_required(session: SqliteSession) -> None:
    control.require_environment(session, ENV)
    with pytest.raises(UnknownEnvironmentError):
        control.require_environment(session, EnvId("none"))
