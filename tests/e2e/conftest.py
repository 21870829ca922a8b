"""One gateway with the demo model, and one in front of four fake upstreams, for the session."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.gateway import ROOT, Gateway, running
from tests.fakes.chat_upstream import ChatUpstream
from tests.fakes.http_server import Answer, FakeUpstream, serving_in_thread
from tests.fakes.messages_upstream import MessagesUpstream

UPSTREAM_KEY = "fake-upstream-secret"
UPSTREAMS: dict[str, tuple[str, Answer]] = {
    "messages": ("messages", MessagesUpstream(api_key=UPSTREAM_KEY)),
    "messages-thinking": ("messages", MessagesUpstream(api_key=UPSTREAM_KEY, thinks_unasked=True)),
    "chat": ("chat", ChatUpstream(api_key=UPSTREAM_KEY)),
    "chat-thinking": ("chat", ChatUpstream(api_key=UPSTREAM_KEY, thinks_unasked=True)),
}
"""Model and upstream have the same name."""
DIALECTS = {"chat": "openai", "chat-thinking": "generic"}
SWITCHED_OFF = "switched-off"
"""A model that is deployed, and off in the first environment."""


@dataclass
class Bridge:
    """A gateway, and what stands behind it."""

    gateway: Gateway
    upstreams: dict[str, FakeUpstream]


def config_text(root_urls: dict[str, str]) -> str:
    """A `tollbridge.toml` with one model for each upstream, and one to be switched off."""
    parts = []
    for name, (protocol, _) in UPSTREAMS.items():
        base_url = root_urls[name] + ("/v1" if protocol == "chat" else "")
        dialect = DIALECTS.get(name, "anthropic")
        parts.append(
            f'[upstreams.{name}]\nbase_url = "{base_url}"\nprotocol = "{protocol}"\n'
            f'dialect = "{dialect}"\napi_key = "env:FAKE_KEY"\n'
            f'[models.{name}]\ntargets = [{{ upstream = "{name}" }}]\non_by_default = true\n'
        )
    parts.append(f'[models.{SWITCHED_OFF}]\ntargets = [{{ upstream = "chat" }}]\n')
    return "\n".join(parts)


@contextlib.contextmanager
def bridge_running(folder: Path, *options: str, storage: str = "") -> Iterator[Bridge]:
    """Fakes, a configuration that names them, and a gateway started with `options`. `storage` is
    the address of a database, if it is not to be the embedded one.
    """
    with contextlib.ExitStack() as stack:
        upstreams = {
            name: stack.enter_context(serving_in_thread(answer))
            for name, (_, answer) in UPSTREAMS.items()
        }
        config = folder / "tollbridge.toml"
        text = config_text({name: up.root_url for name, up in upstreams.items()})
        environ = {"FAKE_KEY": UPSTREAM_KEY}
        if storage:
            text = f'[storage]\nurl = "{storage}"\n{text}'
            environ["TOLLBRIDGE_CONFIG"] = str(config)
        config.write_text(text)
        gateway = Gateway(folder / "data", config, environ)
        stack.enter_context(running(gateway, *options))
        gateway.run("model", "off", SWITCHED_OFF, "--env", gateway.environment)
        yield Bridge(gateway, upstreams)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, where it is seen, what could not be installed and was left out."""
    for reason in sorted((ROOT / ".test-env" / "left-out").glob("*")):
        terminalreporter.section(f"LEFT OUT: {reason.name}", sep="!")
        terminalreporter.write_line(reason.read_text().strip())


@pytest.fixture(scope="session")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """Four models on four fakes; state that a test changes must be changed back."""
    with bridge_running(tmp_path_factory.mktemp("bridge")) as started:
        yield started


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway as the first `make serve` starts it: no file, the built-in model."""
    gateway = Gateway(tmp_path_factory.mktemp("demo") / "data")
    with running(gateway, "--demo-pace-ms", "0") as started:
        yield started
