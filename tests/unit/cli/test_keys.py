import re

import pytest
from tests.unit.cli.conftest import Run, check_failure

from tollbridge.storage.database import DATABASE_NAME


def test_a_key_is_shown_once(run: Run, env: str, tmp_path):
    said = run("key", "create", "--name", "[red]laptop[/]", "--expires-in", "12h")
    assert said.status == 0
    key, sentence = said.out.splitlines()
    assert re.fullmatch(r"tb_[\w-]{43}", key)
    assert f"of environment {env}. It is not shown again." in sentence
    listed = run("key", "list")
    assert key not in listed.out
    assert key[-4:] in listed.out
    assert "[red]laptop[/]" in listed.out
    assert len(listed.out.splitlines()) == 2
    for path in (tmp_path / "data").iterdir():
        assert key.encode() not in path.read_bytes()
    assert (tmp_path / "data" / DATABASE_NAME).exists()


def test_as_json(run: Run, env: str):
    made = run("key", "create", "--json").json()
    assert made["environment"] == env
    assert made["expires"] is None
    (row,) = run("key", "list", "--env", env, "--json").json()
    assert row["key_id"] == made["key_id"]
    assert row["ends_in"] == made["key"][-4:]
    assert row["revoked"] is None


def test_revoke(run: Run, env: str):
    made = run("key", "create", "--json").json()
    said = run("key", "revoke", made["key_id"])
    assert said.out == f"Revoked {made['key_id']}.\n"
    assert run("key", "list", "--json").json()[0]["revoked"]
    assert run("key", "revoke", made["key_id"], "--json").json()["revoked"] is True


def test_revoke_does_not_repeat_a_key(run: Run, env: str):
    check_failure(run("key", "revoke", "key_0"), "'key_0'", "`tollbridge key list`")
    key = run("key", "create", "--json").json()["key"]
    said = run("key", "revoke", key)
    check_failure(said, "`tollbridge key list`")
    assert key not in said.err + said.out


def test_which_environment(run: Run, env: str):
    run("env", "create", "team-b")
    check_failure(run("key", "create"), "--env", "team-a, team-b")
    assert run("key", "create", "--env", "team-b").status == 0
    check_failure(run("key", "create", "--env", "no-such"), "no-such", "`tollbridge env list`")
    check_failure(run("key", "list", "--env", "no-such"), "no-such", "`tollbridge env list`")


@pytest.mark.parametrize(
    "lifetime", ["5", "0d", "12y", "-1h", "9999999999w", "1d2h", "\u0661h", ""]
)
def test_no_lifetime(run: Run, env: str, lifetime: str):
    said = run("key", "create", f"--expires-in={lifetime}")
    if not lifetime:
        assert said.status == 0
        return
    assert said.status == 2
    assert repr(lifetime) in said.err
    assert run("key", "list").out == "No key yet: `tollbridge key create`.\n"


def listed_key(run: Run) -> dict[str, object]:
    (row,) = run("key", "list", "--json").json()
    return row


def test_a_key_has_limits_and_a_budget(run: Run, env: str):
    options = ("--concurrency", "2", "--requests-per-minute", "3", "--budget", "500k")
    made = run("key", "create", *options, "--json").json()
    row = listed_key(run)
    assert (row["concurrency"], row["requests_per_minute"], row["tokens_per_minute"]) == (2, 3, 0)
    assert row["budget"] == 500_000 * 10**6
    said = run("key", "limit", made["key_id"], "--tokens-per-minute", "9", "--budget", "0")
    assert said.out.endswith("2 at once, 3 requests/min, 9 tokens/min; budget: none.\n")
    assert listed_key(run)["budget"] == 0
    again = run("key", "limit", made["key_id"], "--budget", "1.5", "--json").json()
    assert (again["budget"], again["concurrency"]) == (1_500_000, 2)
    assert "1.5" in run("key", "list").out


def test_limits_of_a_key_that_is_not_there(run: Run, env: str):
    check_failure(run("key", "limit", "key_nobody", "--concurrency", "1"), "key list")
    assert run("key", "create", "--budget", "lots").status == 2


def test_a_key_is_strict_until_it_is_said_otherwise(run: Run, env: str):
    made = run("key", "create", "--strict", "--json").json()
    assert listed_key(run)["strict"] is True
    assert run("key", "limit", made["key_id"], "--concurrency", "2").out.endswith("; strict.\n")
    assert run("key", "limit", made["key_id"], "--lenient", "--json").json()["strict"] is False
    assert listed_key(run)["strict"] is False
    assert "strict" not in run("key", "limit", made["key_id"], "--concurrency", "1").out
