import contextlib
import sqlite3
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cli.conftest import Run, check_failure

from tollbridge.cli.context import CREDITS_MAX, DURATION_MAX_MS, parse_credits, parse_duration
from tollbridge.storage import sqlite as store_module
from tollbridge.storage.database import DATABASE_NAME
from tollbridge.units import MICRO


@pytest.mark.parametrize(
    ("text", "duration"),
    [("90s", 90_000), ("15m", 900_000), ("12h", 43_200_000), ("30d", 2_592_000_000),
     ("4w", 2_419_200_000), ("001s", 1000), ("36500d", DURATION_MAX_MS)],
)  # fmt: skip
def test_durations(text: str, duration: int):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1), ("1000000", 10**6), ("1_000_000", 10**6), ("1,000,000", 10**6), ("2.5", 2.5),
     ("0.000001", 0.000001), ("500k", 500_000), ("1.5k", 1500), ("100M", 10**8), ("1G", 10**9),
     ("2.000001M", 2_000_001), ("1000G", CREDITS_MAX)],
)  # fmt: skip
def test_credits(text: str, amount: float):
    assert parse_credits(text) == round(amount * MICRO)


@given(st.text(max_size=8) | st.from_regex(r"[0-9_,.]{1,30}[kMGsmhdw]?", fullmatch=True))
def test_whatever_is_written_is_an_amount_or_told(text: str):
    for parse, most in ((parse_duration, DURATION_MAX_MS), (parse_credits, CREDITS_MAX * MICRO)):
        with contextlib.suppress(typer.BadParameter):
            assert 0 < parse(text) <= most


COMMANDS = [
    ("env", "list"), ("key", "list"), ("key", "create"), ("key", "revoke", "key_1"),
    ("model", "list"), ("model", "on", "demo"), ("model", "off", "demo"), ("pack", "list"),
    ("pack", "grant", "5"), ("usage",), ("ledger", "audit"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_makes_a_folder_of_a_typing_error(run: Run, command: tuple[str, ...]):
    check_failure(run(*command, "--data", "dta"), "no database in dta", "--data")
    said = run(*command, "--data", "dta", "--json")
    assert said.status == 1
    assert "no database" in said.json()["error"]
    assert not Path("dta").exists()


@pytest.mark.parametrize(
    "command", [*COMMANDS, ("env", "create", "x"), ("serve", "--port", "0")], ids=" ".join
)
def test_a_folder_that_is_a_file(run: Run, command: tuple[str, ...]):
    Path("file").write_text("x")
    check_failure(run(*command, "--data", "file"), "file", "--data")
    check_failure(run(*command, "--data", "file/below"), "file/below", "--data")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != ("ledger", "audit")], ids=" ".join)
def test_a_database_of_another_version(run: Run, env: str, command: tuple[str, ...]):
    with sqlite3.connect(Path("data") / DATABASE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    check_failure(run(*command), "version 99", "--data")


def test_a_database_of_another_program(run: Run):
    Path("data").mkdir()
    with sqlite3.connect(Path("data") / DATABASE_NAME) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    check_failure(run("env", "list"), "another program", "--data")


def test_a_database_that_is_locked(run: Run, env: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "OPEN_WAIT_S", 0.01)
    connection = sqlite3.connect(Path("data") / DATABASE_NAME, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    check_failure(run("key", "create"), "locked", "try again")
    connection.close()
    assert run("key", "create").status == 0


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"models = 5", "models"),
        (b"nonsense = 1", "nonsense"),
        (b"\xff", "UTF-8"),
        (b"[", "operator.toml"),
    ],
)
def test_a_bad_operators_file(run: Run, env: str, text: bytes, word: str):
    Path("operator.toml").write_bytes(text)
    for command in (("model", "list"), ("env", "create", "x"), ("doctor",), ("serve",)):
        said = run(*command, "--config", "operator.toml")
        check_failure(said, "operator.toml: ", word, "tollbridge config check")
        assert said.err.count("operator.toml") <= 2


def test_an_operators_file_that_is_not_there(run: Run):
    check_failure(run("doctor", "--config", "none.toml"), "none.toml: cannot be read: No such file")
    Path("folder").mkdir()
    check_failure(run("doctor", "--config", "folder"), "folder: cannot be read")
