"""The storm: clients that hang up, upstreams that fail, packs that run out, processes that are
killed; then the ledger must be exact to the token.

`--storm-seconds 60` makes it longer. The gateways are the real command on real sockets.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import UPSTREAM_KEY, UPSTREAMS, config_text
from tests.e2e.gateway import Gateway
from tests.fakes.http_server import serving_in_thread
from tests.fakes.postgres_server import (
    FAST,
    NoServerError,
    PostgresServer,
    free_port,
    postgres_running,
)
from tests.storm.clients import CHUNKS, PACE_S, Notes, Target, client

from tollbridge.units import CHECKPOINT_MS, LEASE_MS

CLIENTS = 200
KILL_EVERY_S = 5.0
GRANT = "12k"
"""Less than the clients want between two kills: packs run out, and are granted anew."""
TICK_MS = 1_000
RECOVERED_AFTER_S = LEASE_MS / 1000 + 40

pytestmark = pytest.mark.slow


class Deployment:
    """Gateways on one database, and how to hurt them."""

    def __init__(self, gateways: list[Gateway], options: tuple[str, ...]) -> None:
        self.gateways = gateways
        self.ports = [free_port() for _ in gateways]
        self.targets: list[Target] = []
        self.grants = 0
        self._options = options

    def start(self) -> None:
        for gateway, port in zip(self.gateways, self.ports, strict=True):
            gateway.start("--port", str(port), *self._options)
        for name in ("storm-a", "storm-b"):
            self.run("env", "create", name, "--concurrency", "0")
            self.run("model", "on", "messages", "chat", "--env", name)
            key = self.run("key", "create", "--env", name)["key"]
            self.targets += [Target(port, name, key) for port in self.ports]
        self.grant()

    def run(self, *arguments: str) -> Any:
        return self.gateways[0].run(*arguments)

    def grant(self) -> None:
        self.grants += 1
        for name in ("storm-a", "storm-b"):
            self.run("pack", "grant", GRANT, "--id", f"pack-{self.grants}", "--env", name)

    def stop(self) -> None:
        for gateway in self.gateways:
            if gateway.process is not None:
                gateway.kill()


async def storm(deployment: Deployment, seconds: float, strikes: list[Callable[[], None]]) -> Notes:
    """Let the clients run; strike every `KILL_EVERY_S`, each time with the next of `strikes`."""
    notes, stop = Notes(), asyncio.Event()
    clients = [
        asyncio.ensure_future(client(number, deployment.targets, notes, stop))
        for number in range(CLIENTS)
    ]
    end = time.monotonic() + seconds
    turn = 0
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, KILL_EVERY_S * 0.8))
        await asyncio.to_thread(strikes[turn % len(strikes)])
        turn += 1
        await asyncio.to_thread(deployment.grant)
    stop.set()
    await asyncio.gather(*clients)
    return notes


def settled(deployment: Deployment) -> dict[str, Any]:
    """The audit, once everything that was left behind is recovered."""
    deadline = time.monotonic() + RECOVERED_AFTER_S
    while (audit := deployment.run("ledger", "audit"))["open_holds"]:
        assert time.monotonic() < deadline, f"holds are still open: {audit['open_holds'][:5]}"
        time.sleep(0.5)
    return audit


def check(audit: dict[str, Any], notes: Notes, records: dict[str, tuple[str, int, int]]) -> None:
    """`records` are provenance, output and charge of each exchange by request id."""
    said = f"{dict(notes.seen)}, {len(records)} records"
    print(said)
    assert audit["differences"] == []
    for totals in audit["environments"].values():
        assert min(totals.values()) >= 0
    assert notes.seen["finished"] > CLIENTS / 2, said
    assert notes.seen["status 429"] > 0, f"no pack ran out: {said}"
    # What was delivered between the last checkpoint and the kill is the only output that is lost.
    bound = round((CHECKPOINT_MS + TICK_MS) / 1000 / PACE_S) + 1
    lost_most = 0
    for request_id, output in notes.finished.items():
        assert request_id in records, f"{request_id} was finished and never charged"
        provenance, recorded, charge = records[request_id]
        assert provenance in {"reported", "recovered"}, (request_id, provenance)
        if provenance == "reported":
            assert (recorded, charge > 0) == (output, True)
        else:
            lost_most = max(lost_most, output - recorded)
    assert lost_most <= min(bound, CHUNKS + 1), lost_most


@contextlib.contextmanager
def upstreams_running(folder: Path, storage_url: str) -> Iterator[Path]:
    """Fake upstreams, and the operator's file that names them."""
    with contextlib.ExitStack() as stack:
        urls = {
            name: stack.enter_context(serving_in_thread(answer, record=False)).root_url
            for name, (_, answer) in UPSTREAMS.items()
        }
        config = folder / "tollbridge.toml"
        storage = f'[storage]\nurl = "{storage_url}"\n' if storage_url else ""
        config.write_text(storage + config_text(urls))
        yield config


