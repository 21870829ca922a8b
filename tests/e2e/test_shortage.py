"""Too many requests, too few descriptors, no room on the disk: refused clearly, and over when it is
over."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Bridge, bridge_running
from tests.e2e.http_calls import Answer, call, prompt
from tests.e2e.streams import open_stream, read_rest, read_until

PLACES = 4
LINE = 3
SLOW = "@chunks=60 @pace=0.05 Go on"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(resource, "prlimit"),
        reason="limits of another process can be set on Linux only",
    ),
]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Bridge]:
    with bridge_running(tmp_path) as started:
        yield started


def ask(bridge: Bridge, path: str = "/v1/messages") -> Answer:
    return call(f"{bridge.gateway.base_url}{path}", prompt("Hi", "chat"), key=bridge.gateway.key)


def worker(bridge: Bridge) -> int:
    (report,) = bridge.gateway.run("reload").values()
    (pid,) = report["workers"]
    return int(pid)


def set_server(bridge: Bridge, settings: str) -> None:
    file = bridge.gateway.config
    assert file is not None
    file.write_text(f"[server]\n{settings}\n{file.read_text()}")
    assert bridge.gateway.run("reload")


def test_at_twice_the_capacity_the_surplus_is_refused_and_the_rest_is_served(one: Bridge):
    set_server(one, f"requests_max = {PLACES}\nqueue_max = {LINE}\nqueue_wait_s = 60")
    served = []
    for _ in range(PLACES):
        served.append(open_stream(one.gateway, prompt(SLOW, "chat", stream=True)))
        read_until(served[-1], b"content_block_delta")
    waiting = [open_stream(one.gateway, prompt("Hi", "chat", stream=True)) for _ in range(LINE)]
    refused = [ask(one) for _ in range(2 * PLACES)]
    assert [answer.status for answer in refused] == [529] * len(refused)
    assert {answer.json()["code"] for answer in refused} == {"GATEWAY_OVERLOADED"}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert ask(one, "/chat/completions").status == 503
    assert call(f"{one.gateway.root_url}/readyz", method="GET").status == 200
    for stream in served + waiting:
        with stream:
            assert b"event: message_stop" in read_rest(stream)
    assert ask(one).status == 200
    audit = one.gateway.run("ledger", "audit")
    assert (audit["differences"], audit["open_holds"]) == ([], [])


def test_without_descriptors_it_lives_on(one: Bridge):
    pid = worker(one)
    assert ask(one).status == 200
    open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # Two for a connection of a client and one to an upstream; the next ones find none.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now + 2, hard))
    streams = []
    for _ in range(20):
        stream = open_stream(one.gateway, prompt(SLOW, "chat", stream=True))
        streams.append(stream)
    told = []
    for stream in streams:
        try:
            told.append(stream.recv(65536))
        except ConnectionError:
            told.append(b"")
        stream.close()
    assert sum(answer == b"" for answer in told) > 0, "there were descriptors for all"
    assert all(b" 200 " in answer or b" 502 " in answer for answer in told if answer)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert ask(one).status == 200
    assert worker(one) == pid, "it is the same process"
    assert one.gateway.run("ledger", "audit")["differences"] == []


def test_a_full_disk_refuses_requests_and_is_over_when_there_is_room(one: Bridge):
    pid = worker(one)
    assert ask(one).status == 200
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    refused = [ask(one) for _ in range(5)]
    assert [answer.status for answer in refused] == [503] * 5
    assert {answer.json()["code"] for answer in refused} == {"LEDGER_UNAVAILABLE"}
    assert call(f"{one.gateway.root_url}/healthz", method="GET").status == 200
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    assert ask(one).status == 200
    assert worker(one) == pid
    audit = one.gateway.run("ledger", "audit")
    assert (audit["differences"], audit["open_holds"]) == ([], [])
