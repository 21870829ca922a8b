import sqlite3
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run, check_failure

from tollbridge.storage.database import DATABASE_NAME


def test_everything_adds_up(run: Run, env: str):
    run("pack", "grant", "5")
    said = run("ledger", "audit")
    assert said.status == 0
    assert said.out.splitlines() == [
        "Transfers: 1. Packs: 1. Exchanges: 0. Open holds: 0, of 0 credits.",
        "Everything adds up.",
    ]
    report = run("ledger", "audit", "--json").json()
    assert (report["transfers"], report["packs"], report["differences"]) == (1, 1, [])


def test_a_difference_fails(run: Run, env: str, tmp_path: Path):
    run("pack", "grant", "5")
    with sqlite3.connect(tmp_path / "data" / DATABASE_NAME) as connection:
        connection.execute("DROP TRIGGER IF EXISTS transfers_no_update")
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE transfers SET amount = amount + 1")
    connection.close()
    said = run("ledger", "audit")
    assert said.status == 1
    assert "DIFFERENCE" in said.out
    assert said.out.endswith("It does NOT add up.\n")
    assert run("ledger", "audit", "--json").status == 1


def test_without_a_database(run: Run):
    check_failure(run("ledger", "audit"), "no database in data", "--data")
    check_failure(run("usage"), "no database in data", "--data")
    assert not Path("data").exists()


def test_of_what_is_no_database(run: Run, tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DATABASE_NAME).write_text("This is no database, but long enough." * 9)
    for command in (("ledger", "audit"), ("usage",), ("env", "list")):
        check_failure(run(*command), "not a database", "see that it is whole")


def test_usage(run: Run, env: str):
    assert run("usage").out == "Nothing was used in this time.\n"
    assert run("usage", "--since", "5200w", "--json").json() == []
    check_failure(run("usage", "--env", "no-such"), "no-such", "`tollbridge env list`")


@pytest.mark.parametrize("since", ["5y", "0s", "99999999999w"])
def test_usage_since_when(run: Run, env: str, since: str):
    said = run("usage", "--since", since)
    assert said.status == 2
    assert repr(since) in said.err
