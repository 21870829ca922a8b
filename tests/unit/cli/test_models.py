import re
from pathlib import Path

from tests.unit.cli.conftest import Run, check_failure


def test_on_off_list(run: Run, env: str, config: Path):
    said = run("model", "on", "vendor/chat", "demo", "--config", config)
    assert said.out == (f"Switched on in {env}: vendor/chat.\nWas on already in {env}: demo.\n")
    listed = run("model", "list", "--config", config)
    assert re.search(r"model +switch +upstreams +window +output limit", listed.out)
    assert re.search(r"vendor/chat +on +demo +256000 +32000", listed.out)
    said = run("model", "off", "demo")
    assert said.out == f"Switched off in {env}: demo.\n"
    rows = run("model", "list", "--config", config, "--json").json()
    assert [(row["model"], row["switch"]) for row in rows] == [
        ("demo", "off"),
        ("vendor/chat", "on"),
    ]


def test_a_typing_error_is_not_taken_for_a_switch(run: Run, env: str, config: Path):
    said = run("model", "on", "demo", "chatt", "--config", config)
    check_failure(said, "'chatt'", "demo, vendor/chat")
    said = run("model", "off", "demo", "chatt")
    assert said.out == f"Switched off in {env}: demo.\nWas off already in {env}: chatt.\n"
    told = run("model", "off", "demo", "--json").json()
    assert told == {"environment": env, "models": ["demo"], "switch": "off", "already": ["demo"]}


def test_without_a_file_there_is_the_demo_model(run: Run, env: str):
    rows = run("model", "list", "--json").json()
    assert [row["model"] for row in rows] == ["hy3-preview", "demo"]
    assert run("model", "on", "hy3-preview").status == 0


def test_without_an_environment(run: Run, config: Path):
    check_failure(run("model", "list", "--config", config), "no database", "--data")


def test_of_an_environment_that_is_not_there(run: Run, env: str, config: Path):
    for command in (("list",), ("on", "demo")):
        said = run("model", *command, "--config", config, "--env", "no-such")
        check_failure(said, "no-such", "`tollbridge env list`")
