"""Killed in the middle of fifty streams, the ledger loses nothing and invents nothing."""

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e.conftest import bridge_running
from tests.e2e.http_calls import call, prompt

from tollbridge.units import CHECKPOINT_MS, LEASE_MS

STREAMS = 50
MODELS = ("messages", "chat")
SWEEP_S = (LEASE_MS + CHECKPOINT_MS) / 1000
"""After this long a dead worker's holds have been recovered, give or take a tick."""
PATIENCE_S = SWEEP_S + 20

pytestmark = pytest.mark.slow


def open_stream(base_url: str, key: str, body: bytes) -> socket.socket:
    parts = urlsplit(base_url)
    assert parts.hostname is not None
    stream = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
    head = (
        f"POST {parts.path}/v1/messages HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    stream.sendall(head.encode() + body)
    return stream


def read_until(stream: socket.socket, mark: bytes) -> None:
    seen = b""
    while mark not in seen:
        data = stream.recv(65536)
        assert data, f"the stream ended before {mark!r}: {seen[-500:]!r}"
        seen += data


def test_kill_in_the_middle_of_streams(tmp_path: Path):
    slow = "@chunks=2000 @pace=0.05 Go on"
    bodies = [json.dumps(prompt(slow, model, stream=True)).encode() for model in MODELS]
    with bridge_running(tmp_path, "--workers", "2") as bridge:
        gateway = bridge.gateway
        hello = prompt("Hello", MODELS[0])
        done = call(f"{gateway.base_url}/v1/messages", hello, key=gateway.key)
        assert done.status == 200
        streams = [
            open_stream(gateway.base_url, gateway.key, bodies[index % len(bodies)])
            for index in range(STREAMS)
        ]
        for stream in streams:
            read_until(stream, b"content_block_delta")
        held = gateway.run("ledger", "audit")
        assert len(held["open_holds"]) == STREAMS
        gateway.kill()
        for stream in streams:
            stream.close()

        gateway.start("--workers", "2")
        deadline = time.monotonic() + PATIENCE_S
        while (audit := gateway.run("ledger", "audit"))["open_holds"]:
            assert time.monotonic() < deadline, f"holds are still open: {audit}"
            time.sleep(0.5)
        assert audit["differences"] == []
        again = call(f"{gateway.base_url}/v1/messages", hello, key=gateway.key)
        assert again.status == 200, again.body
