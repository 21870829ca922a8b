"""The commands, as a person or a script runs them, on a data folder of their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from tollbridge.cli import deployment
from tollbridge.cli.main import app
from tollbridge.upstream.probe import Discovery

CONFIG = """\
[models.demo]
targets = [{upstream = "demo", model = "demo"}]
on_by_default = true

[models."vendor/chat"]
targets = [{upstream = "demo", model = "demo"}]
"""


class Said(NamedTuple):
    """What a command answered."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document that it printed."""
        (line,) = self.out.splitlines()
        return json.loads(line)


Run = Callable[..., Said]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file, no keys and no servers of the machine that runs the tests."""

    async def nothing(*_: object) -> Discovery:
        return Discovery({}, {})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(deployment, "discover", nothing)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("TOLLBRIDGE_DATA", "TOLLBRIDGE_CONFIG", "FORCE_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An operator's file with two models."""
    path = tmp_path / "operator.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def run() -> Run:
    """Runs a command. A traceback is never an answer."""

    def run(*arguments: str | Path) -> Said:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def env(run: Run, config: Path) -> str:
    """One environment in the default data folder."""
    assert run("env", "create", "team-a", "--config", config).status == 0
    return "team-a"


def check_failure(said: Said, *words: str) -> None:
    """It failed, says so on standard error in one line, and what to do next."""
    assert said.status == 1, said
    (line,) = said.err.splitlines()
    assert line.startswith("tollbridge: ")
    for word in words:
        assert word in line, (word, line)
