"""The database is away while a stream ends: the stream goes on, new requests are refused, and the
settlement waits in the spool, even for another process."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Bridge, bridge_running
from tests.e2e.http_calls import call, prompt
from tests.e2e.test_kill import open_stream, read_until

from tollbridge.bootstrap import SPOOL_NAME
from tollbridge.storage.database import DATABASE_NAME
from tollbridge.units import MICRO

PATIENCE_S = 20

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def locked(bridge: Bridge) -> Iterator[None]:
    """Nobody else can write to the database."""
    with contextlib.closing(
        sqlite3.connect(bridge.gateway.data / DATABASE_NAME, timeout=5, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def spooled(bridge: Bridge) -> list[dict[str, object]]:
    folder = bridge.gateway.data / SPOOL_NAME
    return [
        json.loads(line)
        for path in folder.glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]


def wait_for(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.parametrize("killed", [False, True])
def test_a_settlement_waits_for_the_database(tmp_path: Path, killed: bool):
    body = prompt("@chunks=20 @pace=0.05 Go", "messages", stream=True)
    with bridge_running(tmp_path) as bridge:
        gateway = bridge.gateway
        stream = open_stream(gateway.base_url, gateway.key, json.dumps(body).encode())
        with contextlib.closing(stream):
            read_until(stream, b"text_delta")
            with locked(bridge):
                read_until(stream, b"message_stop")
                refused = call(
                    f"{gateway.base_url}/v1/messages", prompt("Hi", "messages"), key=gateway.key
                )
                assert refused.status == 503
                assert refused.json()["code"] == "LEDGER_UNAVAILABLE"
                wait_for(lambda: spooled(bridge), "nothing was spooled")
                if killed:
                    gateway.kill()
        if killed:
            gateway.start()
        wait_for(lambda: not spooled(bridge), "the spool is not emptied")
        (row,) = gateway.run("usage")
        audit = gateway.run("ledger", "audit")
        assert (audit["differences"], audit["open_holds"]) == ([], [])
        assert row["output"] == 20, "all of it, not the last checkpoint"
        assert row["charged"] == (row["input"] + 20) * MICRO
