import re
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run, check_failure


def test_create_says_what_comes_next(run: Run):
    said = run("env", "create", "team-a", "--name", "Team A")
    assert said.status == 0
    assert said.out == (
        "Created environment team-a. It needs a key and credits:\n"
        "  tollbridge key create --env team-a\n"
        "  tollbridge pack grant 1M --env team-a\n"
    )
    listed = run("env", "list")
    assert re.search(r"environment +name +created", listed.out)
    assert re.search(r"team-a +Team A +20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ", listed.out)


def test_create_switches_on_what_is_on_by_default(run: Run, config: Path):
    said = run("env", "create", "--config", config, "--json")
    made = said.json()
    assert re.fullmatch(r"env-[a-z2-7]{8}", made["environment"])
    assert made["models_on"] == ["demo"]
    models = run("model", "list", "--config", config, "--json").json()
    assert {row["model"]: row["switch"] for row in models} == {"demo": "on", "vendor/chat": "off"}
    (row,) = run("env", "list", "--json").json()
    assert row["environment"] == made["environment"]


@pytest.mark.parametrize("name", ["Upper", "a_b", "-a", "a" * 64, "a.b", "api", "cloudbase", "ü"])
def test_names_that_cannot_be_in_a_host(run: Run, name: str):
    check_failure(run("env", "create", "--", name), repr(name))
    assert not Path("data").exists()


def test_twice_is_once(run: Run, env: str):
    check_failure(run("env", "create", env), "exists already", "choose another name")
    assert len(run("env", "list", "--json").json()) == 1


def limits_of(run: Run, env: str) -> tuple[int, int, int]:
    (row,) = [row for row in run("env", "list", "--json").json() if row["environment"] == env]
    return row["concurrency"], row["requests_per_minute"], row["tokens_per_minute"]


def test_a_new_environment_has_five_slots(run: Run, env: str):
    assert limits_of(run, env) == (5, 0, 0)
    assert "5 at once" in run("env", "list").out


def test_limits_can_be_given_at_once(run: Run):
    options = ("--concurrency", "0", "--requests-per-minute", "60", "--tokens-per-minute", "9000")
    made = run("env", "create", "team-b", *options, "--json").json()
    assert (made["concurrency"], made["requests_per_minute"]) == (0, 60)
    assert limits_of(run, "team-b") == (0, 60, 9_000)


def test_limits_are_changed_one_by_one(run: Run, env: str):
    said = run("env", "limit", env, "--requests-per-minute", "60")
    assert said.out == "Limits of team-a: 5 at once, 60 requests/min.\n"
    assert run("env", "limit", env, "--concurrency", "0").status == 0
    assert limits_of(run, env) == (0, 60, 0)
    none = run("env", "limit", env, "--requests-per-minute", "0")
    assert none.out == "Limits of team-a: none.\n"


def test_limits_are_refused_where_they_make_no_sense(run: Run, env: str):
    check_failure(run("env", "limit", "nobody", "--concurrency", "1"), "nobody", "env list")
    assert run("env", "limit", env, "--concurrency", "-1").status == 2
