import re

import click
import pytest
import typer
from tests.unit.cli.conftest import Run

from tollbridge.cli import main as module
from tollbridge.cli.main import app


def commands(group: click.Command, *path: str) -> list[tuple[str, ...]]:
    if isinstance(group, click.Group) or hasattr(group, "commands"):
        return [path, *(p for n, c in group.commands.items() for p in commands(c, *path, n))]
    return [path]


COMMANDS = commands(typer.main.get_command(app))


def test_all_commands_are_there():
    assert {" ".join(path) for path in COMMANDS} >= {
        "serve", "env create", "env list", "key create", "key list", "key revoke", "model on",
        "model off", "model list", "pack grant", "pack list", "usage", "ledger audit",
        "config check", "doctor",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "tollbridge")
def test_every_command_and_option_is_explained(run: Run, path: tuple[str, ...]):
    said = run(*path, "--help")
    assert said.status == 0
    assert "Usage: " in said.out
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    assert command.help
    assert "Raises:" not in said.out
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(path)} {parameter.name}: no help"


@pytest.mark.parametrize("arguments", [["no-such"], ["env", "no-such"], ["usage", "--no-such"]])
def test_what_is_no_command_is_told(run: Run, arguments: list[str]):
    said = run(*arguments)
    assert said.status == 2
    assert re.search("No such (command|option)", said.err)


def test_without_a_command_the_help_is_shown(run: Run):
    said = run()
    assert "Usage: " in said.out + said.err
    assert "serve" in said.out + said.err


def test_main_is_the_console_script(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr("sys.argv", ["tollbridge", "--help"])
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 0
    assert "A self-hosted AI gateway" in capsys.readouterr().out
