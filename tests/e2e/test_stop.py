"""SIGTERM with streams under way on two workers: they end, with a true error if need be."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Bridge, bridge_running
from tests.e2e.http_calls import call, prompt
from tests.e2e.streams import open_stream, read_rest, read_until

STREAMS = 12
"""Enough for each of two workers to get some."""
SHORT = "@chunks=20 @pace=0.05 Go on"
ENDLESS = "@chunks=5000 @pace=0.05 Go on"

pytestmark = pytest.mark.slow


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Bridge]:
    with bridge_running(tmp_path, "--workers", "2") as started:
        yield started


def set_server(bridge: Bridge, settings: str) -> None:
    """A reload is enough for these."""
    file = bridge.gateway.config
    assert file is not None
    file.write_text(f"[server]\n{settings}\n{file.read_text()}")
    assert bridge.gateway.run("reload")


def end(bridge: Bridge) -> None:
    process = bridge.gateway.process
    assert process is not None
    process.send_signal(signal.SIGTERM)


def test_streams_that_end_in_time_are_whole(two: Bridge):
    streams = [
        open_stream(two.gateway, prompt(SHORT, model, stream=True))
        for model in ("messages", "chat") * (STREAMS // 2)
    ]
    for stream in streams:
        read_until(stream, b"content_block_delta")
    end(two)
    for stream in streams:
        with stream:
            assert b"event: message_stop" in read_rest(stream)
    two.gateway.stop()
    audit = two.gateway.run("ledger", "audit")
    assert (audit["differences"], audit["open_holds"]) == ([], [])


def test_what_lasts_longer_ends_in_a_true_error_and_is_settled(two: Bridge):
    set_server(two, "drain_s = 0.2")
    gateway = two.gateway
    messages = [
        open_stream(gateway, prompt(ENDLESS, "messages", stream=True)) for _ in range(STREAMS)
    ]
    chats = [
        open_stream(gateway, prompt(ENDLESS, "chat", stream=True), "/chat/completions")
        for _ in range(STREAMS)
    ]
    for stream in messages:
        read_until(stream, b"content_block_delta")
    for stream in chats:
        read_until(stream, b'"content"')
    end(two)
    for stream in messages:
        with stream:
            last = read_rest(stream).split(b"event: error\ndata: ")[1].split(b"\n")[0]
            error = json.loads(last)
            assert (error["type"], error["code"]) == ("error", "GATEWAY_STOPPING")
    for stream in chats:
        with stream:
            rest = read_rest(stream)
            assert b'"code":"gateway_stopping"' in rest.replace(b'": "', b'":"')
            assert b"[DONE]" not in rest
    gateway.stop()
    audit = gateway.run("ledger", "audit")
    assert (audit["differences"], audit["open_holds"]) == ([], [])
    used = {row["model"]: row["output"] for row in gateway.run("usage")}
    assert used["messages"] >= STREAMS
    assert used["chat"] >= STREAMS


def test_a_request_whose_body_is_still_arriving_gets_a_true_status(two: Bridge):
    set_server(two, "drain_s = 0.2")
    with open_stream(two.gateway, prompt("Hello", "chat"), missing=100) as half:
        read_until(half, b"100 Continue\r\n\r\n")  # it is being waited for
        end(two)
        head, _, body = read_until(half, b"}").partition(b"\r\n\r\n")
    assert b" 503 " in head.split(b"\r\n")[0]
    assert b"connection: close" in head
    assert b"GATEWAY_STOPPING" in body
    two.gateway.stop()


def test_while_it_is_about_to_stop_it_says_so_and_serves(two: Bridge):
    set_server(two, "unready_s = 60\ndrain_s = 0.2")
    gateway = two.gateway
    url = f"{gateway.base_url}/v1/messages"
    end(two)
    while (ready := call(f"{gateway.root_url}/readyz", method="GET")).status == 200:
        continue
    assert ready.status == 503
    assert ready.headers["connection"] == "close"
    assert call(url, prompt("Hello", "chat"), key=gateway.key).status == 200
    gateway.kill()