def environ(config: Path) -> dict[str, str]:
    return {"FAKE_KEY": UPSTREAM_KEY, "TOLLBRIDGE_CONFIG": str(config)}


def test_storm_on_sqlite(tmp_path: Path, storm_seconds: float) -> None:
    with upstreams_running(tmp_path, "") as config:
        gateway = Gateway(tmp_path / "data", config, environ(config))
        deployment = Deployment([gateway], ("--workers", "4"))
        dice = random.Random(4)

        def kill_worker() -> None:
            assert gateway.process is not None
            pid = gateway.process.pid
            workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.kill(int(dice.choice(workers)), signal.SIGKILL)

        def kill_all() -> None:
            gateway.kill()
            gateway.start("--port", str(deployment.ports[0]), "--workers", "4")

        try:
            deployment.start()
            notes = asyncio.run(storm(deployment, storm_seconds, [kill_worker, kill_all]))
            audit = settled(deployment)
        finally:
            deployment.stop()
        with sqlite3.connect(tmp_path / "data" / "tollbridge.sqlite3") as file:
            rows = file.execute("SELECT request_id, provenance, output, amount FROM usage_records")
            records = {row[0]: row[1:] for row in rows}
        file.close()
    check(audit, notes, records)


def test_storm_on_postgres(tmp_path: Path, storm_seconds: float) -> None:
    try:
        with postgres_running(*FAST) as server:
            _storm_on_postgres(tmp_path, storm_seconds, server)
    except NoServerError as error:
        pytest.skip(f"PostgreSQL is left out: {error}")


def _storm_on_postgres(tmp_path: Path, seconds: float, server: PostgresServer) -> None:
    url = server.create_database("storm")
    with upstreams_running(tmp_path, url) as config:
        gateways = [Gateway(tmp_path / f"data-{n}", config, environ(config)) for n in range(3)]
        deployment = Deployment(gateways, ())

        def kill_gateway(number: int) -> None:
            gateways[number].kill()
            gateways[number].start("--port", str(deployment.ports[number]))

        def kill_server() -> None:
            server.kill()
            server.start()

        strikes = [
            lambda: kill_gateway(1), kill_server, lambda: kill_gateway(2), kill_server,
            lambda: kill_gateway(0),
        ]  # fmt: skip
        # Two deaths of the server, however long it takes.
        rest = [lambda n=n: kill_gateway(n % 3) for n in range(1_000)]
        try:
            deployment.start()
            notes = asyncio.run(storm(deployment, seconds, strikes + rest))
            audit = settled(deployment)
        finally:
            deployment.stop()
        listed = server.execute(
            "SELECT request_id, provenance, output, amount FROM usage_records", "storm"
        )
    fields = [line.split("|") for line in listed.splitlines()]
    records = {row[0]: (row[1], int(row[2]), int(row[3])) for row in fields}
    check(audit, notes, records)
