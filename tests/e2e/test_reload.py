"""A changed file takes effect in every worker, and no stream notices."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.conftest import Bridge, bridge_running
from tests.e2e.gateway import GatewayError
from tests.e2e.http_calls import Answer, call, prompt
from tests.e2e.streams import open_stream, read_rest, read_until

STREAMS = 12
"""Enough for each of two workers to get some."""
CHUNKS = 60
SLOW = f"@chunks={CHUNKS} @pace=0.05 Go on"

pytestmark = pytest.mark.slow


@pytest.fixture
def two(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bridge]:
    on_postgres = getattr(request, "param", "") == "postgres"
    storage = request.getfixturevalue("postgres").create_ledger() if on_postgres else ""
    with bridge_running(tmp_path, "--workers", "2", storage=storage) as started:
        yield started


def rewritten(bridge: Bridge, old: str, new: str) -> None:
    """The operator changes the file."""
    file = bridge.gateway.config
    assert file is not None
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def ask_many(bridge: Bridge, model: str) -> list[Answer]:
    url, key = f"{bridge.gateway.base_url}/v1/messages", bridge.gateway.key
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: call(url, prompt("Hi", model), key=key), range(STREAMS)))


def reloaded(bridge: Bridge) -> dict[str, str]:
    """What the workers of a good reload said, by process id."""
    (report,) = bridge.gateway.run("reload").values()
    assert set(report["workers"].values()) == {""}
    workers: dict[str, str] = report["workers"]
    return workers


@pytest.mark.parametrize("two", ["embedded", "postgres"], indirect=True)
def test_streams_go_on_while_the_file_is_exchanged(two: Bridge):
    gateway = two.gateway
    assert {answer.status for answer in ask_many(two, "chat")} == {200}
    streams = [
        open_stream(gateway, prompt(SLOW, model, stream=True))
        for model in ("messages", "chat") * (STREAMS // 2)
    ]
    for stream in streams:
        read_until(stream, b"content_block_delta")
    # The upstream of half the streams goes, a model is renamed, and a price changes.
    rewritten(two, "[models.chat]", "[models.renamed]")
    rewritten(two, "[upstreams.messages]", "[upstreams.moved]")
    priced = '[{ upstream = "moved" }]\nprice = { input = 3.0, output = 5.0 }'
    rewritten(two, '[{ upstream = "messages" }]', priced)
    assert len(reloaded(two)) == 2
    assert {answer.status for answer in ask_many(two, "chat")} == {404}
    moved = ask_many(two, "messages")
    assert {answer.headers["x-tollbridge-upstream"] for answer in moved} == {"moved"}
    gateway.run("model", "on", "renamed", "--env", gateway.environment)
    assert {answer.status for answer in ask_many(two, "renamed")} == {200}
    for stream in streams:
        with stream:
            rest = read_rest(stream)
            assert b"event: message_stop" in rest
            assert b"event: error" not in rest
    assert gateway.run("ledger", "audit")["differences"] == []
    used = {row["model"]: row["requests"] for row in gateway.run("usage")}
    half = STREAMS + STREAMS // 2
    assert used == {"chat": half, "messages": half, "renamed": STREAMS}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('protocol = "messages"', 'protocol = "gopher"', "upstreams"),
        ("[models.chat]", "[models.chat", "tollbridge.toml"),
        ('upstream = "chat"', 'upstream = "nobody"', "no upstream 'nobody'"),
    ],
)
def test_a_bad_file_is_refused_and_the_old_one_stays(two: Bridge, old: str, new: str, reason: str):
    rewritten(two, old, new)
    with pytest.raises(GatewayError, match="refused") as caught:
        two.gateway.run("reload")
    assert reason in str(caught.value)
    assert "config check" in str(caught.value)
    assert '"event":"reload","ok":false' in two.gateway.log_tail
    assert {answer.status for answer in ask_many(two, "chat")} == {200}


def test_what_needs_a_restart_is_told(two: Bridge):
    rewritten(two, "[upstreams.messages]", "[server]\nworkers = 7\n[upstreams.messages]")
    (report,) = two.gateway.run("reload").values()
    assert report["needs_restart"] == ["server.workers"]
    assert len(report["workers"]) == 2


def test_a_worker_that_is_started_again_has_the_new_file(two: Bridge):
    rewritten(two, "[models.chat]", "[models.renamed]")
    first = reloaded(two)
    for pid in first:
        os.kill(int(pid), signal.SIGKILL)
    # Requests wait in the queues of the sockets until new workers take them.
    assert {answer.status for answer in ask_many(two, "chat")} == {404}
    assert not set(first) & set(reloaded(two))


def test_a_hang_up_does_the_same(two: Bridge):
    rewritten(two, "[models.chat]", "[models.renamed]")
    assert two.gateway.process is not None
    two.gateway.process.send_signal(signal.SIGHUP)
    assert two.gateway.run("reload")
    assert {answer.status for answer in ask_many(two, "chat")} == {404}
    assert two.gateway.log_tail.count('"event":"reload","ok":true') >= 1
