"""Too many requests, too little memory, too few descriptors, no room on the disk: refused clearly,
and over when it is over."""

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Bridge, bridge_running
from tests.e2e.http_calls import Answer, call, prompt
from tests.e2e.streams import open_stream, read_rest, read_until
from tests.e2e.test_reload import rewritten

PLACES = 4
LINE = 3
SLOW = "@chunks=60 @pace=0.05 Go on"
ENDLESS = "@chunks=100000 @pace=0.05 Go on"
PATIENCE_S = 20

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


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_above_the_ceiling_of_memory_one_at_a_time_is_served(one: Bridge):
    gateway, asked = one.gateway, one.upstreams["chat"].requests
    set_server(one, "memory_mib_max = 1")
    wait_until(lambda: "memory is short" in gateway.log_tail, "it did not see what it uses")
    assert [ask(one).status for _ in range(3)] == [200] * 3
    with contextlib.closing(open_stream(gateway, prompt(ENDLESS, "chat", stream=True))) as stream:
        read_until(stream, b"content_block_delta")
        before = len(asked)
        refused = [ask(one) for _ in range(5)]
        assert [answer.status for answer in refused] == [529] * len(refused)
        assert ask(one, "/chat/completions").status == 503
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert "has used up the memory" in refused[0].json()["message"]
        assert call(f"{gateway.root_url}/readyz", method="GET").status == 200
        audit = gateway.run("ledger", "audit")
        assert (audit["differences"], len(audit["open_holds"])) == ([], 1), "that of the stream"
        assert len(asked) == before
        rewritten(one, "memory_mib_max = 1", "memory_mib_max = 65536")
        assert gateway.run("reload")
        wait_until(lambda: ask(one).status == 200, "it did not take on more than one again")
        assert ask(one, "/chat/completions").status == 200
    wait_until(
        lambda: gateway.run("ledger", "audit")["open_holds"] == [], "the stream was not settled"
    )
    assert gateway.run("ledger", "audit")["differences"] == []


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
