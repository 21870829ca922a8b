import json
from pathlib import Path

import pytest
from tests.fakes.postgres_server import PostgresServer
from typer.testing import CliRunner

from tollbridge.cli.main import app
from tollbridge.storage.migrations import latest

RUNNER = CliRunner()


def run(*arguments: str, status: int = 0) -> str:
    done = RUNNER.invoke(app, [*arguments])
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "data")


def test_a_file_is_migrated(data: str) -> None:
    assert "initial" in run("db", "status", "--data", data, status=1)
    assert "initial" in run("db", "migrate", "--dry-run", "--data", data)
    assert not Path(data).exists()
    assert "initial" in run("db", "migrate", "--data", data)
    assert f"version {latest('sqlite')}" in run("db", "status", "--data", data)
    assert run("db", "migrate", "--data", data, "--json") == "[]\n"


def test_a_ledger_is_moved_and_used(data: str, postgres: PostgresServer) -> None:
    run("db", "migrate", "--data", data)
    run("env", "create", "acme", "--data", data)
    run("pack", "grant", "500", "--env", "acme", "--id", "p1", "--data", data)
    url = postgres.create_database("moved")
    moved = json.loads(run("db", "move", "--to", url, "--data", data, "--json"))
    assert moved == {"transfers": 1, "packs": 1, "exchanges": 0, "available": 500_000_000}
    assert "not empty" in run("db", "move", "--to", url, "--data", data, status=1)
    Path("tollbridge.toml").write_text(f'[storage]\nurl = "{url}"\n')
    run("pack", "grant", "70", "--env", "acme", "--id", "p2", "--data", data)
    packs = json.loads(run("pack", "list", "--data", data, "--json"))
    assert [pack["pack"] for pack in packs] == ["p1", "p2"]
    assert json.loads(run("ledger", "audit", "--data", data, "--json"))["transfers"] == 2
    assert f"version {latest('postgres')}" in run("db", "status", "--data", data)


def test_a_server_that_is_away_is_told(data: str) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/none"
    Path("tollbridge.toml").write_text(f'[storage]\nurl = "{url}"\n')
    for command in ("status", "migrate"):
        said = run("db", command, "--data", data, status=1)
        assert "127.0.0.1:1/none" in said
        assert "secret" not in said
