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
