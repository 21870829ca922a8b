"""From the operator's file to what the workers read; the processes are in the end-to-end tests."""

import io
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tollbridge.bootstrap import Settings
from tollbridge.config import (
    AlertsConfig,
    Config,
    ConfigError,
    GroupsConfig,
    ServerConfig,
    StorageConfig,
    parse_config,
)
from tollbridge.rollout import AT_START, Rollout, merge
from tollbridge.server.pid_file import FOLDER, PidFile
from tollbridge.telemetry.logs import LogObserver
from tollbridge.units import Millis

TEXT = """
[server]
body_bytes_max = 1000
[upstreams.lab]
base_url = "http://127.0.0.1:9"
protocol = "chat"
api_key = "sk-secret"
dialect_overrides = { thinking = "none" }
[models.m]
targets = [{upstream = "lab"}]
"""
OLD = parse_config(TEXT, {})
NEW = parse_config(TEXT.replace("1000", "2000") + '[models.n]\ntargets = [{upstream = "demo"}]', {})
OTHER_PORT = parse_config(TEXT.replace("body_bytes_max = 1000", "port = 1\nworkers = 9"), {})

TAKEN_AT_ONCE = {
    "server.domain", "server.body_bytes_max", "server.requests_max", "server.queue_max",
    "server.queue_wait_s", "server.memory_mib_max", "server.unready_s", "server.drain_s",
}  # fmt: skip
"""Settings of the tables below that hold from the next request on."""


class Desk:
    """A rollout, the file that it reads, its log and its report."""

    def __init__(self, folder: Path) -> None:
        self.read: Config | Exception = NEW
        self.log = io.StringIO()
        self._folder = folder / FOLDER
        observer = LogObserver(self.log, lambda: Millis(0))
        self.rollout = Rollout(Settings(OLD, folder, 0), self._read, PidFile(folder), observer)

    def _read(self) -> Config:
        if isinstance(self.read, Exception):
            raise self.read
        return self.read

    def report(self) -> Any:
        (path,) = self._folder.iterdir()
        return json.loads(path.read_text())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.rollout.close()
    assert not list((tmp_path / FOLDER).iterdir())


def test_workers_read_what_was_checked(desk: Desk):
    assert desk.rollout.prepare()
    assert desk.rollout.newest() == desk.rollout.settings.config == NEW
    desk.read = OLD
    assert desk.rollout.prepare()
    assert desk.rollout.newest() == OLD
    desk.rollout.finish({11: "", 12: ""})
    assert desk.report() == {"number": 1, "workers": {"11": "", "12": ""}}
    assert json.loads(desk.log.getvalue())["ok"] is True


def test_a_bad_file_changes_nothing_and_is_told(desk: Desk):
    desk.read = ConfigError("server.port: must be at most 65535")
    assert not desk.rollout.prepare()
    assert desk.rollout.settings.config == OLD
    assert desk.report() == {"number": 1, "refused": "server.port: must be at most 65535"}
    assert json.loads(desk.log.getvalue()) == {
        "at": 0, "event": "reload", "ok": False, "error": "server.port: must be at most 65535",
        "needs_restart": None,
    }  # fmt: skip


def test_no_file_ends_a_gateway_that_serves(desk: Desk):
    desk.read = RecursionError("too deep")
    assert not desk.rollout.prepare()
    assert desk.report() == {"number": 1, "refused": "cannot be read: RecursionError"}
    assert desk.rollout.settings.config == OLD
    trouble, reload = (json.loads(line) for line in desk.log.getvalue().splitlines())
    assert (trouble["event"], trouble["error"]) == ("trouble", "RecursionError: too deep")
    assert (reload["event"], reload["ok"]) == ("reload", False)


def test_no_room_to_pass_the_file_on_changes_nothing(desk: Desk):
    assert desk.rollout.prepare()
    desk.read = OLD
    size = os.fstat(desk.rollout._channel.fileno()).st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))  # some of it still fits
    try:
        assert not desk.rollout.prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in json.loads(desk.log.getvalue().splitlines()[-1])["error"]
    assert desk.rollout.newest() == desk.rollout.settings.config == NEW
    assert desk.rollout.prepare()
    assert desk.rollout.newest() == OLD


def test_a_worker_that_is_told_first_keeps_what_it_has(desk: Desk):
    assert desk.rollout.newest() == OLD


def test_what_needs_a_restart_is_told_and_stays(desk: Desk):
    desk.read = OTHER_PORT
    assert desk.rollout.prepare()
    desk.rollout.finish({11: "is late"})
    assert desk.report()["needs_restart"] == ["server.port", "server.workers"]
    assert desk.rollout.newest().server.port == OLD.server.port
    assert json.loads(desk.log.getvalue())["error"] == "worker 11 is late"
    assert "sk-secret" not in desk.log.getvalue()


def test_a_worker_has_longer_than_its_exchanges_to_stop(desk: Desk):
    assert desk.rollout.kill_after_s() >= 25


def test_a_merge_of_equals():
    assert merge(OLD, OLD) == (OLD, [])


@pytest.mark.parametrize(
    ("table", "struct"),
    [
        ("server", ServerConfig),
        ("storage", StorageConfig),
        ("groups", GroupsConfig),
        ("alerts", AlertsConfig),
    ],
)
def test_each_setting_is_taken_at_once_or_needs_a_restart(table: str, struct: type):
    names = {f"{table}.{field.name}" for field in msgspec.structs.fields(struct)}
    assert names == {name for name in AT_START | TAKEN_AT_ONCE if name.startswith(f"{table}.")}
    assert not AT_START & TAKEN_AT_ONCE
