"""What is measured: nothing in between, this gateway, and (`proxies`) what else there is."""

import contextlib
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.gateway import processes
from bench.gateway.processes import SERVED, first_line, process, tree
from bench.gateway.replies import PROTOCOLS, Protocol

CREDITS = 1_000_000_000_000
"""More than any run can spend."""
QUIET_S = 0.3
"""From listening to the first measurement: some listen before their workers are there."""
PACK_TRANSFERS = 2
"""On the ledger before the first request: the trial's pack, and this run's."""

CONNECTIONS_MAX = 16_384

Pair = tuple[Protocol, Protocol]
"""What the client speaks, and what the upstream speaks."""
PASSED: tuple[Pair, ...] = (("messages", "messages"), ("chat", "chat"))
MESSAGES_ON_CHAT: Pair = ("messages", "chat")
CHAT_ON_MESSAGES: Pair = ("chat", "messages")
TRANSLATED = (MESSAGES_ON_CHAT, CHAT_ON_MESSAGES)


class NotInstalledError(Exception):
    """A target is not here; the message says why, or what installs it."""


@dataclass(frozen=True)
class Running:
    """A target that listens, and the process tree whose CPU and memory are counted."""

    root_url: str
    key: str = "none"
    pid: int = 0
    """0: there is nothing in between."""
    start_s: float = 0.0
    """From the command to the first connection that is taken."""
    share: float = 1.0
    """Of a load's streams: less for what cannot carry them all."""
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By model: what else a request says to one that is told its upstream in each."""
    audited: list[int] = field(default_factory=list)
    """Transfers of a ledger that was audited when the load had ended."""

    def pids(self) -> list[int]:
        """The whole tree as it is now."""
        return tree(self.pid) if self.pid else []

    def cpu_s(self, pids: list[int] | None = None) -> float:
        """CPU seconds of the tree so far."""
        return processes.cpu_s(self.pids() if pids is None else pids)

    def memory_kb(self) -> int:
        """Of the tree, in units of 1,024 bytes."""
        return processes.pss_kb(self.pids())


Start = Callable[[str, Path], AbstractContextManager[Running]]
"""Given the upstream's address and an empty folder."""


@dataclass(frozen=True)
class Target:
    """Something to put between the client and the upstream."""

    name: str
    pairs: tuple[Pair, ...]
    start: Start
    version: Callable[[], str]
    """Raises `NotInstalledError`."""
    loads: tuple[str, ...] = ()
    """Those that it is put through; empty: all."""


def output_of(command: Sequence[str]) -> str:
    """What a command prints."""
    done = subprocess.run(command, capture_output=True, check=True, cwd=processes.ROOT)
    return (done.stdout + done.stderr).decode().strip()


@contextlib.contextmanager
def direct(upstream: str, _folder: Path) -> Iterator[Running]:
    """Nothing in between."""
    yield Running(upstream)


@contextlib.contextmanager
def tollbridge(upstream: str, folder: Path, *, accounting: bool = True) -> Iterator[Running]:
    """This gateway with one worker; models are named as the protocol of their upstream.

    The first start makes an environment without limits. Without accounting it is the same program
    with a store that keeps nothing.
    """
    config, data, log = folder / "tollbridge.toml", str(folder / "data"), folder / "tollbridge.log"
    config.write_text(
        "".join(
            f'[upstreams.{name}]\nprotocol = "{name}"\n'
            f'base_url = "{upstream}{"/v1" if name == "chat" else ""}"\n'
            f"connections_max = {CONNECTIONS_MAX}\n"
            f'[models.{name}]\ntargets = [{{ upstream = "{name}" }}]\non_by_default = true\n'
            for name in PROTOCOLS
        )
    )
    program = [sys.executable, "-m", "tollbridge"]
    server = program if accounting else [sys.executable, "-m", "bench.gateway.unaccounted"]
    command = [*server, "serve", "--config", str(config), "--data", data, "--port", "0", "--json"]
    began = time.monotonic()
    with process(command, log=log) as started:
        said = first_line(started, log)
        start_s = time.monotonic() - began
        grant = ["pack", "grant", str(CREDITS), "--env", said["environment"]]
        output_of([*program, *grant, "--data", data, "--json"])
        audited: list[int] = []
        yield Running(said["root_url"], said["key"], started.pid, start_s, audited=audited)
        audit = json.loads(output_of([*program, "ledger", "audit", "--data", data, "--json"]))
        transfers: int = audit["transfers"]
        if audit["differences"]:
            raise RuntimeError(f"the ledger audit after the load: {audit['differences']}")
        if accounting != (transfers > PACK_TRANSFERS):
            raise RuntimeError(f"accounting is {accounting}, but there are {transfers} transfers")
        audited.append(transfers)


def _own_version() -> str:
    commit = "an unknown commit"
    with contextlib.suppress(subprocess.CalledProcessError, OSError):
        commit = output_of(["git", "describe", "--always", "--dirty"])
    compiled = "compiled" if any(Path(SERVED).glob("*__mypyc*")) else "plain Python"
    return f"{importlib.metadata.version('tollbridge')} at {commit}, {compiled}"


@contextlib.contextmanager
def started(target: Target, upstream: str, folder: Path) -> Iterator[Running]:
    """A fresh process in a folder of its own."""
    own = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=folder))
    with target.start(upstream, own) as running:
        time.sleep(QUIET_S)
        yield running


OWN = (
    Target("direct", PASSED, direct, lambda: "nothing in between"),
    Target("tollbridge", PASSED + TRANSLATED, tollbridge, _own_version),
    Target("tollbridge-unaccounted", PASSED, partial(tollbridge, accounting=False), _own_version),
)
