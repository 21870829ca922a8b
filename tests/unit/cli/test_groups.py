import sqlite3
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run, check_failure
from typer.testing import CliRunner

from tollbridge.bootstrap import SECRETS_KEY_NAME
from tollbridge.cli.main import app

SECRET = "sk-0123456789-abcdef-9876"
URL = "https://models.example.com/v1"


@pytest.fixture(autouse=True)
def _variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMI_KEY", SECRET)


def add(run: Run, *more: str):
    return run("group", "add", "kimi", "--base-url", URL, "--api-key-env", "KIMI_KEY", *more)


def test_a_secret_is_stored_encrypted_and_never_shown(run: Run, env: str, tmp_path: Path):
    said = add(run, "--model", "k3", "--model", "k2", "--output-limit", "8000")
    assert (
        said.out
        == f"Group 'kimi' of environment {env} is served at /v1/ai/kimi, with its API key.\n"
    )
    (row,) = run("group", "list", "--json").json()
    assert row["api_key"] == "...9876"
    assert (row["models"], row["output_limit"], row["base_url"]) == ("k2, k3", 8000, URL)
    assert SECRET not in run("group", "list").out
    for path in (tmp_path / "data").iterdir():
        assert SECRET.encode() not in path.read_bytes()
    assert (tmp_path / "data" / SECRETS_KEY_NAME).stat().st_mode & 0o777 == 0o600


def test_the_key_comes_from_a_pipe_too(run: Run, env: str):
    command = ["group", "add", "kimi", "--base-url", URL, "--json"]
    result = CliRunner().invoke(app, command, input=f"{SECRET}\n")
    assert result.exit_code == 0, result.stderr
    assert run("group", "list", "--json").json()[0]["api_key"] == "...9876"
    result = CliRunner().invoke(app, [*command, "--replace"], input="\n")
    assert result.exit_code == 0, result.stderr
    assert run("group", "list", "--json").json()[0]["api_key"] is None


def test_a_short_key_is_not_hinted_at(run: Run, env: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KIMI_KEY", "short")
    add(run)
    assert run("group", "list", "--json").json()[0]["api_key"] == "..."


def test_a_group_is_replaced_only_if_told(run: Run, env: str):
    add(run)
    check_failure(add(run, "--protocol", "messages"), "'kimi'", "--replace")
    assert add(run, "--protocol", "messages", "--replace").status == 0
    assert run("group", "list", "--json").json()[0]["protocol"] == "messages"


def test_models_are_set_and_shown(run: Run, env: str):
    add(run)
    assert run("group", "models", "kimi").out == "*\n"
    assert run("group", "models", "kimi", "k2", "k1", "k2").out == "k1\nk2\n"
    assert run("group", "models", "kimi", "--json").json()["models"] == ["k1", "k2"]
    assert run("group", "list", "--json").json()[0]["api_key"] == "...9876", "it is still there"
    check_failure(run("group", "models", "nobody"), "'nobody'", "`tollbridge group list`")


def test_remove(run: Run, env: str):
    add(run)
    assert run("group", "remove", "kimi").out == "Removed group 'kimi'.\n"
    assert run("group", "list").out == "No group yet: `tollbridge group add`.\n"
    check_failure(run("group", "remove", "kimi"), "'kimi'", "`tollbridge group list`")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cloudbase-mine", "--base-url", URL], "operator"),
        (["Kimi", "--base-url", URL], "lower-case"),
        (["kimi", "--base-url", "http://models.example.com"], "allow_http"),
        (["kimi", "--base-url", "https://10.0.0.1"], "allow_private"),
        (["kimi", "--base-url", "https://u:hidden@a.test"], "credentials"),
        (["kimi", "--base-url", URL, "--dialect", "klingon"], "dialect"),
        (["kimi", "--base-url", URL, "--model", ""], "not empty"),
    ],
)
def test_what_cannot_be_added(run: Run, env: str, arguments: list[str], words: str):
    said = run("group", "add", *arguments, "--api-key-env", "KIMI_KEY")
    assert said.status == 2
    assert words in said.err
    assert "hidden" not in said.err.split("credentials")[-1]
    assert run("group", "list", "--json").json() == []


def test_a_variable_that_is_not_set(run: Run, env: str):
    said = run("group", "add", "kimi", "--base-url", URL, "--api-key-env", "NO_SUCH")
    check_failure(said, "NO_SUCH", "not set")


def test_a_key_that_cannot_be_sent(run: Run, env: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KIMI_KEY", "sk-\u5de5")
    check_failure(add(run), "ASCII")


def test_the_operators_file_allows_more(run: Run, env: str, tmp_path: Path):
    (tmp_path / "tollbridge.toml").write_text("[groups]\nallow_http = true\nallow_private = true\n")
    said = run("group", "add", "gpu", "--base-url", "http://10.0.0.1", "--api-key-env", "KIMI_KEY")
    assert said.status == 0, said


def test_postgres_needs_a_key_that_every_replica_has(run: Run, tmp_path: Path):
    (tmp_path / "tollbridge.toml").write_text(
        '[storage]\nurl = "postgresql://nobody@localhost/x"\n'
    )
    check_failure(add(run), "server.secrets_key", "every replica")


def test_secrets_are_encrypted_anew(
    run: Run, env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "tollbridge.toml"
    monkeypatch.setenv("NEW", "new")
    monkeypatch.setenv("OLD", "old")
    add(run)
    seen = {stored(tmp_path)}
    file.write_text('[server]\nsecrets_key = "env:OLD"\n')
    assert run("group", "rekey").out == "Encrypted 1 API keys anew.\n", "the file still decrypts"
    seen.add(stored(tmp_path))
    (tmp_path / "data" / SECRETS_KEY_NAME).unlink()
    file.write_text('[server]\nsecrets_key = "env:NEW"\n')
    check_failure(run("group", "rekey"), "another secrets_key")
    file.write_text('[server]\nsecrets_key = "env:NEW"\nsecrets_keys_old = ["env:OLD"]\n')
    assert run("group", "rekey", "--json").json() == {"rekeyed": 1}
    assert run("group", "rekey", "--json").json() == {"rekeyed": 0}
    assert len({*seen, stored(tmp_path)}) == 3


def stored(tmp_path: Path) -> bytes:
    connection = sqlite3.connect(tmp_path / "data" / "tollbridge.sqlite3")
    ((secret,),) = connection.execute("SELECT secret FROM groups")
    connection.close()
    return bytes(secret)
