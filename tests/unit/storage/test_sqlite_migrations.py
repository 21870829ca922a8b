import sqlite3

import pytest

from tollbridge.storage import sqlite_migrations
from tollbridge.storage.migrations import Migration, SchemaVersionError, latest
from tollbridge.storage.sqlite_migrations import migrate, statements, version


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def test_an_empty_file_is_brought_to_the_latest_version(connection: sqlite3.Connection) -> None:
    assert version(connection) == 0
    assert [step.version for step in migrate(connection)] == [latest("sqlite")]
    assert version(connection) == latest("sqlite")
    assert migrate(connection) == []


def test_a_step_that_fails_leaves_everything_as_it_was(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [Migration(1, "good", "CREATE TABLE a (b);"), Migration(2, "bad", "CREATE TABLE a;")]
    monkeypatch.setattr(sqlite_migrations, "pending", lambda engine, version: broken)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection)
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    assert version(connection) == 0


def test_another_programs_file_is_left_alone(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE mine (a)")
    with pytest.raises(SchemaVersionError, match="another program"):
        migrate(connection)


def test_a_script_is_split_at_the_ends_of_statements() -> None:
    script = (
        "CREATE TABLE a (b); -- c;\nCREATE TRIGGER t BEFORE UPDATE ON a\nBEGIN SELECT 1; END;\n"
    )
    assert len(list(statements(script))) == 2
