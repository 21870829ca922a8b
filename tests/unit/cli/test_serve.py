import json
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Run, check_failure

from tollbridge.cli import serve as module
from tollbridge.cli.banner import Opening
from tollbridge.cli.context import with_store
from tollbridge.cli.deployment import found
from tollbridge.cli.serve import TRIAL_CREDITS, _authority, _bindable, _open
from tollbridge.config import Config, ServerConfig


def opened(what: Config) -> Opening:
    return with_store(Path("data"), lambda store: _open(store, what, "http://x"), create=True)


def test_the_first_start_makes_what_a_first_request_needs(run: Run):
    opening = opened(found())
    assert opening.key is not None
    assert opening.models == opening.demo_models == ["hy3-preview", "demo"]
    assert opening.available == TRIAL_CREDITS
    assert opening.base_url == "http://x/v1/ai/cloudbase"
    (pack,) = run("pack", "list", "--json").json()
    assert (pack["pack"], pack["granted"]) == ("trial", TRIAL_CREDITS)
    assert len(run("key", "list", "--json").json()) == 1


def test_a_later_start_makes_nothing(run: Run):
    first = opened(found())
    run("model", "off", "demo")
    later = opened(Config(server=ServerConfig(domain="x.test"), models=found().models))
    assert later.key is None
    assert later.environment == first.environment
    assert later.models == ["hy3-preview"]
    assert (later.environments, later.domain) == (1, "x.test")
    run("env", "create", "another")
    assert opened(found()).environments == 2
    assert len(run("key", "list", "--json").json()) == 1


FAILING = 7
"""So many workers cannot start."""


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the server was started with; it serves nothing."""
    seen: dict[str, Any] = {}

    def supervise(work: object, **options: Any) -> int:
        seen.update(options)
        return 1 if options["workers"] == FAILING else 0

    monkeypatch.setattr(module, "supervise", supervise)
    return seen


def test_serve_takes_the_files_settings_and_the_options_before_them(
    run: Run, listened: dict[str, Any], config: Path
):
    port = _bindable("127.0.0.1", 0)
    config.write_text(f"[server]\nport = {port}\nworkers = 2\n" + config.read_text())
    assert run("serve", "--config", config).status == 0
    assert (listened["host"], listened["port"], listened["workers"]) == ("127.0.0.1", port, 2)
    assert run("serve", "--config", config, "--port", "0", "--workers", "3").status == 0
    assert listened["workers"] == 3
    assert listened["port"] != 0


def test_a_worker_that_could_not_start_is_told_by_the_status(run: Run, listened: dict[str, Any]):
    assert run("serve", "--port", "0", "--workers", str(FAILING)).status == 1
    assert listened["workers"] == FAILING


def test_the_announcement_for_scripts(capsys: pytest.CaptureFixture[str]):
    opening = opened(found())
    module._announce(opening, as_json=True)
    assert json.loads(capsys.readouterr().out)["key"] == opening.key


def test_a_port_that_is_taken(run: Run, listened: dict[str, Any]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = run("serve", "--port", str(port))
    check_failure(said, f"port {port} on 127.0.0.1 is taken", "--port")
    assert not listened
    assert not Path("data").exists()


def test_a_host_that_is_none(run: Run, listened: dict[str, Any]):
    for host in ("300.1.1.1", "192.0.2.1"):
        check_failure(run("serve", "--port", "0", "--host", host), host, "--host")
    assert not listened


@pytest.mark.parametrize(
    "options", [("--port", "65536"), ("--port", "-1"), ("--workers", "0"), ("--demo-pace-ms", "-1")]
)
def test_options_out_of_range(run: Run, listened: dict[str, Any], options: tuple[str, ...]):
    said = run("serve", *options)
    assert said.status == 2
    assert options[0] in said.err
    assert not listened


def test_a_port_of_the_file_out_of_range(run: Run, listened: dict[str, Any], config: Path):
    config.write_text("[server]\nport = 70000\n" + config.read_text())
    check_failure(
        run("serve", "--config", config), "server.port: must be at most 65535", "config check"
    )


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("gate", "gate"),
    ],
)
def test_how_a_client_writes_the_host(host: str, authority: str):
    assert _authority(host) == authority
