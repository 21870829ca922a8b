import sqlite3

import pytest
from tests.fakes.postgres_server import PostgresServer

from tollbridge.storage.migrations import (
    SchemaVersionError,
    latest,
    migrations,
    pending,
    require_current,
)
from tollbridge.storage.queries import read_sql
from tollbridge.storage.sqlite_migrations import migrate

PG_SCHEMA = """
SELECT table_name, column_name, data_type, is_nullable, column_default, generation_expression
  FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2;
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;
SELECT relname, reloptions, relacl FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1;
"""


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_steps_are_numbered_from_one(engine: str) -> None:
    steps = migrations(engine)
    assert [step.version for step in steps] == list(range(1, latest(engine) + 1))
    assert steps[0].name == "initial"


def test_what_is_pending() -> None:
    assert pending("sqlite", 0) == migrations("sqlite")
    assert pending("sqlite", latest("sqlite")) == []
    with pytest.raises(SchemaVersionError, match="newer Tollbridge"):
        pending("sqlite", 99)
    with pytest.raises(SchemaVersionError, match="db migrate"):
        require_current("postgres", 0)
    require_current("postgres", latest("postgres"))


def test_on_sqlite_schema_equals_migrations() -> None:
    whole, steps = (sqlite3.connect(":memory:", isolation_level=None) for _ in range(2))
    whole.executescript(read_sql("schema.sqlite.sql"))
    migrate(steps)
    listing = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    assert steps.execute(listing).fetchall() == whole.execute(listing).fetchall()
    for connection in (whole, steps):
        connection.close()


def test_on_postgres_schema_equals_migrations(postgres: PostgresServer) -> None:
    migrated = postgres.create_ledger().rpartition("/")[2]
    postgres.create_database("whole")
    postgres.execute(read_sql("schema.postgres.sql"), "whole")
    assert postgres.execute(PG_SCHEMA, migrated) == postgres.execute(PG_SCHEMA, "whole")
